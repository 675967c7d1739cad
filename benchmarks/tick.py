"""A tick of ``ticket_watermarks`` over fifty clients whose TOGA 2 takes its time."""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from unittest.mock import patch

import dagster as dg
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from benchmarks.surroundings import ContestantError, Helpdesk, Surroundings, Tell, Toga2
from benchmarks.table import Figure
from benchmarks.toga2_server import sandbox_clients
from elite_pipeline.defs.lanes import PARTITION_TAG, lane_tags
from elite_pipeline.defs.watermark_sensor import ticket_watermarks
from elite_pipeline.sandbox.serving.clock import utc_now
from elite_pipeline.sandbox.toga2 import Store
from elite_pipeline.settings import Settings

CLIENTS = 50
_LATENCY_SECONDS = 0.05
_TARGET_SECONDS = 5.0
#: Runs of each client that lie behind it.
_RUNS = 20
_ENTRY = """
  {name}:
    toga2: {{client_uuid: {uuid}}}
    togadesk: {{client_id: {number}, ticket_department_id: {number}}}
    custom_field_prefix: {prefix}
    flows: {{toga2_to_togadesk: true, togadesk_to_toga2: true}}
"""


def measure_tick(here: Surroundings, *, rounds: int, tell: Tell) -> Iterator[Figure]:
    """Let the sensor tick where it knows nothing yet, where nothing changed, and where all has."""
    folder = here.folder / "tick"
    folder.mkdir()
    template = folder / "template.sqlite"
    _make_tickets(template)
    series: dict[str, list[float]] = {}
    with (
        here.toga2(template, clients=CLIENTS) as toga2,
        here.helpdesk() as helpdesk,
        patch.dict(os.environ, _environ(folder, toga2, helpdesk)),
        _silent_log(),
        dg.DagsterInstance.local_temp(str(folder)) as instance,
    ):
        tell(f"tick: {CLIENTS} clients with {_RUNS} runs behind each")
        _make_runs(instance)
        toga2.configure(latency_seconds=_LATENCY_SECONDS)
        for number in range(1, rounds + 1):
            tell(f"tick: round {number} of {rounds}")
            # a new one: it has no connections yet
            ticking = _Ticking(ticket_watermarks(Settings(), is_demo=False), instance, series)
            cursor = ticking.tick("the first one, no cursor yet", None, CLIENTS)
            for _ in range(3):
                ticking.tick("nothing changed", cursor, 0)
            ticking.tick("all have changes", re.sub(r"20[2-9]\d-", "2019-", cursor), CLIENTS)
    for what, seconds in series.items():
        yield Figure(
            f"a tick of ticket_watermarks, {CLIENTS} clients, 50 ms per answer: {what}",
            "",
            round(median(seconds), 2),
            _TARGET_SECONDS,
            (min(seconds), max(seconds)),
            unit="s",
        )


@contextmanager
def _silent_log() -> Iterator[None]:
    """Keep the line for each client from the terminal, where figures are."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class _Ticking:
    sensor: dg.SensorDefinition
    instance: dg.DagsterInstance
    series: dict[str, list[float]]

    def tick(self, what: str, cursor: str | None, expected: int) -> str:
        """Let it tick once on a cursor; return the one that it leaves."""
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        started = time.perf_counter()
        result = self.sensor(context)
        self.series.setdefault(what, []).append(time.perf_counter() - started)
        if not isinstance(result, dg.SensorResult) or result.cursor is None:
            raise ContestantError("tick: it left no cursor")
        asked = len(result.run_requests or [])
        if asked != expected:
            raise ContestantError(f"tick: {asked} runs, not {expected}: {result.skip_reason}")
        return result.cursor


def _make_tickets(path: Path) -> None:
    """Give each client a ticket."""
    with closing(Store(sandbox_clients(CLIENTS), path=path)) as store:
        for client in sandbox_clients(CLIENTS):
            fields = {"subject": "Printer", "description": "-", "status": "OPEN", "priority": "LOW"}
            store.create(client.name, "tickets", fields, created=utc_now() - timedelta(hours=1))


def _make_runs(instance: dg.DagsterInstance) -> None:
    for client in sandbox_clients(CLIENTS):
        tags = {**lane_tags(client.name, "tickets"), PARTITION_TAG: client.name}
        for _ in range(_RUNS):
            instance.add_run(
                dg.DagsterRun(
                    job_name="tickets",
                    run_id=make_new_run_id(),
                    status=DagsterRunStatus.SUCCESS,
                    tags=tags,
                )
            )


def _environ(folder: Path, toga2: Toga2, helpdesk: Helpdesk) -> dict[str, str]:
    registry = folder / "clients.yaml"
    clients = sandbox_clients(CLIENTS)
    entries = [
        _ENTRY.format(
            name=one.name, uuid=one.client_uuid, number=at, prefix=one.custom_field_prefix
        )
        for at, one in enumerate(clients, start=1)
    ]
    registry.write_text("clients:" + "".join(entries), encoding="utf-8")
    secrets = {
        f"{one.name.upper()}_TOGA2_API_{part}": value
        for one in clients
        for part, value in (("KEY", one.api_key), ("SECRET", one.api_secret))
    }
    return {
        **secrets,
        "ELITE_PIPELINE_CLIENTS": str(registry),
        "TOGA2_BASE_URL": toga2.url,
        "TOGADESK_DATABASE_URL": helpdesk.for_engine["database_url"],
        "PIPELINE_DATABASE_URL": helpdesk.for_engine["ledger_url"],
    }

"""Receiving webhooks: the receiver beside a bare Starlette handler that does the same insert.

Both are processes of their own on uvicorn, with the same driver into the same MariaDB, which writes every
commit to its disk. The senders are a process too; they keep their connections.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

import sqlalchemy as sa
import yaml

from benchmarks.surroundings import ROOT, ContestantError, Surroundings, Tell, run_contestant
from benchmarks.table import Figure, ratio
from elite_pipeline.inbox import Inbox
from elite_pipeline.observability.call_log_tables import metadata
from elite_pipeline.own_tables import bring_up_to_date, connect

CONNECTIONS = 64
_SECRET = "measured"
_OURS, _LOGGED, _BARE = "receiver", "receiver, call log on", "bare handler"


def measure_receiver(
    here: Surroundings, *, count: int, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Measure commits a second, and how long the slowest one of a hundred waits."""
    here.server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    slowest: defaultdict[str, list[float]] = defaultdict(list)
    try:
        for number in range(1, rounds + 1):
            tell(f"receiver: round {number} of {rounds}")
            contestants = (_OURS, _BARE, _LOGGED)
            # who goes first takes turns
            for name in contestants if number % 2 else reversed(contestants):
                result = _run(here, name, count)
                seconds[name].append(result["seconds"])
                slowest[name].append(result["p99_ms"])
    finally:
        here.server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    work = f"{count:,} webhooks over {CONNECTIONS} connections"
    for name in (_OURS, _LOGGED):
        rate = count / median(seconds[name])
        note = (
            f"{rate:,.0f} commits/s, p99 {median(slowest[name]):.0f} ms; "
            f"theirs {count / median(seconds[_BARE]):,.0f}/s, {median(slowest[_BARE]):.0f} ms"
        )
        # 0.8 of the other's commits a second
        yield ratio(f"{work}: {name}", _BARE, seconds[name], seconds[_BARE], 1.25, note)


def _run(here: Surroundings, name: str, count: int) -> dict[str, Any]:
    with here.server.database() as url, here.server.database() as logs:
        text = url.render_as_string(hide_password=False)
        inbox = Inbox(text)
        inbox.latest_id()
        with _serving(here, name, url, logs) as port:
            given = {"port": port, "count": count, "connections": CONNECTIONS, "secret": _SECRET}
            result = run_contestant("webhook_senders", given, expect={"taken": count})
        stored = sum(due.count for due in inbox.due(datetime.now(UTC), inbox.latest_id()))
        inbox.close()
        if stored != count:
            raise ContestantError(f"{name}: {stored} rows for {count} webhooks that were answered")
        return result


@contextmanager
def _serving(here: Surroundings, name: str, url: sa.URL, logs: sa.URL) -> Iterator[int]:
    text = url.render_as_string(hide_password=False)
    if name == _BARE:
        program = ["-m", "benchmarks.contestants.bare_receiver", json.dumps({"url": text})]
        more: Mapping[str, str] = {}
    else:
        registry = here.folder / "webhook_clients.yaml"
        registry.write_text(yaml.safe_dump({"clients": {"elite": _CLIENT}}))
        program = ["-m", "elite_pipeline.cli", "webhooks", "serve", "--port", "0"]
        more = {
            "ELITE_PIPELINE_CLIENTS": str(registry),
            "PIPELINE_DATABASE_URL": text,
            "ELITE_WEBHOOK_SECRET": _SECRET,
        }
        if name == _LOGGED:
            log_text = logs.render_as_string(hide_password=False)
            engine = connect(log_text, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=60)
            bring_up_to_date(engine, metadata.sorted_tables, "CLIENT_LOGS_DATABASE_URL")
            engine.dispose()
            more = {**more, "CLIENT_LOGS_DATABASE_URL": log_text}
    process = subprocess.Popen(
        [sys.executable, *program],
        cwd=ROOT,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if ":" not in line:
            raise ContestantError(f"{name} did not start")
        yield int(line.rsplit(":", 1)[1].partition("/")[0])
    finally:
        process.terminate()
        process.communicate()


_CLIENT = {
    "toga2": {"client_uuid": "00000000-0000-4000-8000-000000000001"},
    "togadesk": {"client_id": 1, "ticket_department_id": 1},
    "custom_field_prefix": "c_elite",
    "freshservice": {
        "base_url": "https://elite.freshservice.com",
        "webhook_action": "Elite/Webhook",
    },
}

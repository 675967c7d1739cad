"""A run of Dagster's in which nothing changed, beside one of an empty asset on the same instance."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.data import make_tickets
from benchmarks.surroundings import ROOT, ContestantError, Surroundings, Tell
from benchmarks.table import Figure, ratio
from benchmarks.toga2_server import sandbox_client

_TARGET = 1.3
_TICKETS = 200
_OURS = "elite_pipeline.definitions"
_THEIRS = "benchmarks.contestants.empty_asset"
#: What is run -> its module and its assets.
_RUNS = {
    "nothing": (_THEIRS, "nothing"),
    "one": (_OURS, "key:togadesk/ticket_deltas"),
    "both": (_OURS, "key:togadesk/ticket_deltas or key:toga2/ticket_deltas"),
}
_REGISTRY = """
clients:
  elite:
    toga2: {{client_uuid: {uuid}}}
    togadesk: {{client_id: 1, ticket_department_id: 1}}
    custom_field_prefix: {prefix}
    flows: {{contacts: true, toga2_to_togadesk: true, togadesk_to_toga2: true}}
"""


def measure_dagster_run(here: Surroundings, *, rounds: int, tell: Tell) -> Iterator[Figure]:
    """Measure whole processes, from their start to their end, in turns."""
    folder = here.folder / "dagster_run"
    folder.mkdir()
    template = folder / "template.sqlite"
    make_tickets(template, _TICKETS)
    with here.toga2(template) as toga2, here.helpdesk() as helpdesk:
        environ = _environ(folder, toga2.credentials, helpdesk.for_engine)
        tell("dagster_run: a first sync")
        _run(environ, "both")
        times: dict[str, list[float]] = {name: [] for name in _RUNS}
        for number in range(rounds + 1):
            tell(f"dagster_run: round {number} of {rounds}")
            for name, series in times.items():
                seconds = _run(environ, name)
                # the first round fills the caches
                if number:
                    series.append(seconds)
    yardstick = "a run of an empty asset on the same instance"
    yield ratio(
        "a run through Dagster of one direction, nothing changed",
        yardstick,
        times["one"],
        times["nothing"],
        _TARGET,
        note="whole processes",
    )
    yield ratio("the same of both directions", yardstick, times["both"], times["nothing"], None)


def _environ(
    folder: Path, credentials: Mapping[str, str], urls: Mapping[str, str]
) -> dict[str, str]:
    home, uploads = folder / "home", folder / "uploads"
    home.mkdir()
    uploads.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    registry = folder / "clients.yaml"
    client = sandbox_client()
    registry.write_text(
        _REGISTRY.format(uuid=client.client_uuid, prefix=client.custom_field_prefix),
        encoding="utf-8",
    )
    environ = dict(os.environ)
    # an installed program is not compiled anew each time
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **environ,
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "DAGSTER_HOME": str(home),
        "ELITE_PIPELINE_CLIENTS": str(registry),
        "TOGA2_BASE_URL": credentials["toga2_url"],
        "ELITE_TOGA2_API_KEY": credentials["api_key"],
        "ELITE_TOGA2_API_SECRET": credentials["api_secret"],
        "TOGADESK_DATABASE_URL": urls["database_url"],
        "TOGADESK_UPLOADS_DIR": str(uploads),
        "PIPELINE_DATABASE_URL": urls["ledger_url"],
    }


def _run(environ: Mapping[str, str], name: str) -> float:
    module, assets = _RUNS[name]
    words = ("asset", "materialize", "-m", module, "--select", assets, "--partition", "elite")
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *words],
        cwd=ROOT,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise ContestantError(f"dagster_run: {name} failed:\n{done.stderr[-3000:]}")
    return seconds

"""How long it takes from a webhook to its note in TOGA 2, through ``dagster dev``."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import requests

from benchmarks.surroundings import ContestantError, Surroundings, Tell
from benchmarks.table import Figure
from elite_pipeline_tests.support.mariadb import free_port

#: Seconds between two webhooks: most find no run of their client under way.
_PACE = 7.0
_PATIENCE = 300.0
_TARGET_SECONDS = 10.0


@dataclass(frozen=True)
class _Demo:
    """A running demo whose people do only what they are told."""

    folder: Path
    freshservice: str

    def let_somebody_reply(self, seed: int) -> None:
        body = {"account": "elite", "count": 1, "seed": str(seed)}
        requests.post(f"{self.freshservice}/traffic", json=body, timeout=30).raise_for_status()

    def rows(self) -> list[tuple[datetime, datetime | None]]:
        """When each webhook was stored, and when its ticket was carried."""
        path = self.folder / "elite_pipeline.sqlite"
        with closing(sqlite3.connect(path, timeout=30)) as database:
            found = database.execute("SELECT dtStamp, dtFinished FROM WorkerJobs ORDER BY id")
            return [
                (datetime.fromisoformat(stored), datetime.fromisoformat(done) if done else None)
                for stored, done in found
            ]


def measure_latency(here: Surroundings, *, webhooks: int, tell: Tell) -> Iterator[Figure]:
    """Send ``webhooks`` webhooks, one after the other, to a demo that does nothing else."""
    with _demo(here.folder / "latency", tell) as demo:
        tell(f"latency: {webhooks} webhooks")
        for number in range(webhooks):
            demo.let_somebody_reply(number)
            time.sleep(_PACE)
        deadline = time.monotonic() + _PATIENCE
        while any(done is None for _, done in demo.rows()):
            if time.monotonic() > deadline:
                raise ContestantError("latency: there are webhooks that nobody carried")
            time.sleep(1)
        seconds = sorted(
            (done - stored).total_seconds() for stored, done in demo.rows() if done is not None
        )
    late = sum(one > _TARGET_SECONDS for one in seconds)
    yield Figure(
        f"webhook to note in TOGA 2, through dagster dev, {len(seconds)} webhooks",
        "",
        100 * late / len(seconds),
        5,
        unit=f"in 100 later than {_TARGET_SECONDS:g} s",
        note=f"median {median(seconds):.1f} s, 95 % within {seconds[int(len(seconds) * 0.95)]:.1f} s",
    )


@contextmanager
def _demo(folder: Path, tell: Tell) -> Iterator[_Demo]:
    ports = {
        name: str(free_port())
        for name in ("DAGSTER_PORT", "TOGA2_PORT", "FRESHSERVICE_PORT", "WEBHOOKS_PORT")
    }
    environ = {**os.environ, **ports, "DEMO_DIR": str(folder), "DEMO_TRAFFIC": "0"}
    log = folder.with_name("latency.log")
    tell("latency: starting the demo, and its first sync")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "elite_pipeline.cli", "demo"],
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while "The demo is up" not in log.read_text() or not _is_synced(ports["DAGSTER_PORT"]):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ContestantError(
                    f"latency: the demo did not come up: {log.read_text()[-500:]}"
                )
            time.sleep(1)
        yield _Demo(folder, f"http://127.0.0.1:{ports['FRESHSERVICE_PORT']}/_sandbox")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _is_synced(port: str) -> bool:
    query = "{ runsOrError { ... on Runs { results { jobName status } } } }"
    answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=30)
    runs = answer.json()["data"]["runsOrError"]["results"]
    done = [run for run in runs if run["jobName"] == "everything" and run["status"] == "SUCCESS"]
    return len(done) == 2

"""How long it takes from a webhook to its note in TOGA 2, through ``dagster dev``."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import requests

from benchmarks.surroundings import ContestantError, Surroundings, Tell
from benchmarks.table import Figure
from elite_pipeline.defs.webhook_sensor import ROWS_TAG
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
    dagster: str

    def let_somebody_reply(self, seed: int) -> None:
        body = {"account": "elite", "count": 1, "seed": str(seed)}
        requests.post(f"{self.freshservice}/traffic", json=body, timeout=30).raise_for_status()

    def rows(self) -> list[tuple[int, float, float | None]]:
        """Each webhook: when it was stored, and when its ticket was carried; seconds since the epoch."""
        path = self.folder / "elite_pipeline.sqlite"
        with closing(sqlite3.connect(path, timeout=30)) as database:
            found = database.execute("SELECT id, dtStamp, dtFinished FROM WorkerJobs ORDER BY id")
            return [(row, _seconds(stored), done and _seconds(done)) for row, stored, done in found]

    def runs(self) -> list[tuple[range, float, float]]:
        """Runs that the sensor asked for: their rows, when it did so, and when their process ran."""
        query = """{ runsOrError(filter: {pipelineName: "freshservice"}) { ... on Runs { results {
            creationTime startTime tags { key value } } } } }"""
        found = _ask(self.dagster, query)["runsOrError"]["results"]
        runs = []
        for one in found:
            tags = {tag["key"]: tag["value"] for tag in one["tags"]}
            # «17», or «17 to 19: 3 rows»
            told = re.match(r"(\d+)(?: to (\d+))?", tags.get(ROWS_TAG, ""))
            if told is not None and one["startTime"] is not None:
                rows = range(int(told[1]), int(told[2] or told[1]) + 1)
                runs.append((rows, one["creationTime"], one["startTime"]))
        return runs


def _seconds(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


def _ask(dagster: str, query: str) -> dict[str, Any]:
    answer = requests.post(f"{dagster}/graphql", json={"query": query}, timeout=30)
    data: dict[str, Any] = answer.json()["data"]
    return data


def measure_latency(here: Surroundings, *, webhooks: int, tell: Tell) -> Iterator[Figure]:
    """Send ``webhooks`` webhooks, one after the other, to a demo that does nothing else."""
    with _demo(here.folder / "latency", tell) as demo:
        tell(f"latency: {webhooks} webhooks")
        for number in range(webhooks):
            demo.let_somebody_reply(number)
            time.sleep(_PACE)
        deadline = time.monotonic() + _PATIENCE
        while any(done is None for *_, done in demo.rows()):
            if time.monotonic() > deadline:
                raise ContestantError("latency: there are webhooks that nobody carried")
            time.sleep(1)
        rows = [(row, stored, done) for row, stored, done in demo.rows() if done is not None]
        runs = demo.runs()
    seconds = [done - stored for _, stored, done in rows]
    late = sum(one > _TARGET_SECONDS for one in seconds)
    yield Figure(
        f"webhook to note in TOGA 2, through dagster dev, {len(seconds)} webhooks",
        "",
        100 * late / len(seconds),
        5,
        unit=f"in 100 later than {_TARGET_SECONDS:g} s",
        note=f"{_spread(seconds)}: {_parts(rows, runs)}",
    )


def _parts(
    rows: Sequence[tuple[int, float, float]], runs: Sequence[tuple[range, float, float]]
) -> str:
    """Return where the time goes, of the webhooks of which one can tell."""
    ways = []
    for row, stored, done in rows:
        for of, asked, ran in runs:
            # a row that failed at first has more than one run
            if row in of and stored <= asked <= ran <= done:
                ways.append((asked - stored, ran - asked, done - ran))
                break
    if not ways:
        return "where the time goes cannot be told"
    names = ("until a run is asked for", "until its process runs", "its work")
    return "; ".join(
        f"{name} {_spread(part)}" for name, part in zip(names, zip(*ways, strict=True), strict=True)
    )


def _spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"median {median(ordered):.1f} s, 95 % within {ordered[int(len(ordered) * 0.95)]:.1f} s"


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
        dagster = f"http://127.0.0.1:{ports['DAGSTER_PORT']}"
        while "The demo is up" not in log.read_text() or not _is_synced(dagster):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ContestantError(
                    f"latency: the demo did not come up: {log.read_text()[-500:]}"
                )
            time.sleep(1)
        yield _Demo(
            folder,
            f"http://127.0.0.1:{ports['FRESHSERVICE_PORT']}/_sandbox",
            dagster,
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _is_synced(dagster: str) -> bool:
    runs = _ask(dagster, "{ runsOrError { ... on Runs { results { jobName status } } } }")
    results = runs["runsOrError"]["results"]
    done = [run for run in results if run["jobName"] == "everything" and run["status"] == "SUCCESS"]
    return len(done) == 2

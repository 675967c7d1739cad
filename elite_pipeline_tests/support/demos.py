"""A running demo, as ``make demo`` starts it: with ports and a folder of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from elite_pipeline.launcher.dagster_page import DagsterPage
from elite_pipeline_tests.support.mariadb import free_port

#: On a busy machine the start of Dagster alone takes most of a minute.
PATIENCE_SECONDS = 300.0

RUNS = """
{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }
"""

RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run {
      status
      assetMaterializations {
        assetKey { path }
        metadataEntries { label ... on IntMetadataEntry { intValue } }
      }
    }
  }
}
"""

AUTOMATION = """
{
  repositoriesOrError {
    ... on RepositoryConnection { nodes { schedules { id name } sensors { id name } } }
  }
}
"""

STOP_SCHEDULE = """
mutation Stop($id: String!) {
  stopped: stopRunningSchedule(id: $id) {
    ... on ScheduleStateResult { scheduleState { status } }
  }
}
"""

STOP_SENSOR = """
mutation Stop($id: String!) {
  stopped: stopSensor(id: $id) {
    ... on StopSensorMutationResult { scheduleState: instigationState { status } }
  }
}
"""

LATEST_TICK = """
query Tick($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { ticks(limit: 1) { status } } }
  }
}
"""

CLIENTS = ("elite", "wje")

#: What a run that found nothing to do says of itself; what it left for the next one is still to do.
WRITTEN = ("created", "updated", "adopted", "failed", "SQL writes", "left for the next run")


class Demo:
    """A running demo, with ports and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder.with_name("output.txt")
        self.dagster_port, self.toga2_port = free_port(), free_port()
        self.freshservice_port = free_port()
        self.environ = {
            # without coverage: measuring Dagster's own processes would take them minutes to start
            **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
            "DEMO_DIR": str(folder),
            "DAGSTER_PORT": str(self.dagster_port),
            "TOGA2_PORT": str(self.toga2_port),
            "FRESHSERVICE_PORT": str(self.freshservice_port),
            "WEBHOOKS_PORT": str(free_port()),
            # what happens there happens when a test wants it
            "DEMO_TRAFFIC": "0",
        }
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it as ``make demo`` does."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "elite_pipeline.cli", "demo"],
                env=self.environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that the demo's processes bring about."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"{what}: this did not come true.\n{self.output.read_text()}")
            pause.wait(0.25)

    def is_up(self) -> bool:
        """Tell whether it has said so."""
        return "The demo is up" in self.output.read_text()

    @property
    def url(self) -> str:
        """Where Dagster's page is."""
        return f"http://127.0.0.1:{self.dagster_port}"

    def address_after(self, title: str) -> str:
        """Return the address that the demo printed below a line."""
        lines = self.output.read_text().splitlines()
        return lines[lines.index(title) + 1].strip()

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask Dagster's page for something."""
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        )
        found: dict[str, Any] = answer.json()["data"]
        return found

    def switch_everything_off(self) -> None:
        """Switch all schedules and sensors off: what runs from now on, somebody has started."""
        found = self.ask(AUTOMATION)["repositoriesOrError"]["nodes"][0]
        for kind, mutation in (("schedules", STOP_SCHEDULE), ("sensors", STOP_SENSOR)):
            for one in found[kind]:
                stopped = self.ask(mutation, id=one["id"])["stopped"]
                assert stopped["scheduleState"]["status"] == "STOPPED"

    def is_at_rest(self) -> bool:
        """Tell whether no run waits or is under way."""
        under_way = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
        runs = self.runs()
        return bool(runs) and not {run["status"] for run in runs} & under_way

    def is_between_ticks(self, sensor: str) -> bool:
        """Tell whether no tick of a sensor is going on; one writes its cursor as it ends."""
        location = DagsterPage(self.url).location()
        assert location is not None
        selector = {
            "sensorName": sensor,
            "repositoryName": location.repository,
            "repositoryLocationName": location.name,
        }
        found = self.ask(LATEST_TICK, selector=selector)["sensorOrError"]["sensorState"]["ticks"]
        return [tick["status"] for tick in found] != ["STARTED"]

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that Dagster's page shows."""
        try:
            found: list[dict[str, Any]] = self.ask(RUNS)["runsOrError"]["results"]
        except requests.RequestException:
            # busy: asked again
            return []
        return found

    def succeeded(self, job: str) -> set[str]:
        """Return the clients for which a run of a job has succeeded."""
        return self._clients(lambda run, _: run["jobName"] == job)

    def backfilled(self, backfill: str) -> set[str]:
        """Return the clients for which a run of a backfill has succeeded."""
        return self._clients(lambda _, tags: tags.get("dagster/backfill") == backfill)

    def _clients(self, is_one: Callable[[dict[str, Any], dict[str, str]], bool]) -> set[str]:
        found = set()
        for run in self.runs():
            tags = {tag["key"]: tag["value"] for tag in run["tags"]}
            if run["status"] == "SUCCESS" and is_one(run, tags) and "dagster/partition" in tags:
                found.add(tags["dagster/partition"])
        return found

    def helpdesk(self, statement: str) -> list[tuple[Any, ...]]:
        """Read from the helpdesk's database."""
        with closing(sqlite3.connect(self.folder / "togadesk.sqlite", timeout=30)) as database:
            return database.execute(statement).fetchall()

    def edit(self, client: str) -> str:
        """Make changes in TOGA 2 as the demo suggests, and return what the command said."""
        return self.command("toga2", "edit", "--client", client, "--notes", "3")

    def type(self, client: str) -> str:
        """Let people type on both sides, a few dozen things in some seconds."""
        pace = ("--minutes", "0.1", "--per-minute", "400", "--seed", "7")
        return self.command("type", "--client", client, *pace)

    def command(self, *words: str) -> str:
        """Use the sandbox's command line beside the demo; return what it said."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "elite_pipeline.cli", "sandbox", *words),
                *("--port", str(self.toga2_port)),
            ],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def work_in_freshservice(self, count: int) -> str:
        """Let the service desk on Freshservice do some things at once; return what it did."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "elite_pipeline.cli", "sandbox", "freshservice", "traffic"),
                *("--client", "elite", "--burst", str(count), "--seed", "7"),
                *("--port", str(self.freshservice_port)),
            ],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def webhooks(self) -> dict[str, int]:
        """Return how many rows of the inbox there are, by status."""
        with closing(
            sqlite3.connect(self.folder / "elite_pipeline.sqlite", timeout=30)
        ) as database:
            return dict(database.execute("SELECT status, count(*) FROM WorkerJobs GROUP BY status"))

    def sync_tickets(self, client: str) -> dict[str, int]:
        """Run the job of tickets once; return what it wrote, by asset and count, where it did."""
        page = DagsterPage(self.url)
        location = page.location()
        assert location is not None
        run = page.launch(location, "tickets", partition=client)
        found: dict[str, Any] = {}

        def is_through() -> bool:
            found.update(self.ask(RUN, id=run)["runOrError"])
            assert found["status"] not in {"FAILURE", "CANCELED"}
            return bool(found["status"] == "SUCCESS")

        self.eventually(is_through, f"a run of {client}'s tickets comes through")
        counts = {
            f"{client} {'/'.join(each['assetKey']['path'])} {entry['label']}": entry["intValue"]
            for each in found["assetMaterializations"]
            for entry in each["metadataEntries"]
            if entry["label"] in WRITTEN
        }
        # of both directions
        assert sum(name.endswith(" SQL writes") for name in counts) == 2
        return {name: count for name, count in counts.items() if count}

    def is_quiet(self, client: str) -> bool:
        """Run the job of tickets once; tell whether there was nothing to do."""
        return not self.sync_tickets(client)

    def toga2_writes(self) -> dict[str, Any]:
        """Return the writing requests that TOGA 2 has counted, by route and status."""
        answer = requests.get(f"http://127.0.0.1:{self.toga2_port}/_sandbox/stats", timeout=30)
        routes: dict[str, Any] = answer.json()["routes"]
        return {route: counts for route, counts in routes.items() if not route.startswith("GET ")}

    def stop(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def left_over(self) -> list[str]:
        """Return what still runs of what the demo started: all of it has its folder to itself."""
        mark = f"DEMO_DIR={self.folder}".encode()
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
        return found

"""The demo as an operator sees it: one command, real Dagster, real runs, and nothing left behind."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from elite_pipeline.launcher.dagster_page import DagsterPage
from elite_pipeline_tests.support.mariadb import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

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

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that Dagster's page shows."""
        try:
            answer = requests.post(
                f"http://127.0.0.1:{self.dagster_port}/graphql", json={"query": RUNS}, timeout=30
            )
        except requests.RequestException:
            # busy: asked again
            return []
        found: list[dict[str, Any]] = answer.json()["data"]["runsOrError"]["results"]
        return found

    def succeeded(self, job: str) -> set[str]:
        """Return the clients for which a run of a job has succeeded."""
        return {
            tag["value"]
            for run in self.runs()
            if run["jobName"] == job and run["status"] == "SUCCESS"
            for tag in run["tags"]
            if tag["key"] == "dagster/partition"
        }

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
        page = DagsterPage(f"http://127.0.0.1:{self.dagster_port}")
        location = page.location()
        assert location is not None
        run = page.launch(location, "tickets", partition=client)
        found: dict[str, Any] = {}

        def is_through() -> bool:
            answer = requests.post(
                f"{page.url}/graphql", json={"query": RUN, "variables": {"id": run}}, timeout=60
            )
            found.update(answer.json()["data"]["runOrError"])
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


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo")
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop()


def test_first_sync_is_under_way_edits_arrive_and_ctrl_c_ends_everything(demo: Demo) -> None:
    demo.eventually(demo.is_up, "the demo comes up")
    demo.eventually(lambda: demo.succeeded("everything") == {"elite", "wje"}, "both are synced")
    by_client = dict(demo.helpdesk("SELECT clientid, count(*) FROM tickets GROUP BY clientid"))
    assert set(by_client) == {1, 2}
    replies = demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0]
    comments = demo.helpdesk("SELECT count(*) FROM comments")[0][0]

    said = demo.edit("elite") + demo.edit("wje")

    external, internal = said.count("new external note"), said.count("new internal note")
    assert external + internal == 6
    assert said.count("repair order ") == 3
    expected = (replies + external, comments + internal)
    demo.eventually(
        lambda: (
            (
                demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0],
                demo.helpdesk("SELECT count(*) FROM comments")[0][0],
            )
            == expected
        ),
        "a schedule brings the edits over",
    )
    # and what happens in Freshservice goes through TOGA 2 into the helpdesk
    before = demo.helpdesk("SELECT count(*) FROM tickets WHERE clientid = 1")[0][0]
    assert demo.work_in_freshservice(12).count("ticket ") >= 12
    demo.eventually(
        lambda: set(demo.webhooks()) == {"DONE"} and sum(demo.webhooks().values()) >= 12,
        "the sensor sees the webhooks, and a run carries what they name",
    )
    demo.eventually(
        lambda: demo.helpdesk("SELECT count(*) FROM tickets WHERE clientid = 1")[0][0] > before,
        "a schedule brings the new tickets into the helpdesk",
    )
    demo.stop()
    assert demo.process.returncode == 0
    assert demo.left_over() == []

    kept = demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0]
    # once more: the data are kept, and nothing of them is made anew
    demo.output.write_text("")
    demo.process = demo.start()
    demo.eventually(demo.is_up, "the demo comes up again")
    assert "first start only" not in demo.output.read_text()
    assert demo.helpdesk("SELECT count(*) FROM tickets_replies")[0][0] == kept


def test_people_type_on_both_sides_and_once_they_stop_nothing_is_written_any_more(
    demo: Demo,
) -> None:
    demo.eventually(demo.is_up, "the demo comes up")
    demo.eventually(lambda: demo.succeeded("everything") == set(CLIENTS), "both are synced")
    # what was typed at the helpdesk before the first sync is in TOGA 2, and files went both ways
    for table in ("tickets", "tickets_replies", "comments"):
        assert demo.helpdesk(f"SELECT count(*) FROM {table} WHERE referenceId IS NULL") == [(0,)]
    made = demo.toga2_writes()
    for route in ("tickets", "ticket-notes", "repair-orders", "repair-order-notes", "files"):
        assert set(made[f"POST /{route}"]) == {"201"}
    stored = {path.name for path in (demo.folder / "uploads").iterdir()}
    files = demo.helpdesk("SELECT file, filesize, clientid FROM files")
    assert stored == {file for file, _, _ in files}
    assert min(size for _, size, _ in files) > 0
    assert (demo.folder / "client_logs.sqlite").exists()

    for client in CLIENTS:
        said = demo.type(client)
        assert said.count("TOGA 2: ") > 5
        assert said.count("helpdesk: ") > 5
        assert "with a file" in said

    for client in CLIENTS:
        demo.eventually(partial(demo.is_quiet, client), f"{client} goes quiet")
    made = demo.toga2_writes()
    for _ in range(2):
        assert [demo.sync_tickets(client) for client in CLIENTS] == [{}, {}]
    assert demo.toga2_writes() == made
    for table in ("tickets", "tickets_replies", "comments"):
        assert demo.helpdesk(f"SELECT count(*) FROM {table} WHERE referenceId IS NULL") == [(0,)]

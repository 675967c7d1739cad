"""Syncing again from a chosen watermark, as an operator does it: through the page, and the cursor.

Each test takes the helpdesk's tickets away first and asks for those after a watermark: the ones before it
must stay away. From the command line: ``integration/test_watermark_commands``.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from elite_pipeline.demo import demo_credentials
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sandbox.togadesk import create_database
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.systems import demo_client, sandbox_client
from elite_pipeline_tests.support.tickets import at

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300.0
CLIENTS = ("elite", "wje")
REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {toga2_to_togadesk: true, togadesk_to_toga2: true}
  wje:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000002, integration_type: REPAIR_ORDERS}
    togadesk: {client_id: 2, ticket_department_id: 3, timezone: America/Chicago}
    custom_field_prefix: c_wje
    flows: {toga2_to_togadesk: true, togadesk_to_toga2: true}
"""
OLD, NEW = at(1), at(600)
SINCE = "2026-06-10 12:00:00"
#: What the page shows: a lag of two minutes before it.
STARTED_FROM = "2026-06-10 11:58:00 UTC"
OP = "togadesk__ticket_deltas"
CONFIG = {"ops": {OP: {"config": {"since": SINCE}}}}
ASSET = {"path": ["togadesk", "ticket_deltas"]}
SENSOR = "ticket_watermarks"
SELECTOR = {"repositoryLocationName": "elite_pipeline", "repositoryName": "__repository__"}

BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message }
  }
}
"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  }
}
"""
SWITCH_ON = """
mutation On($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on Error { message } }
}
"""
SWITCH_OFF = """
mutation Off($selector: SensorSelector!) {
  resetSensor(sensorSelector: $selector) { __typename ... on Error { message } }
}
"""
RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results {
    runId status runConfigYaml tags { key value }
    assetMaterializations {
      assetKey { path } partition
      metadataEntries { label ... on TextMetadataEntry { text } }
    } } } }
}
"""
TICKS = """
query Ticks($selector: InstigationSelector!) {
  instigationStateOrError(instigationSelector: $selector) {
    ... on InstigationState {
      status ticks(limit: 20) { status cursor skipReason error { message } }
      typeSpecificData { ... on SensorData { lastCursor } }
    }
  }
}
"""


class Place:
    """A running Dagster, and the systems that its runs sync."""

    def __init__(self, folder: Path, toga2: Toga2Sandbox, helpdesk: sa.Engine, url: str) -> None:
        self.folder = folder
        self.toga2 = toga2
        self.helpdesk = helpdesk
        self.port = free_port()
        self.home = folder / "home"
        self.home.mkdir()
        shutil.copy(CHECKOUT / "dagster.yaml", self.home)
        (folder / "clients.yaml").write_text(REGISTRY, encoding="utf-8")
        (folder / "uploads").mkdir()
        # without coverage: measuring Dagster's own processes would take them minutes to start
        self.environ = {
            name: text for name, text in os.environ.items() if not name.startswith("COV")
        }
        self.environ |= {
            "DAGSTER_HOME": str(self.home),
            "ELITE_PIPELINE_CLIENTS": str(folder / "clients.yaml"),
            "TOGA2_BASE_URL": toga2.base_url,
            "TOGADESK_DATABASE_URL": url,
            "TOGADESK_UPLOADS_DIR": str(folder / "uploads"),
            "PIPELINE_DATABASE_URL": f"sqlite:///{folder / 'pipeline.sqlite'}",
        }
        for client in CLIENTS:
            credentials = demo_credentials(client)
            self.environ[f"{client.upper()}_TOGA2_API_KEY"] = credentials.api_key
            self.environ[f"{client.upper()}_TOGA2_API_SECRET"] = credentials.api_secret

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run ``dagster dev``."""
        log = self.folder / "dagster.log"
        workspace = ("-w", str(CHECKOUT / "workspace.yaml"))
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster", "dev", *workspace, *address],
                cwd=self.folder,
                env=self.environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.eventually(lambda: self.is_loaded(process, log), "the definitions are loaded")
            yield
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)

    def is_loaded(self, process: "subprocess.Popen[bytes]", log: Path) -> bool:
        """Tell whether the page shows the assets."""
        assert process.poll() is None, log.read_text()
        try:
            nodes = self.ask("{ assetNodes { id } }")["assetNodes"]
        except requests.RequestException:
            return False
        return bool(nodes)

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that Dagster brings about."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, what
            pause.wait(0.25)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the page, as its own buttons do."""
        answer = requests.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
        )
        body = answer.json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def dagster(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Use Dagster's own command line."""
        return subprocess.run(
            [sys.executable, "-m", "dagster", *words, "-w", str(CHECKOUT / "workspace.yaml")],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Return the runs that have these tags, the newest first."""
        given = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        found: list[dict[str, Any]] = self.ask(RUNS, filter={"tags": given})["runsOrError"][
            "results"
        ]
        return found

    def finished(self, count: int, **tags: str) -> list[dict[str, Any]]:
        """Wait for so many runs to come through, and return them."""

        def are_done() -> bool:
            found = self.runs(**tags)
            assert not any(one["status"] == "FAILURE" for one in found), found
            return len(found) == count and all(one["status"] == "SUCCESS" for one in found)

        self.eventually(are_done, f"{count} runs of {tags}")
        return self.runs(**tags)

    def tickets(self) -> dict[int, set[str]]:
        """Return the helpdesk's client -> subjects of its tickets."""
        with self.helpdesk.begin() as connection:
            rows = connection.exec_driver_sql("SELECT clientid, subject FROM tickets").all()
        found: dict[int, set[str]] = {}
        for client, subject in rows:
            found.setdefault(client, set()).add(subject)
        return found

    def forget_tickets(self) -> None:
        """Take all tickets away from the helpdesk."""
        with self.helpdesk.begin() as connection:
            for table in ("tickets", "tickets_replies", "comments", "tickets_history"):
                connection.exec_driver_sql(f"DELETE FROM {table}")

    def sensor(self) -> dict[str, Any]:
        """Return how the sensor does."""
        selector = {**SELECTOR, "name": SENSOR}
        state: dict[str, Any] = self.ask(TICKS, selector=selector)["instigationStateOrError"]
        return state


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run Dagster over two clients with an old and a new ticket, which are synced."""
    folder = tmp_path_factory.mktemp("backfills")
    with ExitStack() as stack:
        toga2 = stack.enter_context(
            Toga2Sandbox(clients=[sandbox_client(demo_client(name)) for name in CLIENTS])
        )
        url = f"sqlite:///{folder / 'helpdesk.sqlite'}"
        helpdesk = connect(url)
        stack.callback(helpdesk.dispose)
        create_database(helpdesk, "modern")
        for client, route in zip(CLIENTS, ("tickets", "repair-orders"), strict=True):
            for subject, moment in (("Old", OLD), ("New", NEW)):
                fields = {"subject": subject, "description": "-", "status": "OPEN"}
                toga2.store.create(client, route, {**fields, "priority": "LOW"}, created=moment)
        place = Place(folder, toga2, helpdesk, url)
        stack.enter_context(place.running())
        launched = [launch(place, client, {}) for client in CLIENTS]
        place.eventually(
            lambda: place.tickets() == {1: {"Old", "New"}, 2: {"Old", "New"}}, "a first sync"
        )
        for run_id in launched:
            place.finished(1, test=run_id)
        yield place


@pytest.fixture(autouse=True)
def _empty(place: Place) -> None:
    place.forget_tickets()


def launch(place: Place, client: str, config: dict[str, Any], name: str | None = None) -> str:
    """Launch the job ``tickets`` as the launchpad does; return the tag that finds the run."""
    name = name or f"launch-{client}"
    tags = {"dagster/partition": client, "dagster/from_ui": "true", "test": name}
    params = {
        "selector": {**SELECTOR, "jobName": "tickets"},
        "mode": "default",
        "runConfigData": config,
        "executionMetadata": {"tags": [{"key": key, "value": tags[key]} for key in tags]},
    }
    launched = place.ask(LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return name


def backfill(place: Place, **params: Any) -> str:
    """Launch a backfill of the asset as the dialog does; return its id."""
    given = {"assetSelection": [ASSET], "runConfigData": CONFIG, **params}
    launched = place.ask(BACKFILL, params=given)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def shown(run: dict[str, Any]) -> dict[str, str]:
    """Return what the asset's page shows of a run's materialization, its texts."""
    (found,) = [one for one in run["assetMaterializations"] if one["assetKey"] == ASSET]
    return {entry["label"]: entry["text"] for entry in found["metadataEntries"] if "text" in entry}


def test_from_the_backfill_dialog_for_all_clients(place: Place) -> None:
    backfill_id = backfill(place, allPartitions=True)

    runs = place.finished(2, dagster__backfill=backfill_id)

    assert place.tickets() == {1: {"New"}, 2: {"New"}}
    for run in runs:
        assert shown(run)["started from"] == STARTED_FROM
        # it stays where it was
        assert shown(run)["watermark before"] == shown(run)["watermark after"]
        assert shown(run)["watermark after"] == "2026-06-10 18:00:00 UTC"


def test_from_the_backfill_dialog_for_one_client(place: Place) -> None:
    backfill_id = backfill(place, partitionNames=["wje"])

    (run,) = place.finished(1, dagster__backfill=backfill_id)

    assert place.tickets() == {2: {"New"}}
    assert shown(run)["started from"] == STARTED_FROM


def test_from_the_launchpad(place: Place) -> None:
    (run,) = place.finished(1, test=launch(place, "elite", CONFIG, "launchpad"))

    assert place.tickets() == {1: {"New"}}
    assert shown(run)["started from"] == STARTED_FROM


def test_from_the_sensors_cursor(place: Place) -> None:
    selector = {**SELECTOR, "sensorName": SENSOR}
    on = place.ask(SWITCH_ON, selector=selector)["startSensor"]
    assert on["__typename"] == "Sensor", on
    try:
        place.eventually(lambda: place.sensor()["typeSpecificData"]["lastCursor"], "a first tick")
        # what the first tick asks for, where it asks for any, ends before the cursor is touched
        place.eventually(
            lambda: "nothing new on either side of 2 of 2" in str(place.sensor()["ticks"][0]),
            "a quiet tick",
        )
        place.forget_tickets()

        done = place.dagster(
            *(
                "sensor",
                "cursor",
                SENSOR,
                "--set",
                f'{{"elite": {{"toga2_to_togadesk": "{SINCE}"}}}}',
            )
        )

        assert done.returncode == 0, done.stderr
        place.eventually(lambda: place.tickets() == {1: {"New"}}, "it is synced again from there")
        run = next(
            one for one in place.runs(dagster__sensor_name=SENSOR) if SINCE in one["runConfigYaml"]
        )
        assert "toga2__ticket_deltas" not in run["runConfigYaml"]
        place.eventually(
            lambda: place.sensor()["typeSpecificData"]["lastCursor"].count("2026-06-10 12:") == 0,
            "the cursor has moved on",
        )

        wrong = '{"elite": {"toga2_to_togadesk": "yesterday"}}'
        place.dagster("sensor", "cursor", SENSOR, "--set", wrong)

        def failed_tick() -> str:
            tick = place.sensor()["ticks"][0]
            return str(tick["error"]["message"]) if tick["status"] == "FAILURE" else ""

        place.eventually(failed_tick, "a tick that fails")
        assert '"yesterday" is not a time' in failed_tick()
        assert "Nothing was moved" in failed_tick()
        # and stays as it was typed, for whoever typed it
        assert place.sensor()["typeSpecificData"]["lastCursor"] == wrong
    finally:
        place.ask(SWITCH_OFF, selector=selector)

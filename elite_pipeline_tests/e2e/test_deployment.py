"""The deployment of ``deploy/``, on a real Postgres: its services come up, and lost runs are found.

One set of processes for all tests of the module: Dagster takes long to start.
"""

import os
import signal
from collections.abc import Iterator

import pytest
import requests
import sqlalchemy as sa

from elite_pipeline.demo import demo_credentials
from elite_pipeline.launcher.dagster_page import DagsterPage, Location
from elite_pipeline.sandbox.serving.faults import Stall
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sandbox.togadesk.database import create_database
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.deployment import Deployment
from elite_pipeline_tests.support.postgres import PostgresServer
from elite_pipeline_tests.support.systems import demo_client, sandbox_client

pytestmark = [pytest.mark.e2e, pytest.mark.server, pytest.mark.timeout(900)]

REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {contacts: true}
    freshservice: {base_url: "https://elite.freshservice.com", webhook_action: Elite/Webhook}
"""

CONTACTS = ["togadesk", "contacts"]
OP = "togadesk__contacts"
MONITORING_SECONDS = 1
HOLD = Stall(600)

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message }
  }
}
"""
EVENTS = """
query Events($id: ID!) {
  logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } }
}
"""
HISTORY = """
query History {
  assetOrError(assetKey: {path: ["togadesk", "contacts"]}) {
    ... on Asset {
      assetMaterializations {
        runId partition metadataEntries { label }
        runOrError { __typename }
      }
    }
  }
}
"""
RUNS = "{ runsOrError { ... on Runs { results { runId rootRunId jobName status startTime } } } }"


class Pipeline:
    """A deployment with a TOGA 2 that answers when it is told to."""

    def __init__(self, deployment: Deployment, toga2: Toga2Sandbox, location: Location) -> None:
        self.deployment = deployment
        self.toga2 = toga2
        self.location = location

    def launch(
        self, client: str = "elite", *, job: str = "reference_data", **config: object
    ) -> str:
        """Materialize the contacts of a client, as the page does; or run another job."""
        is_sync = job == "reference_data"
        params = {
            "selector": {
                "repositoryLocationName": self.location.name,
                "repositoryName": self.location.repository,
                "jobName": job,
                **({"assetSelection": [{"path": CONTACTS}]} if is_sync else {}),
            },
            "mode": "default",
            "runConfigData": {"ops": {OP: {"config": config}}} if is_sync else {},
            "executionMetadata": {
                "tags": [{"key": "dagster/partition", "value": client}] if is_sync else []
            },
        }
        answer = self.deployment.ask(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def launch_and_hold(self, stall: Stall = HOLD, *, times: int | None = None) -> str:
        """Let TOGA 2 answer nothing about contacts, and wait until a run waits for it."""
        rule = self.toga2.faults.add(stall, method="GET", route="/contacts", times=times)
        run_id = self.launch()
        self.deployment.eventually(
            lambda: rule.fired and self.deployment.run_status(run_id) == "STARTED",
            "the run is at work",
        )
        return run_id

    def messages(self, run_id: str) -> list[str]:
        events = self.deployment.ask(EVENTS, id=run_id)["logsForRun"]["events"]
        return [event["message"] for event in events if event]

    def process_of(self, run_id: str) -> int:
        """Return the process that carries a run out."""
        (message,) = [one for one in self.messages(run_id) if "Started process for run" in one]
        return int(message.rpartition("pid: ")[2].rstrip(")."))

    def ends(self, run_id: str, status: str) -> None:
        """Wait for a run's end."""
        final = {"SUCCESS", "FAILURE", "CANCELED"}
        self.deployment.eventually(
            lambda: self.deployment.run_status(run_id) in final, f"the run ends with {status}"
        )
        assert self.deployment.run_status(run_id) == status, self.messages(run_id)

    def retry_of(self, run_id: str) -> str:
        """Wait until a run is started once more; return the new run."""
        tag = "dagster/auto_retry_run_id"
        self.deployment.eventually(
            lambda: tag in self.deployment.run_tags(run_id), "the run is started once more"
        )
        return self.deployment.run_tags(run_id)[tag]

    def runs(self, **about: str) -> list[str]:
        """Return runs of which these are true, the first started coming first."""
        found = self.deployment.ask(RUNS)["runsOrError"]["results"]
        names = {"job": "jobName", "status": "status", "root": "rootRunId"}
        chosen = [
            run for run in found if all(run[names[name]] == value for name, value in about.items())
        ]
        return [run["runId"] for run in sorted(chosen, key=lambda run: run["startTime"] or 0)]


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[sa.URL]:
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="module")
def pipeline(database: sa.URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("deployment")
    helpdesk = f"sqlite:///{folder / 'togadesk.sqlite'}"
    engine = connect(helpdesk)
    create_database(engine, "modern")
    engine.dispose()
    (folder / "uploads").mkdir()
    registry = folder / "clients.yaml"
    registry.write_text(REGISTRY, encoding="utf-8")
    credentials = demo_credentials("elite")
    with Toga2Sandbox(clients=[sandbox_client(demo_client("elite"))]) as toga2:
        settings = {
            "ELITE_PIPELINE_CLIENTS": str(registry),
            "TOGA2_BASE_URL": toga2.base_url,
            "ELITE_TOGA2_API_KEY": credentials.api_key,
            "ELITE_TOGA2_API_SECRET": credentials.api_secret,
            "ELITE_WEBHOOK_SECRET": "of-the-tests",
            "TOGADESK_DATABASE_URL": helpdesk,
            "TOGADESK_UPLOADS_DIR": str(folder / "uploads"),
            "PIPELINE_DATABASE_URL": f"sqlite:///{folder / 'pipeline.sqlite'}",
            "CLIENT_LOGS_DATABASE_URL": f"sqlite:///{folder / 'calls.sqlite'}",
        }
        changes = {"run_monitoring": {"poll_interval_seconds": MONITORING_SECONDS}}
        deployment = Deployment(folder, database, settings, changes)
        try:
            said = deployment.run("setup")
            assert "WorkerJobs: made" in said
            deployment.start("code")
            deployment.eventually(lambda: deployment.listens("4000"), "the code server is up")
            for service in ("webserver", "daemon", "webhooks"):
                deployment.start(service)
            page = DagsterPage(deployment.url)
            found: list[Location] = []

            def is_up() -> bool:
                try:
                    requests.get(page.health_url, timeout=30)
                except requests.RequestException:
                    return False
                location = page.location()
                found[:] = [location] if location is not None else []
                return bool(found)

            deployment.eventually(is_up, "the page is up, and has found the code")
            yield Pipeline(deployment, toga2, found[0])
        finally:
            deployment.stop()


@pytest.fixture(autouse=True)
def undisturbed(pipeline: Pipeline) -> Iterator[None]:
    """Let TOGA 2 answer again, whatever a test did to it."""
    yield
    pipeline.toga2.faults.clear()


def test_all_services_come_up_with_the_commands_of_the_compose_file(pipeline: Pipeline) -> None:
    deployment = pipeline.deployment
    run = pipeline.launch()
    pipeline.ends(run, "SUCCESS")
    for service in ("code", "webserver", "daemon", "webhooks"):
        assert deployment.is_healthy(service), service
    # the image's file system is read-only: nothing may be written beside the settings
    assert {path.name for path in deployment.home.iterdir()} == {"dagster.yaml", "workspace.yaml"}
    assert list((deployment.folder / "compute_logs").iterdir())


def test_killed_run_is_ended_and_started_once_more(pipeline: Pipeline) -> None:
    run = pipeline.launch_and_hold()

    os.kill(pipeline.process_of(run), signal.SIGKILL)

    pipeline.ends(run, "FAILURE")
    assert any("SIGKILL" in message for message in pipeline.messages(run))
    pipeline.toga2.faults.clear()
    pipeline.ends(pipeline.retry_of(run), "SUCCESS")


def test_run_that_was_lost_with_its_code_server_is_ended_and_started_once_more(
    pipeline: Pipeline,
) -> None:
    deployment = pipeline.deployment
    run = pipeline.launch_and_hold()

    deployment.kill("code")
    pipeline.toga2.faults.clear()
    # nobody can tell as long as it is away, and a run is not given up for that
    assert deployment.run_status(run) == "STARTED"
    deployment.start("code")

    pipeline.ends(run, "FAILURE")
    assert any("the process of this run was lost" in one for one in pipeline.messages(run))
    pipeline.ends(pipeline.retry_of(run), "SUCCESS")


def test_run_that_ended_by_itself_is_not_started_once_more(pipeline: Pipeline) -> None:
    run = pipeline.launch(since="yesterday or so")

    pipeline.ends(run, "FAILURE")
    pipeline.deployment.eventually(
        lambda: any(one.startswith("Not retrying run") for one in pipeline.messages(run)),
        "the daemon has looked at the run",
    )
    assert pipeline.deployment.run_tags(run)["dagster/will_retry"] == "false"
    assert pipeline.runs(root=run) == []


def test_housekeeping_keeps_what_the_asset_shows(pipeline: Pipeline, database: sa.URL) -> None:
    # the tests before this one have left runs; alone, it makes its own
    while len(pipeline.runs(status="SUCCESS")) < 2:
        pipeline.ends(pipeline.launch(), "SUCCESS")
    young = pipeline.runs(status="SUCCESS")[-1]
    failed = pipeline.runs(status="FAILURE")[-1:]
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE runs SET create_timestamp = create_timestamp - interval '40 days'"
                " WHERE run_id <> :young"
            ),
            {"young": young},
        )
    engine.dispose()
    history = pipeline.deployment.ask(HISTORY)["assetOrError"]["assetMaterializations"]
    assert len(history) == len(pipeline.runs(status="SUCCESS"))

    pipeline.ends(pipeline.launch(job="housekeeping"), "SUCCESS")

    # the last that came through, and the last that did not
    assert set(pipeline.runs(job="reference_data")) == {young, *failed}
    after = pipeline.deployment.ask(HISTORY)["assetOrError"]["assetMaterializations"]
    without_runs = [{**each, "runOrError": None} for each in after]
    assert without_runs == [{**each, "runOrError": None} for each in history]
    there = {each["runId"] for each in after if each["runOrError"]["__typename"] == "Run"}
    assert there == {young}


def test_code_server_that_is_told_to_end_lets_its_runs_end_first(pipeline: Pipeline) -> None:
    # no answer for so long, and then one
    run = pipeline.launch_and_hold(Stall(3), times=1)

    code = pipeline.deployment.forget("code")
    code.terminate()

    pipeline.ends(run, "SUCCESS")
    code.wait(timeout=60)

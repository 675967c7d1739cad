"""One start of the demo, from the empty folder to Ctrl-C, with stand-ins for both servers.

The stand-in of Dagster's page speaks the little GraphQL that the launcher asks for, writes down what
it was asked, and presses Ctrl-C when it has been asked for enough.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import elite_pipeline
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.launcher import command, steps
from elite_pipeline.launcher.dagster_page import DagsterPage, DagsterPageError
from elite_pipeline.launcher.folder import DemoFolder
from elite_pipeline.launcher.ports import Port
from elite_pipeline.launcher.supervisor import ChildFailedError

PAGE = """
import http.server, json, os, signal, sys
port, asked, launcher, script = sys.argv[1:]
answers = json.loads(script)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body["query"].split()[1].split("(")[0]
        with open(asked, "a") as file:
            file.write(json.dumps([name, body["variables"]]) + "\\n")
        given = answers[name]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if answer.pop("ctrl-c", False):
            os.kill(int(launcher), signal.SIGINT)
        self.answer(answer)
    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Page).serve_forever()
"""

Answers = dict[str, list[dict[str, object]]]


def entry(status: str, loaded: object) -> dict[str, object]:
    entries = [{"name": "elite_pipeline", "loadStatus": status, "locationOrLoadError": loaded}]
    return {"data": {"workspaceOrError": {"locationEntries": entries}}}


LOADED = entry(
    "LOADED",
    {
        "__typename": "RepositoryLocation",
        "repositories": [{"name": "__repository__", "pipelines": [{"name": "everything"}]}],
    },
)
LAUNCHED: dict[str, object] = {
    "data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}
}
NO_LOST_RUNS: dict[str, object] = {"data": {"runsOrError": {"results": []}}}


@dataclass
class Stage:
    """A checkout and a demo folder, with stand-ins in the place of all commands."""

    folder: DemoFolder
    asked: Path
    answers: Answers = field(default_factory=dict)
    fill: str = "print('filled')"

    def demo(self) -> Result:
        return CliRunner().invoke(command.demo, catch_exceptions=True)

    def questions(self, name: str) -> list[dict[str, object]]:
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [variables for asked, variables in map(json.loads, lines) if asked == name]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(DemoFolder(tmp_path / "demo"), tmp_path / "asked")
    stage.answers |= {
        "Location": [entry("LOADING", None), LOADED],
        "LostRuns": [NO_LOST_RUNS],
        "Cancel": [{"data": {"terminateRuns": {"__typename": "TerminateRunsResult"}}}],
        "Launch": [dict(LAUNCHED), LAUNCHED | {"ctrl-c": True}],
    }
    monkeypatch.setenv("DEMO_DIR", str(stage.folder.root))
    for variable in ("DAGSTER_PORT", "TOGA2_PORT", "FRESHSERVICE_PORT", "WEBHOOKS_PORT"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            monkeypatch.setenv(variable, str(probe.getsockname()[1]))

    def fill_steps(folder: DemoFolder) -> Sequence[steps.Step]:
        return [steps.Step("Filling", (sys.executable, "-c", stage.fill))]

    def toga2_command(folder: DemoFolder, port: Port) -> Sequence[str]:
        return (sys.executable, "-c", PAGE, str(port.number), "-", "0", "{}")

    def freshservice_command(folder: DemoFolder, port: Port, receiver: Port) -> Sequence[str]:
        return toga2_command(folder, port)

    def receiver_command(port: Port) -> Sequence[str]:
        return (sys.executable, "-c", PAGE, str(port.number), "-", "0", "{}")

    def traffic_command(port: Port, per_minute: float) -> Sequence[str]:
        (stage.folder.root / "traffic").write_text(f"{per_minute:g}")
        return (sys.executable, "-c", "import signal; signal.pause()")

    def dagster_command(workspace: Path, port: Port) -> Sequence[str]:
        script = json.dumps(stage.answers)
        pid = str(os.getpid())
        return (sys.executable, "-c", PAGE, str(port.number), str(stage.asked), pid, script)

    stand_ins = (
        fill_steps,
        toga2_command,
        freshservice_command,
        receiver_command,
        traffic_command,
        dagster_command,
    )
    for stand_in in stand_ins:
        monkeypatch.setattr(steps, stand_in.__name__, stand_in)
    return stage


def test_a_first_start_fills_launches_every_client_and_ends_on_ctrl_c(stage: Stage) -> None:
    result = stage.demo()
    assert result.exit_code == 0, result.output
    assert "Filling (first start only)" in result.output
    assert "synced for the first time" in result.output
    assert "A sensor syncs what changes in tickets within seconds" in result.output
    assert f"http://127.0.0.1:{os.environ['DAGSTER_PORT']}" in result.output
    assert "Stopped." in result.output
    tags = [
        params["executionMetadata"]["tags"]
        for question in stage.questions("Launch")
        if isinstance(params := question["params"], dict)
    ]
    assert tags == [[{"key": "dagster/partition", "value": name}] for name in ("elite", "wje")]
    assert (stage.folder.dagster_home / "dagster.yaml").exists()


def test_the_service_desk_works_as_much_as_is_wanted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.answers["Launch"] = [dict(LAUNCHED)]
    stage.answers["LostRuns"] = [NO_LOST_RUNS]
    monkeypatch.setenv("DEMO_TRAFFIC", "many")
    assert "DEMO_TRAFFIC: expected a number from 0 to 600" in failure(stage, ConfigurationError)
    stage.answers["Launch"] = [dict(LAUNCHED), LAUNCHED | {"ctrl-c": True}]
    monkeypatch.setenv("DEMO_TRAFFIC", "0")
    assert stage.demo().exit_code == 0
    assert not (stage.folder.root / "traffic").exists()


def test_a_second_start_keeps_the_data_and_frees_what_was_cut_short(stage: Stage) -> None:
    stage.demo()
    (stage.folder.root / "togadesk.sqlite").write_text("data")
    stage.asked.unlink()
    stage.answers["LostRuns"] = [{"data": {"runsOrError": {"results": [{"runId": "r1"}]}}}]
    stage.answers["Cancel"][0]["ctrl-c"] = True
    result = stage.demo()
    assert result.exit_code == 0, result.output
    assert "Filling" not in result.output
    assert "Marked 1 run(s) as canceled" in result.output
    assert "Schedules go on syncing elite and wje" in result.output
    assert stage.questions("Cancel") == [{"runIds": ["r1"]}]
    assert stage.questions("Launch") == []
    assert (stage.folder.root / "togadesk.sqlite").read_text() == "data"


def test_a_fill_that_fails_is_told_and_starts_over(stage: Stage) -> None:
    half = stage.folder.toga2_database
    stage.fill = f"open({str(half)!r}, 'w').close(); raise SystemExit('no room left')"
    result = stage.demo()
    assert isinstance(result.exception, ChildFailedError)
    assert "Filling ended by itself (exit status 1)" in str(result.exception)
    assert "no room left" in str(result.exception)
    stage.fill = f"import os; assert not os.path.exists({str(half)!r})"
    assert stage.demo().exit_code == 0


def test_ctrl_c_while_filling_stops_and_the_next_start_fills_again(stage: Stage) -> None:
    stage.fill = f"import os, time; os.kill({os.getpid()}, 2); time.sleep(3600)"
    result = stage.demo()
    assert result.exit_code == 0, result.output
    assert "Stopping before everything was up" in result.output
    assert not stage.folder.is_filled


def failure(stage: Stage, expected: type[PipelineError]) -> str:
    result = stage.demo()
    assert isinstance(result.exception, expected), result.output
    return str(result.exception)


def test_definitions_that_do_not_load_are_told(stage: Stage) -> None:
    broken = {"__typename": "PythonError", "message": "ImportError: no such thing\n"}
    stage.answers["Location"] = [entry("LOADED", broken)]
    message = failure(stage, DagsterPageError)
    assert message == "Dagster could not load elite_pipeline: ImportError: no such thing"


def test_a_refused_first_run_is_told_and_asked_for_again(stage: Stage) -> None:
    stage.answers["Launch"] = [
        {"data": {"launchRun": {"__typename": "PipelineNotFoundError", "message": "no job"}}}
    ]
    message = failure(stage, DagsterPageError)
    assert message == "Dagster did not start everything for elite: no job"
    assert not stage.folder.first_runs_submitted


@pytest.mark.parametrize("answer", [{"errors": ["?"]}, {"data": {"workspaceOrError": 1}}])
def test_an_answer_that_makes_no_sense_is_told(stage: Stage, answer: dict[str, object]) -> None:
    stage.answers["Location"] = [answer]
    assert "Dagster's page" in failure(stage, DagsterPageError)


def test_a_page_that_is_not_there_is_told() -> None:
    with pytest.raises(DagsterPageError, match="does not answer"):
        DagsterPage("http://127.0.0.1:1").location()


def test_a_taken_port_stops_before_anything_is_made(stage: Stage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(os.environ["TOGA2_PORT"])))
        other.listen()
        assert "set TOGA2_PORT to a free one" in failure(stage, ConfigurationError)
    assert not stage.folder.logs.exists()


def test_outside_a_checkout_the_demo_says_so(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elite_pipeline, "__file__", str(tmp_path / "lib/x/__init__.py"))
    assert "The demo runs from a checkout" in failure(stage, ConfigurationError)


def test_reset_removes_the_demo_and_only_when_it_is_not_running(stage: Stage) -> None:
    stage.folder.root.mkdir()
    with stage.folder.locked():
        refused = CliRunner().invoke(command.demo_reset)
        assert "A demo is running" in str(refused.exception)
    assert "Removed" in CliRunner().invoke(command.demo_reset).output
    assert not stage.folder.root.exists()
    assert "nothing to remove" in CliRunner().invoke(command.demo_reset).output

"""Whether a run still lives, as the launcher tells Dagster's run monitoring."""

import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.events import EngineEventData
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher.base import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from elite_pipeline.defs.run_launcher import CheckedRunLauncher
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.waiting import wait_until

SETTINGS = Path(__file__).parents[2] / "dagster.yaml"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Open an instance with the checkout's own settings."""
    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        yield instance


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """Start what stands for a run's process."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL
    )
    yield child
    child.kill()
    child.wait()


def started(instance: dg.DagsterInstance, pid: int | None, **server: object) -> dg.DagsterRun:
    """Make a run that counts as started, by a code server, as a process."""
    tags = {".dagster/grpc_info": json.dumps({"host": "localhost", **server})} if server else {}
    run = create_run_for_test(instance, "job", status=DagsterRunStatus.STARTED, tags=tags)
    if pid is not None:
        instance.report_engine_event(
            f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid)
        )
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    assert isinstance(instance.run_launcher, CheckedRunLauncher)
    return instance.run_launcher.check_run_worker_health(run).status


def test_run_whose_code_server_is_gone_lives_as_long_as_its_process(
    instance: dg.DagsterInstance, process: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    run = started(instance, process.pid, socket=str(tmp_path / "gone.sock"))
    assert status(instance, run) is WorkerStatus.RUNNING

    process.kill()
    process.wait()

    assert status(instance, run) is WorkerStatus.NOT_FOUND


def test_process_that_was_killed_and_not_yet_waited_for_is_dead(
    instance: dg.DagsterInstance, process: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    run = started(instance, process.pid, socket=str(tmp_path / "gone.sock"))
    process.send_signal(signal.SIGKILL)
    # its parent has not asked for its status: it is there as a zombie
    state = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: b") Z" in state.read_bytes(), "the process is dead")
    assert status(instance, run) is WorkerStatus.NOT_FOUND


def test_number_that_another_process_has_now_is_no_sign_of_life(
    instance: dg.DagsterInstance,
    process: "subprocess.Popen[bytes]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = started(instance, process.pid, socket=str(tmp_path / "gone.sock"))
    # what said so said it before this process was there
    monkeypatch.setattr("elite_pipeline.defs.run_launcher._SLACK", -3600.0)
    assert status(instance, run) is WorkerStatus.NOT_FOUND


def test_run_that_was_lost_before_it_named_its_process_is_lost(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = started(instance, None, socket=str(tmp_path / "gone.sock"))
    assert status(instance, run) is WorkerStatus.NOT_FOUND


def test_of_a_server_elsewhere_that_does_not_answer_nothing_is_known(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert status(instance, started(instance, None, port=free_port())) is WorkerStatus.RUNNING
    # one that is there and too busy to answer is not gone
    path = str(tmp_path / "busy.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("elite_pipeline.defs.run_launcher._PATIENCE", 1)
            assert status(instance, started(instance, None, socket=path)) is WorkerStatus.RUNNING
    assert status(instance, started(instance, None)) is WorkerStatus.RUNNING


def test_monitoring_ends_a_lost_run_and_it_is_to_be_started_once_more(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = started(instance, None, socket=str(tmp_path / "gone.sock"))
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace:
        list(execute_run_monitoring_iteration(workspace, logging.getLogger("monitoring")))

    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE
    assert ended.tags["dagster/will_retry"] == "true"
    said = [entry.message for entry in instance.all_logs(run.run_id)]
    assert any("the process of this run was lost" in message for message in said)

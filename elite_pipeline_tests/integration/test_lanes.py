"""The guard in the data: runs of one client and flow never overlap, and a dead one holds up nobody."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elite_pipeline import locks
from elite_pipeline.errors import TransientError
from elite_pipeline.locks import LockHeldError
from elite_pipeline.sync import flows, reference
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import holding, run_flow
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, SERVER_PARAMS, Helpdesk
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.waiting import wait_until

FLOW = "toga2_to_togadesk"
#: What a lock hangs on: a file, or a connection to a server.
DIALECTS = [ALL_PARAMS[0], SERVER_PARAMS[0]]
LOCK_OF_THE_RUN = (
    "SELECT id FROM information_schema.processlist "
    "WHERE id = IS_USED_LOCK('elite_pipeline.{database}.elite.contacts')"
)


def child(
    systems: Systems, folder: Path, *, flow: str = FLOW, times: int
) -> "subprocess.Popen[str]":
    arguments = [systems.helpdesk.url, systems.ledger_url, flow, str(folder / "diary"), str(times)]
    return subprocess.Popen(
        [sys.executable, "-m", "elite_pipeline_tests.support.lane_children", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def holding_child(
    systems: Systems, folder: Path, flow: str = FLOW
) -> "Iterator[subprocess.Popen[str]]":
    """Run a process that is at a flow until it is ended."""
    with child(systems, folder, flow=flow, times=0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("helpdesk", DIALECTS, indirect=True)
def test_processes_that_start_at_once_never_overlap(systems: Systems, tmp_path: Path) -> None:
    children = [child(systems, tmp_path, times=10) for _ in range(3)]
    for process in children:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in children:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in children:
        process.communicate(timeout=120)
        assert process.returncode == 0
    lines = (tmp_path / "diary").read_text().splitlines()
    assert len(lines) == 60
    for begun, ended in zip(lines[::2], lines[1::2], strict=True):
        assert begun.split()[0] == "in"
        assert ended == begun.replace("in", "out")


@pytest.mark.parametrize("helpdesk", DIALECTS, indirect=True)
def test_the_second_run_says_who_is_at_it_and_a_killed_one_holds_up_nobody(
    systems: Systems, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ticket()
    monkeypatch.setattr(flows, "LOCK_WAIT_SECONDS", 0.2)
    with holding_child(systems, tmp_path) as process:
        error = systems.failing_sync(FLOW)
        assert isinstance(error, LockHeldError)
        assert error.kind == "transient"
        said = str(error)
        assert f"elite: {FLOW} is under way already: child {process.pid}, since 20" in said
        assert "nothing was done" in said
        # another flow, and another client, are not held up
        systems.sync("contacts")
        systems.sync(FLOW, "wje")

        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        monkeypatch.setattr(flows, "LOCK_WAIT_SECONDS", 60)
        assert systems.sync(FLOW).created == 1


@pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0]], indirect=True)
def test_freshservices_flow_is_kept_apart_in_the_pipelines_own_database(
    systems: Systems, tmp_path: Path
) -> None:
    flow = "freshservice_to_toga2"
    with holding_child(systems, tmp_path, flow), systems.open() as context:
        with pytest.raises(LockHeldError, match="under way already"), holding(context, flow, 0):
            pass
        # it needs no helpdesk, and its lock is none of the helpdesk's
        with context.togadesk.lock(f"elite.{flow}", 0):
            pass


@pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0]], indirect=True)
def test_whose_run_it_was_is_not_told_of_a_lock_within_it(systems: Systems) -> None:
    def inner(*_: object) -> None:
        raise LockHeldError("names")

    with (
        systems.open() as context,
        pytest.raises(LockHeldError, match=r"^names$"),
        holding(context, FLOW, 0),
    ):
        inner()


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
def test_a_run_whose_lock_was_lost_stops_at_its_next_batch(
    systems: Systems, helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(reference, "PAGES_PER_BATCH", 1)
    for number in range(3):
        Desk(systems).contact(f"{number}@example.com")
    server = helpdesk.server
    assert server is not None
    statement = LOCK_OF_THE_RUN.format(database=helpdesk.engine.url.database)
    said: list[str] = []

    def cut(text: str) -> None:
        said.append(text)
        ((connection,),) = server.execute(statement)
        server.execute(f"KILL {connection}")
        wait_until(lost.is_set, "the run has noticed")

    lost = _Noticed(monkeypatch)
    with systems.open(page_size=1) as context:
        context.progress = cut
        with pytest.raises(TransientError, match=r"was lost.*Another run may have begun"):
            run_flow("contacts", context, Options())
    assert len(said) == 1
    # nothing is lost, and the next run brings the rest
    systems.sync("contacts")
    assert Desk(systems).count("people") == 3


class _Noticed:
    """Tells when the loss of a lock was noticed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._messages: list[str] = []
        monkeypatch.setattr(
            locks._logger, "warning", lambda text, *args: self._messages.append(text % args)
        )

    def is_set(self) -> bool:
        return any("was lost" in message for message in self._messages)


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
def test_a_connection_that_holds_a_lock_is_never_idle_for_long(
    helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    server = helpdesk.server
    assert server is not None

    def questions() -> int:
        ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Com_select'")
        return int(str(count))

    with helpdesk.store() as store, store.lock("idle", 0) as still_held:
        before = questions()
        wait_until(lambda: questions() > before + 2, "the connection is used")
        still_held()

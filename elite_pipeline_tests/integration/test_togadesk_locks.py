"""Locks between runs: threads, processes, and the death of a holder."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from elite_pipeline.errors import SystemicError, TransientError, UnreachableError
from elite_pipeline.togadesk import TogadeskStore, connect
from elite_pipeline_tests.support.helpdesks import SERVER_PARAMS, Helpdesk
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.waiting import wait_until

CHILD = """
import sys
from zoneinfo import ZoneInfo
from elite_pipeline.togadesk import TogadeskStore, connect

store = TogadeskStore(connect(sys.argv[1]), client_id=1, timezone=ZoneInfo("UTC"))
with store.lock(sys.argv[2], 0):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding_child(helpdesk: Helpdesk, name: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a process that holds a lock until its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, helpdesk.url, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def is_free(store: TogadeskStore, name: str) -> bool:
    try:
        with store.lock(name, 0):
            return True
    except TransientError:
        return False


def test_a_lock_excludes_another_process_until_that_is_killed(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store, holding_child(helpdesk, "contacts/1") as child:
        held = r"lock 'contacts/1' is held by another run.*0 s"
        with pytest.raises(TransientError, match=held), store.lock("contacts/1", 0):
            pass
        assert is_free(store, "contacts/2")
        child.kill()
        child.wait()
        with store.lock("contacts/1", 30):
            assert not is_free(store, "contacts/1")


def test_a_lock_excludes_the_same_process_and_is_given_back(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store, helpdesk.store(client_id=2) as other:
        for _ in range(2):
            with store.lock("tickets", 0):
                assert not is_free(other, "tickets")
        with suppress(KeyError), store.lock("tickets", 0):
            raise KeyError
        assert is_free(other, "tickets")


def test_a_lock_is_waited_for(helpdesk: Helpdesk) -> None:
    held, obtained = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with helpdesk.store() as other:
            held.wait()
            with other.lock("tickets", 30):
                obtained.set()

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    with helpdesk.store() as store:
        with store.lock("tickets", 0):
            held.set()
            assert store.run(lambda tx: tx.select("people", ["id"])) == []
            assert not obtained.is_set()
        wait_until(obtained.is_set, "the waiting thread has the lock")
    thread.join()


def test_locks_of_two_databases_are_two_locks(helpdesk: Helpdesk) -> None:
    long = "a very long name of a flow that no server would keep in full/" * 2
    memory = connect("sqlite://")
    zone = helpdesk.store().timezone
    with (
        helpdesk.store() as store,
        TogadeskStore(memory, client_id=1, timezone=zone) as other,
        store.lock(long, 0),
        other.lock(long, 0),
    ):
        assert not is_free(store, long)
        assert not is_free(other, long)
        assert is_free(store, long + "x")
    memory.dispose()


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS, indirect=True)
def test_a_lock_whose_connection_was_cut_ends_without_an_error(
    helpdesk: Helpdesk, caplog: pytest.LogCaptureFixture
) -> None:
    assert helpdesk.server is not None
    with helpdesk.store() as store:
        with store.lock("tickets", 0):
            ids = helpdesk.server.execute(
                "SELECT id FROM information_schema.processlist "
                f"WHERE db = '{helpdesk.engine.url.database}'"
            )
            for (id_,) in ids:
                helpdesk.server.execute(f"KILL {id_}")
        assert "was lost" in caplog.text
        assert is_free(store, "tickets")


def test_a_lock_on_a_server_that_does_not_answer() -> None:
    engine = connect(f"mysql+pymysql://sync:s3cret@127.0.0.1:{free_port()}/desk")
    zone = Helpdesk("", engine, "", "modern", strict=True, server=None).store().timezone
    with (
        TogadeskStore(engine, client_id=1, timezone=zone) as store,
        pytest.raises(UnreachableError) as caught,
        store.lock("tickets", 0),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_lock_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/missing/desk.db")
    with (
        TogadeskStore(engine, client_id=1, timezone=ZoneInfo("UTC")) as store,
        pytest.raises(SystemicError, match="its folder exists"),
        store.lock("tickets", 0),
    ):
        pass
    engine.dispose()

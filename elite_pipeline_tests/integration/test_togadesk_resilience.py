"""What a store does when the database, the network or the configuration is in its way."""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from elite_pipeline.errors import SystemicError, TransientError, UnreachableError
from elite_pipeline.togadesk import SchemaError, TogadeskStore, TransientDatabaseError, Tx, connect
from elite_pipeline.togadesk import engine as engine_module
from elite_pipeline_tests.support.helpdesks import SERVER_PARAMS, Helpdesk, Opener
from elite_pipeline_tests.support.mariadb import Server, free_port
from elite_pipeline_tests.support.waiting import wait_until

ON_SERVERS = pytest.mark.parametrize("helpdesk", SERVER_PARAMS, indirect=True)


@pytest.fixture
def modern(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("mariadb-modern-strict")


def server_of(helpdesk: Helpdesk) -> Server:
    assert helpdesk.server is not None
    return helpdesk.server


def kill_connections(helpdesk: Helpdesk) -> int:
    """Cut every connection to this helpdesk's database; return how many there were."""
    server = server_of(helpdesk)
    ids = server.execute(
        f"SELECT id FROM information_schema.processlist WHERE db = '{helpdesk.engine.url.database}'"
    )
    for (id_,) in ids:
        server.execute(f"KILL {id_}")
    return len(ids)


def people(store: TogadeskStore) -> int:
    return len(store.run(lambda tx: tx.select("people", ["id"])))


@ON_SERVERS
def test_a_connection_lost_in_a_transaction_is_opened_again(helpdesk: Helpdesk) -> None:
    pauses: list[float] = []
    runs: list[int] = []

    def work(tx: Tx) -> None:
        there = tx.select("people", ["id"], where={"email": "a"})
        runs.append(len(there))
        if len(runs) == 1:
            assert kill_connections(helpdesk) == 1
        if not there:
            tx.insert("people", [{"email": "a"}])

    with helpdesk.store(sleep=pauses.append) as store:
        store.run(work)
        assert people(store) == 1
    assert len(runs) == 2
    assert len(pauses) == 1
    assert 0.1 <= pauses[0] <= 0.3


@ON_SERVERS
@pytest.mark.parametrize(("idle_seconds", "tries"), [(-1.0, 1), (3600.0, 2)])
def test_a_connection_that_died_in_the_pool_is_no_failure(
    helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch, idle_seconds: float, tries: int
) -> None:
    # one that was idle for long is asked first; another one is found dead when it is used
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", idle_seconds)
    pauses: list[float] = []
    with helpdesk.store(sleep=pauses.append) as store:
        assert people(store) == 0
        assert kill_connections(helpdesk) == 1
        assert people(store) == 0
    assert len(pauses) == tries - 1


@ON_SERVERS
def test_a_lock_is_taken_although_the_connections_in_the_pool_have_just_died(
    helpdesk: Helpdesk,
) -> None:
    with helpdesk.store() as store:
        assert people(store) == 0
        assert kill_connections(helpdesk) == 1
        with store.lock("names", 1.0):
            assert people(store) == 0


@ON_SERVERS
def test_tries_are_bounded(helpdesk: Helpdesk) -> None:
    pauses: list[float] = []

    def work(tx: Tx) -> None:
        kill_connections(helpdesk)
        tx.select("people", ["id"])

    with helpdesk.store(sleep=pauses.append) as store:
        with pytest.raises(TransientError, match=r"Tried 3 times") as caught:
            store.run(work)
        assert not isinstance(caught.value, TransientDatabaseError)
        assert len(pauses) == 2
        assert people(store) == 0


@pytest.mark.server
def test_the_victim_of_a_deadlock_runs_again(modern: Helpdesk) -> None:
    server = server_of(modern)
    with modern.store() as store:
        store.run(lambda tx: tx.insert("people", [{"email": str(n)} for n in range(60)]))
        ids = [row.id for row in store.run(lambda tx: tx.select("people", ["id"]))]
    first, last = ids[0], ids[-1]
    runs: list[str] = []
    other = modern.engine.connect()

    def other_update(id_: int) -> None:
        other.execute(sa.text("UPDATE people SET name = 'other' WHERE id = :id"), {"id": id_})

    def other_blocks() -> None:
        other_update(first)
        other.commit()

    def is_waiting() -> bool:
        # Not information_schema.innodb_trx: the server fills that table anew only if nobody has
        # read it for a tenth of a second, so whoever asks more often sees the first answer forever.
        ((_, waits),) = server.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(str(waits)) > 0

    thread = threading.Thread(target=other_blocks)

    def work(tx: Tx) -> None:
        tx.update("people", [{"id": first, "name": "ours"}])
        runs.append("run")
        if len(runs) == 1:
            thread.start()
            wait_until(is_waiting, "the other transaction waits for ours")
        tx.update("people", [{"id": last, "title": "ours"}])

    with other, modern.store(sleep=lambda _: thread.join()) as store:
        # The other transaction has changed more rows, so the server sacrifices ours.
        for id_ in reversed(ids[1:]):
            other_update(id_)
        store.run(work)
        rows = store.run(lambda tx: tx.select("people", ["id", "name", "title"]))
    assert runs == ["run", "run"]
    assert (rows[0].name, rows[-1].title, rows[-1].name) == ("ours", "ours", "other")


def test_a_sqlite_file_that_is_held_is_waited_for_and_then_given_up(
    open_helpdesk: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpdesk = open_helpdesk("sqlite")
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT", 0)
    impatient = connect(helpdesk.url)
    holder = sqlite3.connect(helpdesk.engine.url.database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def free(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            holder.execute("COMMIT")

    zone = helpdesk.store().timezone
    with TogadeskStore(impatient, client_id=1, timezone=zone, sleep=free) as store:
        with pytest.raises(TransientError, match=r"SQLITE_BUSY.*Tried 3 times"):
            people(store)
        assert people(store) == 0
    holder.close()
    impatient.dispose()


def failure(url: str) -> SystemicError:
    engine = connect(url)
    helpdesk = Helpdesk("", engine, url, "modern", strict=True, server=None)
    with helpdesk.store() as store, pytest.raises(SystemicError) as caught:
        people(store)
    engine.dispose()
    return caught.value


@pytest.mark.server
def test_refused_credentials(modern: Helpdesk) -> None:
    url = modern.engine.url.set(username="nobody", password="s3cret")
    error = failure(url.render_as_string(hide_password=False))
    assert "refused the user 'nobody'" in str(error)
    assert "check user and password in TOGADESK_DATABASE_URL" in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.server
def test_a_database_that_does_not_exist(modern: Helpdesk) -> None:
    url = modern.engine.url.set(database="no_such_desk")
    error = failure(url.render_as_string(hide_password=False))
    assert "'no_such_desk'" in str(error)
    assert "error 1049" in str(error)


def test_a_host_that_does_not_answer() -> None:
    port = free_port()
    error = failure(f"mysql+pymysql://sync:s3cret@127.0.0.1:{port}/desk")
    assert isinstance(error, UnreachableError)
    assert f"127.0.0.1:{port}" in str(error)
    assert "s3cret" not in str(error)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    error = failure(f"sqlite:///{tmp_path}/missing/desk.db")
    assert "SQLITE_CANTOPEN" in str(error)
    assert "a folder that exists" in str(error)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    path.write_text("certainly no database, and long enough to be sure of that" * 20)
    assert "SQLITE_NOTADB" in str(failure(f"sqlite:///{path}"))


def test_a_missing_table_is_named_and_only_when_it_is_needed(helpdesk: Helpdesk) -> None:
    helpdesk.execute("DROP TABLE tickets_history")
    with helpdesk.store() as store:
        assert people(store) == 0
        with pytest.raises(SchemaError, match="table 'tickets_history' is missing in the TOGaDesk"):
            store.run(lambda tx: tx.insert("tickets_history", [{"ticketid": 1}]))


def test_missing_columns_are_named_together(helpdesk: Helpdesk) -> None:
    helpdesk.execute("ALTER TABLE files DROP COLUMN filetype")
    helpdesk.execute("ALTER TABLE files DROP COLUMN filesize")
    with helpdesk.store() as store, pytest.raises(SchemaError) as caught:
        store.run(lambda tx: tx.select("files", ["id"]))
    assert "'files.filetype', 'files.filesize' are missing" in str(caught.value)
    assert "togadesk/tables.py" in str(caught.value)


def test_a_database_without_tables(tmp_path: Path) -> None:
    error = failure(f"sqlite:///{tmp_path}/empty.db")
    assert "table 'people' is missing" in str(error)


def test_a_column_dropped_while_the_store_lives(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        assert people(store) == 0
        helpdesk.execute("ALTER TABLE people DROP COLUMN theme")
        with pytest.raises(SchemaError, match=r"'people\.theme' is missing"):
            store.run(lambda tx: tx.insert("people", [{"email": "a"}]))


def test_columns_in_another_case_are_the_same_columns(helpdesk: Helpdesk) -> None:
    helpdesk.execute("DROP TABLE `groups`")
    kind = "INTEGER PRIMARY KEY" if helpdesk.server is None else "INT AUTO_INCREMENT PRIMARY KEY"
    helpdesk.execute(
        f"CREATE TABLE `groups` (ID {kind}, clientId INT NOT NULL, NAME VARCHAR(255) NOT NULL, "
        "referenceid VARCHAR(64) NULL)"
    )
    with helpdesk.store() as store:
        ids = store.run(
            lambda tx: tx.insert_referenced("groups", [{"name": "a", "referenceId": "r"}])
        )
        assert store.run(lambda tx: tx.update("groups", [{"id": ids["r"], "name": "b"}])) == 1
        rows = store.run(lambda tx: tx.select_by_reference("groups", ["name", "clientid"], ["r"]))
        assert store.limits("groups", "name").max_chars == 255
    assert rows == {"r": {"name": "b", "clientid": 1}}


def test_columns_that_only_the_server_knows_get_a_value(helpdesk: Helpdesk) -> None:
    for column in (
        "shoe VARCHAR(20)",
        "size INT",
        "bought DATE",
        "seen DATETIME",
        "at TIME",
        "note TEXT",
    ):
        # SQLite adds no such column to a table, but has it when the table is made.
        if helpdesk.server is not None:
            helpdesk.execute(f"ALTER TABLE models ADD COLUMN {column} NOT NULL")
    if helpdesk.server is None:
        helpdesk.execute("DROP TABLE models")
        helpdesk.execute(
            "CREATE TABLE models (id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL, "
            "shoe VARCHAR(20) NOT NULL, size INT NOT NULL, bought DATE NOT NULL)"
        )
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("models", [{"name": "a"}, {"name": "b"}]))
    assert helpdesk.rows("SELECT name, shoe, size FROM models") == [("a", "", 0), ("b", "", 0)]

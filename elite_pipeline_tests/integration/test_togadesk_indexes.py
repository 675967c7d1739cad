"""``elite-pipeline togadesk add-indexes``: shown first, added on request, never twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.errors import PermanentError, SystemicError, TransientError
from elite_pipeline.togadesk import connect, indexes
from elite_pipeline.togadesk.indexes import WANTED
from elite_pipeline.togadesk_commands import togadesk
from elite_pipeline_tests.support.helpdesks import SERVER_PARAMS, Helpdesk, Opener

LEGACY = pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, helpdesk: Helpdesk) -> None:
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(DEMO_REGISTRY))
    monkeypatch.setenv("TOGADESK_DATABASE_URL", helpdesk.url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(togadesk, ["add-indexes", *arguments])


def present(helpdesk: Helpdesk) -> set[tuple[str, tuple[str | None, ...]]]:
    inspector = sa.inspect(helpdesk.engine)
    return {
        (table, tuple(index["column_names"]))
        for table in inspector.get_table_names()
        for index in inspector.get_indexes(table)
    }


def wanted() -> set[tuple[str, tuple[str, ...]]]:
    return {(index.table, index.columns) for index in WANTED}


def test_what_is_wanted() -> None:
    assert wanted() >= {
        ("tickets", ("clientid", "departmentid", "timestamp")),
        ("tickets_replies", ("ticketid",)),
        ("tickets_replies", ("timestamp", "ticketid")),
        ("comments", ("ticketid",)),
        ("comments", ("timestamp", "ticketid")),
        ("files", ("ticketreplyid",)),
        ("tickets_history", ("ticketid",)),
        *((table, ("referenceId",)) for table in ("tickets", "comments", "people", "assets")),
    }
    assert len({index.name for index in WANTED}) == len(WANTED)
    assert max(len(index.name) for index in WANTED) <= 64


def test_it_is_shown_first_and_added_on_request(helpdesk: Helpdesk) -> None:
    before = present(helpdesk)
    shown = run()
    assert shown.exit_code == 0, shown.output
    statements = [line for line in shown.output.splitlines() if line.endswith(";")]
    assert statements
    assert "Nothing was changed" in shown.output
    assert present(helpdesk) == before

    done = run("--yes")

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[: len(statements)] == statements
    assert present(helpdesk) == before | wanted()
    for index in WANTED:
        assert f"added: {index.table} ({', '.join(index.columns)})" in done.output
    assert "Nothing to do" in run("--yes").output
    assert "Nothing to do" in run().output
    assert present(helpdesk) == before | wanted()


def test_the_statements_can_be_sent_by_hand(helpdesk: Helpdesk) -> None:
    for line in run().output.splitlines()[:-1]:
        helpdesk.execute(line)
    assert "Nothing to do" in run().output


def test_an_index_of_another_name_counts(helpdesk: Helpdesk) -> None:
    helpdesk.execute("CREATE INDEX ours ON tickets_replies (ticketid, peopleid)")
    helpdesk.execute("CREATE INDEX sync_comments_ticketid ON comments (projectid, ticketid)")

    added = [index for each in indexes.additions(helpdesk.engine) for index in each.indexes]
    names = {(index.table, index.columns) for index in added}
    assert names == wanted() - {("tickets_replies", ("ticketid",))}

    assert run("--yes").exit_code == 0
    assert ("comments", ("ticketid",)) in present(helpdesk)


def test_the_store_sees_them(helpdesk: Helpdesk) -> None:
    assert run("--yes").exit_code == 0
    with helpdesk.store() as store:
        schema = store.run(lambda tx: tx.schema)
    assert schema.is_indexed("tickets", "referenceId")
    assert schema.is_indexed("tickets_replies", "timestamp")


@LEGACY
def test_a_key_as_long_as_the_engine_allows(helpdesk: Helpdesk) -> None:
    helpdesk.execute("ALTER TABLE tickets MODIFY referenceId VARCHAR(500) NULL")
    shown = run()
    assert "(`referenceId`(64))" in shown.output
    assert run("--yes").exit_code == 0
    assert "Nothing to do" in run().output


@LEGACY
def test_what_was_added_before_a_failure_stays(helpdesk: Helpdesk) -> None:
    """The rest is added by the next call."""
    added = indexes.additions(helpdesk.engine)
    broken = indexes.Addition("ALTER TABLE people ADD INDEX x (nothing)", added[0].indexes)
    with pytest.raises(PermanentError, match="'assets'"):
        list(indexes.apply(helpdesk.engine, [added[0], broken, *added[1:]]))
    assert indexes.additions(helpdesk.engine) == added[1:]


@LEGACY
def test_a_table_in_use_is_not_waited_for_long(
    helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "LOCK_WAIT", 1)
    added = indexes.additions(helpdesk.engine)
    with helpdesk.engine.connect() as somebody:
        somebody.exec_driver_sql("LOCK TABLES assets WRITE")
        with pytest.raises(TransientError, match="'assets'"):
            list(indexes.apply(helpdesk.engine, added))
        somebody.exec_driver_sql("UNLOCK TABLES")


@contextmanager
def reader(helpdesk: Helpdesk) -> Iterator[sa.URL]:
    """Make a user who may read and write, and nothing else."""
    assert helpdesk.server is not None
    url = helpdesk.engine.url
    helpdesk.server.execute("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 's3cret'")
    helpdesk.server.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {url.database}.* TO reader@'127.0.0.1'"
    )
    try:
        yield url.set(username="reader", password="s3cret")
    finally:
        helpdesk.server.execute("DROP USER reader@'127.0.0.1'")


@LEGACY
def test_a_right_that_is_missing_is_named(helpdesk: Helpdesk) -> None:
    with reader(helpdesk) as url:
        engine = connect(url.render_as_string(hide_password=False))
        with pytest.raises(SystemicError, match="grant INDEX, ALTER") as caught:
            list(indexes.apply(engine, indexes.additions(engine)))
        engine.dispose()
    assert "s3cret" not in str(caught.value)


def test_another_database_than_the_helpdesk_s(open_helpdesk: Opener) -> None:
    helpdesk = open_helpdesk("sqlite")
    helpdesk.execute("DROP TABLE tickets_history")
    with pytest.raises(SystemicError, match="'tickets_history' is missing"):
        indexes.additions(helpdesk.engine)

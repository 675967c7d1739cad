"""The project's own tables: made, made again, brought up to date, and nothing else touched."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.errors import ConfigurationError, SystemicError
from elite_pipeline.ledger import Ledger, SeenVersion
from elite_pipeline.ledger import tables as ledger_tables
from elite_pipeline.observability.call_log_tables import api, metadata
from elite_pipeline.own_tables import bring_up_to_date, connect
from elite_pipeline_tests.support.call_logs import SETTING, LogDatabase
from elite_pipeline_tests.support.mariadb import free_port

Command = Callable[..., "subprocess.CompletedProcess[str]"]
LEDGER_TABLES = ledger_tables.metadata.sorted_tables


@pytest.fixture
def command(log: LogDatabase, tmp_path: Path) -> Command:
    """Run ``elite-pipeline`` in an empty folder; both of the project's databases are one here."""
    environ = {
        **os.environ,
        "ELITE_PIPELINE_CLIENTS": str(DEMO_REGISTRY),
        "TOGADESK_DATABASE_URL": "sqlite:///never-opened.sqlite",
        "PIPELINE_DATABASE_URL": log.url,
        "CLIENT_LOGS_DATABASE_URL": log.url,
    }

    def run(*arguments: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "elite_pipeline.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={name: value for name, value in {**environ, **changed}.items() if value},
        )

    return run


def described(log: LogDatabase) -> dict[str, list[Any]]:
    """Return everything that the database is made of."""
    inspector = sa.inspect(log.engine)
    return {
        table: [
            (column["name"], str(column["type"]), column["nullable"], column["default"])
            for column in inspector.get_columns(table)
        ]
        + [inspector.get_pk_constraint(table)["constrained_columns"]]
        for table in sorted(inspector.get_table_names())
    }


def test_init_db_makes_the_tables_and_repeats_without_harm(
    command: Command, log: LogDatabase
) -> None:
    before = set(described(log))
    done = command("init-db")
    assert done.returncode == 0, done.stderr
    assert "  Api: made" in done.stdout.splitlines()
    assert "  sync_seen: made" in done.stdout.splitlines()
    made = described(log)
    assert set(made) - before == {
        "Api",
        "WorkerJobs",
        "sync_inbox_seen",
        *(table.name for table in LEDGER_TABLES),
    }
    ledger = Ledger(log.url, "elite")
    ledger.remember("flow", [SeenVersion("u-1", "2026-06-10 08:00:00", "f")])

    again = command("init-db")

    assert again.returncode == 0, again.stderr
    assert "  Api: up to date" in again.stdout.splitlines()
    assert "made" not in again.stdout
    assert described(log) == made
    assert ledger.known("flow", ["u-1"]) == {"u-1": "f"}
    ledger.close()


def test_init_db_leaves_the_helpdesk_alone(command: Command, log: LogDatabase) -> None:
    # on a server the helpdesk's own tables lie in the same database here
    before = described(log)
    command("init-db")
    after = described(log)
    assert {name: after[name] for name in before} == before


def test_init_db_without_a_call_log_says_so(command: Command) -> None:
    done = command("init-db", CLIENT_LOGS_DATABASE_URL="")
    assert done.returncode == 0, done.stderr
    assert "CLIENT_LOGS_DATABASE_URL: not set, so calls are not logged" in done.stdout
    assert "Api" not in done.stdout


def test_init_db_without_a_demo_leaves_nothing_behind(command: Command, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    nothing = (
        "ELITE_PIPELINE_CLIENTS",
        "TOGADESK_DATABASE_URL",
        "PIPELINE_DATABASE_URL",
        "CLIENT_LOGS_DATABASE_URL",
    )
    done = command("init-db", **dict.fromkeys(nothing, ""))
    assert done.stderr.startswith("configuration error: There is no demo yet: ")
    assert set(tmp_path.iterdir()) == before


def test_init_db_on_a_database_that_is_down_is_one_message(command: Command) -> None:
    url = f"mysql+pymysql://joe:log-password@127.0.0.1:{free_port()}/ClientLogs"
    done = command("init-db", CLIENT_LOGS_DATABASE_URL=url)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "CLIENT_LOGS_DATABASE_URL" in done.stderr
    assert "log-password" not in done.stderr + done.stdout
    elsewhere = url.replace("joe:log-password@", "") + "?user=joe&password=log-password"
    done = command("init-db", CLIENT_LOGS_DATABASE_URL=elsewhere)
    assert done.returncode == 1
    assert "log-password" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "table", [api, *LEDGER_TABLES], ids=[table.name for table in (api, *LEDGER_TABLES)]
)
def test_an_older_table_gets_the_columns_that_it_lacks(log: LogDatabase, table: sa.Table) -> None:
    older = sa.MetaData()
    keys = [column for column in table.columns if column.primary_key]
    sa.Table(
        table.name,
        older,
        *(sa.Column(column.name, column.type, primary_key=True) for column in keys),
        **table.dialect_kwargs,
    ).create(log.engine)
    new = [column for column in table.columns if not column.primary_key]
    with log.engine.begin() as connection:
        numbers = {column.name for column in keys if isinstance(column.type, sa.Integer)}
        key = {column.name: 7 if column.name in numbers else "k" for column in keys}
        connection.execute(sa.insert(table).values(key))

    (done,) = bring_up_to_date(log.engine, [table], SETTING)

    indexes = sorted(str(index.name) for index in table.indexes)
    names = ", ".join([*(column.name for column in new), *indexes])
    assert done == (f"{table.name}: added {names}" if new else f"{table.name}: up to date")
    (again,) = bring_up_to_date(log.engine, [table], SETTING)
    assert again == f"{table.name}: up to date"
    with log.engine.connect() as connection:
        (row,) = connection.execute(sa.select(table)).mappings().all()
    for column in new:
        assert (row[column.name] is None) == column.nullable
    if log.engine.dialect.name != "sqlite":
        upgraded = described(log)[table.name]
        with log.engine.begin() as connection:
            connection.execute(sa.schema.DropTable(table))
        bring_up_to_date(log.engine, [table], SETTING)
        assert upgraded == described(log)[table.name]


def test_a_table_that_only_shares_the_name_is_left_alone(log: LogDatabase) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE Api (id INTEGER PRIMARY KEY, apikey VARCHAR(9))")
    before = described(log)
    with pytest.raises(
        SystemicError, match=r"columns of its own \(apikey\) and has no column uuid"
    ):
        bring_up_to_date(log.engine, metadata.sorted_tables, SETTING)
    assert described(log) == before


def test_a_column_that_somebody_added_does_no_harm(log: LogDatabase) -> None:
    log.make()
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE Api ADD COLUMN theirs INTEGER")
    assert bring_up_to_date(log.engine, [api], SETTING) == ["Api: up to date"]


def test_an_older_table_gets_new_columns_and_indexes(log: LogDatabase) -> None:
    """What the next version of a table does: declare another column or index."""
    older = sa.Table("own", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    newer = sa.Table(
        "own",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("why", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")),
        sa.Column("due", sa.DateTime, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("said", mysql.MEDIUMTEXT().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Index("own_due", "due"),
    )
    assert bring_up_to_date(log.engine, [older], SETTING) == ["own: made"]
    with log.engine.begin() as connection:
        connection.execute(sa.insert(older).values(id=1))
    (done,) = bring_up_to_date(log.engine, [newer], SETTING)
    assert done == "own: added why, due, day, body, said, own_due"
    assert bring_up_to_date(log.engine, [newer], SETTING) == ["own: up to date"]
    with log.engine.begin() as connection:
        row = connection.execute(sa.select(newer)).mappings().one()
        connection.execute(sa.schema.DropTable(newer))
    assert (row["id"], row["why"], row["body"], row["said"]) == (1, None, b"", "")
    assert bring_up_to_date(log.engine, [newer], SETTING) == ["own: made"]
    assert [index["name"] for index in sa.inspect(log.engine).get_indexes("own")] == ["own_due"]


def test_names_of_columns_are_compared_as_servers_do(log: LogDatabase) -> None:
    log.make()
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE Api RENAME COLUMN responseCode TO RESPONSECODE")
    assert bring_up_to_date(log.engine, [api], SETTING) == ["Api: up to date"]


def test_another_table_of_the_same_name_is_left_alone(log: LogDatabase) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE Api (something INTEGER)")
    with pytest.raises(SystemicError, match="the table Api has columns of its own"):
        bring_up_to_date(log.engine, metadata.sorted_tables, SETTING)
    assert [column["name"] for column in sa.inspect(log.engine).get_columns("Api")] == ["something"]


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://u:s3cret@h/db", "mysql://u:s3cret@h", "oracle://u:s3cret@h/x"]
)
def test_an_address_that_cannot_be_used_names_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^PIPELINE_DATABASE_URL: expected") as caught:
        connect(url, "PIPELINE_DATABASE_URL", timeout_seconds=1)
    assert "s3cret" not in str(caught.value)

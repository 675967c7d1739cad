"""The project's own databases: connecting to them, and bringing their tables up to date.

Knows no table itself: the ledger's and the call log's are declared with them. What does not belong
here: the helpdesk's database, which is never altered.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from elite_pipeline.errors import ConfigurationError, SystemicError

#: Whatever the server's own mode is: what does not fit is an error and never cut in silence.
SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
}


def connect(url: str, setting: str, *, timeout_seconds: int) -> sa.Engine:
    """Return an engine for one of the project's own databases; nothing is connected yet.

    Args:
        url: As in the settings.
        setting: The variable's name, for the message.
        timeout_seconds: How long to wait for a connection, for a lock of SQLite's, or for an answer.

    Raises:
        ConfigurationError: The address cannot be used. The message does not repeat it, as it may hold
            a password.
    """
    try:
        parsed = sa.make_url(url)
        driver = _DRIVERS[parsed.drivername]
        if driver != "sqlite" and not parsed.database:
            raise ValueError
    except (sa.exc.ArgumentError, ValueError, KeyError):
        raise ConfigurationError(
            f"{setting}: expected an SQLAlchemy URL such as sqlite:////var/lib/pipeline.sqlite or "
            "mysql+pymysql://user:password@host/database."
        ) from None
    options: dict[str, Any] = {"timeout": timeout_seconds}
    if driver != "sqlite":
        names = ("connect_timeout", "read_timeout", "write_timeout")
        options = {
            "charset": "utf8mb4",
            "sql_mode": SQL_MODE,
            **dict.fromkeys(names, timeout_seconds),
        }
    elif parsed.database:
        with suppress(OSError):  # else said when it is first used
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return sa.create_engine(
        # what was set in the address must not undo what is set here
        parsed.set(drivername=driver).difference_update_query(list(options)),
        connect_args=options,
        hide_parameters=True,
        pool_pre_ping=True,
    )


def shown(engine: sa.Engine) -> str:
    """Return a database's address without what may be secret in it."""
    # drivers take a password behind the question mark too
    return engine.url.set(query={}).render_as_string(hide_password=True)


def bring_up_to_date(engine: sa.Engine, tables: Sequence[sa.Table], setting: str) -> list[str]:
    """Make the tables that are missing and add the columns and indexes that older ones lack.

    How to go on from a version: declare another column or index with the table, and older tables get
    it. Nothing is dropped, renamed or retyped, and no other table is looked at: neither one of another
    name, nor one of that name which is not an older version of it.

    Args:
        engine: Where they belong.
        tables: As they should be.
        setting: The variable that names the database, for the message.

    Returns:
        A sentence on each table: what was done, or that there was nothing to do.

    Raises:
        SystemicError: The database cannot be reached, refuses a statement, or has another table of
            that name.
    """
    try:
        with engine.begin() as connection:
            return [_bring_up_to_date(connection, table, setting) for table in tables]
    except sa.exc.DBAPIError as error:
        raise SystemicError(
            f"The database of {setting} ({shown(engine)}) failed: {error.orig}. "
            "Check the address, and that its user may create and alter tables there."
        ) from error


def what_lacks(connection: sa.Connection, tables: Sequence[sa.Table], setting: str) -> list[str]:
    """Return what :func:`bring_up_to_date` would do, in a few words for each table; nothing is done.

    Raises:
        SystemicError: The database has another table of that name.
    """
    lacking: list[str] = []
    for table in tables:
        if not sa.inspect(connection).has_table(table.name):
            lacking.append(f"the table {table.name} is missing")
            continue
        parts = [column.name for column in _missing_columns(connection, table, setting)]
        parts += [str(index.name) for index in _missing_indexes(connection, table)]
        if parts:
            lacking.append(f"the table {table.name} lacks {', '.join(parts)}")
    return lacking


def _bring_up_to_date(connection: sa.Connection, table: sa.Table, setting: str) -> str:
    is_new = not sa.inspect(connection).has_table(table.name)
    if is_new:
        # "if not exists": somebody else may be making it at this moment
        connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
    done = [] if is_new else _add_columns(connection, table, setting)
    indexes = _add_indexes(connection, table)
    if is_new:
        return f"{table.name}: made"
    done += indexes
    return f"{table.name}: added {', '.join(done)}" if done else f"{table.name}: up to date"


def _missing_columns(
    connection: sa.Connection, table: sa.Table, setting: str
) -> list[sa.Column[Any]]:
    # servers compare the names of columns without regard to case
    there = {column["name"].lower() for column in sa.inspect(connection).get_columns(table.name)}
    missing = [column for column in table.columns if column.name.lower() not in there]
    if not missing:
        return []
    strange = sorted(there - {column.name.lower() for column in table.columns})
    keys = [column.name for column in missing if column.primary_key]
    if strange or keys:
        # an older version of ours has fewer columns, but no others
        has = f"has columns of its own ({', '.join(strange)}) and " if strange else ""
        lacks = keys or [column.name for column in missing]
        raise SystemicError(
            f"{setting}: the table {table.name} {has}has no column {', '.join(lacks)}, so it is "
            "another table of that name. Rename it, or name another database; nothing was done to it."
        )
    return missing


def _add_columns(connection: sa.Connection, table: sa.Table, setting: str) -> list[str]:
    missing = _missing_columns(connection, table, setting)
    for column in missing:
        _add(connection, table, column)
    return [column.name for column in missing]


def _missing_indexes(connection: sa.Connection, table: sa.Table) -> list[sa.Index]:
    there = {str(index["name"]).lower() for index in sa.inspect(connection).get_indexes(table.name)}
    return sorted(
        (index for index in table.indexes if str(index.name).lower() not in there),
        key=lambda index: str(index.name),
    )


def _add_indexes(connection: sa.Connection, table: sa.Table) -> list[str]:
    missing = _missing_indexes(connection, table)
    for index in missing:
        connection.execute(sa.schema.CreateIndex(index))
    return [str(index.name) for index in missing]


def _add(connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> None:
    """Add a column; in rows that are there, one that must have a value gets a neutral one."""
    quote = connection.dialect.identifier_preparer.quote
    is_server = connection.dialect.name != "sqlite"
    where = f"ALTER TABLE {quote(table.name)}"
    kind = column.type.compile(connection.dialect)
    added = f"{quote(column.name)} {kind} {'NULL' if column.nullable else 'NOT NULL'}"
    default = column.server_default
    if isinstance(default, sa.DefaultClause):
        added += f" DEFAULT {default.arg}"
    elif not column.nullable and not (is_server and kind.endswith(("TEXT", "BLOB", "JSON"))):
        # a server takes no default for such a column, and fills it with empty text by itself
        added += f" DEFAULT {_neutral(column.type)}"
    connection.exec_driver_sql(f"{where} ADD COLUMN {added}")
    if default is None and not column.nullable and is_server:
        connection.exec_driver_sql(f"{where} ALTER COLUMN {quote(column.name)} DROP DEFAULT")


def _neutral(kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, sa.Enum):
        return f"'{kind.enums[-1]}'"
    if isinstance(kind, sa.DateTime):
        return "'1970-01-01 00:00:00'"
    if isinstance(kind, sa.Date):
        return "'1970-01-01'"
    if isinstance(kind, sa.LargeBinary):
        return "x''"
    return "''" if isinstance(kind, sa.String) else "0"

"""What can be told of the helpdesk's database by looking: its kind, its settings, whom it knows.

For ``elite-pipeline doctor``. Nothing is written; what the account may not see is simply not known.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from elite_pipeline.errors import SystemicError
from elite_pipeline.sqlite_files import check_writable, file_of, open_existing
from elite_pipeline.table_rights import Right, lacking_rights
from elite_pipeline.togadesk import engine, indexes, schema, tables
from elite_pipeline.togadesk.failures import SETTING, SchemaError, describe, translate

#: Seconds to wait for an answer.
_TIMEOUT = 10
#: The newest replies, by their ids, among which each client's newest is looked for.
_NEWEST_REPLIES = 2_000

_SERVER = "SELECT @@version, @@GLOBAL.sql_mode, @@GLOBAL.read_only"
_STORAGE = """
SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen. None: it is not known.

    Attributes:
        place: Names the database, without a password.
        server: Product and version.
        sql_mode: The server's own, which the pipeline's sessions replace.
        is_read_only: The server takes no writes.
        found: Tables and columns that are there.
        engines: Table -> storage engine, of those that the sync touches; empty on SQLite.
        lacking_rights: Table -> the rights that were asked for and are not there.
        rights_problem: Why rights could not be looked at; empty: they could.
        missing_indexes: How many of those that help are not there; None: a table lacks.
        zone: What the application's setting ``config.timezone`` says.
        client_ids, department_ids: Whom the helpdesk knows.
        newest: Helpdesk's id of a client -> the newest time of its latest replies, as written: naive.
    """

    place: str
    server: str
    sql_mode: str | None
    is_read_only: bool
    found: schema.Schema
    engines: Mapping[str, str]
    lacking_rights: Mapping[str, tuple[Right, ...]]
    rights_problem: str
    missing_indexes: int | None
    zone: str | None
    client_ids: frozenset[int] | None
    department_ids: frozenset[int] | None
    newest: Mapping[int, datetime]


def look(url: str, rights: Mapping[str, tuple[Right, ...]]) -> Facts:
    """Look at a helpdesk's database.

    Args:
        url: As the settings have it.
        rights: Table -> what the account should be allowed to do with it.

    Raises:
        ConfigurationError: The URL cannot be used.
        TransientError, SystemicError: The database cannot be read.
    """
    meant = engine.create(url, read_timeout=_TIMEOUT)
    try:
        with _as_it_is(meant) as opened, opened.connect() as connection:
            return _look(connection, describe(meant.url), rights)
    except sa.exc.DBAPIError as error:
        raise translate(error, url=meant.url, table=None) from None
    finally:
        meant.dispose()


@contextmanager
def _as_it_is(meant: sa.Engine) -> Iterator[sa.Engine]:
    """Return an engine that neither makes a file nor changes how it is kept."""
    path = file_of(meant.url)
    if path is None:
        yield meant
        return
    if not path.is_file():
        raise SystemicError(
            f"There is no file {path}, which {SETTING} names: correct the path, or see whether its "
            "disk is there."
        )
    opened = open_existing(path, timeout_seconds=_TIMEOUT)
    try:
        yield opened
    finally:
        opened.dispose()


def _look(connection: sa.Connection, place: str, rights: Mapping[str, tuple[Right, ...]]) -> Facts:
    found = schema.read(connection, place)
    is_sqlite = connection.dialect.name == "sqlite"
    mode, is_read_only, engines = None, False, {}
    if is_sqlite:
        server = f"SQLite {_sqlite_version(connection)}"
        check_writable(connection)
    else:
        version, mode, read_only = connection.exec_driver_sql(_SERVER).one()
        is_mariadb = "mariadb" in str(version).lower()
        server = f"{'MariaDB' if is_mariadb else 'MySQL'} {str(version).split('-')[0]}"
        is_read_only = str(read_only).upper() not in {"0", "OFF"}
        engines = {
            str(name): str(kind)
            for name, kind in connection.exec_driver_sql(_STORAGE)
            if str(name).lower() in tables.metadata.tables
        }
    lacking, problem = _lacking(connection, found, rights)
    return Facts(
        place=place,
        server=server,
        sql_mode=mode,
        is_read_only=is_read_only,
        found=found,
        engines=engines,
        lacking_rights=lacking,
        rights_problem=problem,
        missing_indexes=_missing_indexes(connection),
        zone=_zone(connection, found),
        client_ids=_ids(connection, found, "clients"),
        department_ids=_ids(connection, found, "tickets_departments"),
        newest=_newest(connection, found),
    )


def _sqlite_version(connection: sa.Connection) -> str:
    return str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())


def _lacking(
    connection: sa.Connection, found: schema.Schema, rights: Mapping[str, tuple[Right, ...]]
) -> tuple[dict[str, tuple[Right, ...]], str]:
    lacking: dict[str, tuple[Right, ...]] = {}
    for table, wanted in rights.items():
        if not found.has(table, "id"):
            continue
        try:
            missing = lacking_rights(connection, table, "id", wanted)
        except sa.exc.DBAPIError as error:
            return lacking, str(translate(error, url=connection.engine.url, table=table))
        if missing:
            lacking[table] = tuple(missing)
    return lacking, ""


def _missing_indexes(connection: sa.Connection) -> int | None:
    try:
        return sum(len(each.indexes) for each in indexes.additions_on(connection))
    except SchemaError:
        return None


def _zone(connection: sa.Connection, found: schema.Schema) -> str | None:
    if not found.has("config", "name", "value"):
        return None
    config = sa.table("config", sa.column("name"), sa.column("value"))
    rows = _seen(connection, sa.select(config.c.value).where(config.c.name == "timezone"))
    return str(rows[0][0]).strip() if rows and rows[0][0] else None


def _ids(connection: sa.Connection, found: schema.Schema, table: str) -> frozenset[int] | None:
    if not found.has(table, "id"):
        return None
    rows = _seen(connection, sa.select(sa.column("id")).select_from(sa.table(table)))
    return frozenset(int(row[0]) for row in rows) if rows is not None else None


def _newest(connection: sa.Connection, found: schema.Schema) -> dict[int, datetime]:
    """Return what was written last, by client; read along the primary key, however much there is."""
    replies, tickets = tables.REPLIES, tables.TICKETS
    if not (
        found.has(replies.name, "id", "ticketid", "timestamp")
        and found.has(tickets.name, "id", "clientid")
    ):
        return {}
    latest = (
        sa.select(replies.c.ticketid, replies.c.timestamp)
        .order_by(replies.c.id.desc())
        .limit(_NEWEST_REPLIES)
        .subquery()
    )
    query = sa.select(tickets.c.clientid, latest.c.timestamp).join_from(
        latest, tickets, tickets.c.id == latest.c.ticketid
    )
    newest: dict[int, datetime] = {}
    for client, written in _seen(connection, query) or ():
        if written is not None:
            newest[client] = max(written, newest.get(client, written))
    return newest


def _seen(connection: sa.Connection, query: sa.Select[Any]) -> Sequence[Sequence[Any]] | None:
    """Return what a query finds; None: the account may not see it."""
    try:
        return connection.execute(query).all()
    except sa.exc.DBAPIError:
        return None

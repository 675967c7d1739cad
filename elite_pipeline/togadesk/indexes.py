"""Indexes that the sync can do without, and that make it cheap.

Production has the primary keys and two unique columns (``spec/systems.md`` section 3). Looking up a
reference, a ticket's replies, or what is newer than a point then reads whole tables. An operator may
add what is listed here; the helpdesk itself works as before.

What does not belong here: asking the operator (``togadesk_commands``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from elite_pipeline.errors import SystemicError
from elite_pipeline.togadesk import schema, tables
from elite_pipeline.togadesk.failures import SETTING, describe, number_of, translate

#: Whole columns up to this many bytes; of longer texts the beginning. MyISAM takes 1,000 bytes a
#: key, InnoDB's older row formats 767.
MOST_BYTES = 767
#: Characters of the beginning: more than a uuid has, and 256 bytes in any charset.
BEGINNING = 64

#: Seconds to wait for others who use a table, which keeps everybody else waiting too.
LOCK_WAIT = 30
#: The server's "command denied".
_DENIED = 1142

_MYSQL = """
SELECT table_name, index_name, column_name, sub_part
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND index_type = 'BTREE'
ORDER BY table_name, index_name, seq_in_index
"""

_SQLITE = """
SELECT m.name, i.name, f.name, NULL
FROM sqlite_master AS m, pragma_index_list(m.name) AS i, pragma_index_info(i.name) AS f
WHERE m.type = 'table' AND NOT i.partial ORDER BY m.name, i.name, f.seqno
"""

_LENGTHS = """
SELECT table_name, column_name, character_octet_length FROM information_schema.columns
WHERE table_schema = DATABASE() AND character_octet_length IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that helps.

    Attributes:
        table: A declared table.
        columns: Its columns, in order.
    """

    table: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called, unless another one already is."""
        return "_".join(("sync", self.table, *self.columns))


def _wanted() -> Iterator[Index]:
    for table in tables.metadata.sorted_tables:
        if "referenceId" in table.c:
            yield Index(table.name, ("referenceId",))
        if "ticketid" in table.c:
            yield Index(table.name, ("ticketid",))
    yield Index("tickets", ("clientid", "departmentid", "timestamp"))
    yield Index("tickets_replies", ("timestamp", "ticketid"))
    yield Index("comments", ("timestamp", "ticketid"))
    yield Index("files", ("ticketreplyid",))


#: All of them.
WANTED = tuple(sorted(_wanted(), key=lambda index: (index.table, index.columns)))


@dataclass(frozen=True, slots=True)
class Addition:
    """A statement that adds indexes to one table.

    Attributes:
        sql: The statement, exactly as it is sent.
        indexes: What it adds.
    """

    sql: str
    indexes: tuple[Index, ...]


class _Present:
    """The indexes that are there: by table, their columns and how much of each is in them."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._columns: dict[tuple[str, str], list[tuple[str, int | None]]] = {}
        for table, name, column, part in rows:
            size = int(str(part)) if part is not None else None
            key = (str(table).lower(), str(name).lower())
            self._columns.setdefault(key, []).append((str(column).lower(), size))

    def covers(self, index: Index) -> bool:
        """Tell whether an index begins with these columns, or enough of them."""
        wanted = [column.lower() for column in index.columns]
        own = [all_ for (table, _), all_ in self._columns.items() if table == index.table.lower()]
        return any(
            [name for name, _ in columns[: len(wanted)]] == wanted
            and all(part is None or part >= BEGINNING for _, part in columns[: len(wanted)])
            for columns in own
        )

    def free_name(self, index: Index) -> str:
        """Return a name that no index has."""
        taken = {name for _, name in self._columns}
        name, number = index.name, 2
        while name.lower() in taken:
            name, number = f"{index.name}_{number}", number + 1
        return name


def additions(engine: sa.Engine) -> list[Addition]:
    """Return what is not there yet: one statement a table, on SQLite one an index.

    An index that begins with the same columns counts as being there, whatever its name.

    Args:
        engine: From ``togadesk.connect``.

    Raises:
        SchemaError: A table of the helpdesk, or a column of it, is missing.
        TransientError, PermanentError, SystemicError: The database could not be read.
    """
    try:
        with engine.connect() as connection:
            return additions_on(connection)
    except sa.exc.DBAPIError as error:
        raise translate(error, url=engine.url, table=None) from None


def additions_on(connection: sa.Connection) -> list[Addition]:
    """Return the same by way of a connection that is there; a driver's errors are passed on.

    Raises:
        SchemaError: A table of the helpdesk, or a column of it, is missing.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    found = schema.read(connection, describe(connection.engine.url))
    present = _Present(connection.exec_driver_sql(_SQLITE if is_sqlite else _MYSQL))
    long = set() if is_sqlite else _long_columns(connection)
    quote = connection.dialect.identifier_preparer.quote_identifier
    missing: dict[str, list[tuple[Index, str]]] = {}
    for index in WANTED:
        found.require(index.table)
        if present.covers(index):
            continue
        columns = ", ".join(
            quote(column)
            + (f"({BEGINNING})" if (index.table.lower(), column.lower()) in long else "")
            for column in index.columns
        )
        missing.setdefault(index.table, []).append((index, columns))
    made: list[Addition] = []
    for table, group in missing.items():
        named = [(index, quote(present.free_name(index)), columns) for index, columns in group]
        if is_sqlite:
            made += [
                Addition(f"CREATE INDEX {name} ON {quote(table)} ({columns})", (index,))
                for index, name, columns in named
            ]
            continue
        # MyISAM copies the table for every statement
        added = ", ".join(f"ADD INDEX {name} ({columns})" for _, name, columns in named)
        sql = f"ALTER TABLE {quote(table)} {added}"
        made.append(Addition(sql, tuple(index for index, _ in group)))
    return made


def _long_columns(connection: sa.Connection) -> set[tuple[str, str]]:
    return {
        (str(table).lower(), str(column).lower())
        for table, column, size in connection.exec_driver_sql(_LENGTHS)
        if int(size) > MOST_BYTES
    }


def apply(engine: sa.Engine, added: Iterable[Addition]) -> Iterator[Addition]:
    """Add indexes, and yield each statement when it is done.

    Whoever stops in between keeps what is done; :func:`additions` gives the rest.

    Args:
        engine: From ``togadesk.connect``, with a ``read_timeout`` that is long enough.
        added: What :func:`additions` returned.

    Raises:
        TransientError: Somebody else has kept a table in use for half a minute.
        PermanentError, SystemicError: The database refused; the message says what to do.
    """
    for each in added:
        table = each.indexes[0].table
        try:
            with engine.begin() as connection:
                if connection.dialect.name != "sqlite":
                    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_WAIT}")
                connection.exec_driver_sql(each.sql, None, {"no_parameters": True})
        except sa.exc.DBAPIError as error:
            if number_of(error) == _DENIED:
                raise SystemicError(
                    f"{engine.url.username or 'the user'} may not add indexes to the table "
                    f"{table!r}: grant INDEX, ALTER, CREATE and INSERT, or have its administrator "
                    f"send the statements ({SETTING} names the database)."
                ) from None
            raise translate(error, url=engine.url, table=table) from None
        yield each

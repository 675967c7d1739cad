"""What the real server has: columns, charsets, lengths, indexes; read in one query, when needed.

What belongs here: reading it, and saying plainly what is missing. What does not: what a column
should hold (``text``) and the declared tables (``tables``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from elite_pipeline.togadesk import tables
from elite_pipeline.togadesk.bulk import MOST_BYTES
from elite_pipeline.togadesk.failures import SchemaError, missing_columns, missing_table
from elite_pipeline.togadesk.text import TextLimits

_BY_BYTES = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_KNOWN_CHARSETS = {
    "utf8mb4": "utf8mb4",
    "utf8mb3": "utf8mb3",
    "utf8": "utf8mb3",
    "latin1": "latin1",
}

#: Bytes of a packet for all that is not values: the statement's own words.
_PACKET_RESERVE = 65_536

_MYSQL = """
SELECT table_name, column_name, data_type, character_set_name, character_maximum_length,
       is_nullable, column_default, column_key, extra, @@max_allowed_packet
FROM information_schema.columns WHERE table_schema = DATABASE()
"""

_SQLITE = """
SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk,
       EXISTS (SELECT 1 FROM pragma_index_list(m.name) AS i, pragma_index_info(i.name) AS f
               WHERE f.seqno = 0 AND f.name = c.name)
FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'
"""


_NEUTRAL_TIMES = {
    "date": "'0000-00-00'",
    "time": "'00:00:00'",
    "datetime": "'1970-01-01 00:00:01'",
    "timestamp": "'1970-01-01 00:00:01'",
}

_DECLARED = {
    (table.name.lower(), column.name.lower()): column
    for table in tables.metadata.tables.values()
    for column in table.c
}


@dataclass(frozen=True, slots=True)
class ServerColumn:
    """A column as the server has it; ``limits`` is None when it holds no text."""

    name: str
    limits: TextLimits | None
    indexed: bool
    neutral: str | None
    """SQL literal for an insert, when the server insists on a value; else None."""


class Schema:
    """The server's tables, by lower-cased name: the server compares column names that way.

    Attributes:
        most_bytes: How long a statement may be, in bytes.
    """

    def __init__(
        self, columns: Iterable[tuple[str, ServerColumn]], place: str, most_bytes: int = MOST_BYTES
    ) -> None:
        self.most_bytes = most_bytes
        self._place = place
        self._tables: dict[str, dict[str, ServerColumn]] = {}
        for table, column in columns:
            self._tables.setdefault(table.lower(), {})[column.name.lower()] = column
        self._checked: set[str] = set()

    def require(self, table: str) -> dict[str, ServerColumn]:
        """Return a table's columns by lower-cased name, after checking that none is missing.

        Raises:
            SchemaError: The table, or some of its declared columns, are not there.
        """
        found = self._tables.get(table.lower())
        if found is None:
            raise SchemaError(missing_table(table, self._place))
        if table not in self._checked:
            lacking = [c.name for c in tables.table(table).c if c.name.lower() not in found]
            if lacking:
                raise SchemaError(missing_columns(table, lacking, self._place))
            self._checked.add(table)
        return found

    def has(self, table: str, *columns: str) -> bool:
        """Tell whether a table is there, also one that is not declared, with some columns."""
        found = self._tables.get(table.lower(), {})
        return bool(found) and all(column.lower() in found for column in columns)

    def limits(self, table: str, column: str) -> TextLimits:
        """Return what a text column can hold; ``KeyError`` when the column holds no text."""
        limits = self.require(table)[column.lower()].limits
        if limits is None:
            raise KeyError(f"{table}.{column} is not a text column")
        return limits

    def is_indexed(self, table: str, column: str) -> bool:
        """Return whether an index starts with this column."""
        return self.require(table)[column.lower()].indexed

    def extra_columns(self, table: str) -> dict[str, str]:
        """Return SQL literals for columns that the sync does not know and the server insists on."""
        declared = {column.name.lower() for column in tables.table(table).c}
        return {
            column.name: column.neutral
            for key, column in self.require(table).items()
            if key not in declared and column.neutral is not None
        }


def read(connection: sa.Connection, place: str) -> Schema:
    """Read what the database has, in one query."""
    if connection.dialect.name == "sqlite":
        listed = connection.exec_driver_sql(_SQLITE)
        return Schema(((row[0], _sqlite_column(tuple(row))) for row in listed), place)
    found = [tuple(row) for row in connection.exec_driver_sql(_MYSQL)]
    packet = min((int(row[-1]) for row in found), default=MOST_BYTES)
    most_bytes = min(packet - _PACKET_RESERVE, MOST_BYTES)
    return Schema(((row[0], _mysql_column(row)) for row in found), place, most_bytes)


def _mysql_column(row: tuple[Any, ...]) -> ServerColumn:
    _, name, kind, charset, length, nullable, default, key, extra, packet = row
    insists = nullable == "NO" and default is None and not extra
    return ServerColumn(
        name=name,
        limits=_mysql_limits(str(kind).lower(), charset, length, int(packet)),
        indexed=bool(key),
        neutral=_neutral(str(kind).lower()) if insists else None,
    )


def _mysql_limits(
    kind: str, charset: str | None, length: int | None, packet: int
) -> TextLimits | None:
    if charset is None or length is None:
        return None
    known = _KNOWN_CHARSETS.get(charset, "ascii")
    if kind not in _BY_BYTES:
        return TextLimits(known, max_chars=int(length), max_bytes=None)
    # A value is sent in one packet, escaped.
    sendable = (packet - _PACKET_RESERVE) // 2
    return TextLimits(known, max_chars=None, max_bytes=min(int(length), sendable))


def _neutral(kind: str) -> str:
    if "int" in kind or kind in {"decimal", "float", "double", "bit", "year"}:
        return "0"
    return _NEUTRAL_TIMES.get(kind, "''")


def _sqlite_column(row: tuple[Any, ...]) -> ServerColumn:
    table, name, kind, insists, default, key, indexed = row
    column = _DECLARED.get((table.lower(), name.lower()))
    wanted = bool(insists) and default is None and not key
    return ServerColumn(
        name=name,
        limits=_declared_limits(column) if column is not None else None,
        indexed=bool(indexed or key),
        neutral=_neutral(str(kind).lower()) if wanted else None,
    )


def _declared_limits(column: sa.Column[Any]) -> TextLimits | None:
    """SQLite knows no lengths: what production's column holds goes for it too."""
    if (most := tables.max_bytes(column)) is not None:
        return TextLimits("utf8mb4", max_chars=None, max_bytes=most)
    if isinstance(column.type, sa.String):
        return TextLimits("utf8mb4", max_chars=column.type.length, max_bytes=None)
    return None

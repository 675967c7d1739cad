"""Many rows of numbers and short texts, read as one value.

The driver unpacks every value of every row in Python. A server that can put its rows into one JSON
document is asked for that instead: one value for all rows, parsed by a compiled parser, in a third of
the time. Rows with long texts, times or bytes are not read this way, and an older server never is.

What does not belong here: when to read (``reads``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine.interfaces import Dialect

from elite_pipeline.togadesk.bulk import quoting
from elite_pipeline.togadesk.literals import of_all
from elite_pipeline.togadesk.schema import Schema

#: Longer texts could make a document that the server cuts off.
_MOST_CHARS = 500
#: Charsets of columns that can stand in a document.
_UNICODE = frozenset({"utf8mb3", "utf8mb4"})
#: Since when servers can do it.
_SINCE_MARIADB, _SINCE_MYSQL = (10, 5), (5, 7, 22)


class PackedReader:
    """Writes and reads packed queries for one server.

    Args:
        dialect: Of an engine that has been connected once: what the server is, is known from then on.
        schema: Of its database.
    """

    def __init__(self, dialect: Dialect, schema: Schema) -> None:
        self._quote = quoting(dialect)
        self._schema = schema
        version = getattr(dialect, "server_version_info", None) or (0,)
        since = _SINCE_MARIADB if getattr(dialect, "is_mariadb", False) else _SINCE_MYSQL
        self._is_able = dialect.name in {"mysql", "mariadb"} and version >= since

    def can_read(self, declared: sa.Table, columns: Sequence[str]) -> bool:
        """Tell whether these columns can be read packed."""
        return self._is_able and all(self._is_packable(declared.c[name]) for name in columns)

    def _is_packable(self, column: sa.Column[Any]) -> bool:
        if isinstance(column.type, sa.Integer):
            return True
        length = column.type.length if isinstance(column.type, sa.String) else None
        if length is None or length > _MOST_CHARS:
            return False
        # a server makes a broken document of what latin1 holds beyond ASCII
        return self._schema.limits(column.table.name, column.name).charset in _UNICODE

    def query(
        self,
        table: str,
        columns: Sequence[str],
        where: Mapping[str, object],
        in_: tuple[str, Sequence[object]],
    ) -> str:
        """Return the statement; it brings the number of rows, and the document."""
        conditions = [
            f"{self._quote(name)} IS NULL"
            if value is None
            else f"{self._quote(name)} = {of_all([value])[0]}"
            for name, value in where.items()
        ]
        name, values = in_
        conditions.append(f"{self._quote(name)} IN ({', '.join(of_all(values))})")
        names = ", ".join(self._quote(column) for column in columns)
        return (
            f"SELECT COUNT(*), JSON_ARRAYAGG(JSON_ARRAY({names})) FROM {self._quote(table)} "
            f"WHERE {' AND '.join(conditions)}"
        )

    def can_hold(self, table: str, columns: Sequence[str]) -> bool:
        """Tell whether a document can hold these text columns, however long their texts are."""
        limits = [self._schema.limits(table, column) for column in columns]
        return self._is_able and all(one.charset in _UNICODE for one in limits)

    def whole(self, query: str, columns: Sequence[str]) -> str:
        """Return the statement that packs the rows of another one.

        Args:
            query: The other one, its values written out.
            columns: What its columns are called.
        """
        names = ", ".join(self._quote(column) for column in columns)
        return f"SELECT COUNT(*), JSON_ARRAYAGG(JSON_ARRAY({names})) FROM ({query}) AS packed"

    @staticmethod
    def rows(count: int, document: str | bytes | None) -> list[list[object]] | None:
        """Return the rows of an answer, in no particular order; None: it was cut off."""
        if not count:
            return []
        try:
            rows = from_json(document or "", cache_strings="keys")
        except ValueError:
            return None
        return rows if isinstance(rows, list) and len(rows) == count else None

"""Statements that write many rows at once, and how many rows go into one.

MySQL and MariaDB get one statement for about a thousand rows. The text of a statement depends only
on table, columns and number of rows, so it is built by joining strings and handed to the driver as
it is: SQLAlchemy's compiler would need longer for five thousand parameters than the server for the
rows. SQLite runs in this process, where ``executemany`` with a one-row statement is the fastest.

What does not belong here: sending the statements (``transaction``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from elite_pipeline.togadesk import tables

#: Rows in one statement, and values in one IN list.
MOST_ROWS = 1000

#: Bytes in one statement; a server with a smaller packet size gets less.
MOST_BYTES = 1_000_000

Values = tuple[Any, ...]


def literal(value: object) -> str:
    """Write one of the declared neutral values as an SQL literal.

    Raises:
        TypeError: The value is of a kind that has no literal here.
    """
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case str():
            escaped = value.replace("'", "''")
            return f"'{escaped}'"
        case b"":
            return "''"
        case _:
            raise TypeError(f"No literal for a value of type {type(value).__name__}.")


def in_chunks(values: Sequence[Any], most: int = MOST_ROWS) -> Iterator[Sequence[Any]]:
    """Cut a sequence into pieces of at most ``most`` values."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def in_batches(rows: Sequence[Values], most_bytes: int) -> Iterator[Sequence[Values]]:
    """Cut rows into batches that fit one statement each; a single row is never cut."""
    if len(rows) <= MOST_ROWS and _most_weight(rows) <= most_bytes:
        if rows:
            yield rows
        return
    start, size = 0, 0
    for position, row in enumerate(rows):
        weight = sum(map(_weight, row))
        if position > start and (size + weight > most_bytes or position - start >= MOST_ROWS):
            yield rows[start:position]
            start, size = position, 0
        size += weight
    if start < len(rows):
        yield rows[start:]


def _most_weight(rows: Sequence[Values]) -> int:
    """Return a weight that the rows do not exceed, in a fraction of the time of weighing them."""
    texts = sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
    return 4 * texts + 24 * sum(map(len, rows))


def _weight(value: object) -> int:
    # Bytes on the wire at most: four a character, twice as many when each is escaped.
    if isinstance(value, str):
        return 2 * len(value) if value.isascii() else 4 * len(value)
    if isinstance(value, bytes):
        return 2 * len(value)
    return 24


class RowReader:
    """Takes the values of some columns out of row mappings, as the driver wants them."""

    def __init__(self, table: sa.Table, columns: Sequence[str], dialect: Dialect) -> None:
        self._columns = tuple(columns)
        self._convert: list[tuple[int, Callable[[Any], Any]]] = []
        for position, name in enumerate(columns):
            processor = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
            if processor is not None:
                self._convert.append((position, processor))

    def read(self, rows: Sequence[Mapping[str, object]]) -> list[Values]:
        """Return one tuple a row.

        Raises:
            ValueError: A row has other columns than the first.
        """
        names, width = self._columns, len(self._columns)
        result: list[Values] = []
        for row in rows:
            if len(row) != width:
                raise ValueError("All rows of one write must give the same columns.")
            values = [row[name] for name in names]
            for position, convert in self._convert:
                values[position] = convert(values[position])
            result.append(tuple(values))
        return result


class Statements:
    """Builds the texts for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._quote = dialect.identifier_preparer.quote
        self.row_by_row = dialect.name == "sqlite"
        self._mark = "?" if self.row_by_row else "%s"
        self.insert = lru_cache(maxsize=64)(self._insert)
        self.update = lru_cache(maxsize=64)(self._update)

    def _insert(
        self, table: str, columns: tuple[str, ...], fixed: tuple[tuple[str, str], ...], rows: int
    ) -> str:
        """Insert ``rows`` rows: values for ``columns``, literals for the ``fixed`` ones."""
        names = ", ".join(self._quote(name) for name in (*columns, *(name for name, _ in fixed)))
        marks = [self._mark] * len(columns) + [value for _, value in fixed]
        values = ", ".join([f"({', '.join(marks)})"] * rows)
        return f"INSERT INTO {self._quote(table)} ({names}) VALUES {values}"

    def _update(
        self, table: str, columns: tuple[str, ...], client_id: int | None, rows: int
    ) -> str:
        """Update ``rows`` rows by id; the parameters of a row are ``columns``, then the id."""
        name = self._quote(table)
        scope = "" if client_id is None else f" AND {name}.clientid = {client_id}"
        if self.row_by_row:
            setters = ", ".join(f"{self._quote(column)} = ?" for column in columns)
            return f"UPDATE {name} SET {setters} WHERE {name}.id = ?{scope}"
        aliases = [f"v{position}" for position in range(len(columns))]
        first = ", ".join([f"%s AS {alias}" for alias in aliases] + ["%s AS row_id"])
        other = f" UNION ALL SELECT {', '.join(['%s'] * (len(columns) + 1))}"
        setters = ", ".join(
            f"{name}.{self._quote(column)} = v.{alias}"
            for column, alias in zip(columns, aliases, strict=True)
        )
        # STRAIGHT_JOIN: go through the given rows and look each up by its id, whatever the
        # optimizer thinks of the table's size.
        return (
            f"UPDATE (SELECT {first}{other * (rows - 1)}) AS v "
            f"STRAIGHT_JOIN {name} ON {name}.id = v.row_id{scope} SET {setters}"
        )


def fixed_values(
    table: sa.Table, given: Sequence[str], extra: Mapping[str, str], client_id: int
) -> tuple[tuple[str, str], ...]:
    """Return column and literal for all that an insert must name and the rows do not give."""
    fixed = {
        column.name: literal(tables.neutral(column))
        for column in table.c
        if not column.primary_key and column.name not in given
    }
    if "clientid" in fixed:
        fixed["clientid"] = str(client_id)
    return tuple({**fixed, **extra}.items())

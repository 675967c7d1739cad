"""Statements that write many rows at once, and how many rows go into one.

MySQL and MariaDB get one statement for about a thousand rows, its values written as literals
(``literals``), and handed to the driver as it is: SQLAlchemy's compiler would need longer for five
thousand parameters than the server for the rows, and the driver writes parameters as literals too,
one by one. SQLite runs in this process, where ``executemany`` with a one-row statement is the fastest.

What does not belong here: sending the statements (``sending``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from elite_pipeline.togadesk import tables
from elite_pipeline.togadesk.literals import of_all

#: Rows in one statement, and values in one IN list.
MOST_ROWS = 1000

#: Bytes in one statement; a server with a smaller packet size gets less.
MOST_BYTES = 1_000_000

#: Characters of a text that certainly has more bytes than a narrow column of a server's own.
_WIDE = 65_536
#: Characters of a text that certainly fits one: four bytes each.
_SURELY_NARROW = (_WIDE - 1) // 4

#: Bytes that a statement spends on a row beside its values, at most.
_BETWEEN_ROWS = len(" UNION ALL SELECT ")

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


def rows_of(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """Return the rows of which the columns are given.

    Raises:
        ValueError: The columns are not equally long.
    """
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def in_batches(rows: Sequence[str], most_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of batches of written rows that fit one statement each.

    A single row is never cut.
    """
    start, size = 0, 0
    for position, row in enumerate(rows):
        # four bytes a character at most
        weight = (len(row) if row.isascii() else 4 * len(row)) + _BETWEEN_ROWS
        if position > start and (size + weight > most_bytes or position - start >= MOST_ROWS):
            yield start, position
            start, size = position, 0
        size += weight
    if start < len(rows):
        yield start, len(rows)


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
        width = len(self._columns)
        if any(len(row) != width for row in rows):
            raise ValueError("All rows of one write must give the same columns.")
        if not self._columns:
            return [()] * len(rows)
        return self.from_columns([[row[name] for row in rows] for name in self._columns])

    def from_columns(self, columns: Sequence[Sequence[object]]) -> list[Values]:
        """Return one tuple a row, of the values of each column.

        Raises:
            ValueError: The columns are not equally long.
        """
        given: list[Iterable[Any]] = [*columns]
        for position, convert in self._convert:
            given[position] = map(convert, columns[position])
        return list(zip(*given, strict=True))


def quoting(dialect: Dialect) -> Callable[[str], str]:
    """Return what quotes names for statements that are sent as they are, without parameters."""
    quote = dialect.identifier_preparer.quote
    if dialect.name == "sqlite":
        return quote
    # written twice for a driver that would take it for the mark of a parameter
    return lambda name: quote(name).replace("%%", "%")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for any number of rows.

    Attributes:
        one: For one row, with marks for its values.
        head, between, tail: What stands before, between and behind written rows.
        row: What stands before and behind the values of one.
        names: Names for the values of the first row; empty where none are needed.
    """

    one: str
    head: str = ""
    between: str = ", "
    tail: str = ""
    row: tuple[str, str] = ("(", ")")
    names: tuple[str, ...] = ()

    def written(self, rows: Sequence[Values]) -> list[str]:
        """Write rows, one by one."""
        before, behind = self.row
        if rows and not rows[0]:
            return [f"{before}{behind}"] * len(rows)
        columns = map(of_all, zip(*rows, strict=True))
        return [f"{before}{', '.join(row)}{behind}" for row in zip(*columns, strict=True)]

    def many(self, values: Sequence[Values], written: Sequence[str]) -> str:
        """Return the statement for some rows.

        Args:
            values: Their values.
            written: The same rows, each as :meth:`written` gives it.
        """
        if self.names:
            literals = of_all(values[0])
            for place in _wide_columns(values, written):
                literals[place] = f"CAST({literals[place]} AS CHAR({_WIDE}))"
            named = zip(literals, self.names, strict=True)
            first = ", ".join([f"{value} AS {name}" for value, name in named])
            written = [first, *written[1:]]
        return f"{self.head}{self.between.join(written)}{self.tail}"


class Statements:
    """Builds the statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._quote = quoting(dialect)
        self.row_by_row = dialect.name == "sqlite"
        self._mark = "?" if self.row_by_row else "%s"
        self.insert = lru_cache(maxsize=64)(self._insert)
        self.update = lru_cache(maxsize=64)(self._update)

    def _insert(
        self, table: str, columns: tuple[str, ...], fixed: tuple[tuple[str, str], ...]
    ) -> Statement:
        """Insert rows: values for ``columns``, literals for the ``fixed`` ones."""
        names = ", ".join(self._quote(name) for name in (*columns, *(name for name, _ in fixed)))
        literals = [value for _, value in fixed]
        marks = ", ".join([*[self._mark] * len(columns), *literals])
        head = f"INSERT INTO {self._quote(table)} ({names}) VALUES "
        behind = f"{', ' if columns and literals else ''}{', '.join(literals)})"
        return Statement(one=f"{head}({marks})", head=head, row=("(", behind))

    def _update(self, table: str, columns: tuple[str, ...], client_id: int | None) -> Statement:
        """Update rows by id; the values of a row are ``columns``, then the id."""
        name = self._quote(table)
        scope = "" if client_id is None else f" AND {name}.clientid = {client_id}"
        setters = ", ".join(f"{self._quote(column)} = {self._mark}" for column in columns)
        aliases = tuple(f"v{position}" for position in range(len(columns)))
        joined = ", ".join(
            f"{name}.{self._quote(column)} = v.{alias}"
            for column, alias in zip(columns, aliases, strict=True)
        )
        return Statement(
            one=f"UPDATE {name} SET {setters} WHERE {name}.id = {self._mark}{scope}",
            # STRAIGHT_JOIN: go through the given rows and look each up by its id, whatever the
            # optimizer thinks of the table's size.
            head="UPDATE (SELECT ",
            between=" UNION ALL SELECT ",
            tail=f") AS v STRAIGHT_JOIN {name} ON {name}.id = v.row_id{scope} SET {joined}",
            row=("", ""),
            names=(*aliases, "row_id"),
        )


def _wide_columns(values: Sequence[Values], written: Sequence[str]) -> list[int]:
    """Return the columns of given rows that a server might take for narrower than their texts are.

    MySQL (seen with 5.6) gives a column of a derived table as many bytes as its longest text has
    characters, up to :data:`_WIDE`, and refuses what is longer in UTF-8. The first row says then how
    wide it is, unless that is as long itself.
    """
    if not any(len(row) > _SURELY_NARROW and not row.isascii() for row in written):
        return []
    return [
        place
        for place, column in enumerate(zip(*values, strict=True))
        if (not isinstance(column[0], str) or len(column[0]) <= _WIDE)
        and any(
            isinstance(value, str) and len(value) > _SURELY_NARROW and not value.isascii()
            for value in column
        )
    ]


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

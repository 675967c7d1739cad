"""How statements get to the server, and rows back: all of them go through here.

Each one is counted, and a driver's error becomes one of the project's.

What does not belong here: what to read and write (``reads``, ``transaction``), texts of
statements (``bulk``, ``packed``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from pymysql.cursors import SSCursor
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect

from elite_pipeline.errors import PermanentError
from elite_pipeline.togadesk.bulk import Statement, Statements, Values, in_batches
from elite_pipeline.togadesk.failures import translate
from elite_pipeline.togadesk.packed import PackedReader
from elite_pipeline.togadesk.schema import Schema

#: Rows that are in memory at once while they are streamed.
STREAMED_ROWS = 5_000

T = TypeVar("T")

Count = Callable[[Literal["read", "write"]], None]


class Sender:
    """Sends the statements of one transaction.

    Every method can raise the errors that ``TogadeskStore.run`` lists.

    Attributes:
        dialect: Of the server.
    """

    def __init__(
        self, connection: sa.Connection, schema: Schema, statements: Statements, count: Count
    ) -> None:
        self.dialect: Dialect = connection.dialect
        self._connection = connection
        self._row_by_row = statements.row_by_row
        self._most_bytes = schema.most_bytes
        self._packed = PackedReader(connection.dialect, schema)
        self._count = count

    def read(self, query: sa.Select[Any], table: str) -> Sequence[Sequence[Any]]:
        """Return the rows of a query."""
        with self._sending("read", table):
            return self._connection.execute(query).all()

    def stream_numbers(
        self, query: sa.Select[Any], table: str
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the rows of a query in chunks, none of them empty; read on to the end before the next.

        As the driver gives them: that is right for numbers alone.
        """
        compiled = query.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})
        with self._sending("read", table), self._streaming_cursor() as cursor:
            # what makes a row of what it gives takes as long as the driver does
            self._from_driver(lambda: cursor.execute(str(compiled)))
            while rows := self._from_driver(lambda: cursor.fetchmany(STREAMED_ROWS)):
                yield rows

    def read_all(
        self, declared: sa.Table, columns: Sequence[str], where: Mapping[str, object]
    ) -> Sequence[Sequence[Any]]:
        """Return the values of ``columns`` of rows whose columns have some values, by id."""
        return self.read(query_of(declared, columns, where), declared.name)

    def read_in(
        self,
        declared: sa.Table,
        columns: Sequence[str],
        where: Mapping[str, object],
        in_: tuple[str, Sequence[object]],
    ) -> Sequence[Sequence[Any]]:
        """Return the same of rows of which one column has one of some values, in no order.

        Packed where that can be done.
        """
        if self._packed.can_read(declared, columns):
            text = self._packed.query(declared.name, columns, where, in_)
            with self._sending("read", declared.name):
                count, document = tuple(self._as_it_is(text).one())
            if (rows := self._packed.rows(count, document)) is not None:
                return rows
        name, values = in_
        query = query_of(declared, columns, where).where(declared.c[name].in_(values))
        return self.read(query, declared.name)

    def read_packed(
        self, query: sa.Select[Any], columns: Sequence[str], table: str, texts: Sequence[str]
    ) -> Sequence[Sequence[Any]]:
        """Return the rows of a query by its first column, an id; packed where that can be done.

        Args:
            query: Whose columns are called ``columns``.
            columns: Likewise.
            table: Whose texts it brings.
            texts: Those of its columns that hold texts as they are in ``table``.
        """
        if self._packed.can_hold(table, texts):
            compiled = query.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})
            with self._sending("read", table):
                text = self._packed.whole(str(compiled), columns)
                count, document = tuple(self._as_it_is(text).one())
            # one that is longer than the server makes documents comes as it is
            if (rows := self._packed.rows(count, document)) is not None:
                return sorted(rows, key=itemgetter(0))
        return self.read(query, table)

    def write(self, statement: sa.Delete, table: str) -> int:
        """Send a statement that writes; return how many rows it matched."""
        with self._sending("write", table):
            return self._connection.execute(statement).rowcount

    def write_rows(self, table: str, values: Sequence[Values], statement: Statement) -> int:
        """Send rows in as few statements as they fit in; return how many rows were matched."""
        if self._row_by_row:
            with self._sending("write", table):
                return self._connection.exec_driver_sql(statement.one, list(values)).rowcount
        written = statement.written(values)
        matched = 0
        for start, end in in_batches(written, self._most_bytes):
            text = statement.many(values[start:end], written[start:end])
            with self._sending("write", table):
                matched += self._as_it_is(text).rowcount
        return matched

    @contextmanager
    def _streaming_cursor(self) -> Iterator[DBAPICursor]:
        """Yield one that does not hold all rows in memory."""
        kinds = () if self.dialect.name == "sqlite" else (SSCursor,)
        cursor: Any = self._connection.connection.cursor(*kinds)
        try:
            yield cursor
        except BaseException:
            result: Any = getattr(cursor, "_result", None)
            if self._connection.invalidated and result is not None:
                # else the driver reads on where nothing comes any more, and does so once again
                # when it forgets the result
                result.unbuffered_active = False
            # what led here is what counts
            with suppress(Exception):
                cursor.close()
            raise
        cursor.close()

    def _from_driver(self, call: Callable[[], T]) -> T:
        """Return what a call of the driver gives; its error becomes that of a statement."""
        driver: Any = self.dialect.loaded_dbapi
        try:
            return call()
        except driver.Error as error:
            lost = self.dialect.is_disconnect(error, None, None)
            if lost:
                self._connection.invalidate()
                # those that wait in the pool have most likely been lost with it
                self._connection.engine.dispose()
            raise sa.exc.DBAPIError(None, None, error, connection_invalidated=lost) from None
        except BaseException:
            # a run that is ended in the middle of an answer: the driver cannot go on from there
            self._connection.invalidate()
            raise

    def _as_it_is(self, text: str) -> sa.CursorResult[Any]:
        # else the driver would take a percent sign in a value for a mark
        return self._connection.exec_driver_sql(text, None, {"no_parameters": True})

    @contextmanager
    def _sending(self, kind: Literal["read", "write"], table: str) -> Iterator[None]:
        self._count(kind)
        with self._translated(table):
            yield

    @contextmanager
    def _translated(self, table: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            # The cause quotes values: it goes no further.
            raise translate(error, url=self._connection.engine.url, table=table) from None
        except UnicodeEncodeError:
            raise PermanentError(
                f"A value for the table {table!r} is not valid Unicode (half of a surrogate pair); "
                "correct it in the source system."
            ) from None


def query_of(
    declared: sa.Table, columns: Sequence[str], where: Mapping[str, object]
) -> sa.Select[Any]:
    """Return what reads ``columns`` of rows whose columns have some values, by id."""
    query = sa.select(*(declared.c[name] for name in columns)).order_by(declared.c.id)
    for name, value in where.items():
        query = query.where(declared.c[name] == value)
    return query

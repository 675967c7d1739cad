"""The store: transactions that are run again when that helps, and what columns can hold.

``spec/systems.md`` section 3, ``spec/sync.md`` section 8. What does not belong here: single
statements (``reads``, ``transaction``), and what to write (``sync``).
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from elite_pipeline import locks
from elite_pipeline.errors import TransientError
from elite_pipeline.togadesk import schema, text
from elite_pipeline.togadesk.bulk import Statements
from elite_pipeline.togadesk.failures import (
    SETTING,
    TransientDatabaseError,
    describe,
    translate,
)
from elite_pipeline.togadesk.local_times import earliest_local, instants_as_written
from elite_pipeline.togadesk.reference_index import ReferenceIndex
from elite_pipeline.togadesk.schema import Schema
from elite_pipeline.togadesk.text import TextLimits
from elite_pipeline.togadesk.transaction import Tx

T = TypeVar("T")

#: How often a transaction is run at most, and the pause before the second run in seconds.
TRIES = 3
FIRST_PAUSE = 0.2


@dataclass(slots=True)
class Counters:
    """SQL statements sent: ``reads`` and ``writes``."""

    reads: int = 0
    writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, kind: Literal["read", "write"]) -> None:
        """Count one statement."""
        with self._lock:
            if kind == "read":
                self.reads += 1
            else:
                self.writes += 1


class TogadeskStore:
    """The helpdesk's database, seen by one client.

    One store serves one run: what it has learnt about references is not told of other processes'
    later changes. It may be shared by threads; their transactions take turns, but for reads that
    are run beside them (:meth:`run_beside`).

    Args:
        engine: From ``togadesk.connect``; stays open when the store is closed.
        client_id: The helpdesk's id of the client.
        timezone: Zone of the helpdesk's naive times (``config.timezone``).
        spill_after: Lookups by reference per table that may read the whole table before its
            references are kept in a temporary file.
        sleep: Waits for seconds.
        rng: Jitter.

    Attributes:
        statements: Counts of the SQL statements sent.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        client_id: int,
        timezone: ZoneInfo,
        spill_after: int = 8,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.client_id = client_id
        self.timezone = timezone
        self.statements = Counters()
        self._engine = engine
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._texts = Statements(engine.dialect)
        self._spill_after = spill_after
        self._references = ReferenceIndex(spill_after)
        self._schema: Schema | None = None
        self._limits: dict[tuple[str, str], tuple[TextLimits, int]] = {}
        self._turn = threading.RLock()
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what the store keeps on disk; the engine stays open."""
        self._references.close()

    def expect_many_lookups(self) -> None:
        """Prepare for lookups by reference all over: none of them reads a whole table more than once."""
        self._references.spill_at_once()

    # Transactions

    def run(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in a transaction and commit it.

        After a deadlock, a lock wait or a lost connection, ``work`` is run again, three times in
        all. MyISAM has no rollback, and a commit may have taken effect although the connection was
        lost: ``work`` must read what is there and go on from that.

        Args:
            work: Reads and writes through the transaction that it gets, and nothing else.

        Returns:
            What ``work`` returned.

        Raises:
            TransientError: Three runs failed.
            DuplicateKeyError: A unique value is taken; nothing was committed. Plan again.
            PermanentError: The database refused a value.
            SystemicError: The database cannot be used; the message says what to do.
        """
        with self._one_at_a_time():
            attempt = 1
            while True:
                mark = self._references.mark()
                try:
                    return self._attempt(work)
                except TransientDatabaseError as error:
                    self._references.rewind(mark)
                    if attempt == TRIES:
                        raise TransientError(f"{error} Tried {TRIES} times.") from None
                    pause = FIRST_PAUSE * 2 ** (attempt - 1)
                    self._sleep(pause * self._rng.uniform(0.5, 1.5))
                    attempt += 1
                except BaseException:
                    self._references.rewind(mark)
                    raise

    def run_beside(self, work: Callable[[Tx], T]) -> T:
        """Run reads once, beside a transaction of another thread where the database allows that.

        Args:
            work: Reads by the values of columns, and nothing else: no write, no lookup by reference.

        Raises:
            TransientError, PermanentError, SystemicError: As :meth:`run`, which tries more often.
        """
        if self._engine.dialect.name == "sqlite":
            return self.run(work)
        return self._attempt(work)

    def _attempt(self, work: Callable[[Tx], T]) -> T:
        with self._translated(), self._engine.connect() as connection, connection.begin():
            return work(self._transaction(connection))

    def _transaction(self, connection: sa.Connection) -> Tx:
        return Tx(
            connection,
            client_id=self.client_id,
            schema=self._read_schema(connection),
            references=self._references,
            statements=self._texts,
            count=self.statements.add,
        )

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with self._turn:
            if self._running:
                raise RuntimeError("A transaction is already running in this thread.")
            self._running = True
            try:
                yield
            finally:
                self._running = False

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what a driver raises around ``work`` (connect, begin, commit) into our errors."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise translate(error, url=self._engine.url, table=None) from None
        except sa.exc.TimeoutError:
            raise TransientDatabaseError(
                f"No connection to {describe(self._engine.url)} became free in time."
            ) from None

    def _read_schema(self, connection: sa.Connection) -> Schema:
        if self._schema is None:
            self.statements.add("read")
            self._schema = schema.read(connection, describe(self._engine.url))
        return self._schema

    # What columns hold

    def require(self, needed: Sequence[str]) -> None:
        """Make sure that tables are there, with all of their declared columns.

        Raises:
            SchemaError: One is missing, or a column of it; the message names it.
            TransientError, SystemicError: As :meth:`run`.
        """
        schema = self._schema or self.run(lambda tx: tx.schema)
        for table in needed:
            schema.require(table)

    def limits(self, table: str, column: str) -> TextLimits:
        """Return what a text column of the real server can hold.

        Raises:
            SchemaError: The table or one of its declared columns is missing.
            KeyError: The column holds no text.
        """
        if self._schema is None:
            return self.run(lambda tx: tx.limits(table, column))
        return self._schema.limits(table, column)

    def fit(self, table: str, column: str, value: str) -> str:
        """Return a text in the form in which the column holds all of it (see ``text.fit``).

        Raises:
            ValueDoesNotFitError: It is too long, or not valid Unicode.
        """
        known = self._limits.get((table, column)) or self._learn_limits(table, column)
        limits, ascii_chars = known
        if len(value) <= ascii_chars and value.isascii():
            # nearly every text there is; the rest is for those that need a closer look
            return value
        return text.fit(value, limits, f"{table}.{column}")

    def fit_row(self, table: str, row: Mapping[str, str]) -> dict[str, object]:
        """Return the texts of a row as :meth:`fit` returns each, in their order.

        Raises:
            ValueDoesNotFitError: One of them is too long, or not valid Unicode.
        """
        fitted: dict[str, object] = {}
        for column, value in row.items():
            known = self._limits.get((table, column)) or self._learn_limits(table, column)
            limits, ascii_chars = known
            if len(value) <= ascii_chars and value.isascii():
                fitted[column] = value
            else:
                fitted[column] = text.fit(value, limits, f"{table}.{column}")
        return fitted

    def not_plain(self, table: str, column: str, texts: Sequence[str]) -> Sequence[int]:
        """Return the places of the texts that are not plainly held as they are: long, or not ASCII.

        :meth:`fit` says of each of these what becomes of it.
        """
        known = self._limits.get((table, column)) or self._learn_limits(table, column)
        most = known[1]
        if not texts or (max(map(len, texts)) <= most and "".join(texts).isascii()):
            return ()
        return [place for place, text in enumerate(texts) if len(text) > most or not text.isascii()]

    def _learn_limits(self, table: str, column: str) -> tuple[TextLimits, int]:
        limits = self.limits(table, column)
        known = self._limits[table, column] = (limits, limits.ascii_chars)
        return known

    # Times

    def to_local(self, instant: datetime) -> datetime:
        """Return an aware instant as the helpdesk writes it: naive, in its zone, whole seconds.

        Raises:
            ValueError: The instant has no zone.
        """
        if instant.tzinfo is None:
            raise ValueError("An instant must have a time zone.")
        return instant.astimezone(self.timezone).replace(tzinfo=None, microsecond=0, fold=0)

    def local_text(self, instant: datetime) -> str:
        """Return an aware instant, in whole seconds, as the helpdesk's server prints it.

        The same as the text of :meth:`to_local`, and quicker.
        """
        if instant.tzinfo is not UTC or self.timezone.key != "UTC":
            instant = instant.astimezone(self.timezone)
        # of an aware time the offset stands behind
        return str(instant)[:19]

    def is_local_text(self, text: str | None, instant: datetime) -> bool:
        """Tell whether a text is :meth:`local_text` of an instant: several times as quick.

        Args:
            text: As the helpdesk's server printed a time; None: it is none.
            instant: Aware, UTC, in whole seconds.
        """
        # printing takes many times as long as reading
        if text is None or len(text) != 19 or text[4:17:3] != "-- ::":
            return False
        try:
            wall = datetime.fromisoformat(f"{text}+00:00")
        except ValueError:
            return False
        if self.timezone.key == "UTC":
            return wall == instant
        return wall - instant == instant.astimezone(self.timezone).utcoffset()

    def from_local(self, naive: datetime, fold: int = 0) -> datetime:
        """Return the instant, in UTC, of a time that the helpdesk wrote.

        Args:
            naive: A time in the helpdesk's zone.
            fold: Which of two, for a time that the clocks pass twice: 0 the earlier, 1 the later.
        """
        return naive.replace(tzinfo=self.timezone, fold=fold).astimezone(UTC)

    def instants_as_written(self, times: Iterable[datetime | None]) -> list[datetime | None]:
        """Return the instants, in UTC, of one table's times in the order of its ids.

        That order tells the two passes of a time apart that comes twice, as far as it can be told.
        """
        return instants_as_written(self.from_local, times)

    def local_lower_bound(self, instant: datetime) -> datetime:
        """Return the earliest time that the helpdesk may write at ``instant`` or later.

        Naive, in its zone, whole seconds. Only where the clocks are about to be put back is it not
        ``to_local(instant)``: then it is the start of the time that comes twice, whose second pass
        would else be taken for older. A row *at* the bound may be as new as ``instant``: rows are
        compared with ``>=``, or with ``>`` a second earlier.

        Raises:
            ValueError: The instant has no zone.
        """
        return earliest_local(self.to_local, instant)

    # Locks

    def lock(self, name: str, wait_seconds: float) -> AbstractContextManager[locks.StillHeld]:
        """Hold a lock of this name, against every process that uses the same database.

        It is given back by itself when the process dies. What it gives raises TransientError once it is
        known to be lost.

        Raises:
            LockHeldError: It was not free within ``wait_seconds``.
        """
        url = self._engine.url
        keeper = locks.Keeper(
            self._engine,
            place=describe(url),
            setting=SETTING,
            translate=lambda error: translate(error, url=url, table=None),
        )
        return locks.hold(keeper, name, wait_seconds, self._sleep)

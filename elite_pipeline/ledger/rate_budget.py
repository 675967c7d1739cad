"""One budget of calls per account, shared by all threads and processes that call it.

Accounts count calls where these arrive, within a sliding window. When one arrives is not known here,
only that it lies between taking the slot and the answer. So a slot counts from the moment that it is
taken until a window after its answer came. Then, of all calls that arrive within any one window, the one
that took its slot last found all the others still counting; so they are no more than the limit.

Whoever is killed holds its slots until they expire. All that take slots read the same clock, up to a
margin: on several machines, keep their clocks in step. Taking a slot is one short transaction; that it
was answered is written with the next one, and until then it counts for longer than it needs to.

What does not belong here: how much an account allows (``freshservice.limits``), and when there is room
(``rate_room``), and what an answer says (``rate_answers``).
"""

import logging
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from elite_pipeline.errors import PipelineError, TransientError
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.rate_answers import Ended, EndedCalls, ended_call, micros
from elite_pipeline.ledger.rate_room import Room
from elite_pipeline.ledger.tables import rate_accounts, rate_slots

logger = logging.getLogger(__name__)

#: How long a call that is not answered counts at most: longer than any is waited for. In seconds.
_LEASE_SECONDS = 300.0
#: The longest sleep between two looks, and how long one that waits is taken to be alive, in seconds.
_LOOK_SECONDS = 5.0
_ALIVE_SECONDS = 15.0
#: The longest time that an account may be closed and still be waited for, in seconds.
_MOST_CLOSED_SECONDS = 300.0
#: Waiting is told of after so many seconds, and then every so many.
_TOLD_AFTER, _TOLD_EVERY = 10.0, 60.0
#: Tries against a database that is busy, and the pause after the first, in seconds.
_TRIES, _PAUSE_SECONDS = 6, 0.05


class LedgerRateBudget:
    """An account's budget. Safe to use from several threads and processes.

    Args:
        url: SQLAlchemy URL of the pipeline's database, the same for all that share the account.
        account: What tells it from others: its host.
        overall: Calls a window.
        kinds: Kind of call -> calls of it a window.
        window_seconds: What the limits are for.
        clock: Seconds since 1970.
        sleep: Waits, in seconds.

    Raises:
        ConfigurationError: The address is none.
    """

    def __init__(
        self,
        url: str,
        account: str,
        *,
        overall: int,
        kinds: Mapping[str, int],
        window_seconds: float = 60.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = LedgerDatabase(url)
        self._account = account
        self._overall = overall
        self._kinds = dict(kinds)
        self._window = window_seconds
        self._clock = clock
        self._sleep = sleep
        self._ended = EndedCalls()
        self._is_known = False

    def close(self) -> None:
        """Write down what ended since the last call, and close the connections."""
        try:
            self._settle()
        except PipelineError as error:
            # what was not written counts until it expires
            logger.warning("%s", error)
        self._database.close()

    def take(self, kind: str, /) -> "LedgerSlot":
        """Wait until there is room for one more call; those that wait come in turn.

        Args:
            kind: What it is counted as, beside all calls; one without a limit of its own: nothing else.

        Raises:
            TransientError: The account is closed for longer than is waited, or the database stays busy.
            SystemicError: The database fails.
        """
        began = self._clock()
        told = began + _TOLD_AFTER
        place: int | None = None
        while True:
            place, wait = self._patiently(kind, place)
            if wait is None:
                return LedgerSlot(self, place, kind)
            now = self._clock()
            if now >= told:
                logger.warning(
                    "%s: its %d calls in %g s are used up, or it asked to be left alone; a call has "
                    "been waiting for %d s.",
                    self._account,
                    self._overall,
                    self._window,
                    now - began,
                )
                told = now + _TOLD_EVERY
            self._sleep(wait)

    def attempt(self, kind: str, place: int | None = None) -> tuple[int, float | None]:
        """Take a slot if there is room, else a place among those that wait.

        Args:
            kind: As :meth:`take` has it.
            place: Where the call waits already; None: nowhere.

        Returns:
            The slot or the place, and how long to wait before the next look; None: it is a slot.

        Raises:
            TransientError: The account is closed for longer than is waited, or the database is busy.
            SystemicError: The database fails.
        """
        self._make_known()
        with self._ended.taken() as ended, self._database.begin_writing() as connection:
            closed, total = self._locked(connection)
            now = self._now()
            for one in ended:
                closed, total = self._write_ended(connection, one, closed, total, now)
            if closed is not None and closed > now:
                left = (closed - now) / 1e6
                if left > _MOST_CLOSED_SECONDS:
                    raise TransientError(
                        f"{self._account} asked to be left alone for another {left:.0f} s (429); it is "
                        "called again then."
                    )
                wait = min(left, _LOOK_SECONDS)
                return self._wait_at(connection, kind, place, now), wait
            room = self._room(connection, total, place, now)
            if not room.is_for(kind):
                wait = self._until_room(connection, room, kind, now)
                return self._wait_at(connection, kind, place, now), wait
            until = now + micros(_LEASE_SECONDS + self._window)
            return self._put(connection, kind, place, until, is_waiting=False), None

    def end(self, slot: int, kind: str, status: int | None, headers: Mapping[str, str]) -> None:
        """Note that a call is over; an account that closed itself is closed for all at once.

        Args:
            slot: What it took.
            kind: What it is counted as.
            status: Of the answer; None: unanswered.
            headers: Of the answer.
        """
        ended = ended_call(slot, kind, status, headers, self._now(), self._window)
        self._ended.add(ended)
        if ended.closed_until is None:
            return
        try:
            self._settle()
        except PipelineError as error:
            # it stays noted, and is written with the next call at the latest
            logger.warning("%s", error)

    def _patiently(self, kind: str, place: int | None) -> tuple[int, float | None]:
        for turn in range(_TRIES - 1):
            try:
                return self.attempt(kind, place)
            except TransientError as error:
                if error.__cause__ is None:
                    # not the database's
                    raise
                self._sleep(_PAUSE_SECONDS * 2**turn)
        return self.attempt(kind, place)

    def _settle(self) -> None:
        self._make_known()
        with self._ended.taken() as ended, self._database.begin_writing() as connection:
            closed, total = self._locked(connection)
            for one in ended:
                closed, total = self._write_ended(connection, one, closed, total, self._now())

    def _make_known(self) -> None:
        """Make the account's row, which its lock is; whoever else does it at this moment may."""
        if self._is_known:
            return
        made = sa.insert(rate_accounts).values(account=self._account)
        for dialect, words in (("sqlite", "OR IGNORE"), ("mysql", "IGNORE"), ("mariadb", "IGNORE")):
            made = made.prefix_with(words, dialect=dialect)
        with self._database.begin() as connection:
            connection.execute(made)
        self._is_known = True

    def _locked(self, connection: sa.Connection) -> tuple[int | None, int | None]:
        """Lock the account for this transaction; return until when it is closed, and its total."""
        row = connection.execute(
            sa.select(rate_accounts.c.closed_until, rate_accounts.c.total)
            .where(rate_accounts.c.account == self._account)
            .with_for_update()
        ).one()
        return row.closed_until, row.total

    def _write_ended(
        self,
        connection: sa.Connection,
        ended: Ended,
        closed: int | None,
        total: int | None,
        now: int,
    ) -> tuple[int | None, int | None]:
        """Write down that a call is over; return until when the account is closed, and its total."""
        connection.execute(
            sa.update(rate_slots)
            .where(rate_slots.c.id == ended.slot)
            .values(until=ended.until, weight=ended.weight)
        )
        before = closed, total
        if ended.closed_until is not None and ended.closed_until > (closed or 0):
            closed = ended.closed_until
        if ended.total is not None:
            said = self._kinds.get(ended.kind)
            total = ended.total if ended.total != said or ended.total == self._overall else total
            if ended.remaining is not None and ended.until > now:
                self._count_others(connection, ended, ended.total, ended.remaining, now)
        if (closed, total) != before:
            connection.execute(
                sa.update(rate_accounts)
                .where(rate_accounts.c.account == self._account)
                .values(closed_until=closed, total=total)
            )
        return closed, total

    def _count_others(
        self, connection: sa.Connection, ended: Ended, total: int, remaining: int, now: int
    ) -> None:
        room = self._room(connection, None, None, now)
        kind, missing = room.missing(ended.kind, total, min(remaining, total))
        if missing:
            self._put(connection, kind, None, ended.until, is_waiting=False, weight=missing)

    def _room(
        self, connection: sa.Connection, total: int | None, place: int | None, now: int
    ) -> Room:
        connection.execute(sa.delete(rate_slots).where(self._mine(), rate_slots.c.until <= now))
        counts = sa.select(
            rate_slots.c.kind, rate_slots.c.is_waiting, sa.func.sum(rate_slots.c.weight).label("n")
        ).where(self._mine())
        if place is not None:
            counts = counts.where(
                sa.or_(rate_slots.c.is_waiting.is_(sa.false()), rate_slots.c.id < place)
            )
        room = Room(self._overall, self._kinds, total)
        grouped = counts.group_by(rate_slots.c.kind, rate_slots.c.is_waiting)
        for row in connection.execute(grouped):
            (room.ahead if row.is_waiting else room.taken)[row.kind] = int(row.n)
        return room

    def _until_room(self, connection: sa.Connection, room: Room, kind: str, now: int) -> float:
        """Return when there can be room at the earliest, in seconds: when so many slots came free."""
        ends = (
            sa.select(rate_slots.c.until)
            .where(self._mine(), rate_slots.c.is_waiting.is_(sa.false()))
            .order_by(rate_slots.c.until)
            .limit(1)
        )
        moments = [now]
        for lacking, some in (
            (room.lacking(), ends),
            (room.lacking_of_kind(kind), ends.where(rate_slots.c.kind == kind)),
        ):
            if lacking > 0:
                found = connection.execute(some.offset(lacking - 1)).scalar()
                moments.append(now + micros(_LOOK_SECONDS) if found is None else int(found))
        return min(max((max(moments) - now) / 1e6, 0.001), _LOOK_SECONDS)

    def _wait_at(self, connection: sa.Connection, kind: str, place: int | None, now: int) -> int:
        until = now + micros(_ALIVE_SECONDS)
        return self._put(connection, kind, place, until, is_waiting=True)

    def _put(
        self,
        connection: sa.Connection,
        kind: str,
        place: int | None,
        until: int,
        *,
        is_waiting: bool,
        weight: int = 1,
    ) -> int:
        """Write a row, in the place of one that may be there; return its id."""
        values = {"is_waiting": is_waiting, "until": until, "weight": weight}
        if place is not None:
            kept = connection.execute(
                sa.update(rate_slots).where(rate_slots.c.id == place).values(values)
            )
            if kept.rowcount:
                return place
        made = connection.execute(
            sa.insert(rate_slots).values(account=self._account, kind=kind, **values)
        )
        key = made.inserted_primary_key
        if key is None:
            raise AssertionError("a row that was made has an id")
        return int(key[0])

    def _mine(self) -> sa.ColumnElement[bool]:
        return rate_slots.c.account == self._account

    def _now(self) -> int:
        return micros(self._clock())


class LedgerSlot:
    """Leave for one call. Exactly one of its methods is called, once; neither raises."""

    def __init__(self, budget: LedgerRateBudget, slot: int, kind: str) -> None:
        self._budget = budget
        self._slot = slot
        self._kind = kind

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Say that the call was answered, and what the answer tells about the budget."""
        self._budget.end(self._slot, self._kind, status, headers)

    def unanswered(self) -> None:
        """Say that the call ended without an answer; it may have been counted all the same."""
        self._budget.end(self._slot, self._kind, None, {})

"""What each flow of each client last did: written at the end of a run, read by whoever watches.

It decides nothing about a sync (``design.md``, wall 6): after it was lost, the next run of a flow writes
it again. What does not belong here: what of it is alarming (``health``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import stored_error, stored_time
from elite_pipeline.ledger.tables import flow_states as table

#: Calls that are missing in the call log count together while no more than this lies between them.
LOSSES_COUNT_FOR = timedelta(days=1)

_KEY = ("client", "flow")
_TIMES = tuple(column.name for column in table.columns if isinstance(column.type, sa.DateTime))
#: What a flow that never came through has.
_NOTHING: Mapping[str, Any] = {
    column.name: 0
    for column in table.columns
    if isinstance(column.type, (sa.Integer, sa.Float)) and not column.nullable
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run that came through did.

    Attributes:
        is_quiet: It wrote nothing, moved no watermark, and nothing failed.
        watermark: The stored one at its end, aware; None: it was not looked at.
        created, updated, failed: Records.
        waiting, parked: Dead letters that the flow has then.
        oldest_letter: When the first of them first failed, aware; None: there are none.
        calls: To all systems over HTTP.
        seconds: How long it took.
        log_lost: Calls of it that are missing in the call log.
        run_id: Dagster's, or the command line's own.
    """

    is_quiet: bool
    watermark: datetime | None = None
    created: int = 0
    updated: int = 0
    failed: int = 0
    waiting: int = 0
    parked: int = 0
    oldest_letter: datetime | None = None
    calls: int = 0
    seconds: float = 0.0
    log_lost: int = 0
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class FlowState:
    """What is known of one flow of one client. Times are aware, UTC, in whole seconds.

    Attributes:
        last_run: The end of the last run that came through; None: none has yet.
        last_failed: When a run last stopped, or could not begin.
        last_error: Why, without secrets; None: the last run came through.
        last_quiet: The end of the last run that wrote nothing, moved no watermark, and failed nothing.
        busy_since: The end of the first run after that one which was not so; None: the last was quiet.
        busy_runs: How many there were since; runs that stopped do not count.
        watermark: The stored one, as the last run that looked left it; None: none has looked.
        nothing_new_at: When somebody last looked at the source without a run, and found nothing that has
            not been carried; None: nobody has.
        created, updated, failed, calls, seconds: Of the last run that came through.
        waiting, parked, oldest_letter: Its dead letters at its end; people may have acted since.
        log_lost: Calls missing in the call log, counted together while no day passes between losses.
        log_lost_at: When one was last missed.
        run_id: Of the run that wrote here last: Dagster's, or the command line's own.
    """

    client: str
    flow: str
    last_run: datetime | None
    last_failed: datetime | None
    last_error: str | None
    last_quiet: datetime | None
    busy_since: datetime | None
    busy_runs: int
    watermark: datetime | None
    nothing_new_at: datetime | None
    created: int
    updated: int
    failed: int
    waiting: int
    parked: int
    oldest_letter: datetime | None
    calls: int
    seconds: float
    log_lost: int
    log_lost_at: datetime | None
    run_id: str | None

    @property
    def known_carried_at(self) -> datetime | None:
        """When it was last known that everything is carried, or a dead letter; None: it never was.

        That is the end of the last run that came through, or a later look that found nothing new. No look
        counts while the last run has stopped: what that one wanted is still to be carried.
        """
        looked = self.nothing_new_at if self.last_error is None else None
        return max((one for one in (self.last_run, looked) if one is not None), default=None)


class FlowStates:
    """What the flows of one client last did. Every method is one statement in a transaction of its own.

    Args:
        database: Where it is kept.
        client: Whose flows.

    All methods raise what :meth:`LedgerDatabase.begin` does.
    """

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def came_through(self, flow: str, outcome: Outcome, now: datetime) -> None:
        """Write down what a run did that came through.

        Args:
            flow: Which.
            outcome: What it did.
            now: Its end, aware.
        """
        moment = stored_time(now)
        quiet = outcome.is_quiet
        given: dict[str, Any] = {
            "last_run": moment,
            "last_error": None,
            "created": outcome.created,
            "updated": outcome.updated,
            "failed": outcome.failed,
            "waiting": outcome.waiting,
            "parked": outcome.parked,
            "oldest_letter": _stored(outcome.oldest_letter),
            "calls": outcome.calls,
            "seconds": outcome.seconds,
            "run_id": outcome.run_id,
            "busy_since": None if quiet else moment,
            "busy_runs": 0 if quiet else 1,
        }
        changes: dict[str, Any] = dict(given)
        if quiet:
            given["last_quiet"] = changes["last_quiet"] = moment
        else:
            changes["busy_since"] = sa.func.coalesce(table.c.busy_since, moment)
            changes["busy_runs"] = table.c.busy_runs + 1
        if outcome.watermark is not None:
            given["watermark"] = changes["watermark"] = stored_time(outcome.watermark)
        _lose(given, changes, outcome.log_lost, moment)
        self._write(flow, given, changes)

    def stopped(self, flow: str, error: str, now: datetime, run_id: str | None = None) -> None:
        """Write down that a run stopped, or could not begin; what earlier ones did stays.

        Args:
            flow: Which.
            error: Why; one message without secrets.
            now: Aware.
            run_id: As in :class:`Outcome`.
        """
        given = {
            "last_failed": stored_time(now),
            "last_error": stored_error(error),
            "run_id": run_id,
        }
        self._write(flow, given, given)

    def log_lost(self, flow: str, calls: int, now: datetime) -> None:
        """Write down that calls are missing in the call log which no run's end has told of."""
        given: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        _lose(given, changes, calls, stored_time(now))
        if changes:
            self._write(flow, given, changes)

    def _write(self, flow: str, given: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        row = {**_NOTHING, **given, "client": self._client, "flow": flow}
        with self._database.begin() as connection:
            connection.execute(_upsert(self._database.is_sqlite, list(changes.items())), row)


class FlowStateReader:
    """What the flows of all clients last did, as those see it who watch.

    Args:
        url: SQLAlchemy URL of the pipeline's database.
        timeout_seconds: How long to wait for it at most; None: as patiently as a run does.

    Raises:
        ConfigurationError: It is not one.

    All methods raise what :meth:`LedgerDatabase.begin` does.
    """

    def __init__(self, url: str, *, timeout_seconds: int | None = None) -> None:
        self._database = LedgerDatabase(url, timeout_seconds=timeout_seconds)

    @property
    def place(self) -> str:
        """Where they are, without a password."""
        return self._database.place

    def is_there(self) -> bool:
        """Tell whether a run has made the database yet; looking into it would make it."""
        return self._database.is_there()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def all(self) -> dict[tuple[str, str], FlowState]:
        """Return client and flow -> what is known of it, also of clients that are in no registry now.

        A flow that has never run is not among them. One statement.
        """
        with self._database.begin() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.client, table.c.flow))
            states = [_state(row) for row in rows.mappings()]
        return {(one.client, one.flow): one for one in states}

    def nothing_new(self, flows: Collection[tuple[str, str]], now: datetime) -> None:
        """Write down that there is nothing to be carried, for who looks without a run. One statement.

        Args:
            flows: Client and flow: those whose source was asked and has nothing new, whose last run came
                through, and of which no run is queued or under way.
            now: When they were asked: not later than the first question, aware.
        """
        moment = stored_time(now)
        rows = [
            {**_NOTHING, "client": client, "flow": flow, "nothing_new_at": moment}
            for client, flow in sorted(flows)
        ]
        if not rows:
            return
        with self._database.begin() as connection:
            connection.execute(_upsert(self._database.is_sqlite, ["nothing_new_at"]), rows)


def _upsert(is_sqlite: bool, changes: Sequence[tuple[str, Any]] | Sequence[str]) -> sa.Executable:
    """Return the statement that inserts rows, and changes those that are there.

    Args:
        is_sqlite: Whether it is for SQLite; else it is for a server.
        changes: What a row that is there gets, in order; a name alone: what was to be inserted.
    """
    if is_sqlite:
        insert = sqlite.insert(table)
        pairs = _pairs(changes, insert.excluded)
        return insert.on_conflict_do_update(index_elements=_KEY, set_=dict(pairs))
    server = mysql.insert(table)
    # a server changes column after column, and the later ones see what became of the earlier
    return server.on_duplicate_key_update(_pairs(changes, server.inserted))


def _pairs(
    changes: Sequence[tuple[str, Any]] | Sequence[str], inserted: Any
) -> list[tuple[str, Any]]:
    return [(change, inserted[change]) if isinstance(change, str) else change for change in changes]


def _lose(given: dict[str, Any], changes: dict[str, Any], calls: int, moment: datetime) -> None:
    """Add calls that are missing in the call log to what is written."""
    if not calls:
        return
    given["log_lost"], given["log_lost_at"] = calls, moment
    is_recent = table.c.log_lost_at >= moment - LOSSES_COUNT_FOR
    # in this order: the sum looks at the time before it is changed
    changes["log_lost"] = sa.case((is_recent, table.c.log_lost + calls), else_=calls)
    changes["log_lost_at"] = moment


def _stored(moment: datetime | None) -> datetime | None:
    return stored_time(moment) if moment is not None else None


def _state(row: Mapping[Any, Any]) -> FlowState:
    given = {column.name: row[column.name] for column in table.columns}
    for name in _TIMES:
        if given[name] is not None:
            given[name] = given[name].replace(tzinfo=UTC)
    return FlowState(**given)

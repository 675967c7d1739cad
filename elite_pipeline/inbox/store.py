"""What is done with the inbox's rows: added, looked at, worked on, finished.

A row's ``status`` is the truth about it, and a cursor only a hint (``spec/sync.md`` section 7): rows are
not committed in the order of their ids, so one may appear behind a cursor that has passed it. What is due
is therefore found by status.

What does not belong here: receiving (``receiver``), and what a payload says (``freshservice/payloads``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from elite_pipeline.inbox.rows import Arrival, Backlog, Counts, DeadRow, Due, Row, Webhook
from elite_pipeline.inbox.tables import DEAD, DONE, FAILED, PENDING, TEXT_BYTES, metadata, seen
from elite_pipeline.inbox.tables import worker_jobs as table
from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.database import LedgerDatabase

#: Ids in one statement: old SQLites take no more than 999 values.
_CHUNK = 500
#: Rows whose sizes are looked at together, and bytes of payloads that are read together.
_SLICE = 1000
_SLICE_BYTES = 4 << 20

_CURSOR_NAME = "cursor"
_CURSOR = seen.c.name == _CURSOR_NAME

_WAITING = (PENDING, FAILED)
_SHOWN = (
    table.c.id, table.c.action, table.c.status, table.c.attempts, table.c.dtStamp, table.c.error,
    table.c.dtRetryAfter, table.c.dtFinished,
)  # fmt: skip


class Inbox:
    """The inbox of all clients. Every method is a transaction of its own; threads may share it.

    Args:
        url: SQLAlchemy URL of the pipeline's database.
        timeout_seconds: How long to wait for the database at most; None: as patiently as a run does.

    Raises:
        ConfigurationError: It is no such URL.

    All methods raise what :meth:`LedgerDatabase.begin` does. Times are aware, kept to the microsecond.
    """

    def __init__(self, url: str, *, timeout_seconds: int | None = None) -> None:
        self._database = LedgerDatabase(url, tables=metadata, timeout_seconds=timeout_seconds)

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return self._database.place

    def is_there(self) -> bool:
        """Tell whether there is a database yet; looking into it would make it."""
        return self._database.is_there()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def add(self, action: str, payload: str, headers: Mapping[str, str]) -> int:
        """Store one webhook; it is committed when this returns.

        Returns:
            The row's id.
        """
        with self._database.begin() as connection:
            result = connection.execute(
                sa.insert(table).values(_row(Webhook.of(action, payload, headers)))
            )
            key: Sequence[Any] = result.inserted_primary_key or ()
            return int(key[0])

    def add_all(self, webhooks: Sequence[Webhook]) -> None:
        """Store webhooks, all or none; they are committed when this returns."""
        with self._database.begin() as connection:
            connection.execute(sa.insert(table), [_row(webhook) for webhook in webhooks])

    def check_storing(self) -> None:
        """Find out whether rows can be stored, and store none; raises what storing one would."""
        with self._database.begin() as connection:
            connection.execute(sa.insert(table).values(_row(Webhook.of("health", "", {}))))
            connection.rollback()

    def latest_id(self) -> int:
        """Return the newest row's id; 0: there is none."""
        with self._database.begin() as connection:
            return connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0

    def after(self, cursor: int, limit: int) -> list[Arrival]:
        """Return the rows behind a cursor, in the order of their ids, whatever their status."""
        query = sa.select(table.c.id, table.c.action, table.c.status).where(table.c.id > cursor)
        with self._database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.id).limit(limit))
            return [Arrival(row.id, row.action, row.status) for row in rows]

    def furthest(self) -> int | None:
        """Return how far the cursor has ever come; None: nobody has written it down yet."""
        with self._database.begin() as connection:
            return connection.execute(sa.select(seen.c.row_id).where(_CURSOR)).scalar()

    def set_furthest(self, row_id: int) -> None:
        """Write down how far the cursor has come."""
        with self._database.begin_writing() as connection:
            connection.execute(sa.delete(seen).where(_CURSOR))
            connection.execute(sa.insert(seen).values(name=_CURSOR_NAME, row_id=row_id))

    def due(self, now: datetime, up_to: int) -> list[Due]:
        """Return what can be worked on, by action, that with the oldest row coming first.

        Args:
            now: What failed is due when its time has come.
            up_to: Rows with greater ids are left out.
        """
        first = sa.func.min(table.c.id).label("first_id")
        query = (
            sa.select(
                table.c.action,
                sa.func.count().label("rows"),
                first,
                sa.func.max(table.c.id).label("last_id"),
            )
            .where(
                table.c.status.in_(_WAITING),
                sa.or_(table.c.status == PENDING, _is_time(now)),
                table.c.id <= up_to,
            )
            .group_by(table.c.action)
            .order_by(first)
        )
        with self._database.begin() as connection:
            return [
                Due(row.action, row.rows, row.first_id, row.last_id)
                for row in connection.execute(query)
            ]

    def take(self, action: str, up_to: int, now: datetime) -> Iterator[Row]:
        """Yield an action's rows that are due, in the order of their ids.

        They are read in slices of a few megabytes and stay as they are; what is done with those that
        were yielded does not disturb the reading.

        Args:
            action: Whose.
            up_to: Rows with greater ids are left out.
            now: What failed is due when its time has come.
        """
        last = 0
        while True:
            with self._database.begin() as connection:
                sizes = sorted(
                    # one by one: together the database would sort all that wait, for each slice
                    tuple(row)
                    for clause in (
                        table.c.status == PENDING,
                        sa.and_(table.c.status == FAILED, _is_time(now)),
                    )
                    for row in connection.execute(
                        sa.select(table.c.id, sa.func.coalesce(sa.func.length(table.c.payload), 0))
                        .where(
                            clause, table.c.action == action, table.c.id.between(last + 1, up_to)
                        )
                        .order_by(table.c.id)
                        .limit(_SLICE)
                    )
                )[:_SLICE]
            if not sizes:
                return
            for ids in _by_size(sizes):
                yield from self._rows(ids)
            last = sizes[-1][0]

    def _rows(self, ids: Sequence[int]) -> list[Row]:
        query = sa.select(
            table.c.id,
            sa.func.coalesce(table.c.payload, "").label("payload"),
            sa.func.coalesce(table.c.attempts, 0).label("attempts"),
            table.c.dtStamp,
        ).where(table.c.id.in_(ids))
        with self._database.begin() as connection:
            return [
                Row(row.id, row.payload, row.attempts, row.dtStamp.replace(tzinfo=UTC))
                for row in connection.execute(query.order_by(table.c.id))
            ]

    def done(self, ids: Iterable[int], now: datetime) -> None:
        """Finish rows."""
        self._change(
            ids, {"status": DONE, "dtFinished": _stored(now), "dtRetryAfter": None, "error": None}
        )

    def failed(self, ids: Iterable[int], error: str, retry_after: datetime, now: datetime) -> None:
        """Write down why rows failed, and when they are due again: one attempt more each.

        Args:
            ids: Which.
            error: One message without secrets.
            retry_after: Not before.
            now: When they failed.
        """
        self._change(
            ids,
            {
                "status": FAILED,
                "attempts": sa.func.coalesce(table.c.attempts, 0) + 1,
                "error": _stored_error(error),
                "dtRetryAfter": _stored(max(retry_after, now)),
                "dtFinished": None,
            },
        )

    def dead(self, ids: Iterable[int], error: str, now: datetime) -> None:
        """Give rows up: one attempt more each, and nothing tries them again.

        Args:
            ids: Which.
            error: Why; one message without secrets.
            now: When.
        """
        self._change(
            ids,
            {
                "status": DEAD,
                "attempts": sa.func.coalesce(table.c.attempts, 0) + 1,
                "error": _stored_error(error),
                "dtRetryAfter": None,
                "dtFinished": _stored(now),
            },
        )

    def settle(self, action: str, error_begins: str, now: datetime) -> None:
        """Finish an action's rows that had failed for a reason which is over.

        Args:
            action: Whose.
            error_begins: How their ``error`` begins: whatever failed.
            now: When.
        """
        with self._database.begin() as connection:
            connection.execute(
                sa.update(table)
                .where(over(action, error_begins))
                .values(status=DONE, dtFinished=_stored(now), dtRetryAfter=None, error=None)
            )

    def reopen(self, ids: Iterable[int]) -> None:
        """Make rows as they were when they came: for a cursor that was moved back."""
        self._change(
            ids,
            {
                "status": PENDING,
                "attempts": 0,
                "error": None,
                "dtRetryAfter": None,
                "dtFinished": None,
            },
        )

    def _change(self, ids: Iterable[int], values: Mapping[str, Any]) -> None:
        # sorted: two that change rows side by side then lock in the same order
        chunks = list(chunked(sorted(set(ids)), _CHUNK))
        if not chunks:
            return
        with self._database.begin() as connection:
            for chunk in chunks:
                connection.execute(
                    sa.update(table).where(table.c.id.in_(chunk)).values(dict(values))
                )

    def counts(self, action: str) -> Counts:
        """Count an action's rows that are not done."""
        mine = table.c.action == action
        query = (
            sa.select(
                table.c.status,
                sa.func.count().label("rows"),
                sa.func.min(table.c.id).label("first_id"),
            )
            .where(table.c.status.in_((*_WAITING, DEAD)), mine)
            .group_by(table.c.status)
        )
        with self._database.begin() as connection:
            found = {row.status: row for row in connection.execute(query).mappings()}
            firsts = [found[status]["first_id"] for status in _WAITING if status in found]
            oldest = (
                connection.execute(
                    sa.select(table.c.dtStamp).where(table.c.id == min(firsts))
                ).scalar_one()
                if firsts
                else None
            )
        waiting, failed, dead = (
            int(found[status]["rows"]) if status in found else 0 for status in (*_WAITING, DEAD)
        )
        return Counts(waiting, failed, dead, oldest.replace(tzinfo=UTC) if oldest else None)

    def backlogs(self, now: datetime) -> dict[str, Backlog]:
        """Return action -> what could be worked on and is not; those without rows are left out.

        What failed counts from the time at which it is to be tried again.

        Args:
            now: Aware.
        """
        query = (
            sa.select(
                table.c.action,
                table.c.status,
                sa.func.count().label("rows"),
                sa.func.min(table.c.id).label("first_id"),
                sa.func.min(table.c.dtRetryAfter).label("due"),
            )
            .where(
                table.c.status.in_((*_WAITING, DEAD)),
                sa.or_(table.c.status != FAILED, _is_time(now)),
            )
            .group_by(table.c.action, table.c.status)
        )
        with self._database.begin() as connection:
            found = connection.execute(query).all()
            firsts = [row.first_id for row in found if row.status == PENDING]
            arrived: dict[int, datetime] = {}
            for chunk in chunked(firsts, _CHUNK):
                rows = connection.execute(
                    sa.select(table.c.id, table.c.dtStamp).where(table.c.id.in_(chunk))
                )
                arrived.update({row.id: row.dtStamp for row in rows})
        since: dict[str, list[datetime]] = {}
        rows_of: dict[str, int] = {}
        dead: dict[str, int] = {}
        for row in found:
            counted = dead if row.status == DEAD else rows_of
            counted[row.action] = counted.get(row.action, 0) + row.rows
            moment = {PENDING: arrived.get(row.first_id), FAILED: row.due}.get(row.status)
            if moment is not None:
                since.setdefault(row.action, []).append(moment.replace(tzinfo=UTC))
        return {
            action: Backlog(
                rows_of.get(action, 0),
                min(since.get(action, []), default=None),
                dead.get(action, 0),
            )
            for action in {row.action for row in found}
        }

    def dead_rows(self, action: str, limit: int) -> list[DeadRow]:
        """Return an action's rows that were given up, the newest coming first."""
        return self.shown([action], [DEAD], limit)

    def shown(
        self, actions: Sequence[str] | None, statuses: Sequence[str] | None, limit: int
    ) -> list[DeadRow]:
        """Return rows for a person, the newest coming first.

        Args:
            actions: Only these; None: all.
            statuses: Only these; None: all.
            limit: At most so many.
        """
        query = sa.select(*_SHOWN).order_by(table.c.id.desc()).limit(limit)
        if actions is not None:
            query = query.where(table.c.action.in_(actions))
        if statuses is not None:
            query = query.where(table.c.status.in_(statuses))
        with self._database.begin() as connection:
            return [
                DeadRow(
                    row.id,
                    row.action,
                    row.status,
                    row.attempts or 0,
                    row.dtStamp.replace(tzinfo=UTC),
                    row.error or "",
                    row.dtRetryAfter.replace(tzinfo=UTC) if row.dtRetryAfter else None,
                    row.dtFinished.replace(tzinfo=UTC) if row.dtFinished else None,
                )
                for row in connection.execute(query)
            ]


def over(action: str, error_begins: str) -> sa.ColumnElement[bool]:
    """Return what an action's rows fulfil that failed for a reason which is over."""
    return sa.and_(
        table.c.action == action,
        table.c.status.in_((FAILED, DEAD)),
        table.c.error.startswith(error_begins, autoescape=True),
    )


def _row(webhook: Webhook) -> dict[str, Any]:
    return {
        "uuid": webhook.uuid,
        "dtStamp": _stored(webhook.arrived),
        "action": webhook.action,
        "payload": webhook.payload,
        "headers": webhook.headers,
        "status": PENDING,
        "attempts": 0,
    }


def _is_time(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.dtRetryAfter.is_(None), table.c.dtRetryAfter <= _stored(now))


def _by_size(sizes: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Put ids together whose payloads can be held at once."""
    ids: list[int] = []
    held = 0
    for row_id, size in sizes:
        if ids and (held + size > _SLICE_BYTES or len(ids) == _CHUNK):
            yield ids
            ids, held = [], 0
        ids.append(row_id)
        held += size
    if ids:
        yield ids


def _stored(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None)


def _stored_error(error: str) -> str:
    """Return the form in which a reason is kept: what no database takes is spelled out, and it is cut."""
    text = error.encode("utf-8", "backslashreplace")[: TEXT_BYTES - 4]
    return text.decode("utf-8", "ignore")

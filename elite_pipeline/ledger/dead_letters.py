"""One client's dead letters, as the flows use them (``spec/sync.md`` section 8).

A record that failed is written here, and only then may a watermark pass it. What does not belong here:
what a person sees of them and does with them (``dead_letter_office``).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import (
    DeadLetter,
    Failed,
    Name,
    fitted,
    letter_of,
    row_after,
    stored_time,
)
from elite_pipeline.ledger.tables import dead_letters as table

#: Letters in one statement: old SQLites take no more than 999 values.
_CHUNK = 300

_KEYS = ("client", "flow", "entity", "record")
_VALUES = tuple(column.name for column in table.columns if column.name not in _KEYS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one failure.

    Attributes:
        failed: As it was given; the last one where a record failed several times.
        letter: What is known of it now.
        is_new: It is the first failure in the letter's life.
        is_parked_now: It was not parked before this failure, and is now.
    """

    failed: Failed
    letter: DeadLetter
    is_new: bool
    is_parked_now: bool

    @property
    def is_news(self) -> bool:
        """Whether people should be told: the first time, and when no run tries it any more."""
        return self.is_new or self.is_parked_now


@dataclass(frozen=True, slots=True)
class Counts:
    """How many letters there are.

    Attributes:
        waiting: Tried again by runs to come.
        parked: Wait for a person.
        oldest: When the first of them first failed, aware, UTC; None: there are none.
    """

    waiting: int
    parked: int
    oldest: datetime | None


class DeadLetters:
    """The dead letters of one client. Every method is a transaction of its own.

    Args:
        database: Where they are.
        client: Whose they are.

    All methods raise what :meth:`LedgerDatabase.begin` does. Names of entities are given and returned
    as the flows have them; only one that is longer than the column is returned in its shortened form.
    """

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def record(self, failures: Sequence[Failed], now: datetime) -> list[Recorded]:
        """Write down what failed: one attempt more for what is known, a new letter for the rest.

        Two statements for each 300 failures.

        Args:
            failures: Several of one record count as one attempt.
            now: Aware.

        Returns:
            One entry for each record, in the order given.
        """
        by_key = {
            (failed.flow, *_name(failed.entity, failed.record)): failed for failed in failures
        }
        recorded: list[Recorded] = []
        if not by_key:
            return recorded
        with self._database.begin_writing() as connection:
            # sorted: two runs side by side then lock in the same order
            for chunk in chunked(sorted(by_key), _CHUNK):
                known = {
                    (letter.flow, letter.entity, letter.record): letter
                    for letter in self._known(connection, chunk)
                }
                rows = [row_after(self._client, by_key[key], known.get(key), now) for key in chunk]
                self._put(connection, rows)
                recorded += [
                    _recorded(by_key[key], known.get(key), letter_of(row))
                    for key, row in zip(chunk, rows, strict=True)
                ]
        order = {key: place for place, key in enumerate(by_key)}
        recorded.sort(key=lambda one: order[one.letter.flow, one.letter.entity, one.letter.record])
        return recorded

    def has_any(self, flow: str) -> bool:
        """Tell whether a flow has letters at all, parked ones included: one look into the key."""
        with self._database.begin() as connection:
            found = connection.execute(
                sa.select(table.c.entity).where(self._mine(flow)).limit(1)
            ).first()
        return found is not None

    def due(self, flow: str, now: datetime, most: int = 500) -> list[str]:
        """Return the entities of which something is due, those that failed first coming first."""
        return next(self.due_pages(flow, now, most), [])

    def due_pages(self, flow: str, now: datetime, size: int = 500) -> Iterator[list[str]]:
        """Yield all entities of which something is due, in pages, each entity once.

        What is done with a page before the next is asked for does not disturb the paging.
        """
        first_failed = sa.func.min(table.c.first_failed).label("first_failed")
        query = (
            sa.select(table.c.entity, first_failed)
            .where(self._mine(flow), table.c.next_attempt <= stored_time(now))
            .group_by(table.c.entity)
            .order_by(first_failed, table.c.entity)
            .limit(size)
        )
        last: tuple[datetime, str] | None = None
        while True:
            page = query
            if last is not None:
                oldest = sa.func.min(table.c.first_failed)
                page = query.having(
                    sa.or_(
                        oldest > last[0],
                        sa.and_(oldest == last[0], table.c.entity > last[1]),
                    )
                )
            with self._database.begin() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            yield [row.entity for row in rows]
            if len(rows) < size:
                return
            last = (rows[-1].first_failed, rows[-1].entity)

    def among(self, flow: str, entities: Collection[str]) -> dict[str, list[DeadLetter]]:
        """Return the letters of those entities that have any, by entity as it was given."""
        given = {fitted(entity): entity for entity in entities}
        found: dict[str, list[DeadLetter]] = {}
        if not given:
            return found
        with self._database.begin() as connection:
            for chunk in chunked(given, _CHUNK):
                rows = connection.execute(
                    sa.select(table)
                    .where(self._mine(flow), table.c.entity.in_(chunk))
                    .order_by(table.c.first_failed, table.c.record)
                ).mappings()
                for row in rows:
                    found.setdefault(given[row["entity"]], []).append(letter_of(row))
        return found

    def resolve(self, flow: str, entities: Collection[str], keep: Collection[Name] = ()) -> None:
        """Drop the letters of entities that came through.

        Args:
            flow: The flow in which they did.
            entities: What was tried as a whole, all of it.
            keep: Entity and record of what failed again.
        """
        kept = {_name(entity, record) for entity, record in keep}
        stumbled = {entity for entity, _ in kept}
        names = dict.fromkeys(map(fitted, entities))
        whole = [name for name in names if name not in stumbled]
        partly = [name for name in names if name in stumbled]
        if not names:
            return
        with self._database.begin_writing() as connection:
            for chunk in chunked(whole, _CHUNK):
                connection.execute(
                    sa.delete(table).where(self._mine(flow), table.c.entity.in_(chunk))
                )
            for chunk in chunked(partly, _CHUNK):
                rows = connection.execute(
                    sa.select(table.c.entity, table.c.record).where(
                        self._mine(flow), table.c.entity.in_(chunk)
                    )
                ).all()
                gone = [(row.entity, row.record) for row in rows]
                for some in chunked((name for name in gone if name not in kept), _CHUNK):
                    connection.execute(
                        sa.delete(table).where(
                            self._mine(flow), sa.tuple_(table.c.entity, table.c.record).in_(some)
                        )
                    )

    def counts(self, flow: str | None = None) -> Counts:
        """Count the letters of a flow, or all."""
        with self._database.begin() as connection:
            row = connection.execute(
                sa.select(
                    sa.func.count().label("all"),
                    sa.func.count(table.c.next_attempt).label("waiting"),
                    sa.func.min(table.c.first_failed).label("oldest"),
                ).where(self._mine(flow))
            ).one()
        oldest = row.oldest.replace(tzinfo=UTC) if row.oldest is not None else None
        return Counts(row.waiting, row.all - row.waiting, oldest)

    def listed(self, flow: str | None = None, most: int = 200) -> list[DeadLetter]:
        """Return the letters of a flow, or all, those that failed first coming first."""
        with self._database.begin() as connection:
            rows = connection.execute(
                sa.select(table)
                .where(self._mine(flow))
                .order_by(table.c.first_failed, table.c.flow, table.c.entity, table.c.record)
                .limit(most)
            ).mappings()
            return [letter_of(row) for row in rows]

    def _mine(self, flow: str | None) -> sa.ColumnElement[bool]:
        mine = table.c.client == self._client
        return mine if flow is None else sa.and_(mine, table.c.flow == flow)

    def _known(
        self, connection: sa.Connection, keys: Iterable[tuple[str, str, str]]
    ) -> list[DeadLetter]:
        names = [(entity, record) for _, entity, record in keys]
        rows = connection.execute(
            sa.select(table)
            .where(
                table.c.client == self._client,
                table.c.flow.in_({flow for flow, _, _ in keys}),
                # says nothing more, but MariaDB finds rows by it
                table.c.entity.in_({entity for entity, _ in names}),
                sa.tuple_(table.c.entity, table.c.record).in_(names),
            )
            .with_for_update()
        ).mappings()
        return [letter_of(row) for row in rows]

    def _put(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        if self._database.is_sqlite:
            lite = sqlite.insert(table)
            values = {name: lite.excluded[name] for name in _VALUES}
            connection.execute(lite.on_conflict_do_update(index_elements=_KEYS, set_=values), rows)
            return
        # in one statement: the driver would send those that update one by one
        many = mysql.insert(table).values(rows)
        connection.execute(
            many.on_duplicate_key_update({name: many.inserted[name] for name in _VALUES})
        )


def _name(entity: str, record: str) -> Name:
    return fitted(entity), fitted(record)


def _recorded(failed: Failed, known: DeadLetter | None, letter: DeadLetter) -> Recorded:
    was_parked = known is not None and known.parked
    return Recorded(failed, letter, known is None, letter.parked and not was_parked)

"""All clients' dead letters, as people look at them: listed, found by id, retried, discarded.

What does not belong here: how a flow records and settles them (``dead_letters``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import DeadLetter, letter_id, letter_of, stored_time
from elite_pipeline.ledger.dead_letters import Counts
from elite_pipeline.ledger.tables import dead_letters as table

#: Letters in one statement: four values each, and old SQLites take no more than 999.
_CHUNK = 200

#: Letters that are read at once.
_PAGE = 500

_KEY = (table.c.client, table.c.flow, table.c.entity, table.c.record)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; None: whatever it is.

    Attributes:
        client: Also one that is in no registry any more.
        parked: Only those that wait for a person.
    """

    client: str | None = None
    flow: str | None = None
    parked: bool = False

    def clause(self) -> sa.ColumnElement[bool]:
        """Return it as a condition."""
        return sa.and_(
            sa.true(),
            *([table.c.client == self.client] if self.client is not None else []),
            *([table.c.flow == self.flow] if self.flow is not None else []),
            *([table.c.next_attempt.is_(None)] if self.parked else []),
        )


class DeadLetterOffice:
    """The dead letters of all clients.

    Args:
        url: SQLAlchemy URL of the pipeline's database.

    Raises:
        ConfigurationError: It is not one.

    All methods raise what :meth:`LedgerDatabase.begin` does.
    """

    def __init__(self, url: str) -> None:
        self._database = LedgerDatabase(url)

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

    def count(self, selection: Selection) -> int:
        """Count letters."""
        with self._database.begin() as connection:
            return connection.execute(
                sa.select(sa.func.count()).select_from(table).where(selection.clause())
            ).scalar_one()

    def counts(self) -> dict[tuple[str, str], Counts]:
        """Return client and flow -> how many letters it has; one that has none is not among them."""
        query = sa.select(
            table.c.client,
            table.c.flow,
            sa.func.count().label("all"),
            sa.func.count(table.c.next_attempt).label("waiting"),
            sa.func.min(table.c.first_failed).label("oldest"),
        ).group_by(table.c.client, table.c.flow)
        with self._database.begin() as connection:
            return {
                (row["client"], row["flow"]): Counts(
                    waiting=row["waiting"],
                    parked=row["all"] - row["waiting"],
                    oldest=row["oldest"].replace(tzinfo=UTC),
                )
                for row in connection.execute(query).mappings()
            }

    def due(self, flow: str, now: datetime) -> dict[str, int]:
        """Return client -> how many of a flow's letters may be tried again now.

        Args:
            flow: The flow.
            now: Aware.
        """
        query = (
            sa.select(table.c.client, sa.func.count().label("letters"))
            .where(table.c.flow == flow, table.c.next_attempt <= stored_time(now))
            .group_by(table.c.client)
        )
        with self._database.begin() as connection:
            return {row.client: row.letters for row in connection.execute(query)}

    def listed(self, selection: Selection, most: int | None = None) -> Iterator[DeadLetter]:
        """Yield letters, those that failed first coming first.

        They are read in pages, so that who takes them slowly holds up no run.
        """
        order = sa.tuple_(table.c.first_failed, *_KEY)
        page = sa.select(table).where(selection.clause()).order_by(table.c.first_failed, *_KEY)
        query, left = page, most
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            with self._database.begin() as connection:
                rows = connection.execute(query.limit(size)).mappings().all()
            yield from map(letter_of, rows)
            if len(rows) < size:
                return
            left = None if left is None else left - size
            query = page.where(order > tuple(rows[-1][column] for column in order.clauses))

    def find(self, prefix: str) -> list[DeadLetter]:
        """Return the letters whose id begins so: one, unless there is none or it is too short."""
        with self._database.begin() as connection:
            keys = [
                tuple(row)
                for row in connection.execute(sa.select(*_KEY))
                if letter_id(*row).startswith(prefix.lower())
            ]
            found: list[DeadLetter] = []
            for chunk in chunked(keys, _CHUNK):
                rows = connection.execute(sa.select(table).where(_are(chunk))).mappings()
                found += [letter_of(row) for row in rows]
        return sorted(found, key=lambda letter: letter.id)

    def retry(self, what: Selection | Iterable[DeadLetter], now: datetime) -> int:
        """Make letters due at once, with their attempts counted from the beginning.

        Args:
            what: Which.
            now: Aware.

        Returns:
            How many there were; others have come through meanwhile.
        """
        change = sa.update(table).values(next_attempt=stored_time(now), attempts=0)
        return self._change(change, what)

    def discard(self, what: Selection | Iterable[DeadLetter]) -> int:
        """Forget letters; what they stood for is tried by no run any more.

        Returns:
            How many there were.
        """
        return self._change(sa.delete(table), what)

    def _change(self, change: sa.Update | sa.Delete, what: Selection | Iterable[DeadLetter]) -> int:
        if isinstance(what, Selection):
            clauses = iter([what.clause()])
        else:
            keys = ((one.client, one.flow, one.entity, one.record) for one in what)
            clauses = (_are(chunk) for chunk in chunked(keys, _CHUNK))
        with self._database.begin() as connection:
            return sum(connection.execute(change.where(clause)).rowcount for clause in clauses)


def _are(keys: Sequence[tuple[str, ...]]) -> sa.ColumnElement[bool]:
    return sa.tuple_(*_KEY).in_(keys)

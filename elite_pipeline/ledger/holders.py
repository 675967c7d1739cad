"""Who is at a client's flow: for people, when a run finds its lock held, and for whoever comes next.

A row stands as long as its run goes on. One whose run is over says that the run was killed, or had calls
cut off: what it had sent may still be carried out (``docs/decisions/0015``).
"""

from datetime import datetime

import sqlalchemy as sa

from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import stored_time
from elite_pipeline.ledger.tables import MOST_NAME_CHARS
from elite_pipeline.ledger.tables import holders as table

#: How people know a run, and when it began (naive, UTC).
Holder = tuple[str, datetime]


class Holders:
    """Who is at each flow of one client. Whoever writes here holds the flow's lock.

    All methods raise what ``LedgerDatabase.begin`` does.
    """

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def put(self, flow: str, holder: str, now: datetime) -> Holder | None:
        """Say that ``holder`` has begun a flow.

        Args:
            flow: The flow.
            holder: How people know it.
            now: Aware.

        Returns:
            Who had begun it before and did not say that all was done; None: whoever it was did.
        """
        values = {"holder": holder[:MOST_NAME_CHARS], "since": stored_time(now)}
        with self._database.begin() as connection:
            former = self._of(connection, flow)
            if former is None:
                connection.execute(
                    sa.insert(table).values(client=self._client, flow=flow, **values)
                )
            else:
                connection.execute(sa.update(table).where(self._is(flow)).values(values))
        return former

    def end(self, flow: str, holder: str, heir: Holder | None = None) -> None:
        """Say that ``holder`` has ended; what somebody else has said meanwhile stays.

        Args:
            flow: The flow.
            holder: As it was put.
            heir: Who is to stand there instead; None: nobody.
        """
        is_own = sa.and_(self._is(flow), table.c.holder == holder[:MOST_NAME_CHARS])
        with self._database.begin() as connection:
            if heir is None:
                connection.execute(sa.delete(table).where(is_own))
            else:
                values = {"holder": heir[0], "since": heir[1]}
                connection.execute(sa.update(table).where(is_own).values(values))

    def of(self, flow: str) -> Holder | None:
        """Return who is at a flow, or left it in doubt; None: nobody."""
        with self._database.begin() as connection:
            return self._of(connection, flow)

    def _of(self, connection: sa.Connection, flow: str) -> Holder | None:
        row = connection.execute(
            sa.select(table.c.holder, table.c.since).where(self._is(flow))
        ).one_or_none()
        return (row.holder, row.since) if row is not None else None

    def _is(self, flow: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.client == self._client, table.c.flow == flow)

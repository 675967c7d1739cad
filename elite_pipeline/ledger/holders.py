"""Who is at a client's flow: for people, when another run finds its lock held."""

from datetime import datetime

import sqlalchemy as sa

from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import stored_time
from elite_pipeline.ledger.tables import MOST_NAME_CHARS
from elite_pipeline.ledger.tables import holders as table


class Holders:
    """Who has last begun each flow of one client.

    All methods raise what ``LedgerDatabase.begin`` does.
    """

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def put(self, flow: str, holder: str, now: datetime) -> None:
        """Say that ``holder`` has begun a flow, of which the lock is held.

        Args:
            flow: The flow.
            holder: How people know it.
            now: Aware.
        """
        values = {"holder": holder[:MOST_NAME_CHARS], "since": stored_time(now)}
        with self._database.begin() as connection:
            changed = connection.execute(sa.update(table).where(self._is(flow)).values(values))
            # a server counts a row that is as it was as not changed; it is there all the same
            if not changed.rowcount and self._of(connection, flow) is None:
                connection.execute(
                    sa.insert(table).values(client=self._client, flow=flow, **values)
                )

    def of(self, flow: str) -> tuple[str, datetime] | None:
        """Return who has last begun a flow, and when (naive, UTC); None: nobody is known."""
        with self._database.begin() as connection:
            return self._of(connection, flow)

    def _of(self, connection: sa.Connection, flow: str) -> tuple[str, datetime] | None:
        row = connection.execute(
            sa.select(table.c.holder, table.c.since).where(self._is(flow))
        ).one_or_none()
        return (row.holder, row.since) if row is not None else None

    def _is(self, flow: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.client == self._client, table.c.flow == flow)

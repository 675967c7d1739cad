"""Whether people have typed something that TOGA 2 does not have, in one statement.

It is asked for often, and nearly always in vain: nothing is grouped and no text is read. With the
indexes on ``timestamp`` (``indexes``) it looks at what is newer than a point and at nothing else;
without them it reads the three tables once.

What came from TOGA 2 carries its ``referenceId`` and does not count, so that what the sync has written
is never taken for something that people typed.

What does not belong here: what is done about it (``sync.probe``).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from elite_pipeline.togadesk.tables import COMMENTS, REPLIES, TICKETS


class Unsent(NamedTuple):
    """What has not been sent, by its times: naive, in the helpdesk's zone.

    Attributes:
        now: The time of the server: aware, UTC, in whole seconds.
        oldest, newest: Of the rows that were asked for; None: there are none.
    """

    now: datetime
    oldest: datetime | None
    newest: datetime | None


def query(
    client_id: int,
    departments: Sequence[int],
    at_or_after: datetime,
    clock: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    """Return the statement, which gives the server's time, and the oldest and the newest time.

    Args:
        client_id: Whose tickets.
        departments: In which departments.
        at_or_after: Naive, in the helpdesk's zone: the first time that counts.
        clock: Gives the server's time.
    """
    own = sa.and_(TICKETS.c.clientid == client_id, TICKETS.c.departmentid.in_(departments))
    parts = [_times(TICKETS, TICKETS, at_or_after).where(own)]
    for table in (REPLIES, COMMENTS):
        joined = table.join(TICKETS, TICKETS.c.id == table.c.ticketid)
        parts.append(_times(table, joined, at_or_after).where(own))
    # three rows, however much there is
    found = sa.union_all(*parts).subquery("unsent")
    return sa.select(clock, sa.func.min(found.c.oldest), sa.func.max(found.c.newest))


def _times(table: sa.Table, source: sa.FromClause, at_or_after: datetime) -> sa.Select[Any]:
    time = table.c.timestamp
    return (
        sa.select(sa.func.min(time).label("oldest"), sa.func.max(time).label("newest"))
        .select_from(source)
        .where(time >= at_or_after, sa.func.coalesce(table.c.referenceId, "") == "")
    )

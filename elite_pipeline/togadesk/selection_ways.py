"""Which way of finding the changed tickets is likely to be the quickest one.

All of them give the same tickets (``changed_tickets``). The guess costs a few small statements, and
those only where the point that is asked from is far back, or may be.

What does not belong here: the statements that find them (``changed_tickets``).
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa

from elite_pipeline.togadesk.sending import Sender
from elite_pipeline.togadesk.tables import REPLIES, TICKETS

#: Older points mean a full first sync (the watermark begins at 2000-01-01): everything is newer.
_EVERYTHING = datetime.fromisoformat("2001-01-01")

#: Tickets that are looked at to guess what share of all a client has.
_SAMPLED = 500

_STATISTICS = sa.table(
    "statistics",
    *map(sa.column, ("table_schema", "table_name", "column_name", "seq_in_index")),
    schema="information_schema",
)


class Way(Enum):
    """How the changed tickets are found.

    Attributes:
        NEWS: From the rows past the point to their tickets. The quickest, unless those are most rows.
        ALL: The documented query, which groups the rows of everybody's tickets.
        OWN: The same, of the own tickets' rows alone. Quicker if those are few among all, and no index
            leads from a ticket to its rows.
    """

    NEWS = auto()
    ALL = auto()
    OWN = auto()


class Guess:
    """Guesses for one client's tickets. Every method can raise what ``TogadeskStore.run`` lists.

    Args:
        sender: Reads the server as it is.
        client_id: Whose tickets.
        departments: In which departments.
    """

    def __init__(self, sender: Sender, client_id: int, departments: Sequence[int]) -> None:
        self._sender = sender
        self._client_id = client_id
        self._departments = departments

    def quickest(self, after: datetime | None, *, is_far: bool) -> Way:
        """Return the way that is likely to be the quickest one.

        Args:
            after: Naive, in the helpdesk's zone: the point; None: all tickets are wanted.
            is_far: Whether it may lie before most of what there is.
        """
        is_everything = after is None or after < _EVERYTHING
        if after is not None and not is_everything and not (is_far and self._is_before_most(after)):
            return Way.NEWS
        if self._sender.dialect.name == "sqlite" or self._has_index():
            return Way.ALL
        return Way.OWN if self._has_few() else Way.ALL

    def _is_before_most(self, after: datetime) -> bool:
        """Tell whether about two thirds of the replies are newer than a point, by where ids stand."""
        id_, timestamp = REPLIES.c.id, REPLIES.c.timestamp
        place = self._highest_id(REPLIES) // 3
        query = sa.select(timestamp).where(id_ >= place).order_by(id_).limit(1)
        rows = self._sender.read(query, REPLIES.name)
        return any(time is not None and time > after for (time,) in rows)

    def _has_index(self) -> bool:
        """Tell whether an index leads from a ticket to its replies."""
        query: sa.Select[Any] = sa.select(sa.func.count()).where(
            _STATISTICS.c.table_schema == sa.func.database(),
            _STATISTICS.c.table_name == REPLIES.name,
            _STATISTICS.c.column_name == REPLIES.c.ticketid.name,
            _STATISTICS.c.seq_in_index == 1,
        )
        ((count,),) = self._sender.read(query, REPLIES.name)
        return bool(count)

    def _has_few(self) -> bool:
        """Tell whether about a third of all tickets, or less, are the client's."""
        # odd: where several servers give out ids in turns, all of them may be odd, or even
        step = self._highest_id(TICKETS) // _SAMPLED | 1
        own = sa.and_(
            TICKETS.c.clientid == self._client_id, TICKETS.c.departmentid.in_(self._departments)
        )
        counts: list[sa.ColumnElement[Any]] = [
            sa.func.count(),
            sa.func.sum(sa.case((own, 1), else_=0)),
        ]
        among = range(step, (_SAMPLED + 1) * step, step)
        query = sa.select(*counts).where(TICKETS.c.id.in_(among))
        ((count, few),) = self._sender.read(query, TICKETS.name)
        return bool(count and 3 * int(few) <= count)

    def _highest_id(self, table: sa.Table) -> int:
        query: sa.Select[Any] = sa.select(sa.func.max(table.c.id))
        ((highest,),) = self._sender.read(query, table.name)
        return int(highest or 0)

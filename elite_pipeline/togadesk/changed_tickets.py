"""Which tickets have something new: the selection of ``spec/sync.md`` section 5, in one statement.

A ticket's newest time is the newest of its own ``timestamp`` and those of its replies and comments.
Where that lies past a point, it lies among the rows that lie past the point themselves: only those
are grouped, and the tickets looked up by their primary key. The answer is that of the documented
query, which groups both tables whole. What makes it cheap are indexes on ``timestamp`` (``indexes``);
without them it still reads each table once, and groups next to nothing. Where most rows would be grouped
anyway, as for a full first sync, the documented query is the faster one, and used.

What does not belong here: which point to start from, and what becomes of the tickets (``sync``).
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from operator import le
from typing import Any, NamedTuple, overload

import sqlalchemy as sa

from elite_pipeline.togadesk.tables import COMMENTS, REPLIES, TICKETS

_SECOND = timedelta(seconds=1)
_FIRST = datetime.fromisoformat("0001-01-01")
_UNKNOWN = -1

#: Older points mean a full first sync (the watermark begins at 2000-01-01): everything is newer.
_EVERYTHING = datetime.fromisoformat("2001-01-01")


class ChangedTicket(NamedTuple):
    """A ticket, and when something last happened to it.

    Attributes:
        id: ``tickets.id``.
        newest: The newest ``timestamp`` of the ticket, its replies and its comments: naive, in the
            helpdesk's zone. None: nothing of it has a time (``0000-00-00 00:00:00``).
        rows: How many of them are past the point; 0: all were asked for, and they were not counted.
    """

    id: int
    newest: datetime | None
    rows: int = 0


class ChangedTickets(Sequence[ChangedTicket]):
    """Tickets in the order of (``newest``, ``id``), those without a time first.

    Holds 20 bytes a ticket: a full first sync of a million is 20 MB, and five times that for the moment
    in which they are sorted.

    Args:
        rows: As :func:`query` gives them, in whichever order.
    """

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self._ids = array("q")
        self._seconds = array("q")
        self._rows = array("i")
        for id_, newest, *counted in rows:
            self._ids.append(id_)
            self._rows.append(int(counted[0]) if counted else 0)
            self._seconds.append(_UNKNOWN if newest is None else (newest - _FIRST) // _SECOND)
        self._sort()

    def _sort(self) -> None:
        # of one number each: a server takes longer, and tuples take more memory
        keys = [seconds << 64 | id_ for seconds, id_ in zip(self._seconds, self._ids, strict=True)]
        if all(map(le, keys, islice(keys, 1, None))):
            return
        places = sorted(range(len(keys)), key=keys.__getitem__)
        for name in ("_ids", "_seconds", "_rows"):
            column: array[int] = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, places)))

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> ChangedTicket: ...

    @overload
    def __getitem__(self, place: slice) -> list[ChangedTicket]: ...

    def __getitem__(self, place: int | slice) -> ChangedTicket | list[ChangedTicket]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return _ticket(self._ids[place], self._seconds[place], self._rows[place])

    def __iter__(self) -> Iterator[ChangedTicket]:
        return map(_ticket, self._ids, self._seconds, self._rows)

    def __repr__(self) -> str:
        return f"<{len(self)} changed tickets>"


def _ticket(id_: int, seconds: int, rows: int) -> ChangedTicket:
    known = seconds != _UNKNOWN
    return ChangedTicket(id_, _FIRST + timedelta(seconds=seconds) if known else None, rows)


def is_everything(after: datetime | None) -> bool:
    """Whether a point is certainly older than all there is."""
    return after is None or after < _EVERYTHING


def query(
    client_id: int,
    departments: Sequence[int],
    after: datetime | None,
    dialect: str,
    *,
    is_most: bool = False,
) -> sa.Select[Any]:
    """Return the statement, which gives ``id``, ``newest`` and, of news alone, ``counted`` of tickets.

    In no particular order: a server that sorts them takes longer than :class:`ChangedTickets` does.

    Args:
        client_id: Whose tickets.
        departments: In which departments.
        after: Naive, in the helpdesk's zone; only what is strictly newer counts. None: all tickets.
        dialect: Name of the server's dialect.
        is_most: Most of what there is seems to be newer. The tickets are the same either way.
    """
    own = sa.and_(TICKETS.c.clientid == client_id, TICKETS.c.departmentid.in_(departments))
    if is_most or is_everything(after) or after is None:
        chosen, newest = _among_all(dialect)
        if after is not None:
            chosen = chosen.where(newest > after)
    else:
        chosen = _among_news(own, after)
    return chosen.where(own)


def _among_news(own: sa.ColumnElement[bool], after: datetime) -> sa.Select[Any]:
    """Go from the rows that are newer to their tickets."""
    timestamp = TICKETS.c.timestamp
    one: sa.Label[int] = sa.literal_column("1", sa.Integer).label("counted")
    tickets = sa.select(TICKETS.c.id.label("ticketid"), timestamp.label("latest"), one)
    others = [
        _latest(table)
        .add_columns(sa.func.count().label("counted"))
        .where(table.c.timestamp > after)
        for table in (REPLIES, COMMENTS)
    ]
    news = sa.union_all(tickets.where(own, timestamp > after), *others).subquery("news")
    newest = sa.func.max(news.c.latest).label("newest")
    return (
        sa.select(TICKETS.c.id, newest, sa.func.sum(news.c.counted).label("counted"))
        .select_from(news.join(TICKETS, TICKETS.c.id == news.c.ticketid))
        .group_by(TICKETS.c.id)
    )


def _among_all(dialect: str) -> tuple[sa.Select[Any], sa.ColumnElement[Any]]:
    """Go through all tickets: the documented query."""
    timestamp = TICKETS.c.timestamp
    joined: sa.FromClause = TICKETS
    times: list[sa.ColumnElement[Any]] = [timestamp]
    for table in (REPLIES, COMMENTS):
        latest = _latest(table).subquery(f"latest_{table.name}")
        joined = joined.outerjoin(latest, latest.c.ticketid == TICKETS.c.id)
        times.append(sa.func.coalesce(latest.c.latest, timestamp))
    greatest = sa.func.max if dialect == "sqlite" else sa.func.greatest
    newest = greatest(*times, type_=timestamp.type)
    shown: sa.ColumnElement[Any] = newest
    if dialect != "sqlite":
        # the driver takes times apart with a pattern, one by one; from their text they are read at once
        shown = sa.type_coerce(sa.cast(newest, sa.CHAR(19)), timestamp.type)
    return sa.select(TICKETS.c.id, shown.label("newest")).select_from(joined), newest


def _latest(table: sa.Table) -> sa.Select[Any]:
    latest = sa.func.max(table.c.timestamp).label("latest")
    return sa.select(table.c.ticketid, latest).group_by(table.c.ticketid)

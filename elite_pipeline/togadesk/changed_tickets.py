"""Which tickets have something new: the selection of ``spec/sync.md`` section 5, in one statement.

A ticket's newest time is the newest of its own ``timestamp`` and those of its replies and comments.
Where that lies past a point, it lies among the rows that lie past the point themselves: only those
are grouped, and the tickets looked up by their primary key. The answer is that of the documented
query, which groups both tables whole. What makes it cheap are indexes on ``timestamp`` (``indexes``);
without them it still reads each table once, and groups next to nothing. Where most rows would be grouped
anyway, as for a full first sync, the documented query is the faster one, and used; and where most of
them are about tickets of others, one that leaves those out first (``selection_ways``).

What does not belong here: which way is the quickest one, which point to start from, and what becomes
of the tickets (``sync``).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice, repeat
from operator import itemgetter, le
from typing import Any, NamedTuple, overload

import sqlalchemy as sa

from elite_pipeline.togadesk.selection_ways import Way
from elite_pipeline.togadesk.tables import COMMENTS, REPLIES, TICKETS

_FIRST = datetime.fromisoformat("0001-01-01")
#: Seconds from it to the beginning of the years that computers count from.
_1970_SECONDS = 719_162 * 86_400
#: Seconds from the year 0, from which MySQL counts, to it.
_FIRST_SECONDS = 366 * 86_400
_UNKNOWN = -1
_NO_LIMIT = 2**63 - 1


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
        chunks: Rows as :func:`query` gives them, in whichever order, many at a time.
    """

    def __init__(self, chunks: Iterable[Sequence[Sequence[Any]]] = ()) -> None:
        self._ids, self._seconds, self._rows = array("q"), array("q"), array("i")
        for chunk in chunks:
            for row in chunk:
                self._ids.append(row[0])
                self._seconds.append(_UNKNOWN if row[1] is None else row[1])
            if len(chunk[0]) > 2:
                self._rows.extend(int(row[2]) for row in chunk)
        # a server takes longer; of the same time, they stay in the order of their ids
        self._sort_by(self._ids)
        self._sort_by(self._seconds)
        # Python has no year 0
        self._without_time = bisect_left(self._seconds, 0)

    def _sort_by(self, key: "array[int]") -> None:
        if all(map(le, key, islice(key, 1, None))):
            return
        # numbers with a point are compared the fastest
        places = sorted(range(len(key)), key=array("d", key).__getitem__)
        reordered = itemgetter(*places)
        self._ids, self._seconds = (
            array("q", reordered(self._ids)),
            array("q", reordered(self._seconds)),
        )
        if self._rows:
            self._rows = array("i", reordered(self._rows))

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> ChangedTicket: ...

    @overload
    def __getitem__(self, place: slice) -> list[ChangedTicket]: ...

    def __getitem__(self, place: int | slice) -> ChangedTicket | list[ChangedTicket]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        seconds = self._seconds[place]
        newest = None if seconds < 0 else _FIRST + timedelta(0, seconds)
        return ChangedTicket(self._ids[place], newest, self._rows[place] if self._rows else 0)

    def __iter__(self) -> Iterator[ChangedTicket]:
        known = islice(self._seconds, self._without_time, None)
        times = map(_FIRST.__add__, map(timedelta, repeat(0), known))
        newest = chain(repeat(None, self._without_time), times)
        rows = self._rows or repeat(0, len(self))
        return map(ChangedTicket._make, zip(self._ids, newest, rows, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self)} changed tickets>"


def query(
    client_id: int,
    departments: Sequence[int],
    after: datetime | None,
    dialect: str,
    way: Way,
) -> sa.Select[Any]:
    """Return the statement, which gives ``id``, ``newest`` and, of news alone, ``counted`` of tickets.

    All of them are numbers, the time in seconds since the year 1 (NULL: none), since a driver takes
    times apart one by one. They come in no particular order: a server that sorts them takes longer
    than :class:`ChangedTickets` does.

    Args:
        client_id: Whose tickets.
        departments: In which departments.
        after: Naive, in the helpdesk's zone; only what is strictly newer counts. None: all tickets.
        dialect: Name of the server's dialect.
        way: Which one is used. ``NEWS`` needs a point.
    """
    own = sa.and_(TICKETS.c.clientid == client_id, TICKETS.c.departmentid.in_(departments))
    if after is not None and way is Way.NEWS:
        chosen = _among_news(own, after, dialect)
    else:
        chosen, newest = _among_all(own if way is Way.OWN else None, dialect)
        if after is not None:
            chosen = chosen.where(newest > after)
    return chosen.where(own)


def _seconds(time: sa.ColumnElement[Any], dialect: str) -> sa.Label[Any]:
    """Return seconds since the year 1, where Python begins; NULL for what is no time."""
    if dialect == "sqlite":
        seconds = sa.cast(sa.func.strftime("%s", time), sa.Integer) + _1970_SECONDS
    else:
        # of its text: of a time that it has at hand, a server takes the day 0 for the one before the 1st
        text = sa.cast(time, sa.CHAR(19))
        seconds = sa.func.to_seconds(text, type_=sa.BigInteger) - _FIRST_SECONDS
    return seconds.label("newest")


def _among_news(own: sa.ColumnElement[bool], after: datetime, dialect: str) -> sa.Select[Any]:
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
    newest = _seconds(sa.func.max(news.c.latest), dialect)
    return (
        sa.select(TICKETS.c.id, newest, sa.func.sum(news.c.counted).label("counted"))
        .select_from(news.join(TICKETS, TICKETS.c.id == news.c.ticketid))
        .group_by(TICKETS.c.id)
    )


def _among_all(
    own: sa.ColumnElement[bool] | None, dialect: str
) -> tuple[sa.Select[Any], sa.ColumnElement[Any]]:
    """Go through all tickets: the documented query. Of replies and comments, through ``own`` ones'."""
    timestamp = TICKETS.c.timestamp
    joined: sa.FromClause = TICKETS
    times: list[sa.ColumnElement[Any]] = [timestamp]
    for table in (REPLIES, COMMENTS):
        grouped = _latest(table)
        if own is not None:
            # with a limit a server writes them down and makes an index of its own for them
            among = sa.select(TICKETS.c.id).where(own).limit(_NO_LIMIT).subquery("own")
            grouped = grouped.select_from(table.join(among, among.c.id == table.c.ticketid))
            for each in ("mysql", "mariadb"):
                grouped = grouped.prefix_with("STRAIGHT_JOIN", dialect=each)
        latest = grouped.subquery(f"latest_{table.name}")
        joined = joined.outerjoin(latest, latest.c.ticketid == TICKETS.c.id)
        times.append(sa.func.coalesce(latest.c.latest, timestamp))
    greatest = sa.func.max if dialect == "sqlite" else sa.func.greatest
    newest = greatest(*times, type_=timestamp.type)
    return sa.select(TICKETS.c.id, _seconds(newest, dialect)).select_from(joined), newest


def _latest(table: sa.Table) -> sa.Select[Any]:
    latest = sa.func.max(table.c.timestamp).label("latest")
    return sa.select(table.c.ticketid, latest).group_by(table.c.ticketid)

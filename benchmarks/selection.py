"""Finding the tickets that changed: the documented query, and ours, without and with the indexes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from benchmarks.surroundings import ContestantError, Surroundings, Tell
from benchmarks.table import Figure, ratio
from elite_pipeline.togadesk import TogadeskStore, connect, indexes, tables
from elite_pipeline.togadesk.bulk import literal

CLIENT = 1
DEPARTMENTS = (1, 2)
REPLIES_EACH = 5
#: How many tickets a scheduled run finds changed, about.
CHANGED = 50
#: Rounds for each one that the command asks for: a query takes a moment, a sync takes minutes.
REPEATS = 5

_DOCUMENTED = """
SELECT t.id, GREATEST(t.timestamp, COALESCE(r.latest, t.timestamp), COALESCE(c.latest, t.timestamp))
       AS newest
FROM tickets t
LEFT JOIN (SELECT ticketid, MAX(timestamp) AS latest FROM tickets_replies GROUP BY ticketid) r
  ON r.ticketid = t.id
LEFT JOIN (SELECT ticketid, MAX(timestamp) AS latest FROM comments GROUP BY ticketid) c
  ON c.ticketid = t.id
WHERE t.clientid = 1 AND t.departmentid IN (1, 2)
HAVING newest > '{after}'
"""
_OTHER = "the documented query"

_LONG_AGO = datetime.fromisoformat("2000-01-01")
_START = datetime.fromisoformat("2024-01-01 00:00:00")
_PERIOD = timedelta(days=700)
_TEXT = "'<p>Hello, we have looked at the device on site and replaced its power supply.</p>'"


def measure_selection(
    here: Surroundings, *, tickets: int, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Measure with ``tickets`` tickets, five times as many replies, and as many comments."""
    repeats = rounds * REPEATS
    with _filled(here, tickets, tell) as helpdesk:
        points = {
            "nothing changed": helpdesk.newest(),
            f"about {CHANGED} changed": helpdesk.changed_since(CHANGED),
            "half of them changed": helpdesk.changed_since(None),
            "all of them changed": _LONG_AGO,
            "all of them changed, and a person chose the point": _START - timedelta(days=1),
        }
        for state, target in (("without indexes", 1.0), ("with the indexes", 1 / 10)):
            if target < 1:
                tell("selection: adding the indexes")
                helpdesk.add_indexes()
            tell(f"selection: {state}, {repeats} rounds")
            for title, after in points.items():
                is_routine = "of them" not in title
                yield helpdesk.figure(
                    after,
                    repeats,
                    f"{tickets:,} tickets, {state}",
                    title,
                    # never slower without; with them a scheduled run is to be cheap
                    target if is_routine or target == 1 else None,
                )
    with _filled(here, tickets, tell, is_shared=False) as helpdesk:
        tell(f"selection: all of them one client's, {repeats} rounds")
        work = f"{tickets:,} tickets, all of them one client's, without indexes"
        yield helpdesk.figure(_LONG_AGO, repeats, work, "all of them changed", 1.0)


@contextmanager
def _filled(
    here: Surroundings, tickets: int, tell: Tell, *, is_shared: bool = True
) -> "Iterator[_Helpdesk]":
    with here.helpdesk() as desk:
        url = desk.url.render_as_string(hide_password=False)
        with closing(_Helpdesk(url)) as helpdesk:
            tell(f"selection: making {tickets:,} tickets and {tickets * REPLIES_EACH:,} replies")
            helpdesk.fill(tickets, is_shared=is_shared)
            yield helpdesk


class _Helpdesk:
    """The filled helpdesk, read by the pipeline's store and with plain SQL."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url, read_timeout=None)
        self._store = TogadeskStore(self._engine, client_id=CLIENT, timezone=ZoneInfo("UTC"))

    def close(self) -> None:
        self._store.close()
        self._engine.dispose()

    def fill(self, tickets: int, *, is_shared: bool) -> None:
        replies = tickets * REPLIES_EACH
        mixed = {"clientid": "1", "departmentid": "1"}
        if is_shared:
            # by four clients with three departments each; time goes on with the ids
            mixed = {"clientid": "1 + seq DIV 7 % 4", "departmentid": "1 + seq DIV 3 % 3"}
        subject = "CONCAT('Printer ', seq, ' at the front desk prints blank pages')"
        self._insert(tables.TICKETS, tickets, {**mixed, "subject": subject})
        for table, count, column, seed in (
            (tables.REPLIES, replies, "message", 1),
            (tables.COMMENTS, tickets, "comment", 2),
        ):
            # most are written about younger tickets
            ticket = f"1 + FLOOR({tickets} * seq / {count} * (1 - POW(RAND({seed}), 6)))"
            ticket = f"LEAST({tickets}, {ticket})"
            text = f"REPEAT({_TEXT}, 4)"
            self._insert(table, count, {"ticketid": ticket, column: text})
        with self._engine.connect() as connection:
            for table in (tables.TICKETS, tables.REPLIES, tables.COMMENTS):
                connection.exec_driver_sql(f"ANALYZE TABLE {table.name}").all()

    def _insert(self, table: sa.Table, count: int, given: dict[str, str]) -> None:
        """Insert rows made of ``seq``, their number, by the server itself."""
        seconds = int(_PERIOD.total_seconds())
        values = {
            column.name: literal(tables.neutral(column))
            for column in table.c
            if not column.primary_key
        }
        values["timestamp"] = f"'{_START}' + INTERVAL FLOOR(seq * {seconds} / {count}) SECOND"
        values |= given
        names = ", ".join(f"`{name}`" for name in values)
        with self._engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values.values())} "
                f"FROM seq_1_to_{count}",
                None,
                {"no_parameters": True},
            )

    def add_indexes(self) -> None:
        list(indexes.apply(self._engine, indexes.additions(self._engine)))

    def newest(self) -> datetime:
        newest: datetime = self._ours(None)[-1][1]
        return newest

    def changed_since(self, count: int | None) -> datetime:
        """Return a point past which so many tickets changed, or half of all."""
        everything = self._ours(None)
        place = len(everything) - (len(everything) // 2 if count is None else count) - 1
        point: datetime = everything[max(0, place)][1]
        return point

    def figure(
        self, after: datetime, repeats: int, work: str, title: str, target: float | None
    ) -> Figure:
        """Run both in turns, after a round that fills the caches; the answers must be the same."""
        times: defaultdict[str, list[float]] = defaultdict(list)
        for number in range(repeats + 1):
            with _timed() as theirs:
                expected = self._theirs(after)
            with _timed() as ours:
                found = self._ours(after, is_chosen="chose" in title)
            if sorted(found) != sorted(expected):
                raise ContestantError(
                    f"selection: {len(found)} tickets found, not the {len(expected)} that are wanted"
                )
            if number:
                times["theirs"].append(theirs[0])
                times["ours"].append(ours[0])
        return ratio(
            f"selecting changed tickets, {work}",
            _OTHER,
            times["ours"],
            times["theirs"],
            target,
            note=f"{title}: {len(expected)} found",
        )

    def _theirs(self, after: datetime) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(_DOCUMENTED.format(after=after))
            return [tuple(row) for row in rows]

    def _ours(self, after: datetime | None, *, is_chosen: bool = False) -> list[tuple[Any, ...]]:
        changed = self._store.run(
            lambda tx: tx.changed_tickets(DEPARTMENTS, after, is_far=is_chosen)
        )
        return [(ticket.id, ticket.newest) for ticket in changed]


@contextmanager
def _timed() -> Iterator[list[float]]:
    seconds: list[float] = []
    started = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - started)

"""The selection of changed tickets gives what the documented query gives, in one statement."""

import contextlib
import os
import random
import signal
import threading
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from elite_pipeline.errors import SystemicError
from elite_pipeline.togadesk import SchemaError, changed_tickets, tables
from elite_pipeline.togadesk.changed_tickets import ChangedTicket, ChangedTickets
from elite_pipeline.togadesk.selection_ways import Guess, Way
from elite_pipeline_tests.support.helpdesks import SERVER_PARAMS, Helpdesk, Opener
from elite_pipeline_tests.support.waiting import wait_until

START = datetime.fromisoformat("2026-06-10 08:00:00")
ZERO = "0000-00-00 00:00:00"
NEVER = "1900-01-01 00:00:00"

#: As documented, but for the names of what differs between databases.
DOCUMENTED = """
SELECT id, newest FROM (
  SELECT t.id, {greatest}(t.timestamp, COALESCE(r.latest, t.timestamp),
                          COALESCE(c.latest, t.timestamp)) AS newest
  FROM tickets t
  LEFT JOIN (SELECT ticketid, MAX(timestamp) AS latest FROM tickets_replies GROUP BY ticketid) r
    ON r.ticketid = t.id
  LEFT JOIN (SELECT ticketid, MAX(timestamp) AS latest FROM comments GROUP BY ticketid) c
    ON c.ticketid = t.id
  WHERE t.clientid = {client} AND t.departmentid IN ({departments})
) AS found WHERE newest > '{after}'
"""


def moment(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class Rows:
    """Puts rows into a helpdesk, times as they are given, the zero date too."""

    def __init__(self, helpdesk: Helpdesk) -> None:
        self._helpdesk = helpdesk

    def add(self, table: str, rows: list[dict[str, object]]) -> None:
        declared = tables.table(table)
        columns = [column for column in declared.c if column.name != "id" or "id" in rows[0]]
        marks = ", ".join("?" if self._helpdesk.server is None else "%s" for _ in columns)
        names = ", ".join(column.name for column in columns)
        values = [
            tuple(_plain(row.get(column.name, column.info.get("neutral"))) for column in columns)
            for row in rows
        ]
        with self._helpdesk.engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

    def ticket(self, id_: int, at: object, *, client: int = 1, department: int = 1) -> None:
        row = {"id": id_, "clientid": client, "departmentid": department, "timestamp": at}
        self.add("tickets", [dict(row)])

    def reply(self, ticket: int, at: object) -> None:
        self.add("tickets_replies", [{"ticketid": ticket, "timestamp": at}])

    def comment(self, ticket: int, at: object, *, client: int = 1) -> None:
        self.add("comments", [{"ticketid": ticket, "timestamp": at, "clientid": client}])


def _plain(value: object) -> object:
    return str(value) if isinstance(value, datetime) else value


@pytest.fixture
def rows(helpdesk: Helpdesk) -> Rows:
    return Rows(helpdesk)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[Way]:
    """Take down which way each selection goes."""
    taken: list[Way] = []
    meant = changed_tickets.query

    def query(*args: Any) -> Any:
        taken.append(args[-1])
        return meant(*args)

    monkeypatch.setattr(changed_tickets, "query", query)
    return taken


def select(
    helpdesk: Helpdesk, after: datetime | None, departments: tuple[int, ...] = (1, 2)
) -> list[ChangedTicket]:
    with helpdesk.store() as store:
        found = list(store.run(lambda tx: tx.changed_tickets(departments, after)))
        # whichever way they are found
        for way in Way if after is not None else (Way.ALL, Way.OWN):
            with mock.patch.object(Guess, "quickest", return_value=way):
                others = store.run(lambda tx: tx.changed_tickets(departments, after))
            assert [one[:2] for one in others] == [one[:2] for one in found], way
        return found


def pairs(helpdesk: Helpdesk, after: datetime | None) -> list[tuple[int, datetime | None]]:
    return [(ticket.id, ticket.newest) for ticket in select(helpdesk, after)]


def documented(
    helpdesk: Helpdesk, after: object, departments: tuple[int, ...] = (1, 2), client: int = 1
) -> list[tuple[int, str]]:
    statement = DOCUMENTED.format(
        greatest="MAX" if helpdesk.server is None else "GREATEST",
        client=client,
        departments=", ".join(map(str, departments)),
        after=after,
    )
    found = [(int(row[0]), str(row[1])) for row in helpdesk.rows(statement)]
    return sorted(found, key=lambda row: (row[1], row[0]))


def as_text(found: list[ChangedTicket]) -> list[tuple[int, str]]:
    return [(ticket.id, str(ticket.newest)) for ticket in found]


@pytest.mark.parametrize("seed", range(3))
def test_the_answer_is_that_of_the_documented_query(
    helpdesk: Helpdesk, rows: Rows, seed: int
) -> None:
    chance = random.Random(seed)

    def time() -> object:
        # few different times: many records share one, and the point itself
        return ZERO if chance.random() < 0.05 else moment(chance.randrange(60))

    ids = chance.sample(range(1, 400), 150)
    rows.add(
        "tickets",
        [
            {
                "id": id_,
                "clientid": chance.choice((1, 1, 2)),
                "departmentid": chance.choice((1, 2, 3)),
                "timestamp": time(),
            }
            for id_ in ids
        ],
    )
    # some hang on nothing: 0, or a ticket that is gone
    anywhere = [*ids, 0, 0, 0, 999, 1_000]
    for table in ("tickets_replies", "comments"):
        rows.add(
            table,
            [{"ticketid": chance.choice(anywhere), "timestamp": time()} for _ in range(200)],
        )
    for departments in ((1,), (1, 2), (3, 2, 1), (7,)):
        for minutes in (-10_000_000, -1, 0, 30, 55, 58, 59, 61):
            after = moment(minutes)
            expected = documented(helpdesk, after, departments)
            assert as_text(select(helpdesk, after, departments)) == expected
    everything = select(helpdesk, None)
    assert as_text([ticket for ticket in everything if ticket.newest]) == documented(
        helpdesk, NEVER
    )
    own = helpdesk.rows("SELECT id FROM tickets WHERE clientid = 1 AND departmentid IN (1, 2)")
    assert sorted(ticket.id for ticket in everything) == sorted(row[0] for row in own)


def test_the_newest_of_ticket_reply_and_comment_counts(helpdesk: Helpdesk, rows: Rows) -> None:
    for id_ in (1, 2, 3, 4):
        rows.ticket(id_, moment(10 if id_ == 1 else -10))
    rows.reply(2, moment(30))
    rows.reply(2, moment(20))
    rows.comment(3, moment(20))
    rows.comment(1, moment(-5))

    assert pairs(helpdesk, moment(0)) == [(1, moment(10)), (3, moment(20)), (2, moment(30))]
    assert [ticket.id for ticket in select(helpdesk, moment(20))] == [2]
    assert select(helpdesk, moment(30)) == []


def test_rows_past_the_point_are_counted(helpdesk: Helpdesk, rows: Rows) -> None:
    rows.ticket(1, moment(10))
    rows.reply(1, moment(20))
    rows.reply(1, moment(20))
    rows.reply(1, moment(-1))
    rows.comment(1, moment(5))
    rows.ticket(2, moment(-5))
    rows.comment(2, moment(6))

    assert [(ticket.id, ticket.rows) for ticket in select(helpdesk, moment(0))] == [(2, 1), (1, 4)]
    assert [ticket.rows for ticket in select(helpdesk, None)] == [0, 0]


def test_tickets_of_others_stay_out(helpdesk: Helpdesk, rows: Rows) -> None:
    rows.ticket(1, moment(1), client=2)
    rows.ticket(2, moment(1), department=9)
    rows.comment(1, moment(2), client=1)
    rows.reply(2, moment(2))

    assert select(helpdesk, moment(0)) == []
    assert select(helpdesk, None) == []


def test_a_ticket_without_any_time_is_not_lost_by_a_full_sync(
    helpdesk: Helpdesk, rows: Rows
) -> None:
    rows.ticket(5, ZERO)
    rows.ticket(3, ZERO)
    rows.ticket(4, ZERO)
    rows.ticket(6, moment(0))
    rows.reply(3, ZERO)
    rows.comment(4, moment(1))

    assert pairs(helpdesk, None) == [(3, None), (5, None), (6, moment(0)), (4, moment(1))]
    assert pairs(helpdesk, moment(-1)) == [(6, moment(0)), (4, moment(1))]
    long_ago = datetime.fromisoformat("2000-01-01")
    assert pairs(helpdesk, long_ago) == [(6, moment(0)), (4, moment(1))]


@pytest.mark.parametrize("helpdesk", ["mariadb-legacy-lax"], indirect=True)
@pytest.mark.server
@pytest.mark.parametrize(
    "time",
    ["2026-00-31 12:00:00", "2026-06-00 12:00:00", "2026-02-31 12:00:00", "0000-01-05 12:00:00"],
)
def test_a_date_that_never_was_is_no_time_at_all(helpdesk: Helpdesk, rows: Rows, time: str) -> None:
    rows.ticket(1, moment(0))
    with helpdesk.engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        connection.exec_driver_sql(f"UPDATE tickets SET timestamp = '{time}'")
        connection.exec_driver_sql("SET SESSION sql_mode = ''")

    assert pairs(helpdesk, None) == [(1, None)]
    # where it compares as newer, whichever way it is found
    assert set(pairs(helpdesk, datetime.fromisoformat("2020-01-01"))) <= {(1, None)}


def test_it_is_one_statement_and_none_where_nothing_is_monitored(
    helpdesk: Helpdesk, rows: Rows
) -> None:
    rows.ticket(1, moment(0))
    with helpdesk.store() as store:
        store.require(["tickets"])
        before = store.statements.reads
        assert len(store.run(lambda tx: tx.changed_tickets([1], moment(-1)))) == 1
        assert store.statements.reads == before + 1
        assert not store.run(lambda tx: tx.changed_tickets([], None))
        assert store.statements.reads == before + 1
        # from a point far back, a server is asked what it has first
        assert len(store.run(lambda tx: tx.changed_tickets([1], None))) == 1
        assert store.statements.reads == before + (2 if helpdesk.server is None else 5)
        assert store.statements.writes == 0


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS, indirect=True)
def test_rows_of_others_are_left_out_first_where_they_are_most(
    helpdesk: Helpdesk, rows: Rows, ways: list[Way]
) -> None:
    def found(*departments: int) -> int:
        return len(store.run(lambda tx: tx.changed_tickets(departments, None)))

    ids = range(3, 3_003, 3)
    # of ten in turn, two, three and five
    turns = (1, 1, 2, 2, 2, 3, 3, 3, 3, 3)
    rows.add(
        "tickets",
        [
            {"id": id_, "clientid": 1, "departmentid": turns[place % 10], "timestamp": ZERO}
            for place, id_ in enumerate(ids)
        ],
    )
    rows.reply(3, moment(0))
    with helpdesk.store() as store:
        assert (found(1), found(2), found(3), found(1, 2)) == (200, 300, 500, 500)
        assert ways == [Way.OWN, Way.OWN, Way.ALL, Way.ALL]
        # a server that has this goes from each ticket to its replies
        helpdesk.execute("CREATE INDEX mine ON tickets_replies (ticketid, timestamp)")
        assert found(1) == 200
        assert ways[-1] is Way.ALL


@pytest.mark.parametrize(("minutes", "is_most"), [(-1, True), (3, True), (9, False), (20, False)])
def test_a_point_before_most_is_told_by_where_ids_stand(
    helpdesk: Helpdesk, rows: Rows, minutes: float, is_most: bool
) -> None:
    rows.ticket(1, moment(0))
    for number in range(15):
        rows.reply(1, moment(number))
    with helpdesk.store() as store:
        (found, *_) = [
            *store.run(lambda tx: tx.changed_tickets([1], moment(minutes), is_far=True)),
            None,
        ]
    # the documented query counts nothing
    assert (found is not None and found.rows == 0) == is_most


def test_more_than_is_read_at_once(helpdesk: Helpdesk, rows: Rows) -> None:
    count = 12_001
    rows.add(
        "tickets",
        [
            {"clientid": 1, "departmentid": 1, "timestamp": moment(number % 50)}
            for number in range(count)
        ],
    )

    def work(tx: Any) -> ChangedTickets:
        found: ChangedTickets = tx.changed_tickets([1], moment(-1))
        # the connection is free for the next statement
        assert tx.highest_id("tickets") == count
        return found

    with helpdesk.store() as store:
        found = store.run(work)

    assert len(found) == count
    assert found[-1].newest == moment(49)
    assert list(found) == sorted(found, key=lambda ticket: (ticket.newest, ticket.id))


def test_a_table_that_is_missing_is_named(open_helpdesk: Opener) -> None:
    helpdesk = open_helpdesk("sqlite")
    helpdesk.execute("DROP TABLE comments")
    with pytest.raises(SchemaError, match="'comments' is missing"):
        select(helpdesk, None)


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
def test_a_table_that_goes_missing_later_is_named(helpdesk: Helpdesk, rows: Rows) -> None:
    with helpdesk.store() as store:
        store.require(["tickets"])
        helpdesk.execute("DROP TABLE tickets_replies")
        with pytest.raises(SystemicError, match="missing"):
            store.run(lambda tx: tx.changed_tickets([1], None))


def test_a_list_of_tickets_is_a_sequence() -> None:
    tickets = [
        ChangedTicket(4, None),
        ChangedTicket(2, moment(0), 1),
        ChangedTicket(9, moment(1), 3),
    ]
    chunks: list[list[tuple[Any, ...]]] = [
        [(9, _seconds(moment(1)), 3), (4, None, 0)],
        [(2, _seconds(moment(0)), 1)],
    ]
    found = ChangedTickets(iter(chunks))
    assert list(found) == tickets
    assert found[1:] == tickets[1:]
    assert found[-1] == ChangedTicket(9, moment(1), 3)
    assert repr(found) == "<3 changed tickets>"
    assert not ChangedTickets()


def _seconds(time: datetime) -> int:
    return int((time - datetime.fromisoformat("0001-01-01")).total_seconds())


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
def test_a_connection_that_is_lost_while_tickets_come_in_is_opened_again(
    helpdesk: Helpdesk, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.ticket(1, moment(0))
    meant = changed_tickets.query
    server = helpdesk.server
    assert server is not None
    # enough for many chunks, then it hangs
    hanging = sa.text("SELECT seq, IF(seq > 100000, SLEEP(60), 0) FROM seq_1_to_100001")
    asked: list[object] = []

    def query(*args: Any, **named: Any) -> Any:
        asked.append(args)
        return hanging if len(asked) == 1 else meant(*args, **named)

    def cut() -> None:
        for id_ in sleeping(helpdesk):
            server.execute(f"KILL {id_}")

    monkeypatch.setattr(changed_tickets, "query", query)
    cutter = threading.Thread(target=cut)
    pauses: list[float] = []
    with helpdesk.store(sleep=pauses.append) as store:
        store.require(["tickets"])
        cutter.start()
        found = store.run(lambda tx: tx.changed_tickets([1], None))
    cutter.join()
    assert [ticket.id for ticket in found] == [1]
    assert (len(asked), len(pauses)) == (2, 1)


def sleeping(helpdesk: Helpdesk) -> list[int]:
    """Return the connections of which a statement sleeps in this helpdesk, as soon as there is one."""
    server = helpdesk.server
    assert server is not None
    found: list[int] = []

    def look() -> list[int]:
        found[:] = [
            int(str(id_))
            for (id_,) in server.execute(
                "SELECT id FROM information_schema.processlist WHERE state = 'User sleep' "
                f"AND db = '{helpdesk.engine.url.database}'"
            )
        ]
        return found

    wait_until(look, "a statement sleeps")
    return found


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
@pytest.mark.parametrize("rows_before", [0, 100_000])
def test_a_run_that_is_ended_meanwhile_ends_at_once(
    helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch, rows_before: int
) -> None:
    server = helpdesk.server
    assert server is not None
    last = rows_before + 1
    hanging = sa.text(f"SELECT seq, IF(seq = {last}, SLEEP(60), 0) FROM seq_1_to_{last}")
    asked: list[object] = []

    def query(*args: Any) -> Any:
        asked.append(args)
        return hanging

    def end() -> None:
        left.extend(sleeping(helpdesk))
        os.kill(os.getpid(), signal.SIGUSR1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    left: list[int] = []
    before = signal.signal(signal.SIGUSR1, interrupt)
    ender = threading.Thread(target=end)
    try:
        with helpdesk.store() as store:
            store.require(["tickets"])
            with monkeypatch.context() as patched:
                patched.setattr(changed_tickets, "query", query)
                ender.start()
                with pytest.raises(KeyboardInterrupt):
                    store.run(lambda tx: tx.changed_tickets([1], moment(0)))
            assert len(asked) == 1
            assert len(store.run(lambda tx: tx.changed_tickets([1], moment(0)))) == 0
    finally:
        ender.join()
        signal.signal(signal.SIGUSR1, before)
        for id_ in left:
            server.execute(f"KILL {id_}")


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
def test_many_connections_that_died_in_the_pool_are_no_failure(
    helpdesk: Helpdesk, rows: Rows
) -> None:
    rows.ticket(1, moment(1))
    server = helpdesk.server
    assert server is not None
    with helpdesk.store() as store:
        store.require(["tickets"])
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(helpdesk.engine.connect())
        for (id_,) in server.execute(
            "SELECT id FROM information_schema.processlist "
            f"WHERE db = '{helpdesk.engine.url.database}'"
        ):
            server.execute(f"KILL {id_}")
        found = store.run(lambda tx: tx.changed_tickets([1], moment(0)))
    assert [ticket.id for ticket in found] == [1]


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[:1], indirect=True)
@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("count", [0, 500, 1_000])
def test_ids_of_several_servers_that_take_turns(
    helpdesk: Helpdesk, rows: Rows, ways: list[Way], first: int, count: int
) -> None:
    if count:
        new = {"clientid": 1, "timestamp": ZERO}
        rows.add(
            "tickets",
            [
                {"id": first + 2 * number, "departmentid": 2 if number % 5 else 1, **new}
                for number in range(count)
            ],
        )
    with helpdesk.store() as store:
        assert len(store.run(lambda tx: tx.changed_tickets([1], None))) == count // 5
        assert len(store.run(lambda tx: tx.changed_tickets([1, 2], None))) == count
    assert ways == [Way.OWN if count else Way.ALL, Way.ALL]


@pytest.mark.parametrize("second_pass", ["2026-11-01 01:00:00", "2026-11-01 01:05:00"])
def test_the_second_pass_of_a_repeated_hour_is_found(
    open_helpdesk: Opener, second_pass: str
) -> None:
    helpdesk = open_helpdesk("sqlite")
    rows = Rows(helpdesk)
    rows.ticket(1, "2026-11-01 01:50:00")
    with helpdesk.store(timezone=ZoneInfo("America/Chicago")) as store:
        first_pass = store.from_local(datetime.fromisoformat("2026-11-01 01:50:00"))
        rows.ticket(2, second_pass)
        after = store.local_lower_bound(first_pass) - timedelta(seconds=1)
        found = store.run(lambda tx: tx.changed_tickets([1], after))
    assert {ticket.id for ticket in found} == {1, 2}

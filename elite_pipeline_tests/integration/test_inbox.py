"""The inbox's rows, on SQLite and on a server."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.inbox import Due, Inbox, Row, Webhook
from elite_pipeline.inbox.tables import DONE, FAILED, PENDING, worker_jobs
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database

ELITE, WJE = "Elite/Webhook", "Wje/Webhook"
NOW = datetime(2026, 6, 10, 8, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    kind: str = request.param
    return empty_database(kind, tmp_path, open_helpdesk)


@pytest.fixture
def inbox(url: str) -> Iterator[Inbox]:
    inbox = Inbox(url)
    yield inbox
    inbox.close()


@pytest.fixture
def database(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def statuses(database: sa.Engine) -> dict[int, str]:
    with database.connect() as connection:
        rows = connection.execute(sa.select(worker_jobs.c.id, worker_jobs.c.status))
        return {row.id: row.status for row in rows}


def add(inbox: Inbox, count: int, action: str = ELITE) -> list[int]:
    return [inbox.add(action, f'{{"ticket_id": {number}}}', {}) for number in range(count)]


def test_what_is_added_is_due_and_comes_back_as_it_was(inbox: Inbox) -> None:
    payload = 'a "quoted" 😀 text\r\n\\ \0 % %s :x'
    assert inbox.latest_id() == 0
    row_id = inbox.add(ELITE, payload, {"x": "ü"})
    assert inbox.latest_id() == row_id
    (row,) = inbox.take(ELITE, row_id, NOW)
    assert (row.id, row.payload, row.attempts) == (row_id, payload, 0)
    assert abs(row.arrived - datetime.now(UTC)) < timedelta(minutes=1)
    assert inbox.due(NOW, row_id) == [Due(ELITE, 1, row_id, row_id)]


def test_a_cursor_passes_every_row_once(inbox: Inbox) -> None:
    first, second, third = add(inbox, 3)
    inbox.done([second], NOW)
    assert [(one.id, one.status) for one in inbox.after(0, 2)] == [(first, PENDING), (second, DONE)]
    assert [one.id for one in inbox.after(second, 10)] == [third]
    assert inbox.after(third, 10) == []


def test_due_is_told_by_action_and_the_oldest_first(inbox: Inbox) -> None:
    (other,) = add(inbox, 1, WJE)
    ids = add(inbox, 4)
    inbox.done(ids[1:2], NOW)
    inbox.dead(ids[2:3], "no id", NOW)
    assert inbox.due(NOW, ids[-1]) == [Due(WJE, 1, other, other), Due(ELITE, 2, ids[0], ids[3])]
    assert inbox.due(NOW, ids[2]) == [Due(WJE, 1, other, other), Due(ELITE, 1, ids[0], ids[0])]
    assert inbox.due(NOW, 0) == []


def test_a_failed_row_waits_for_its_time_and_counts_its_attempts(
    inbox: Inbox, database: sa.Engine
) -> None:
    first, second = add(inbox, 2)
    inbox.failed([first], "503", LATER, NOW)
    assert [row.id for row in inbox.take(ELITE, second, NOW)] == [second]
    assert [row.id for row in inbox.take(ELITE, second, LATER - timedelta(microseconds=1))] == [
        second
    ]
    assert [(row.id, row.attempts) for row in inbox.take(ELITE, second, LATER)] == [
        (first, 1),
        (second, 0),
    ]
    assert inbox.due(LATER, second) == [Due(ELITE, 2, first, second)]
    inbox.failed([first], "503 again", LATER, LATER)
    assert [row.attempts for row in inbox.take(ELITE, first, LATER)] == [2]
    inbox.done([first], LATER)
    assert statuses(database) == {first: DONE, second: PENDING}
    assert inbox.shown(None, [DONE], 5)[0].error == ""


def test_a_dead_row_is_listed_with_its_reason_and_not_tried(inbox: Inbox) -> None:
    ids = add(inbox, 3)
    inbox.dead(ids[:2], "no ticket id", NOW)
    inbox.dead(ids[2:], "half \ud800 " + "€" * 50_000, NOW)
    assert list(inbox.take(ELITE, ids[-1], LATER)) == []
    shown = inbox.dead_rows(ELITE, 5)
    assert [row.id for row in shown] == ids[::-1]
    assert (shown[1].error, shown[1].attempts, shown[1].finished) == ("no ticket id", 1, NOW)
    assert shown[0].error.startswith("half \\ud800 €€")
    assert len(inbox.dead_rows(ELITE, 1)) == 1
    assert inbox.dead_rows(WJE, 5) == []


def test_a_cursor_moved_back_replays(inbox: Inbox) -> None:
    ids = add(inbox, 4)
    inbox.done(ids[:1], NOW)
    inbox.failed(ids[1:2], "x", LATER, NOW)
    inbox.dead(ids[2:3], "x", NOW)
    inbox.reopen(one.id for one in inbox.after(0, 10))
    rows = list(inbox.take(ELITE, ids[-1], NOW))
    assert [(row.id, row.attempts) for row in rows] == [(row_id, 0) for row_id in ids]
    assert {row.status for row in inbox.shown([ELITE], None, 9)} == {PENDING}
    assert {(row.error, row.retry_after, row.finished) for row in inbox.shown(None, None, 9)} == {
        ("", None, None)
    }


def test_counts_tell_what_is_not_done(inbox: Inbox) -> None:
    empty = inbox.counts(ELITE)
    assert (empty.waiting, empty.failed, empty.dead, empty.oldest) == (0, 0, 0, None)
    ids = add(inbox, 7)
    add(inbox, 1, WJE)
    inbox.done(ids[:1], NOW)
    inbox.failed(ids[1:3], "x", LATER, NOW)
    inbox.dead(ids[3:4], "x", NOW)
    counts = inbox.counts(ELITE)
    assert (counts.waiting, counts.failed, counts.dead) == (3, 2, 1)
    assert counts.oldest == inbox.shown([ELITE], [FAILED], 9)[-1].arrived


def test_finishing_rows_while_they_are_read_disturbs_nothing(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elite_pipeline.inbox.store._SLICE", 10)
    ids = add(inbox, 60)
    inbox.failed(ids[5:45:3], "x", NOW, NOW)
    taken = []
    for row in inbox.take(ELITE, ids[-1], LATER):
        taken.append(row.id)
        if row.id % 3 == 0:
            inbox.done([row.id], LATER)
        elif row.id % 3 == 1:
            inbox.failed([row.id], "x", LATER, LATER)
        if row.id == ids[20]:
            add(inbox, 5)
    assert taken == ids


def test_large_payloads_are_not_held_together(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elite_pipeline.inbox.store._SLICE_BYTES", 2_500)
    together: list[int] = []
    read = inbox._rows

    def note(ids: Sequence[int]) -> list[Row]:
        together.append(len(ids))
        return read(ids)

    monkeypatch.setattr(inbox, "_rows", note)
    sizes = [1_000, 1_000, 1_000, 9_000, 1, 1, 2_400, 1_000]
    inbox.add_all([Webhook.of(ELITE, "x" * size, {}) for size in sizes])
    rows = list(inbox.take(ELITE, inbox.latest_id(), NOW))
    assert [len(row.payload) for row in rows] == sizes
    assert together == [2, 1, 1, 3, 1]


def test_rows_of_somebody_else_are_as_good(inbox: Inbox, database: sa.Engine) -> None:
    inbox.latest_id()
    least = {"uuid": str(uuid4()), "dtStamp": NOW.replace(tzinfo=None), "action": ELITE}
    with database.begin() as connection:
        quote = connection.dialect.identifier_preparer.quote
        columns = ", ".join(map(quote, [*least, "payload", "headers", "status"]))
        connection.execute(
            sa.text(
                f"INSERT INTO {quote('WorkerJobs')} ({columns}) "
                "VALUES (:uuid, :dtStamp, :action, '{\"id\": 5}', NULL, 'PENDING')"
            ),
            {**least, "dtStamp": "2026-06-10 08:00:00"},
        )
        connection.execute(sa.insert(worker_jobs).values(**least, attempts=None))
    first, second = inbox.take(ELITE, 99, NOW)
    assert (first.payload, first.attempts, first.arrived) == (
        '{"id": 5}',
        0,
        datetime(2026, 6, 10, 8, tzinfo=UTC),
    )
    assert (second.payload, second.attempts) == ("", 0)
    inbox.failed([first.id, second.id], "x", NOW, NOW)
    assert [row.attempts for row in inbox.take(ELITE, 99, NOW)] == [1, 1]


def test_a_row_that_appears_behind_the_cursor_is_due(inbox: Inbox, database: sa.Engine) -> None:
    """Rows are not committed in the order of their ids."""
    with database.connect() as slow:
        inbox.latest_id()
        if database.dialect.name == "sqlite":
            inbox.add_all([Webhook.of(ELITE, "", {})] * 2)
            slow.execute(sa.update(worker_jobs).where(worker_jobs.c.id == 1).values(status=DONE))
        else:
            slow.execute(
                sa.insert(worker_jobs).values(
                    uuid="u", dtStamp=NOW.replace(tzinfo=None), action=ELITE
                )
            )
            inbox.add(ELITE, "", {})
            assert [one.id for one in inbox.after(0, 9)] == [2]
        slow.commit() if database.dialect.name != "sqlite" else slow.rollback()
    assert [row.id for row in inbox.take(ELITE, inbox.latest_id(), NOW)] == [1, 2]


def test_ids_are_not_given_twice(inbox: Inbox, database: sa.Engine) -> None:
    ids = add(inbox, 2)
    with database.begin() as connection:
        connection.execute(sa.delete(worker_jobs))
    assert inbox.add(ELITE, "", {}) > ids[-1]


def test_looking_whether_rows_can_be_stored_stores_none(inbox: Inbox) -> None:
    inbox.check_storing()
    inbox.check_storing()
    assert inbox.after(0, 9) == []
    inbox.add(ELITE, "", {})


def test_the_first_use_makes_the_table_with_its_indexes_whoever_comes_first(
    url: str, database: sa.Engine
) -> None:
    inboxes = [Inbox(url) for _ in range(4)]
    errors: list[PipelineError] = []

    def use(inbox: Inbox) -> None:
        try:
            inbox.add(ELITE, "", {})
        except PipelineError as error:
            errors.append(error)
        inbox.close()

    threads = [threading.Thread(target=use, args=(inbox,)) for inbox in inboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(statuses(database)) == 4
    assert [one["name"] for one in sa.inspect(database).get_indexes("WorkerJobs")] == [
        "WorkerJobs_status"
    ]


def test_what_waits_is_found_by_the_index_alone(inbox: Inbox, database: sa.Engine) -> None:
    """A tick over 100,000 waiting rows: no payload is touched, nothing is sorted."""
    for _ in range(20):
        inbox.add_all([Webhook.of(ELITE, "x" * 100, {}) for _ in range(500)])
    with database.begin() as connection:
        done = sa.update(worker_jobs).where(worker_jobs.c.id % 10 != 0).values(status=DONE)
        connection.execute(done)
    seen: list[tuple[str, Any]] = []

    @sa.event.listens_for(inbox._database._engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        seen.append((statement, values))

    assert inbox.due(NOW, inbox.latest_id())[0].count == 1_000
    sum(1 for _ in inbox.take(ELITE, inbox.latest_id(), NOW))
    looking = [one for one in seen if "payload" not in one[0] and "status" in one[0]]
    looking += [one for one in seen if "length" in one[0]][:2]
    explain = "EXPLAIN QUERY PLAN" if database.dialect.name == "sqlite" else "EXPLAIN"
    with database.connect() as connection:
        if database.dialect.name != "sqlite":
            connection.exec_driver_sql("ANALYZE TABLE WorkerJobs").all()
        for statement, values in looking:
            plan = str(connection.exec_driver_sql(f"{explain} {statement}", values).all())
            assert "WorkerJobs_status" in plan, plan


def test_an_address_that_is_none_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="PIPELINE_DATABASE_URL"):
        Inbox("nowhere")


def test_a_moment_without_a_zone_is_refused(inbox: Inbox) -> None:
    with pytest.raises(ValueError, match="time zone"):
        inbox.due(NOW.replace(tzinfo=None), 5)

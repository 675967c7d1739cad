"""What failed is a dead letter: tried again when it is due, passed by the watermark, never forgotten.

Follows ``spec/sync.md`` section 8 for what flows from TOGA 2 into the helpdesk. How letters are kept is
tested in ``test_dead_letters``; how people see them in ``test_dead_letter_commands``.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from elite_pipeline.demo import demo_credentials
from elite_pipeline.errors import PermanentError, PipelineError, SystemicError
from elite_pipeline.ledger import DeadLetter, DeadLetterOffice, DeadLetters
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter import LIMIT, delay
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.ledger.tables import dead_letters
from elite_pipeline.sandbox.toga2 import MalformedRecord, Status
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.ticket_rows import TicketRows
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

TICKETS = "toga2_to_togadesk"


@dataclass(frozen=True)
class Sort:
    """What can fail: where it comes from, where it goes, and what is wrong with it."""

    flow: str
    route: str
    table: str
    good: dict[str, Any]
    bad: dict[str, Any]
    mended: dict[str, Any]

    def add(self, systems: Systems, minute: float) -> str:
        """Add a good record; return its uuid."""
        number = f"{minute:g}"
        body = {name: value.replace("#", number) for name, value in self.good.items()}
        made = systems.toga2_store.create("elite", self.route, body, created=at(minute))
        return str(made["uuid"])

    def add_bad(self, systems: Systems, minute: float) -> str:
        """Add a record that cannot be carried over, past what TOGA 2 checks; return its uuid."""
        uuid = self.add(systems, minute)
        self.change(systems, uuid, minute, self.bad)
        return uuid

    def change(self, systems: Systems, uuid: str, minute: float, fields: dict[str, Any]) -> None:
        """Change a record, past what TOGA 2 checks."""
        raw = dict(systems.toga2_store.get("elite", self.route, uuid))
        times = {"_updated": f"{at(minute):%Y-%m-%d %H:%M:%S}"}
        systems.toga2_store.put_raw("elite", self.route, {**raw, **fields, **times})

    def mend(self, systems: Systems, uuid: str, minute: float) -> None:
        """Mend what is wrong with a bad record; it is as new as it was when ``minute`` is the same."""
        self.change(systems, uuid, minute, self.mended)

    def there(self, systems: Systems) -> set[str]:
        """Return the records that are in the helpdesk."""
        quote = systems.helpdesk.engine.dialect.identifier_preparer.quote
        found = systems.helpdesk.rows(f"SELECT referenceId FROM {quote(self.table)}")
        return {row[0] for row in found if row[0]}


SORTS = {
    "contacts": Sort(
        "contacts",
        "contacts",
        "people",
        {"firstName": "Ada", "email": "p#@example.com"},
        {"email": None},
        {"email": "mended@example.com"},
    ),
    "units": Sort(
        "units",
        "units",
        "assets",
        {"name": "Unit #", "tag": "T-#"},
        {"tag": {"not": "a text"}},
        {"tag": "T-mended"},
    ),
    "teams": Sort(
        "teams", "ticket-teams", "groups", {"name": "Team #"}, {"name": " "}, {"name": "Mended"}
    ),
    "predefined_replies": Sort(
        "predefined_replies",
        "predefined-replies",
        "tickets_pr",
        {"name": "Reply #", "content": "Hello"},
        {"name": " "},
        {"name": "Mended"},
    ),
    "tickets": Sort(
        TICKETS,
        "tickets",
        "tickets",
        {"subject": "Ticket #", "description": "It does not work", "status": "OPEN"},
        {"status": "WEIRD"},
        {"status": "OPEN"},
    ),
    "repair_orders": Sort(
        TICKETS,
        "repair-orders",
        "tickets",
        {"subject": "Order #", "description": "It does not work", "status": "OPEN"},
        {"status": "WEIRD"},
        {"status": "OPEN"},
    ),
}


@pytest.fixture(params=SORTS)
def sort(request: pytest.FixtureRequest, systems: Systems) -> Sort:
    """What can fail, one sort after the other."""
    if request.param == "repair_orders":
        systems.become("REPAIR_ORDERS")
    return SORTS[request.param]


@pytest.fixture
def office(systems: Systems) -> Iterator[DeadLetterOffice]:
    """Where people look after dead letters."""
    with closing(DeadLetterOffice(systems.ledger_url)) as office:
        yield office


def letters(office: DeadLetterOffice) -> list[DeadLetter]:
    return list(office.listed(Selection()))


def only(office: DeadLetterOffice) -> DeadLetter:
    (letter,) = letters(office)
    return letter


def seen(result: FlowResult) -> int:
    """Return how many records a result tells of: those that wait and those that failed are some."""
    return (
        result.created
        + result.updated
        + result.adopted
        + result.unchanged
        + result.inactive
        + len({failure.of for failure in result.failures})
        + result.waiting
    )


def stored(systems: Systems) -> list[str]:
    return [one["value"] for one in systems.toga2_store.all("elite", "parameters")]


def wait_for(systems: Systems, letter: DeadLetter) -> None:
    """Let time pass until a letter is due."""
    assert letter.next_attempt is not None
    systems.later += letter.next_attempt - letter.last_failed


class TestAccounting:
    def test_everything_that_was_seen_is_done_or_failed_or_waits(
        self, systems: Systems, sort: Sort
    ) -> None:
        for minute in range(3):
            sort.add(systems, minute / 10)
        bad = [sort.add_bad(systems, minute / 10) for minute in (3, 4)]
        first = systems.sync(sort.flow)
        assert (seen(first), first.created, first.failed, first.waiting) == (5, 3, 2, 0)
        # all within the overlap: seen again, and left alone
        second = systems.sync(sort.flow)
        assert (seen(second), second.unchanged, second.failed, second.waiting) == (5, 3, 0, 2)
        assert second.sql_writes == 0
        systems.later += timedelta(minutes=5)
        # the two that are due are tried for themselves, and then come with the list
        third = systems.sync(sort.flow)
        assert (seen(third), third.unchanged, third.failed, third.waiting) == (7, 3, 2, 2)
        sort.mend(systems, bad[0], 0.5)
        fourth = systems.sync(sort.flow)
        assert (seen(fourth), fourth.created, fourth.failed, fourth.waiting) == (5, 1, 0, 1)
        full = systems.sync(sort.flow, full=True)
        assert (seen(full), full.unchanged, full.failed, full.waiting) == (5, 4, 1, 0)
        assert full.dead_letters.waiting == 1
        assert sort.there(systems) | {bad[1]} == {
            one["uuid"] for one in systems.toga2_store.all("elite", sort.route)
        }

    def test_the_watermark_passes_what_failed_and_what_waits(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add(systems, 1)
        bad = sort.add_bad(systems, 2)
        result = systems.sync(sort.flow)
        assert result.watermark_after == at(2)
        letter = only(office)
        assert (letter.client, letter.flow, letter.entity, letter.record) == (
            "elite",
            sort.flow,
            bad,
            bad,
        )
        assert (letter.attempts, letter.updated, letter.kind) == (1, at(2), "permanent")
        (failure,) = result.failures
        assert (failure.record, failure.of, failure.updated) == (bad, bad, at(2))
        assert letter.error == failure.reason
        sort.add(systems, 3)
        assert systems.sync(sort.flow).watermark_after == at(3)
        assert only(office) == letter

    def test_of_another_client_and_another_flow_it_holds_up_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        results = systems.sync_all()
        assert {flow: result.failed for flow, result in results.items() if result.failed} == {
            sort.flow: 1
        }
        assert [
            (flow, result.dead_letters.waiting)
            for flow, result in results.items()
            if result.dead_letters.waiting
        ] == [(sort.flow, 1)]
        before = letters(office)
        assert all(not result.dead_letters.first for result in systems.sync_all("wje").values())
        assert letters(office) == before


class TestTryingAgain:
    def test_it_is_tried_when_it_is_due_and_the_delay_grows(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        sort.add(systems, 60)
        systems.sync(sort.flow)
        for attempts in range(1, 5):
            letter = only(office)
            assert letter.attempts == attempts
            assert letter.next_attempt == letter.last_failed + delay(attempts)
            # not a moment before: nothing is read of it, nothing is asked
            systems.later += delay(attempts) - timedelta(seconds=20)
            quiet = systems.sync(sort.flow)
            assert (quiet.failed, quiet.waiting, quiet.sql_writes) == (0, 0, 0)
            assert only(office) == letter
            systems.later += timedelta(seconds=20)
            assert systems.sync(sort.flow).failed == 1
        sort.mend(systems, bad, 1)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert bad in sort.there(systems)
        assert letters(office) == []

    def test_it_is_tried_at_once_when_it_changed(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        sort.change(systems, bad, 2, sort.bad)
        assert systems.sync(sort.flow).failed == 1
        letter = only(office)
        assert (letter.attempts, letter.updated) == (2, at(2))
        sort.mend(systems, bad, 3)
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert letters(office) == []

    def test_a_full_run_tries_it_once_whether_it_is_due_or_not(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).attempts == 2
        wait_for(systems, only(office))
        # due, and in the list as well
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).attempts == 3
        sort.mend(systems, bad, 1)
        assert systems.sync(sort.flow, full=True).created == 1
        assert letters(office) == []

    def test_one_that_cannot_be_read_keeps_its_delay(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        systems.toga2.faults.add(Status(422), route=f"/{sort.route}/{{uuid}}", times=None)
        assert systems.sync(sort.flow).failed == 1
        letter = only(office)
        assert (letter.entity, letter.attempts, letter.updated) == (bad, 2, at(1))
        # the overlap brings it again, as it was
        result = systems.sync(sort.flow)
        assert (result.failed, result.waiting) == (0, 1)
        assert only(office) == letter

    def test_one_that_is_gone_from_toga2_is_over(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        systems.toga2_store.delete("elite", sort.route, bad)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.failed, result.vanished, result.dead_letters.first) == (0, 1, ())
        assert letters(office) == []

    def test_a_404_that_does_not_say_so_is_not_taken_for_that(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        systems.toga2.faults.add(
            Status(404, body="html"), route=f"/{sort.route}/{{uuid}}", times=None
        )
        result = systems.sync(sort.flow)
        assert (result.failed, result.vanished) == (1, 0)
        assert only(office).attempts == 2


class TestParked:
    @pytest.fixture
    def parked(self, systems: Systems, sort: Sort, office: DeadLetterOffice) -> str:
        """A record that was tried until nobody tries it any more."""
        bad = sort.add_bad(systems, 1)
        for attempts in range(1, LIMIT + 1):
            result = systems.sync(sort.flow)
            assert result.failed == 1
            assert only(office).attempts == attempts
            if attempts < LIMIT:
                wait_for(systems, only(office))
        assert (result.dead_letters.waiting, result.dead_letters.parked) == (0, 1)
        return bad

    def test_it_is_told_once_at_first_and_once_when_it_is_parked(
        self, systems: Systems, sort: Sort, parked: str
    ) -> None:
        assert [(flow, failure.record) for flow, failure, _ in systems.reported] == [
            (sort.flow, parked)
        ] * 2
        systems.sync(sort.flow, full=True)
        assert len(systems.reported) == 2

    def test_it_is_left_alone_until_a_person_asks_for_it(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        letter = only(office)
        sort.mend(systems, parked, 1)
        for _ in range(2):
            systems.later += timedelta(days=30)
            result = systems.sync(sort.flow)
            assert (result.created, result.failed, result.waiting) == (0, 0, 1)
            assert result.dead_letters.parked == 1
        assert only(office) == letter
        with systems.open() as context:
            now = context.now()
        assert office.retry([letter], now) == 1
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert letters(office) == []

    def test_asked_for_in_vain_it_starts_again(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        with systems.open() as context:
            now = context.now()
        office.retry(Selection(parked=True), now)
        result = systems.sync(sort.flow)
        assert (result.failed, result.dead_letters.waiting) == (1, 1)
        letter = only(office)
        assert (letter.entity, letter.attempts, letter.parked) == (parked, 1, False)
        assert letter.next_attempt == letter.last_failed + delay(1)

    def test_it_is_tried_when_it_changed(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        sort.change(systems, parked, 2, sort.bad)
        assert systems.sync(sort.flow).failed == 1
        assert only(office).parked
        sort.mend(systems, parked, 3)
        assert systems.sync(sort.flow).created == 1
        assert letters(office) == []

    def test_it_is_tried_by_a_full_run(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).parked
        sort.mend(systems, parked, 1)
        assert systems.sync(sort.flow, full=True).created == 1
        assert letters(office) == []


class TestMalformed:
    def test_with_a_uuid_it_is_read_again(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        uuid = sort.add(systems, 1)
        fault = MalformedRecord(changes={"isActive": "perhaps", "subject": {"perhaps": 1}})
        systems.toga2.faults.add(fault, route=f"/{sort.route}", times=1)
        result = systems.sync(sort.flow)
        assert (seen(result), result.failed, result.watermark_after) == (1, 1, at(1))
        assert (only(office).entity, only(office).updated) == (uuid, at(1))
        assert "perhaps" not in only(office).error
        again = systems.sync(sort.flow)
        assert (seen(again), again.waiting) == (1, 1)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.created, result.dead_letters.first) == (1, ())

    def test_without_one_it_is_parked_and_told_once(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add(systems, 1)
        rule = systems.toga2.faults.add(
            MalformedRecord(changes={"uuid": ...}), route=f"/{sort.route}", times=None
        )
        result = systems.sync(sort.flow)
        assert (seen(result), result.failed, result.watermark_after) == (1, 1, at(1))
        letter = only(office)
        assert letter.parked
        assert letter.entity.startswith("(a record without uuid")
        for _ in range(2):
            again = systems.sync(sort.flow)
            assert (seen(again), again.failed, again.waiting) == (1, 0, 1)
        assert only(office) == letter
        assert len(systems.reported) == 1
        systems.toga2.faults.remove(rule.id)
        assert systems.sync(sort.flow).created == 1

    def test_several_without_one_are_told_apart(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        for minute in (0.1, 0.2):
            sort.add(systems, minute)
        for index in (0, 1):
            systems.toga2.faults.add(
                MalformedRecord(index, {"uuid": ...}), route=f"/{sort.route}", times=1
            )
        systems.sync(sort.flow)
        systems.sync(sort.flow)
        assert len({letter.entity for letter in letters(office)}) == 2


class TestWhatStopsARun:
    def test_a_systemic_error_records_nothing_and_moves_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.toga2.faults.add(Status(401), route=f"/{sort.route}", times=None)
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (letters(office), stored(systems), systems.reported) == ([], [], [])
        systems.toga2.faults.clear()
        assert systems.sync(sort.flow).failed == 1

    def test_a_systemic_error_counts_for_no_letter_that_is_due(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        letter, before = only(office), stored(systems)
        wait_for(systems, letter)
        systems.toga2.faults.add(Status(401), route=f"/{sort.route}/{{uuid}}", times=None)
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (only(office), stored(systems)) == (letter, before)

    def test_a_ledger_that_cannot_be_written_stops_it_and_the_watermark_stays(
        self,
        systems: Systems,
        sort: Sort,
        office: DeadLetterOffice,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        sort.add(systems, 1)
        assert systems.sync(sort.flow).watermark_after == at(1)
        sort.add_bad(systems, 2)
        sort.add(systems, 3)
        before = stored(systems)

        def refuse(*_: object) -> None:
            raise SystemicError("The pipeline's own database failed: disk full.")

        with monkeypatch.context() as patched:
            patched.setattr(DeadLetters, "record", refuse)
            assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (stored(systems), letters(office)) == (before, [])
        result = systems.sync(sort.flow)
        assert (result.failed, result.watermark_after) == (1, at(3))
        assert len(sort.there(systems)) == 2

    def test_a_ledger_that_is_not_there_stops_it_before_anything_is_written(
        self, systems: Systems, sort: Sort
    ) -> None:
        sort.add_bad(systems, 1)
        systems.ledger_url = "sqlite:////nowhere/at/all/ledger.sqlite"
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert stored(systems) == []

    def test_a_report_that_fails_fails_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        class Deaf(list[Any]):
            def append(self, _: object) -> None:
                raise OSError("nobody listens")

        systems.reported = Deaf()
        sort.add_bad(systems, 1)
        assert systems.sync(sort.flow).watermark_after == at(1)
        assert len(letters(office)) == 1


class Killed(BaseException):
    """Ends a run the way a killed process does: nothing catches it."""


def dying_after(looks: int) -> Callable[[LedgerDatabase], AbstractContextManager[sa.Connection]]:
    """Return what kills a run at its next look into the ledger after so many."""
    original, left = LedgerDatabase.begin, looks

    def begin(database: LedgerDatabase) -> AbstractContextManager[sa.Connection]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return original(database)

    return begin


class TestWhatTheyReferTo:
    """What failed may also wait for something that is not in the helpdesk yet (sync.md 4)."""

    def referring(self, systems: Systems, name: str) -> tuple[Sort, str, str]:
        """Add a bad record whose contact is not there yet; return its sort, its uuid, the contact's."""
        sort, desk = SORTS[name], Desk(systems)
        ada = desk.contact("ada@example.com")
        bad = sort.add_bad(systems, 1)
        sort.change(systems, bad, 1, {"contact": {"uuid": ada}})
        return sort, bad, ada

    @pytest.mark.parametrize("name", ["units", "tickets"])
    def test_a_run_that_is_killed_as_it_comes_through_forgets_nothing(
        self,
        systems: Systems,
        office: DeadLetterOffice,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        sort, bad, ada = self.referring(systems, name)
        # so far behind the watermark that only its dead letter brings it again
        sort.add(systems, 100)
        systems.sync(sort.flow)
        sort.mend(systems, bad, 1)
        for looks in range(20):
            with systems.open() as context:
                office.retry(Selection(), context.now())
            with monkeypatch.context() as patched:
                patched.setattr(LedgerDatabase, "begin", dying_after(looks))
                with suppress(Killed):
                    systems.sync(sort.flow)
        assert bad in sort.there(systems)
        systems.sync("contacts")
        systems.sync(sort.flow)
        systems.later += timedelta(hours=7)
        systems.sync(sort.flow)
        rows = systems.helpdesk.rows(
            f"SELECT p.referenceId FROM {sort.table} x LEFT JOIN people p ON p.id = x.userid "
            f"WHERE x.referenceId = '{bad}'"
        )
        assert rows == [(ada,)]

    def test_what_it_waits_for_does_not_have_it_tried_before_it_is_due(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice
    ) -> None:
        ada = desk.contact("ada@example.com")
        ticket = desk.ticket(minute=1, contact={"uuid": ada})
        desk.ticket("Much later", 100)
        systems.sync(TICKETS)
        systems.helpdesk.execute("UPDATE tickets SET clientid = 2 WHERE referenceId = :a", ticket)
        systems.sync("contacts")
        # it waited for the contact, and belongs to another client now
        assert systems.sync(TICKETS).failed == 1
        letter = only(office)
        for _ in range(3):
            assert systems.sync(TICKETS).failed == 0
        assert only(office) == letter


class TestSecrets:
    def test_a_secret_in_an_answer_is_in_no_letter(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        secret = demo_credentials("elite").api_secret
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        # the code of an answer is repeated in the reason
        fault = Status(422, code=f"EV-{secret}")
        systems.toga2.faults.add(fault, route=f"/{sort.route}/{{uuid}}", times=None)
        result = systems.sync(sort.flow)
        assert result.failed == 1
        shown = [only(office).error, *(failure.reason for failure in result.failures)]
        assert not [text for text in shown if secret in text]
        assert "EV-" in only(office).error
        engine = sa.create_engine(systems.ledger_url)
        with engine.connect() as connection:
            rows = connection.execute(sa.select(dead_letters)).all()
        engine.dispose()
        assert rows
        assert secret not in repr(rows)

    def test_a_secret_in_an_error_of_ours_is_in_no_letter(
        self,
        systems: Systems,
        desk: Desk,
        office: DeadLetterOffice,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        secret = demo_credentials("elite").api_secret

        def refuse(*_: object) -> PipelineError:
            raise PermanentError(f"cannot be stored: {secret}")

        monkeypatch.setattr(TicketRows, "note", refuse)
        desk.note(desk.ticket())
        assert systems.sync(TICKETS).failed == 1
        assert secret not in only(office).error
        assert "cannot be stored" in only(office).error


@pytest.mark.usefixtures("integration_type", "expand_lists")
class TestPartsOfATicket:
    @pytest.fixture
    def refused(self, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """Notes that cannot be written, by uuid."""
        refused: set[str] = set()
        original = TicketRows.note

        def note(self: TicketRows, ticket: str, note: Any, own: Any) -> Any:
            if note.uuid in refused:
                raise PermanentError("the note cannot be stored")
            return original(self, ticket, note, own)

        monkeypatch.setattr(TicketRows, "note", note)
        return refused

    def test_a_note_fails_under_its_own_name_and_comes_with_its_ticket(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice, refused: set[str]
    ) -> None:
        ticket = desk.ticket(minute=1)
        good, bad = desk.note(ticket, "good", 1), desk.note(ticket, "bad", 2)
        refused.add(bad)
        result = systems.sync(TICKETS)
        (failure,) = result.failures
        assert (failure.record, failure.of, result.failed) == (f"note {bad}", ticket, 1)
        letter = only(office)
        assert (letter.entity, letter.record) == (ticket, f"note {bad}")
        assert [row[0] for row in desk.replies()] == [ticket, good]
        again = systems.sync(TICKETS)
        assert (again.failed, again.sql_writes) == (0, 0)
        assert only(office) == letter
        refused.clear()
        wait_for(systems, letter)
        assert systems.sync(TICKETS).dead_letters.first == ()
        assert [row[0] for row in desk.replies()] == [ticket, good, bad]
        assert systems.sync(TICKETS, full=True).sql_writes == 0

    def test_of_two_notes_one_comes_through_and_the_other_stays_a_letter(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice, refused: set[str]
    ) -> None:
        ticket = desk.ticket(minute=1)
        bad = [desk.note(ticket, f"note {number}", 1) for number in range(2)]
        refused.update(bad)
        result = systems.sync(TICKETS)
        assert (result.failed, seen(result)) == (2, 1)
        refused.discard(bad[0])
        systems.later += timedelta(minutes=5)
        systems.sync(TICKETS)
        letter = only(office)
        assert (letter.record, letter.attempts) == (f"note {bad[1]}", 2)
        assert bad[0] in [row[0] for row in desk.replies()]

    def test_a_new_note_has_the_ticket_tried_at_once(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice, refused: set[str]
    ) -> None:
        systems.toga2.settings.notes_touch_ticket = False
        ticket = desk.ticket(minute=1)
        bad = desk.note(ticket, "bad", 1)
        desk.ticket("Much later", 100)
        refused.add(bad)
        systems.sync(TICKETS)
        added = desk.note(ticket, "added", 110)
        result = systems.sync(TICKETS)
        assert [failure.record for failure in result.failures] == [f"note {bad}"]
        assert only(office).attempts == 2
        assert added in [row[0] for row in desk.replies()]

    def test_a_note_that_is_gone_takes_its_letter_with_it(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice, refused: set[str]
    ) -> None:
        ticket = desk.ticket(minute=1)
        bad = desk.note(ticket, "bad", 1)
        refused.add(bad)
        systems.sync(TICKETS)
        systems.toga2_store.delete("elite", desk.notes_route, bad)
        wait_for(systems, only(office))
        result = systems.sync(TICKETS)
        assert (result.failed, result.dead_letters.first) == (0, ())
        assert letters(office) == []

    def test_a_ticket_that_is_gone_takes_all_its_letters_with_it(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice, refused: set[str]
    ) -> None:
        ticket = desk.ticket(minute=1)
        refused.update(desk.note(ticket, "bad", 1) for _ in range(3))
        systems.sync(TICKETS)
        assert len(letters(office)) == 3
        systems.toga2_store.delete("elite", desk.tickets_route, ticket)
        systems.later += timedelta(minutes=5)
        assert systems.sync(TICKETS).dead_letters.first == ()
        assert letters(office) == []

    def test_a_note_that_names_no_ticket_waits_until_it_does(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice
    ) -> None:
        systems.toga2.settings.notes_touch_ticket = False
        ticket = desk.ticket(minute=1)
        desk.ticket("Much later", 100)
        systems.sync(TICKETS)
        note = desk.note(ticket, "astray", 110)
        raw = dict(systems.toga2_store.get("elite", desk.notes_route, note))
        without = {name: value for name, value in raw.items() if name != desk.kind.note_parent}
        systems.toga2_store.put_raw("elite", desk.notes_route, without)
        result = systems.sync(TICKETS)
        assert (result.failed, only(office).entity) == (1, f"note {note}")
        assert systems.sync(TICKETS).failed == 0
        assert only(office).attempts == 1
        wait_for(systems, only(office))
        assert systems.sync(TICKETS).failed == 1
        assert only(office).attempts == 2
        systems.toga2_store.put_raw("elite", desk.notes_route, raw)
        wait_for(systems, only(office))
        assert systems.sync(TICKETS).dead_letters.first == ()
        assert note in [row[0] for row in desk.replies()]

    def test_a_file_fails_under_its_own_name_and_comes_with_its_ticket(
        self, systems: Systems, desk: Desk, office: DeadLetterOffice
    ) -> None:
        ticket = desk.ticket(minute=1)
        note = desk.note(ticket, "with a file", 1)
        file = add_file(systems, desk, note, "a.png")
        systems.toga2.faults.add(Status(422), route="/files/{uuid}", times=None)
        result = systems.sync(TICKETS)
        assert [(one.record, one.of) for one in result.failures] == [(f"file {file}", ticket)]
        assert (only(office).entity, only(office).record) == (ticket, f"file {file}")
        assert [row[0] for row in desk.replies()] == [ticket, note]
        assert desk.count("files") == 0
        systems.toga2.faults.clear()
        quiet = systems.sync(TICKETS)
        assert (quiet.failed, desk.count("files")) == (0, 0)
        wait_for(systems, only(office))
        assert systems.sync(TICKETS).dead_letters.first == ()
        ((stored_as,),) = systems.helpdesk.rows("SELECT file FROM files")
        assert (systems.uploads_dir / stored_as).read_bytes() == b"bytes"
        assert systems.sync(TICKETS, full=True).sql_writes == 0


def add_file(systems: Systems, desk: Desk, note: str, name: str) -> str:
    """Attach a file to a note of TOGA 2; return its uuid."""
    store, data = systems.toga2_store, base64.b64encode(b"bytes").decode()
    body = {"name": name, "contentType": "image/png", "data": data}
    file = str(store.create("elite", "files", body, created=at(1))["uuid"])
    link = {desk.kind.link_parent: {"uuid": note}, "file": {"uuid": file}}
    store.create("elite", desk.kind.link.route, link, created=at(1))
    return file

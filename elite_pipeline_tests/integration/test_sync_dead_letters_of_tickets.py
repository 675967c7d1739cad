"""Dead letters of notes and files, and of what waits for what it refers to (``spec/sync.md`` 4, 8)."""

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import DeadLetterOffice
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.sandbox.toga2 import Status
from elite_pipeline.sync.ticket_rows import TicketRows
from elite_pipeline_tests.support.failing import (
    SORTS,
    TICKETS,
    Sort,
    letters,
    only,
    seen,
    wait_for,
)
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at


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

"""Tickets and notes that were moved to where the sync did not put them.

``spec/sync.md`` section 10.2 and 10.8: nothing is doubled, and what stands under another client is
neither written over nor written anew.
"""

from datetime import timedelta

import pytest

from elite_pipeline.sync import ticket_messages
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

FLOW = "toga2_to_togadesk"
#: For what does not depend on the database.
ONE_KIND = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)


@pytest.fixture
def desk(systems: Systems) -> Desk:
    return Desk(systems)


def move_ticket(systems: Systems, ticket: str, client_id: int) -> None:
    """Move a ticket to another client, as the helpdesk's people can."""
    systems.helpdesk.execute(
        "UPDATE tickets SET clientid = :a WHERE referenceId = :b", client_id, ticket
    )


def history(systems: Systems) -> list[tuple[str, str]]:
    """Return which ticket each history row stands at, and which note it names."""
    found = systems.helpdesk.rows(
        "SELECT t.referenceId, h.description FROM tickets_history h "
        "JOIN tickets t ON t.id = h.ticketid ORDER BY h.id"
    )
    return [(row[0], row[1].removeprefix(ticket_messages.HISTORY_TEXT)) for row in found]


class TestATicketMovedToAnotherClient:
    def test_it_fails_by_itself_with_both_clients_named(self, systems: Systems, desk: Desk) -> None:
        ticket, other = desk.ticket("Moved", 1), desk.ticket("Other", 2)
        note, private = desk.note(ticket, minute=1), desk.note(ticket, minute=1, isExternal=False)
        systems.sync(FLOW)
        move_ticket(systems, ticket, 2)
        before = desk.end_state()
        ((row_id,),) = systems.helpdesk.rows("SELECT id FROM tickets WHERE clientid = 2")
        desk.change("tickets", ticket, 10, subject="Changed", description="Changed")
        desk.change("ticket-notes", note, 11, body="Changed")
        desk.change("ticket-notes", private, 11, body="Changed")
        desk.note(ticket, "Added", 12)
        desk.change("tickets", other, 20, subject="Changed")

        result = systems.sync(FLOW)

        (failure,) = result.failures
        assert (failure.record, failure.kind, result.failed) == (ticket, "permanent", 1)
        assert f"ticket {row_id} " in failure.reason
        assert "client 2 " in failure.reason
        assert "'elite' (client 1)" in failure.reason
        assert sorted(desk.tickets("subject")) == [("Changed",), ("Moved",)]
        after = desk.end_state()
        for table in ("replies", "comments", "history"):
            assert after[table] == before[table]
        assert result.watermark_after == at(20)
        again = systems.sync(FLOW)
        assert (again.failed, again.sql_writes) == (0, 0)
        systems.later += timedelta(minutes=5)
        again = systems.sync(FLOW)
        assert (again.failed, again.sql_writes) == (1, 0)

    @ONE_KIND
    @pytest.mark.parametrize("is_external", [True, False])
    def test_it_is_found_by_a_note_when_its_description_is_gone(
        self, systems: Systems, desk: Desk, is_external: bool
    ) -> None:
        ticket = desk.ticket(minute=1)
        desk.note(ticket, minute=1, isExternal=is_external)
        systems.sync(FLOW)
        move_ticket(systems, ticket, 2)
        systems.helpdesk.execute("DELETE FROM tickets_replies WHERE referenceId = :a", ticket)

        result = systems.sync(FLOW, full=True)

        assert (result.failed, result.sql_writes) == (1, 0)
        assert desk.count("tickets") == 1

    @ONE_KIND
    def test_it_is_not_the_other_clients_either(self, systems: Systems, desk: Desk) -> None:
        ticket = desk.ticket(minute=1)
        systems.sync(FLOW)
        move_ticket(systems, ticket, 2)

        result = systems.sync(FLOW, "wje", full=True)

        assert (result.failed, result.sql_writes) == (0, 0)

    @ONE_KIND
    def test_moved_back_it_is_kept_up_to_date_again(self, systems: Systems, desk: Desk) -> None:
        ticket = desk.ticket(minute=1)
        systems.sync(FLOW)
        move_ticket(systems, ticket, 2)
        desk.change("tickets", ticket, 10, subject="Changed")
        assert systems.sync(FLOW).failed == 1
        move_ticket(systems, ticket, 1)
        systems.later += timedelta(minutes=5)

        result = systems.sync(FLOW)

        assert (result.failed, result.updated, result.watermark_after) == (0, 1, at(10))
        assert result.dead_letters.first == ()
        assert desk.tickets("subject", "clientid") == [("Changed", 1)]

    @ONE_KIND
    def test_a_note_that_changed_later_does_not_bring_it_again(
        self, systems: Systems, desk: Desk
    ) -> None:
        systems.toga2.settings.notes_touch_ticket = False
        ticket = desk.ticket(minute=1)
        note = desk.note(ticket, minute=1)
        desk.ticket("Much later", 100)
        systems.sync(FLOW)
        move_ticket(systems, ticket, 2)
        desk.change("ticket-notes", note, 110, body="Changed")

        result = systems.sync(FLOW)

        (failure,) = result.failures
        assert failure.record == ticket
        assert "client 2 " in failure.reason
        assert result.sql_writes == 0


@ONE_KIND
@pytest.mark.usefixtures("integration_type")
class TestANoteMovedToAnotherTicket:
    def test_it_goes_along_and_its_history_stays(self, systems: Systems, desk: Desk) -> None:
        source, target = desk.ticket("From", 1), desk.ticket("To", 1)
        note = desk.note(source, minute=1)
        systems.sync(FLOW)
        desk.change(desk.notes_route, note, 10, **desk.under(target))
        desk.change(desk.tickets_route, source, 10)
        desk.change(desk.tickets_route, target, 10)

        systems.sync(FLOW)

        under = {row[1]: row[0] for row in desk.end_state()["replies"]}
        assert under[note] == target
        assert history(systems) == [(source, note)]
        assert systems.sync(FLOW, full=True).sql_writes == 0

    def test_made_private_and_public_again_there_it_is_news_there(
        self, systems: Systems, desk: Desk
    ) -> None:
        source, target = desk.ticket("From", 1), desk.ticket("To", 1)
        note = desk.note(source, minute=1)
        systems.sync(FLOW)
        desk.change(desk.notes_route, note, 10, isExternal=False, **desk.under(target))
        systems.sync(FLOW)
        assert history(systems) == [(source, note)]
        for minute in (20, 30):
            desk.change(desk.notes_route, note, minute, isExternal=True)
            systems.sync(FLOW)
            desk.change(desk.notes_route, note, minute + 5, isExternal=False)
            systems.sync(FLOW)

        assert history(systems) == [(source, note), (target, note)]

"""Notes that come with a ticket and are not whole notes: nothing at all, a uuid alone, half a note.

``spec/sync.md`` sections 4 and 8: such a note fails by itself. Its ticket and the other notes arrive,
and the note is a dead letter, tried again with its ticket.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from elite_pipeline.sync.results import FlowResult
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import NAMELESS
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

# Nothing here depends on the kind of database.
pytestmark = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)

FLOW = "toga2_to_togadesk"
ABSENT = "00000000-0000-4000-8000-00000000dead"

#: Says what a ticket's notes are in an answer, instead of what they would be.
Edit = Callable[[list[Any]], object]
#: Gives a ticket other notes in lists (True), in reads of it alone (False), or in both (None).
Spoil = Callable[[str, Edit, bool | None], None]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Change a ticket's notes on their way from the answer to the parser."""
    read_list, read_one = wire.read_list, wire.read_one

    def spoil_(ticket: str, edit: Edit, in_lists: bool | None) -> None:
        def edited(raw: Any) -> Any:
            if isinstance(raw, dict) and raw.get("uuid") == ticket and "ticketNotes" in raw:
                return {**raw, "ticketNotes": edit(raw["ticketNotes"])}
            return raw

        def list_(resource: wire.Resource, body: bytes) -> list[object]:
            return [edited(raw) for raw in read_list(resource, body)]

        def one(resource: wire.Resource, body: bytes) -> dict[str, object]:
            return dict(edited(read_one(resource, body)))

        if in_lists is not False:
            monkeypatch.setattr(wire, "read_list", list_)
        if in_lists is not True:
            monkeypatch.setattr(wire, "read_one", one)

    return spoil_


def only_failure(result: FlowResult) -> tuple[str, str]:
    (failure,) = result.failures
    assert result.failed == 1
    assert failure.kind == "permanent"
    return failure.record, failure.reason


@pytest.mark.usefixtures("expand_lists")
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(None, NAMELESS, id="null"),
        pytest.param({}, NAMELESS, id="empty"),
        pytest.param("text", NAMELESS, id="text"),
        pytest.param({"uuid": ABSENT}, ABSENT, id="stub"),
        pytest.param({"uuid": ABSENT, "body": "secret"}, ABSENT, id="half"),
    ],
)
def test_note_that_is_none_fails_alone_and_is_named(
    systems: Systems, desk: Desk, spoil: Spoil, broken: object, said: str
) -> None:
    desk.ticket("Earlier", 1)
    ticket = desk.ticket(minute=10)
    public, private = desk.note(ticket, minute=11), desk.note(ticket, minute=12, isExternal=False)
    other = desk.ticket("Later", 20)
    spoil(ticket, lambda notes: [notes[0], broken, *notes[1:]], None)

    result = systems.sync(FLOW)

    assert {ticket, other} <= {row[0] for row in desk.tickets("referenceId")}
    assert public in [row[0] for row in desk.replies()]
    assert [row[0] for row in desk.comments()] == [private]
    record, reason = only_failure(result)
    assert result.failures[0].of == ticket
    assert record.startswith(f"note {said}")
    assert record.endswith(", number 2 of its notes")
    if broken == {"uuid": ABSENT}:
        assert "nothing but its uuid came" in reason
    assert "secret" not in reason
    assert result.watermark_after == at(20)


@pytest.mark.usefixtures("expand_lists")
def test_note_that_was_none_and_is_one_again_arrives(
    systems: Systems, desk: Desk, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = desk.ticket(minute=10)
    note = desk.note(ticket, minute=10)
    with monkeypatch.context():
        spoil(ticket, lambda notes: [None for _ in notes], None)
        assert systems.sync(FLOW).failed == 1
        assert [row[0] for row in desk.replies()] == [ticket]
    monkeypatch.undo()
    systems.later += timedelta(minutes=5)

    result = systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket, note]
    assert (result.failed, result.watermark_after) == (0, at(10))
    assert result.dead_letters.first == ()


def test_stub_in_a_list_that_expands_has_the_ticket_read_alone(
    systems: Systems, desk: Desk, spoil: Spoil
) -> None:
    ticket, other = desk.ticket(minute=1), desk.ticket("Other", 2)
    notes = [desk.note(ticket, minute=1), desk.note(ticket, minute=1), desk.note(other, minute=2)]
    spoil(ticket, lambda notes: [{"uuid": notes[0]["uuid"]}, *notes[1:]], True)
    systems.toga2.reset_stats()

    result = systems.sync(FLOW)

    assert result.failed == 0
    assert {row[0] for row in desk.replies()} == {ticket, other, *notes}
    (read,) = [made for made in systems.toga2.requests if made.route == "/tickets/{uuid}"]
    assert read.path.endswith(ticket)
    assert read.parameters["depth"] == "5"


def test_null_in_a_list_that_expands_costs_no_further_read(
    systems: Systems, desk: Desk, spoil: Spoil
) -> None:
    ticket = desk.ticket()
    note = desk.note(ticket)
    spoil(ticket, lambda notes: [None, *notes], True)
    systems.toga2.reset_stats()

    assert systems.sync(FLOW).failed == 1
    assert [row[0] for row in desk.replies()] == [ticket, note]
    assert systems.toga2.count(route="/tickets/{uuid}") == 0


def test_all_notes_as_stubs_at_depth_five_leave_the_ticket_without_them(
    systems: Systems, desk: Desk, spoil: Spoil
) -> None:
    ticket = desk.ticket()
    notes = [desk.note(ticket) for _ in range(3)]
    spoil(ticket, lambda notes: [{"uuid": note["uuid"]} for note in notes], None)

    result = systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket]
    assert result.failed == 3
    assert {failure.record.split(",")[0] for failure in result.failures} == {
        f"note {uuid}" for uuid in notes
    }
    assert {failure.of for failure in result.failures} == {ticket}


@pytest.mark.usefixtures("expand_lists")
@pytest.mark.parametrize("notes", [None, "text", {"uuid": ABSENT}], ids=["null", "text", "one"])
def test_ticket_that_does_not_say_which_notes_it_has_is_refused(
    systems: Systems, desk: Desk, spoil: Spoil, notes: object
) -> None:
    ticket, other = desk.ticket(minute=1), desk.ticket("Other", 2)
    desk.note(other, minute=2)
    spoil(ticket, lambda _: notes, None)

    result = systems.sync(FLOW)

    assert [row[0] for row in desk.tickets("referenceId")] == [other]
    record, reason = only_failure(result)
    assert record == ticket
    assert "without its notes" in reason


@pytest.mark.usefixtures("expand_lists")
def test_null_note_met_through_a_note_that_changed_later(
    systems: Systems, desk: Desk, spoil: Spoil
) -> None:
    systems.toga2.settings.notes_touch_ticket = False
    ticket = desk.ticket(minute=1)
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    note = desk.note(ticket, minute=110)
    spoil(ticket, lambda notes: [None, *notes], None)

    result = systems.sync(FLOW)

    assert note in [row[0] for row in desk.replies()]
    record, _ = only_failure(result)
    assert result.failures[0].of == ticket
    assert "number 1 of its notes" in record
    assert result.watermark_after == at(100)

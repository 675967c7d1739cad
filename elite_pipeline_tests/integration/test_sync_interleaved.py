"""Changes that fall into a run, between two runs, or together with something else that is wrong.

Each test says what has to hold in the end, however the runs and the changes met.
"""

from collections.abc import Callable
from typing import Any

import pytest

from elite_pipeline.ledger import Ledger
from elite_pipeline.sandbox.toga2 import MalformedRecord, RequestInfo
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.toga2 import wire
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

# Nothing here depends on the kind of database.
pytestmark = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)

FLOW = "toga2_to_togadesk"
EARLIER = "2026-06-01 00:00:00"
TOO_LONG = "x" * 70_000


class Killed(BaseException):
    """Ends a run the way a killed process does: nothing catches it."""


@pytest.fixture
def untouched_tickets(systems: Systems) -> None:
    """A note that changes leaves its ticket's time as it is."""
    systems.toga2.settings.notes_touch_ticket = False


def on_nth_get(systems: Systems, route: str, nth: int, action: Callable[[], object]) -> None:
    """Do something when TOGA 2 gets the nth read of a route."""
    seen = 0

    def on_request(info: RequestInfo) -> None:
        nonlocal seen
        if (info.method, info.route) == ("GET", route):
            seen += 1
            if seen == nth:
                action()

    systems.toga2.on_request = on_request


def run_again(systems: Systems, *flows: str) -> None:
    """Run flows in turn until whatever is still waiting has had its chance."""
    systems.toga2.on_request = None
    for _ in range(3):
        for flow in flows or (FLOW,):
            systems.sync(flow)


def category(systems: Systems, name: str, minute: float = 0) -> str:
    body = {"name": name, "isActive": True}
    made = systems.toga2_store.create("elite", "ticket-categories", body, created=at(minute))
    return str(made["uuid"])


def category_of(desk: Desk, ticket: str) -> str:
    return str(dict(desk.tickets("referenceId", "category"))[ticket])


def put_past_checks(systems: Systems, route: str, uuid: str, **fields: Any) -> None:
    """Change a record to something that the sandbox would take from nobody."""
    raw = dict(systems.toga2_store.get("elite", route, uuid))
    changed = {"_updated": "2026-06-10 10:00:00", **fields}
    systems.toga2_store.put_raw("elite", route, {**raw, **changed})


def watermark_parameter(systems: Systems) -> str:
    (parameter,) = systems.toga2_store.all("elite", "parameters")
    return str(parameter["uuid"])


def set_watermark_back(systems: Systems) -> None:
    systems.toga2_store.update(
        "elite", "parameters", watermark_parameter(systems), {"value": EARLIER}
    )


def clear_helpdesk(systems: Systems) -> None:
    """Delete all tickets and replies, as a person or a restore does; comments stay."""
    systems.helpdesk.execute("DELETE FROM tickets")
    systems.helpdesk.execute("DELETE FROM tickets_replies")


@pytest.mark.usefixtures("expand_lists", "untouched_tickets")
def test_note_edited_while_tickets_are_still_read(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket("First", 1)
    secret = desk.note(ticket, "<p>secret</p>", 1)
    for number in range(199):
        desk.ticket(f"Filler {number}", 2)
    desk.ticket("On the second page", 3)

    def edit() -> None:
        desk.change("ticket-notes", secret, 60, isExternal=False)
        desk.note(ticket, "<p>added</p>", 60)
        desk.ticket("Later than the edit", 120)

    on_nth_get(systems, "/tickets", 2, edit)
    systems.sync(FLOW)
    run_again(systems)

    assert not any("secret" in row[2] for row in desk.replies())
    assert any("added" in row[2] for row in desk.replies())


def test_note_made_private_and_too_long_is_no_longer_public(systems: Systems, desk: Desk) -> None:
    note = desk.note(desk.ticket(), "<p>secret</p>")
    systems.sync(FLOW)
    assert any("secret" in row[2] for row in desk.replies())
    desk.change("ticket-notes", note, 100, isExternal=False, body=TOO_LONG)

    systems.sync(FLOW)

    assert not any("secret" in row[2] for row in desk.replies())


def test_note_made_private_under_a_refused_ticket_is_no_longer_public(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    note = desk.note(ticket, "<p>secret</p>")
    systems.sync(FLOW)
    assert any("secret" in row[2] for row in desk.replies())
    desk.change("tickets", ticket, 100, description=TOO_LONG)
    desk.change("ticket-notes", note, 100, isExternal=False)

    systems.sync(FLOW)

    assert not any("secret" in row[2] for row in desk.replies())


def test_note_made_private_and_malformed_is_no_longer_public(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket()
    note = desk.note(ticket, "<p>secret</p>")
    systems.sync(FLOW)
    assert any("secret" in row[2] for row in desk.replies())
    put_past_checks(systems, "ticket-notes", note, isExternal=False, authorName={"x": 1})
    desk.change("tickets", ticket, 120, subject="Changed too")

    systems.sync(FLOW)

    assert not any("secret" in row[2] for row in desk.replies())


@pytest.mark.usefixtures("expand_lists", "untouched_tickets")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"body": "<p>bye</p>"}, id="body-cut-to-its-end"),
        pytest.param({"body": ""}, id="body-emptied"),
        pytest.param({"authorName": "Correct"}, id="author-name"),
        pytest.param({"authorEmail": "correct@example.com"}, id="author-email"),
    ],
)
def test_note_changed_under_an_old_ticket_ends_as_a_full_run_would_have_it(
    systems: Systems, desk: Desk, change: dict[str, str]
) -> None:
    ticket = desk.ticket(minute=1)
    note = desk.note(ticket, "<p>password</p><p>bye</p>", 1, authorName="Stranger")
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    desk.change("ticket-notes", note, 110, **change)

    run_again(systems)

    before = desk.end_state()
    systems.sync(FLOW, full=True)
    assert desk.end_state() == before


@pytest.mark.usefixtures("expand_lists", "untouched_tickets")
def test_note_moved_between_old_tickets_ends_as_a_full_run_would_have_it(
    systems: Systems, desk: Desk
) -> None:
    source = desk.ticket("From", 1)
    target = desk.ticket("To", 1)
    note = desk.note(source, "<p>moves</p>", 1)
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    desk.change("ticket-notes", note, 110, ticket={"uuid": target})

    run_again(systems)

    before = desk.end_state()
    systems.sync(FLOW, full=True)
    assert desk.end_state() == before


@pytest.mark.usefixtures("untouched_tickets")
def test_note_moved_while_both_its_tickets_are_fetched_arrives_once(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.expand_lists = False
    client = systems.clients["elite"]
    one_at_a_time = client.toga2.model_copy(update={"max_in_flight": 1})
    systems.clients["elite"] = client.model_copy(update={"toga2": one_at_a_time})
    source = desk.ticket("From", 1)
    target = desk.ticket("To", 2)
    note = desk.note(source, "<p>moves</p>", 3)

    def move() -> None:
        desk.change("ticket-notes", note, 5, ticket={"uuid": target})

    on_nth_get(systems, "/tickets/{uuid}", 2, move)
    systems.sync(FLOW)
    run_again(systems)

    assert [row[0] for row in desk.replies()].count(note) == 1


def test_categories_that_swapped_names_before_a_ticket_came(systems: Systems, desk: Desk) -> None:
    first, second = category(systems, "X"), category(systems, "Y")
    systems.sync("category_trees")
    desk.change("ticket-categories", first, 10, name="Y")
    desk.change("ticket-categories", second, 10, name="X")
    ticket = desk.ticket(minute=11, ticketCategory={"uuid": first})
    desk.ticket("Much later", 100)
    systems.sync(FLOW)

    run_again(systems, "category_trees", FLOW)

    assert category_of(desk, ticket) == "Y"


def test_category_name_taken_over_by_another_category(systems: Systems, desk: Desk) -> None:
    first = category(systems, "X")
    systems.sync("category_trees")
    desk.change("ticket-categories", first, 10, name="Z")
    second = category(systems, "X", 10)
    ticket = desk.ticket(minute=11, ticketCategory={"uuid": second})
    desk.ticket("Much later", 100)
    systems.sync(FLOW)

    run_again(systems, "category_trees", FLOW)

    assert category_of(desk, ticket) == "X"


def test_category_swap_killed_before_the_ledger_knew(
    systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = category(systems, "X"), category(systems, "Y")
    systems.sync("category_trees")
    ticket = desk.ticket(minute=1, ticketCategory={"uuid": first})
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    desk.change("ticket-categories", first, 110, name="Y")
    desk.change("ticket-categories", second, 110, name="X")

    def die(*args: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "set_category_paths", die)
        with pytest.raises(Killed):
            systems.sync("category_trees")
    run_again(systems, "category_trees", FLOW)

    assert category_of(desk, ticket) == "Y"


def test_contact_that_gets_another_address_after_its_ticket(systems: Systems, desk: Desk) -> None:
    contact = desk.contact("old@example.com")
    systems.sync("contacts")
    ticket = desk.ticket(minute=1, contact={"uuid": contact})
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    desk.change("contacts", contact, 200, email="new@example.com")

    run_again(systems, "contacts", FLOW)

    assert dict(desk.tickets("referenceId", "email"))[ticket] == "new@example.com"


def test_contact_with_a_very_long_address_does_not_lose_the_ticket(
    systems: Systems, desk: Desk
) -> None:
    contact = desk.contact("a" * 140 + "@example.com")
    ticket = desk.ticket(contact={"uuid": contact})
    systems.sync("contacts")

    systems.sync(FLOW)

    assert desk.tickets("referenceId") == [(ticket,)]


def test_ticket_deleted_in_the_helpdesk_comes_back_though_its_comments_stayed(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket(minute=1)
    private = desk.note(ticket, isExternal=False)
    public = desk.note(ticket)
    systems.sync(FLOW)
    clear_helpdesk(systems)
    desk.change("tickets", ticket, 100, subject="Changed")

    run_again(systems)

    assert systems.sync(FLOW).failed == 0
    assert desk.tickets("subject") == [("Changed",)]
    assert [row[0] for row in desk.comments()] == [private]
    assert [row[0] for row in desk.replies()] == [ticket, public]


def test_report_that_raises_does_not_stop_the_others(systems: Systems, desk: Desk) -> None:
    desk.ticket("Too long", 1, description=TOO_LONG)
    desk.ticket("Good", 2)

    def report(*failure: object) -> None:
        raise RuntimeError("nobody takes the report")

    with systems.open() as context:
        context.report = report
        run_flow(FLOW, context)

    assert ("Good",) in desk.tickets("subject")


def test_watermark_that_a_person_sets_back_during_a_run_stays_there(
    systems: Systems, desk: Desk
) -> None:
    desk.ticket("First", 1)
    systems.sync(FLOW)
    desk.ticket("Second", 100)
    on_nth_get(systems, "/ticket-notes", 1, lambda: set_watermark_back(systems))

    systems.sync(FLOW)

    parameter = systems.toga2_store.get("elite", "parameters", watermark_parameter(systems))
    assert parameter["value"] == EARLIER


def test_watermark_set_back_after_a_restore_brings_everything_again(
    systems: Systems, desk: Desk
) -> None:
    first, second = desk.ticket("First", 1), desk.ticket("Second", 2)
    systems.sync(FLOW)
    clear_helpdesk(systems)
    set_watermark_back(systems)

    systems.sync(FLOW)

    assert {row[0] for row in desk.tickets("referenceId")} == {first, second}
    assert {row[0] for row in desk.replies()} == {first, second}


def test_status_and_priority_that_become_null_leave_the_row_as_it_is(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    systems.sync(FLOW)
    put_past_checks(systems, "tickets", ticket, status=None, priority=None)

    systems.sync(FLOW)

    assert desk.tickets("status", "priority") == [("Open", "Normal")]


@pytest.mark.usefixtures("untouched_tickets")
def test_note_of_a_ticket_that_is_gone_does_not_hold_the_watermark(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket(minute=1)
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    desk.note(ticket, minute=110)
    systems.toga2_store.delete("elite", "tickets", ticket)
    desk.ticket("Last", 200)

    run_again(systems)

    assert systems.sync(FLOW).watermark_after == at(200)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"9" * 5_000, id="thousands-of-digits"),
        pytest.param(b"[" * 500 + b"]" * 500, id="nested"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested-without-end"),
    ],
)
def test_value_beyond_all_measure_spoils_no_other_ticket(
    systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    desk.ticket("Bad", 1)
    desk.ticket("Good", 2)
    read_list = wire.read_list
    spoiled: list[bool] = []

    def read_list_with_number(resource: Any, body: bytes) -> Any:
        changed = body.replace(b'"subject":"Bad"', b'"subject":' + value)
        spoiled.append(changed != body)
        return read_list(resource, changed)

    monkeypatch.setattr(wire, "read_list", read_list_with_number)
    systems.sync(FLOW)

    assert any(spoiled)
    assert ("Good",) in desk.tickets("subject")


def test_ticket_changed_in_the_far_future_does_not_hide_later_ones(
    systems: Systems, desk: Desk
) -> None:
    desk.ticket("First", 1)
    future = desk.ticket("Future", 2)
    put_past_checks(systems, "tickets", future, _updated="9999-12-31 23:59:59")
    systems.sync(FLOW)
    desk.ticket("Later", 100)

    run_again(systems)

    assert ("Later",) in desk.tickets("subject")


def test_note_that_comes_twice_in_one_ticket_is_written_once(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket()
    public, private = desk.note(ticket), desk.note(ticket, isExternal=False)
    notes = systems.toga2_store.get("elite", "tickets", ticket, depth=5)["ticketNotes"]
    twice = MalformedRecord(changes={"ticketNotes": [*notes, *notes]})
    systems.toga2.faults.add(twice, method="GET", route="/tickets", times=None)

    systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket, public]
    assert [row[0] for row in desk.comments()] == [private]
    assert desk.count("tickets_history") == 1

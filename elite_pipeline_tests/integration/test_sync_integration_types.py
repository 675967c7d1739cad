"""Which of TOGA 2's two pairs of routes a client's tickets come from, by its integration type.

That what comes from either is treated alike is tested where it is tested for tickets.
"""

import pytest

from elite_pipeline.sandbox.toga2.schema import JOB_KINDS
from elite_pipeline.sync import watermarks
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.note_files import attach, shown, there
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

FLOW = "toga2_to_togadesk"
OTHER = {"TICKETS": "REPAIR_ORDERS", "REPAIR_ORDERS": "TICKETS"}
#: For what does not depend on the database.
ONE_KIND = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)


@pytest.fixture
def desk(systems: Systems) -> Desk:
    return Desk(systems)


def fill_the_other_pair(systems: Systems, desk: Desk, integration_type: str) -> None:
    """Give a client a ticket and a note of the kind that its integration type does not name."""
    systems.become(OTHER[integration_type])
    desk.note(desk.ticket("Not this one", 50), "<p>Not this either</p>", 51)
    systems.become(integration_type)


@pytest.mark.parametrize("expand_lists", [True, False])
def test_client_with_both_pairs_filled_reads_its_own_alone(
    systems: Systems, desk: Desk, integration_type: str, expand_lists: bool
) -> None:
    systems.toga2.settings.expand_lists = expand_lists
    fill_the_other_pair(systems, desk, integration_type)
    ticket = desk.ticket("This one", 1)
    note = desk.note(ticket, minute=2)

    result = systems.sync(FLOW)

    assert (result.created, result.failed, result.watermark_after) == (1, 0, at(2))
    assert desk.tickets("referenceId", "subject") == [(ticket, "This one")]
    assert [row[0] for row in desk.replies()] == [ticket, note]
    asked = {request.path.split("/")[1] for request in systems.toga2.requests}
    assert asked == {desk.tickets_route, desk.notes_route, "parameters"}


@ONE_KIND
def test_watermark_has_the_documented_name_whatever_the_type(
    systems: Systems, desk: Desk, integration_type: str
) -> None:
    fill_the_other_pair(systems, desk, integration_type)
    desk.ticket(minute=1)

    systems.sync(FLOW)

    (stored,) = systems.toga2_store.all("elite", "parameters")
    assert (stored["name"], stored["value"]) == (watermarks.TICKETS, "2026-06-10 08:01:00")


@ONE_KIND
@pytest.mark.usefixtures("integration_type")
def test_note_that_changed_alone_and_names_no_ticket_fails_by_itself(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.notes_touch_ticket = False
    ticket = desk.ticket(minute=1)
    astray, good = desk.note(ticket, minute=1), desk.note(ticket, "<p>before</p>", 1)
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    raw = dict(systems.toga2_store.get("elite", desk.notes_route, astray))
    del raw[desk.kind.note_parent]
    moved = {"_updated": "2026-06-10 09:50:00", "body": "<p>astray</p>"}
    systems.toga2_store.put_raw("elite", desk.notes_route, {**raw, **moved})
    desk.change(desk.notes_route, good, 120, body="<p>after</p>")

    result = systems.sync(FLOW)

    assert (result.failed, result.failures[0].record) == (1, f"note {astray}")
    assert result.failures[0].reason.endswith(f"it has no {desk.kind.note_parent}")
    assert "<p>after</p>" in [row[2] for row in desk.replies()]
    assert result.watermark_after == at(100)


@ONE_KIND
def test_repair_orders_note_hangs_on_its_order_and_not_on_a_ticket_that_it_names_besides(
    systems: Systems, desk: Desk
) -> None:
    systems.become("REPAIR_ORDERS")
    systems.toga2.settings.notes_touch_ticket = False
    order = desk.ticket(minute=1)
    desk.ticket("Much later", 100)
    systems.sync(FLOW)
    note = desk.note(order, minute=110)
    raw = systems.toga2_store.get("elite", desk.notes_route, note)
    besides = {"ticket": {"uuid": "00000000-0000-4000-8000-0000000000bd"}}
    systems.toga2_store.put_raw("elite", desk.notes_route, {**raw, **besides})

    result = systems.sync(FLOW)

    assert (result.failed, result.vanished) == (0, 0)
    assert note in [row[0] for row in desk.replies()]


@ONE_KIND
def test_client_that_changes_its_type_has_everything_after_one_full_run(
    systems: Systems, desk: Desk, integration_type: str
) -> None:
    fill_the_other_pair(systems, desk, integration_type)
    desk.note(desk.ticket("From before", 1), minute=2)
    systems.become(OTHER[integration_type])
    systems.sync(FLOW)
    systems.become(integration_type)

    result = systems.sync(FLOW, full=True)

    assert (result.created, result.failed) == (1, 0)
    assert sorted(desk.tickets("subject")) == [("From before",), ("Not this one",)]
    assert systems.sync(FLOW).sql_writes == 0


def test_two_clients_of_different_types_stand_side_by_side(systems: Systems, desk: Desk) -> None:
    assert set(OTHER) == set(JOB_KINDS)
    other = Desk(systems, "wje")
    assert (desk.tickets_route, other.tickets_route) == ("tickets", "repair-orders")
    desk.note(desk.ticket("Elite's"), "elite's")
    other.note(other.ticket("WJE's"), "wje's")

    results = [systems.sync(FLOW, client) for client in ("elite", "wje")]

    assert [(result.created, result.failed) for result in results] == [(1, 0), (1, 0)]
    assert sorted(desk.tickets("subject", "clientid")) == [("Elite's", 1), ("WJE's", 2)]
    replies = systems.helpdesk.rows(
        "SELECT t.subject, r.message FROM tickets_replies r JOIN tickets t ON t.id = r.ticketid"
    )
    assert {("Elite's", "elite's"), ("WJE's", "wje's")} <= set(replies)


def test_repair_orders_go_all_ways_with_their_files(systems: Systems) -> None:
    typist, desk = Typist(systems, "wje"), Desk(systems, "wje")
    order = desk.ticket("Made there")
    attach(desk, desk.note(order, "<p>There</p>"), "there.png", b"there")
    systems.sync(FLOW, "wje")
    id_, description = typist.ticket("Made here", "<p>Here</p>")
    typist.upload(description, "scan.png", b"scan")
    typist.upload(typist.reply(id_, "<p>Reply</p>"), "reply.png", b"reply")
    typist.comment(id_, "<p>Comment</p>")
    typist.upload(typist.reply(1, "<p>Answer</p>"), "answer.png", b"answer")

    for _ in range(2):
        assert systems.sync("togadesk_to_toga2", "wje").failed == 0
        assert systems.sync(FLOW, "wje").failed == 0

    assert sorted(there(typist)) == [
        ("answer.png", "<p>Answer</p>", b"answer"),
        ("reply.png", "<p>Reply</p>", b"reply"),
        ("scan.png", "<p>Files of the description</p>", b"scan"),
        ("there.png", "<p>There</p>", b"there"),
    ]
    assert [content for _, _, content in shown(systems)] == [
        b"there", b"scan", b"reply", b"answer",
    ]  # fmt: skip
    assert sorted(note.get("c_wjeConversationId") or "" for note in typist.raw_notes()) == [
        "", "togadesk:comment:1", "togadesk:files:3", "togadesk:reply:4", "togadesk:reply:5",
    ]  # fmt: skip
    assert sorted(one.get("c_wjeTicketId") or "" for one in typist.made()) == [
        "",
        "togadesk:ticket:2",
    ]
    # 08:01 UTC in Chicago's summer
    rows = systems.helpdesk.rows("SELECT timestamp FROM tickets ORDER BY id")
    assert str(rows[0][0]) == "2026-06-10 03:01:00"
    assert systems.toga2_store.count("wje", "tickets") == 0
    assert systems.sync(FLOW, "wje", full=True).sql_writes == 0
    assert systems.sync("togadesk_to_toga2", "wje", full=True).sql_writes == 0

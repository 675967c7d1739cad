"""A dry run writes nothing anywhere, and plans what the real run then does."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from elite_pipeline.sandbox.freshservice import Image
from elite_pipeline.sandbox.toga2 import Status
from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.dry_runs import done, everything, figures, planned, untrue
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.reference_data import (
    add,
    add_contact,
    by_hand,
    change,
    set_columns,
)
from elite_pipeline_tests.support.service_desk import ServiceDesk
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

#: Beside SQLite the one that is like production: MyISAM, three bytes a character.
pytestmark = pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0], ALL_PARAMS[1]], indirect=True)

LONG = "<p>" + "long \u20ac " * 12_000 + "</p>"
LATER = 36_000


def compare(systems: Systems, run: Callable[..., FlowResult]) -> FlowResult:
    """Run a flow dry, then for real, and hold one against the other; return the dry run's result."""
    before = everything(systems)
    systems.toga2.reset_stats()
    systems.reported.clear()
    # however slow the machine is: the same dead letters are due in both
    systems.stopped_at = datetime.now(UTC)

    dry = run(dry_run=True)

    assert {request.method for request in systems.toga2.requests} <= {"GET"}
    assert everything(systems) == before
    assert dry.sql_writes == 0
    assert systems.reported == []
    assert dry.plan is not None

    systems.toga2.reset_stats()
    real = run()
    after = everything(systems)
    systems.stopped_at = None

    assert real.plan is None
    assert figures(dry) == figures(real)
    assert planned(dry.plan) == done(systems, before, after)
    assert untrue(dry.plan, before, after) == []
    return dry


def fields(result: FlowResult, what: str, action: str) -> list[dict[str, tuple[Any, Any]]]:
    """Return old and new values of effects of a kind."""
    assert result.plan is not None
    return [
        {one.name: (one.old, one.new) for one in effect.fields}
        for effect in result.plan.effects
        if (effect.kind.what, effect.kind.action) == (what, action)
    ]


@pytest.fixture
def scene(systems: Systems, desk: Desk, typist: Typist) -> Systems:
    """Both sides in step, and then something of every sort to be done in every flow."""
    ada = add_contact(systems, "ada@example.com")
    gone = add_contact(systems, "gone@example.com")
    nobody = add_contact(systems, None)
    unit = add(systems, "units", {"name": "Laptop", "serialNumber": "1", "tag": "T-1"})
    team = add(systems, "ticket-teams", {"name": "First line", "isActive": True})
    canned = {"name": "Thanks", "content": "<p>Thanks</p>", "isActive": True}
    reply = add(systems, "predefined-replies", canned)
    category = add(systems, "ticket-categories", {"name": "Hardware", "isActive": True})
    old = desk.ticket("Printer", contact={"uuid": ada}, ticketCategory={"uuid": category})
    public = desk.note(old, "<p>See the plan</p>")
    attach(desk, public, "plan.png", b"plan")
    long = desk.note(old, LONG)
    number, _ = typist.ticket("From here", "<p>It hums</p>")
    for _ in range(2):
        systems.sync_all()

    # contacts: one new, one changed, one to be adopted, one mended, one that fails
    add_contact(systems, "eve@example.com", seconds=LATER)
    change(systems, "contacts", ada, {"title": "Countess"}, seconds=LATER)
    by_hand(systems, "people", name="Bob", email="bob@example.com", notes="keep this")
    bob = add_contact(systems, "bob@example.com", seconds=LATER, firstName="Bob")
    change(systems, "contacts", nobody, {"email": "found@example.com"}, seconds=LATER)
    add_contact(systems, None, seconds=LATER)
    change(systems, "contacts", gone, {"email": "eve@example.com"}, seconds=LATER + 1)
    # units, with names that are not there yet
    item = {"name": "ThinkPad", "manufacturer": "Lenovo", "category": "Laptop"}
    change(systems, "units", unit, {"name": "Old laptop"}, seconds=LATER)
    for tag in ("T-2", "T-3"):
        add(systems, "units", {"name": tag, "tag": tag, "item": item}, seconds=LATER)
    by_hand(systems, "assets", name="By hand", tag="T-3")
    # teams, canned answers, categories
    change(systems, "ticket-teams", team, {"name": "Front desk"}, seconds=LATER)
    add(systems, "ticket-teams", {"name": "Second line", "isActive": True}, seconds=LATER)
    change(systems, "predefined-replies", reply, {"content": "<p>Many</p>"}, seconds=LATER)
    add(systems, "predefined-replies", {**canned, "name": "Sorry"}, seconds=LATER)
    change(systems, "ticket-categories", category, {"name": "Devices"}, seconds=LATER)
    add(systems, "ticket-categories", {"name": "Software", "isActive": True}, seconds=LATER)
    # tickets out of TOGA 2
    new = desk.ticket("Monitor", 700, contact={"uuid": bob}, ticketTeam={"uuid": team})
    attach(desk, desk.note(new, "<p>A picture</p>", 701), content=b"picture", minute=701)
    secret = desk.note(new, "<p>Secret</p>", 702, isExternal=False)
    attach(desk, secret, "salary.png", b"salary", minute=702)
    desk.note(new, LONG + "new", 703)
    desk.change(desk.notes_route, public, 704, isExternal=False)
    desk.change(desk.notes_route, long, 705, body="<p>Short now</p>")
    desk.change(desk.tickets_route, old, 706, subject="Printer, again", status="RESOLVED")
    broken = desk.ticket("Broken", 707)
    raw = systems.toga2_store.get("elite", desk.tickets_route, broken)
    systems.toga2_store.put_raw("elite", desk.tickets_route, {**raw, "status": ["x"]})
    # tickets into TOGA 2
    typist.minute = 800
    ticket, description = typist.ticket("Scanner", "<p>It hums</p>", userid=1)
    typist.upload(description, "hum.txt", b"hum")
    answer = typist.reply(ticket, "<p>Two pictures</p>", author=1)
    typist.upload(answer, "image001.png", b"first")
    typist.upload(answer, "image001.png", b"second")
    lost = typist.upload(answer, "lost.png", b"lost")
    stored = systems.helpdesk.rows(f"SELECT file FROM files WHERE id = {lost}")[0][0]
    (systems.uploads_dir / stored).unlink()
    typist.comment(ticket, "<p>Between us</p>")
    typist.reply(number, "<p>Is it plugged in?</p>", status="Answered")
    set_columns(systems, "tickets", typist.ticket("Odd")[0], status="Nowhere")
    systems.later_by(minutes=10)
    return systems


def test_every_flow_plans_what_it_then_does(scene: Systems) -> None:
    def compared(flow: str, **given: Any) -> FlowResult:
        return compare(scene, lambda **options: scene.sync(flow, **given, **options))

    contacts = compared("contacts")
    assert (contacts.created, contacts.updated, contacts.adopted) == (2, 1, 1)
    assert contacts.failed == 2
    assert {"title": ("", "Countess")} in fields(contacts, "people", "change")
    assert fields(contacts, "people", "create")[0]["password"] == (None, "(hidden)")
    assert fields(contacts, "dead letters", "delete")
    assert fields(contacts, "parameters", "change")[0]["value"][1] is not None

    units = compared("units")
    assert (units.created, units.updated, units.adopted) == (1, 1, 1)
    assert fields(units, "assets", "create")[0]["modelid"] == (None, "new models 1")

    assert compared("teams").updated == 1
    assert compared("predefined_replies").created == 1
    assert compared("category_trees").updated == 1

    # what was sent there is stamped by the clock, and the watermark has passed the rest
    tickets = compared("toga2_to_togadesk", since=at(600))
    assert tickets.plan is not None
    assert {"files created", "replies created", "notes made private"} <= tickets.details.keys()
    replies = fields(tickets, "tickets_replies", "create")
    assert any(reply["ticketid"] == (None, "new tickets 1") for reply in replies)
    files = fields(tickets, "files", "create")
    assert any(
        "new tickets_replies" in str(file["ticketreplyid"][1])
        and str(file["file"][1]).startswith("new files 1-")
        for file in files
    )
    assert fields(tickets, "tickets_replies", "delete")
    assert any("characters)" in str(one["message"][1]) for one in replies)

    sent = compared("togadesk_to_toga2")
    assert sent.plan is not None
    notes = fields(sent, "ticket-notes", "create")
    assert any(note["ticket"] == (None, "new tickets 1") for note in notes)
    assert {one["name"][1] for one in fields(sent, "files", "send")} == {"hum.txt", "image001.png"}
    assert all(
        one["file"][1].startswith("new files ") for one in fields(sent, "ticket-notes", "link")
    )
    backwards = fields(sent, "tickets_replies", "change")
    assert any(one["referenceId"][1].startswith("new ticket") for one in backwards)
    (status,) = [one["status"] for one in fields(sent, "tickets", "change") if "status" in one]
    assert None not in status

    # where there is nothing to do, nothing is planned
    scene.sync_all()
    for flow in ("contacts", "units", "category_trees", "toga2_to_togadesk", "togadesk_to_toga2"):
        quiet = compared(flow).plan
        assert quiet is not None
        assert quiet.total == 0

    # and where everything is compared, and tried again
    gone = scene.toga2_store.all("elite", "contacts")[0]["uuid"]
    scene.toga2_store.delete("elite", "contacts", gone)
    scene.helpdesk.execute("DELETE FROM tickets_replies WHERE message = :a", "<p>A picture</p>")
    assert compared("contacts", full=True).vanished == 1
    again = compared("toga2_to_togadesk", full=True)
    assert again.failed == 1
    assert fields(again, "tickets_replies", "create")[0]["message"][1] == "<p>A picture</p>"
    compared("togadesk_to_toga2", full=True)


def test_freshservice_plans_what_it_then_does(service_desk: ServiceDesk) -> None:
    account, systems = service_desk.account, service_desk.systems
    path = next(one for one in account.categories if len(one) == 3)
    known = account.new_ticket("Known", "<div>One</div>")
    account.reply(known, "<div>Hello</div>", files=["a.txt"])
    service_desk.hint(known)
    service_desk.hint(987_654)  # there is none: a dead letter, and a row that is given up or waits
    service_desk.sweep()

    account.update(known, subject="Known better")
    account.reply(known, "<div>More</div>", private=True)
    new = account.new_ticket(
        "New", "<div>Two</div>", category=path, group_id=account.groups[0], images=[Image("logo.png")],
        files=["b.pdf", ("b.pdf", b"another")],
    )  # fmt: skip
    account.new_ticket("Untold")
    for hint in (known, new, new, "not a ticket at all", 987_655):
        service_desk.hint(hint)
    systems.later_by(minutes=10)

    dry = compare(systems, service_desk.sweep)

    assert (dry.created, dry.updated) == (2, 1)
    assert dry.failed
    statuses = [one.get("status") for one in fields(dry, "WorkerJobs", "change")]
    assert {("PENDING", "DONE"), ("PENDING", "DEAD")} <= {*statuses}
    notes = fields(dry, "ticket-notes", "create")
    assert any(note["ticket"] == (None, "new tickets 1") for note in notes)
    assert {request.method for request in account.calls} <= {"GET"}


def test_from_a_point_far_back_with_a_dead_letter_that_is_due(typist: Typist) -> None:
    ticket, _ = typist.ticket("Scanner", "<p>It hums</p>")
    typist.send()
    typist.reply(ticket, "<p>Louder</p>")
    typist.systems.toga2.faults.add(Status(503), method="POST", route=f"/{typist.desk.notes_route}")
    assert typist.send().failed == 1
    for number in range(5):
        typist.reply(ticket, f"<p>{number}</p>")
    typist.systems.later_by(hours=7)

    dry = compare(
        typist.systems,
        lambda **given: typist.systems.sync("togadesk_to_toga2", since=at(0), **given),
    )

    assert dry.updated == 1

"""Writes to the sandbox's TOGA 2: creates, changes, links, files, and how ``_updated`` moves."""

import base64
from collections.abc import Iterator

import pytest

from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sandbox.toga2.schema import JOB_KINDS, JobKind
from elite_pipeline_tests.support.toga2_wire import Clock, Wire, running

BOTH_KINDS = pytest.mark.parametrize("kind", JOB_KINDS.values(), ids=JOB_KINDS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Toga2Sandbox]:
    with running(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def wire(sandbox: Toga2Sandbox) -> Wire:
    return Wire(sandbox)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("tickets", {"subject": "A"}),
        ("repair-orders", {"subject": "A", "status": "OPEN"}),
        ("contacts", {"firstName": "Zoë", "email": None}),
        ("units", {"name": "A", "item": {"name": "B", "manufacturer": "C", "category": "D"}}),
        ("ticket-teams", {"name": "A", "c_eliteGroupId": "5"}),
        ("predefined-replies", {"name": "A", "content": "<p>👍</p>"}),
        ("ticket-categories", {"name": "A, B ", "parent": None}),
        ("files", {"name": "A", "contentType": "text/plain", "data": "QQ=="}),
        ("parameters", {"name": "A", "value": "B"}),
    ],
)
def test_what_is_created_is_answered_and_read_back(
    wire: Wire, route: str, body: dict[str, object]
) -> None:
    created = wire.post(f"/{route}", body)

    read = wire.get(f"/{route}/{created['uuid']}")
    read.pop("data", None)
    assert created == read
    created.get("item", {}).pop("uuid", None)
    sent = {name: value for name, value in body.items() if name != "data"}
    assert created == created | sent


def test_a_new_ticket_gets_a_number_and_defaults(wire: Wire) -> None:
    first = wire.post("/tickets", {"subject": "A"})
    second = wire.post("/tickets", {"subject": "B"})

    assert first["number"].isdigit()
    assert first["number"] != second["number"]
    assert (first["status"], first["priority"]) == ("NEW", "NORMAL")
    assert first["ticketNotes"] == []


def test_a_change_leaves_the_rest_as_it_is(wire: Wire) -> None:
    contact = wire.post("/contacts", {"firstName": "A", "email": "a@example.com", "phone": "1"})

    changed = wire.patch(f"/contacts/{contact['uuid']}", {"phone": None, "c_eliteUserId": 5})

    assert changed == contact | {"phone": None, "c_eliteUserId": 5}


def test_references_are_set_changed_and_unset(wire: Wire) -> None:
    ada = wire.post("/contacts", {"firstName": "Ada"})["uuid"]
    bob = wire.post("/contacts", {"firstName": "Bob"})["uuid"]
    unit = wire.post("/units", {"name": "A", "contact": {"uuid": ada}})
    path = f"/units/{unit['uuid']}"

    assert unit["contact"] == {"uuid": ada}
    assert wire.patch(path, {"contact": {"uuid": bob}})["contact"] == {"uuid": bob}
    assert wire.list("/units", {"where[contact =]": ada}) == []
    assert wire.patch(path, {"contact": None})["contact"] is None


def test_every_write_moves_updated_and_nothing_moves_it_back(wire: Wire, clock: Clock) -> None:
    contact = wire.post("/contacts", {"firstName": "A"})
    path = f"/contacts/{contact['uuid']}"

    clock.advance(1.5)
    moved = wire.patch(path, {})
    clock.advance(-100)
    kept = wire.patch(path, {"firstName": "B"})

    assert contact["_updated"] == "2026-06-10 12:00:00"
    assert moved["_updated"] == kept["_updated"] == "2026-06-10 12:00:01"
    assert kept["_created"] == "2026-06-10 12:00:00"


@BOTH_KINDS
@pytest.mark.parametrize("touch", [True, False])
def test_a_note_touches_its_ticket_where_it_is_told_to(
    wire: Wire, sandbox: Toga2Sandbox, clock: Clock, touch: bool, kind: JobKind
) -> None:
    sandbox.settings.notes_touch_ticket = touch
    job = wire.post(f"/{kind.job.route}", {"subject": "A"})["uuid"]

    clock.advance(10)
    note = wire.post(f"/{kind.note.route}", {kind.note_parent: {"uuid": job}})["uuid"]
    after_note = wire.get(f"/{kind.job.route}/{job}")["_updated"]
    clock.advance(10)
    wire.patch(f"/{kind.note.route}/{note}", {"body": "B"})
    after_change = wire.get(f"/{kind.job.route}/{job}")["_updated"]

    if touch:
        assert (after_note[-2:], after_change[-2:]) == ("10", "20")
    else:
        assert (after_note[-2:], after_change[-2:]) == ("00", "00")


def test_a_linked_file_moves_its_note(wire: Wire, sandbox: Toga2Sandbox, clock: Clock) -> None:
    sandbox.settings.notes_touch_ticket = False
    ticket = wire.post("/tickets", {"subject": "A"})["uuid"]
    note = wire.post("/ticket-notes", {"ticket": {"uuid": ticket}})["uuid"]
    file = wire.post("/files", {"name": "a", "data": ""})["uuid"]

    clock.advance(5)
    wire.post(f"/ticket-notes/{note}/ticket-note-files", {"file": {"uuid": file}})

    assert wire.get(f"/ticket-notes/{note}")["_updated"] == "2026-06-10 12:00:05"
    assert wire.get(f"/tickets/{ticket}")["_updated"] == "2026-06-10 12:00:00"


@BOTH_KINDS
def test_the_child_route_matches_one_record_and_is_no_list(wire: Wire, kind: JobKind) -> None:
    """Trap 2 of ``spec/systems.md``: none is EV-6, several are EV-14."""
    job = wire.post(f"/{kind.job.route}", {"subject": "A"})["uuid"]
    note = wire.post(f"/{kind.note.route}", {kind.note_parent: {"uuid": job}})["uuid"]
    path = f"/{kind.note.route}/{note}/{kind.link.route}"
    files = [wire.post("/files", {"name": "a", "data": "QQ=="})["uuid"] for _ in range(2)]

    assert wire.refused("GET", path) == (404, "EV-6")
    answer = wire.call("POST", path, json={"file": {"uuid": files[0]}})
    assert answer.status_code == 201
    link = answer.json()["data"][kind.link.envelope]
    assert link["file"] == {"uuid": files[0]}
    assert wire.get(path) == link
    assert wire.get(path, depth=2)["file"]["name"] == "a"
    wire.post(path, {"file": {"uuid": files[1]}})
    assert wire.refused("GET", path) == (404, "EV-14")
    linked = wire.get(f"/{kind.note.route}/{note}", depth=5)[kind.link.envelope]
    assert {link["file"]["uuid"] for link in linked} == set(files)


def test_repair_orders_have_the_same_shape(wire: Wire) -> None:
    order = wire.post("/repair-orders", {"subject": "A"})["uuid"]
    note = wire.post("/repair-order-notes", {"repairOrder": {"uuid": order}, "body": "B"})["uuid"]
    file = wire.post("/files", {"name": "a", "data": "QQ=="})["uuid"]
    answer = wire.call(
        "POST", f"/repair-order-notes/{note}/repair-order-note-files", json={"file": {"uuid": file}}
    )

    assert list(answer.json()["data"]) == ["repairOrderNoteFiles"]
    found = wire.get(f"/repair-orders/{order}", depth=5)
    (only,) = found["repairOrderNotes"]
    assert (only["body"], only["repairOrder"]) == ("B", {"uuid": order})
    assert only["repairOrderNoteFiles"][0]["file"]["name"] == "a"
    assert not {"ticket", "ticketNoteFiles"} & only.keys()
    assert "ticketNotes" not in found


def test_bytes_come_back_as_they_went_in(wire: Wire, sandbox: Toga2Sandbox) -> None:
    content = bytes(range(256)) * 5_000
    body = {"name": "all.bin", "data": base64.b64encode(content).decode()}

    file = wire.post("/files", body)
    read = wire.get(f"/files/{file['uuid']}")
    changed = wire.patch(f"/files/{file['uuid']}", {"data": "QQ=="})

    assert file["size"] == len(content)
    assert base64.b64decode(read["data"]) == content
    assert changed["size"] == 1
    assert sandbox.store.content("elite", file["uuid"]) == b"A"


def test_text_comes_back_as_it_went_in(wire: Wire) -> None:
    text = 'emoji 🚀 rtl مرحبا crlf\r\n quote " backslash \\ nul-free \u2028 <p>&amp;</p>' * 2_000

    assert wire.post("/tickets", {"subject": "A", "description": text})["description"] == text

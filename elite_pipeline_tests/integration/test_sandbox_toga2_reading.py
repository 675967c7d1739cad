"""Reads of the sandbox's TOGA 2: envelopes, depth, filters, order and pages, over real HTTP."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.toga2_wire import ELITE, NOON, WJE, Clock, Wire, running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Toga2Sandbox]:
    with running(clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def wire(sandbox: Toga2Sandbox) -> Wire:
    return Wire(sandbox)


@pytest.fixture(scope="module")
def tree(sandbox: Toga2Sandbox) -> dict[str, str]:
    """One ticket with everything that can hang on it; the uuids by what they are."""

    def make(route: str, **body: Any) -> str:
        return str(sandbox.store.create("elite", route, body)["uuid"])

    contact = make("contacts", firstName="Ada", email="ada@example.com", c_eliteUserId="77")
    root = make("ticket-categories", name="Hardware")
    category = make("ticket-categories", name="Laptop", parent={"uuid": root})
    unit = make("units", name="Laptop 1", contact={"uuid": contact}, item={"name": "T14"})
    team = make("ticket-teams", name="Desk")
    ticket = make(
        "tickets",
        subject="Broken",
        contact={"uuid": contact},
        ticketTeam={"uuid": team},
        ticketCategory={"uuid": category},
        unit={"uuid": unit},
    )
    note = make("ticket-notes", ticket={"uuid": ticket}, body="<p>hü 😀</p>", isExternal=True)
    second = make("ticket-notes", ticket={"uuid": ticket}, body="second")
    file = make("files", name="x.png", contentType="image/png", data="aGk=")
    link = make("ticket-note-files", ticketNote={"uuid": note}, file={"uuid": file})
    return {
        "contact": contact,
        "root": root,
        "category": category,
        "unit": unit,
        "team": team,
        "ticket": ticket,
        "note": note,
        "second": second,
        "file": file,
        "link": link,
    }


def notes_of(ticket: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {note["uuid"]: note for note in ticket["ticketNotes"]}


@pytest.mark.parametrize(
    ("route", "envelope"),
    [
        ("tickets", "tickets"),
        ("ticket-notes", "ticketNotes"),
        ("repair-orders", "repairOrders"),
        ("repair-order-notes", "repairOrderNotes"),
        ("contacts", "contacts"),
        ("units", "units"),
        ("ticket-teams", "ticketTeams"),
        ("predefined-replies", "predefinedReplies"),
        ("ticket-categories", "ticketCategories"),
        ("files", "files"),
        ("parameters", "parameters"),
    ],
)
def test_the_envelope_of_a_list_is_the_camel_case_plural(
    wire: Wire, route: str, envelope: str
) -> None:
    answer = wire.call("GET", f"/{route}")

    assert list(answer.json()["data"]) == [envelope]
    assert isinstance(answer.json()["data"][envelope], list)


def test_one_record_stands_under_the_plural_too(wire: Wire, tree: dict[str, str]) -> None:
    answer = wire.call("GET", f"/ticket-notes/{tree['note']}", params={"depth": 5})

    assert answer.json()["data"]["ticketNotes"]["uuid"] == tree["note"]
    assert answer.headers["Content-Type"] == "application/json"
    assert "Date" in answer.headers


def test_records_have_their_times_in_whole_seconds_of_utc(wire: Wire, tree: dict[str, str]) -> None:
    contact = wire.get(f"/contacts/{tree['contact']}")

    assert contact["_created"] == contact["_updated"] == "2026-06-10 12:00:00"
    assert contact["c_eliteUserId"] == "77"


def test_depth_1_shows_relations_as_stubs(wire: Wire, tree: dict[str, str]) -> None:
    for ticket in (
        wire.get(f"/tickets/{tree['ticket']}"),
        wire.get(f"/tickets/{tree['ticket']}", depth=1),
    ):
        assert ticket["contact"] == {"uuid": tree["contact"]}
        assert ticket["ticketTeam"] == {"uuid": tree["team"]}
        assert sorted(notes_of(ticket)) == sorted([tree["note"], tree["second"]])
        assert all(set(note) == {"uuid"} for note in ticket["ticketNotes"])


def test_depth_2_expands_one_level(wire: Wire, tree: dict[str, str]) -> None:
    ticket = wire.get(f"/tickets/{tree['ticket']}", depth=2)

    assert ticket["contact"]["firstName"] == "Ada"
    assert ticket["unit"]["name"] == "Laptop 1"
    assert ticket["unit"]["contact"] == {"uuid": tree["contact"]}
    assert ticket["ticketCategory"]["parent"] == {"uuid": tree["root"]}
    note = notes_of(ticket)[tree["note"]]
    assert note["body"] == "<p>hü 😀</p>"
    assert note["ticketNoteFiles"] == [{"uuid": tree["link"]}]


def test_depth_3_expands_two_levels(wire: Wire, tree: dict[str, str]) -> None:
    ticket = wire.get(f"/tickets/{tree['ticket']}", depth=3)

    assert ticket["unit"]["contact"]["firstName"] == "Ada"
    assert ticket["ticketCategory"]["parent"]["name"] == "Hardware"
    (link,) = notes_of(ticket)[tree["note"]]["ticketNoteFiles"]
    assert link["file"] == {"uuid": tree["file"]}


def test_depth_4_reaches_the_files_of_notes_but_not_their_bytes(
    wire: Wire, tree: dict[str, str]
) -> None:
    for depth in (4, 5):
        ticket = wire.get(f"/tickets/{tree['ticket']}", depth=depth)
        (link,) = notes_of(ticket)[tree["note"]]["ticketNoteFiles"]

        assert link["file"]["name"] == "x.png"
        assert link["file"]["size"] == 2
        assert "data" not in link["file"]


def test_repair_orders_honour_depth_to_the_level(
    wire: Wire, sandbox: Toga2Sandbox, tree: dict[str, str]
) -> None:
    def make(route: str, **body: Any) -> dict[str, str]:
        return {"uuid": str(sandbox.store.create("elite", route, body)["uuid"])}

    contact, file = {"uuid": tree["contact"]}, {"uuid": tree["file"]}
    order = make("repair-orders", subject="Broken", contact=contact)
    note = make("repair-order-notes", repairOrder=order, body="Seen")
    link = make("repair-order-note-files", repairOrderNote=note, file=file)
    path = f"/repair-orders/{order['uuid']}"
    read = {depth: wire.get(path, depth=depth) for depth in (1, 2, 3, 4)}

    assert (read[1]["contact"], read[1]["repairOrderNotes"]) == (contact, [note])
    assert read[2]["contact"]["firstName"] == "Ada"
    (shown,) = read[2]["repairOrderNotes"]
    assert (shown["body"], shown["repairOrder"]) == ("Seen", order)
    assert shown["repairOrderNoteFiles"] == [link]
    (linked,) = read[3]["repairOrderNotes"][0]["repairOrderNoteFiles"]
    assert linked["file"] == file
    (linked,) = read[4]["repairOrderNotes"][0]["repairOrderNoteFiles"]
    assert linked["file"]["name"] == "x.png"
    assert wire.list("/repair-orders", {"depth": 4}) == [read[4]]


def test_nothing_is_expanded_inside_itself(wire: Wire, tree: dict[str, str]) -> None:
    ticket = wire.get(f"/tickets/{tree['ticket']}", depth=10)
    note = wire.get(f"/ticket-notes/{tree['note']}", depth=10)

    assert notes_of(ticket)[tree["note"]]["ticket"] == {"uuid": tree["ticket"]}
    inside = notes_of(note["ticket"])
    assert inside[tree["note"]] == {"uuid": tree["note"]}
    assert inside[tree["second"]]["ticket"] == {"uuid": tree["ticket"]}


def test_a_loop_of_parents_ends_in_a_stub(wire: Wire, sandbox: Toga2Sandbox) -> None:
    hen = sandbox.store.create("elite", "ticket-categories", {"name": "Hen"})["uuid"]
    egg = sandbox.store.create(
        "elite", "ticket-categories", {"name": "Egg", "parent": {"uuid": hen}}
    )["uuid"]
    sandbox.store.update("elite", "ticket-categories", hen, {"parent": {"uuid": egg}})

    found = wire.get(f"/ticket-categories/{hen}", depth=9)

    assert found["parent"]["name"] == "Egg"
    assert found["parent"]["parent"] == {"uuid": hen}


def test_a_units_item_is_always_there_whole(wire: Wire, tree: dict[str, str]) -> None:
    item = wire.get(f"/units/{tree['unit']}")["item"]

    assert set(item) == {"uuid", "name", "manufacturer", "category"}
    assert (item["name"], item["manufacturer"]) == ("T14", None)


def test_the_key_of_a_notes_files_has_no_extra_s(wire: Wire, tree: dict[str, str]) -> None:
    note = wire.get(f"/ticket-notes/{tree['note']}", depth=5)

    assert "ticketNotesFiles" not in note
    assert [link["file"]["name"] for link in note["ticketNoteFiles"]] == ["x.png"]


def test_a_files_bytes_come_with_a_single_read_alone(wire: Wire, tree: dict[str, str]) -> None:
    single = wire.get(f"/files/{tree['file']}", depth=1)
    listed = wire.list("/files", {"where[uuid =]": tree["file"], "depth": 5})

    assert single["data"] == "aGk="
    assert single["contentType"] == "image/png"
    assert all("data" not in file for file in listed)


def test_lists_honour_depth_where_they_are_told_to(
    wire: Wire, sandbox: Toga2Sandbox, tree: dict[str, str]
) -> None:
    query = {"where[uuid =]": tree["ticket"], "depth": 5}
    single = wire.get(f"/tickets/{tree['ticket']}", depth=5)
    try:
        sandbox.settings.expand_lists = True
        assert wire.list("/tickets", query) == [single]
        sandbox.settings.expand_lists = False
        assert wire.list("/tickets", query) == [wire.get(f"/tickets/{tree['ticket']}")]
        assert wire.get(f"/tickets/{tree['ticket']}", depth=5) == single
    finally:
        sandbox.settings.expand_lists = True


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"where[email =]": "filter-1@example.com"}, [1]),
        ({"where[c_eliteUserId =]": "9002"}, [2]),
        ({"where[c_eliteUserId in]": "9003,9001,1"}, [1, 3]),
        ({"where[lastName =]": "Name 4"}, [4]),
        ({"where[lastName >]": "Name 3"}, [4, 5]),
        ({"where[lastName >=]": "Name 3", "where[lastName <]": "Name 5"}, [3, 4]),
        ({"where[c_eliteUserId <=]": "9002"}, [1, 2]),
        ({"where[isActive =]": "false"}, [5]),
        ({"where[_updated =]": "2026-01-01 00:00:03"}, [3]),
        ({"where[_updated >]": "2026-01-01 00:00:03"}, [4, 5]),
        ({"where[_created <=]": "2026-01-01 00:00:02"}, [1, 2]),
        ({"where[email =]": "FILTER-1@example.com"}, []),
    ],
)
def test_filters(query: dict[str, str], found: list[int], filtered: Wire) -> None:
    records = filtered.list("/contacts", query | {"orderBy": "lastName"})

    assert [record["lastName"] for record in records] == [f"Name {number}" for number in found]


@pytest.fixture(scope="module")
def filtered(sandbox: Toga2Sandbox) -> Iterator[Wire]:
    with running() as sandbox:
        for number in range(5, 0, -1):
            moment = NOON.replace(month=1, day=1, hour=0) + timedelta(seconds=number)
            sandbox.store.create(
                "elite",
                "contacts",
                {
                    "lastName": f"Name {number}",
                    "email": f"filter-{number}@example.com",
                    "isActive": number < 5,
                    "c_eliteUserId": 9000 + number if number % 2 else str(9000 + number),
                },
                created=moment,
            )
        yield Wire(sandbox)


def test_a_filter_on_a_relation_takes_a_uuid(wire: Wire, tree: dict[str, str]) -> None:
    notes = wire.list("/ticket-notes", {"where[ticket =]": tree["ticket"]})
    tickets = wire.list("/tickets", {"where[contact in]": f"{tree['contact']},x"})

    assert {note["uuid"] for note in notes} == {tree["note"], tree["second"]}
    assert [ticket["uuid"] for ticket in tickets] == [tree["ticket"]]
    assert wire.list("/ticket-notes", {"where[ticket =]": tree["contact"]}) == []


def test_the_spelling_of_the_query_in_the_address_does_not_matter(wire: Wire) -> None:
    wire.post("/parameters", {"name": "SPELLING", "value": "=&+ü"})
    for query in (
        "where[name =]=SPELLING",
        "where%5Bname%20%3D%5D=SPELLING",
        "where%5Bname+%3D%5D=SPELLING",
        "where[name+in]=OTHER%2CSPELLING",
    ):
        answer = wire.call("GET", f"/parameters?{query}")
        assert [found["value"] for found in answer.json()["data"]["parameters"]] == ["=&+ü"]


def test_a_filter_changes_with_the_record(wire: Wire) -> None:
    uuid = wire.post("/parameters", {"name": "BEFORE", "value": "1"})["uuid"]
    wire.patch(f"/parameters/{uuid}", {"name": "AFTER"})

    assert wire.list("/parameters", {"where[name =]": "BEFORE"}) == []
    assert len(wire.list("/parameters", {"where[name =]": "AFTER"})) == 1


def test_pages_follow_each_other_and_the_last_is_short() -> None:
    with running() as sandbox:
        sandbox.store.bulk_create(
            "elite",
            "contacts",
            ({"lastName": f"{number:04}", "_created": NOON} for number in range(450)),
        )
        wire = Wire(sandbox)
        pages = [
            wire.list("/contacts", {"orderBy": "lastName", "page": page, "limit": 200})
            for page in (1, 2, 3, 4)
        ]

    assert [len(page) for page in pages] == [200, 200, 50, 0]
    names = [contact["lastName"] for page in pages for contact in page]
    assert names == [f"{number:04}" for number in range(450)]


def test_the_default_page_is_the_first_two_hundred() -> None:
    with running() as sandbox:
        sandbox.store.bulk_create(
            "elite", "contacts", ({"lastName": str(number)} for number in range(201))
        )

        assert len(Wire(sandbox).get("/contacts")) == 200


def test_reading_by_keyset_finds_everything_though_thousands_share_a_second() -> None:
    """The way in which the pipeline reads: no page number, ties in order of uuid."""
    with running() as sandbox:
        for seconds, count in ((0, 150), (1, 2_500), (2, 333)):
            moment = NOON + timedelta(seconds=seconds)
            sandbox.store.bulk_create(
                "elite", "contacts", ({"_created": moment} for _ in range(count))
            )
        wire = Wire(sandbox)
        common = {"orderBy": "_updated,uuid", "page": 1, "limit": 200, "depth": 1}
        seen: list[tuple[str, str]] = []
        filters = {"where[_updated >]": "2026-06-10 00:00:00"}
        while True:
            page = wire.list("/contacts", filters | common)
            seen += [(contact["_updated"], contact["uuid"]) for contact in page]
            tied = "where[_updated =]" in filters
            if len(page) < 200 and not tied:
                break
            newest = seen[-1][0]
            if len(page) < 200:
                filters = {"where[_updated >]": newest}
            elif page[0]["_updated"] == newest:
                filters = {"where[_updated =]": newest, "where[uuid >]": seen[-1][1]}
            else:
                filters = {"where[_updated >=]": newest}

    assert len(set(seen)) == 2_983
    ordered = list(dict.fromkeys(seen))
    assert ordered == sorted(ordered)


def test_clients_do_not_see_each_other(sandbox: Toga2Sandbox, tree: dict[str, str]) -> None:
    other = Wire(sandbox, WJE)

    assert other.get("/contacts") == []
    assert other.refused("GET", f"/tickets/{tree['ticket']}") == (404, "EV-6")
    assert other.refused("PATCH", f"/tickets/{tree['ticket']}", json={"subject": "x"}) == (
        404,
        "EV-6",
    )
    assert other.refused("GET", f"/files/{tree['file']}") == (404, "EV-6")
    body = {"ticket": {"uuid": tree["ticket"]}}
    assert other.refused("POST", "/ticket-notes", json=body)[0] == 422


def test_parameters_belong_to_a_client(sandbox: Toga2Sandbox) -> None:
    elite, wje = Wire(sandbox, ELITE), Wire(sandbox, WJE)
    elite.post("/parameters", {"name": "SCOPED", "value": "elite"})
    wje.post("/parameters", {"name": "SCOPED", "value": "wje"})

    for wire, value in ((elite, "elite"), (wje, "wje")):
        found = wire.list("/parameters", {"where[name =]": "SCOPED"})
        assert [parameter["value"] for parameter in found] == [value]

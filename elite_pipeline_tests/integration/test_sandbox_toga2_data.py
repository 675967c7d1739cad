"""Believable data in a store: what is generated holds together, and comes out the same again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from elite_pipeline.sandbox.data import demo_sizes, generate
from elite_pipeline.sandbox.toga2 import SandboxClient, Store
from elite_pipeline.sandbox.toga2.clock import from_wire
from elite_pipeline.sandbox.toga2.schema import RESOURCES
from elite_pipeline.sandbox.toga2.validation import check_body
from elite_pipeline_tests.support.toga2_wire import ELITE, NOON, WJE

START = NOON - timedelta(days=730)
SIZES: dict[str, Any] = {
    "contacts": 60,
    "units": 30,
    "teams": 5,
    "predefined_replies": 20,
    "categories": 40,
    "tickets": 40,
}


def filled(client: str = "elite", **options: Any) -> Store:
    store = Store([ELITE, WJE])
    chosen: dict[str, Any] = {"seed": 3, "start": START, "end": NOON} | SIZES | options
    generate(store, client, **chosen)
    return store


def everything(store: Store, client: str = "elite") -> dict[str, list[dict[str, Any]]]:
    return {route: store.all(client, route) for route in RESOURCES}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = filled()
    yield store
    store.close()


def test_the_same_seed_gives_the_same_records(store: Store) -> None:
    again, other = filled(), filled(seed=4)
    try:
        assert everything(again) == everything(store)
        assert everything(other) != everything(store)
    finally:
        again.close()
        other.close()


def test_there_are_as_many_as_were_asked_for() -> None:
    store = Store([ELITE])
    told: dict[str, int] = {}

    made = generate(
        store,
        "elite",
        seed=1,
        start=START,
        end=NOON,
        **SIZES,
        progress=lambda route, number: told.update({route: told.get(route, 0) + number}),
    )

    assert {route: store.count("elite", route) for route in made} == made
    assert {route: number for route, number in made.items() if number} == told
    assert (made["contacts"], made["ticket-categories"], made["tickets"]) == (60, 40, 40)
    assert 60 < made["ticket-notes"] < 180
    store.close()


@pytest.fixture(scope="module")
def orders() -> Iterator[Store]:
    """The data of a client of repair orders."""
    store = filled("wje")
    yield store
    store.close()


def test_a_client_of_repair_orders_has_those_and_no_tickets(orders: Store) -> None:
    made = {route: len(records) for route, records in everything(orders, "wje").items()}

    assert made["repair-orders"] == 40
    assert 60 < made["repair-order-notes"] < 180
    assert made["repair-order-note-files"] == made["files"] > 0
    assert made["tickets"] == made["ticket-notes"] == made["ticket-note-files"] == 0
    notes = [
        note
        for order in orders.all("wje", "repair-orders", depth=5)
        for note in order["repairOrderNotes"]
    ]
    assert len(notes) == made["repair-order-notes"]
    links = [link for note in notes for link in note["repairOrderNoteFiles"]]
    assert len(links) == made["files"]
    assert all(link["file"]["name"] for link in links)


@pytest.mark.parametrize("client", [ELITE, WJE], ids=lambda client: client.name)
def test_clean_data_are_what_toga_2_would_take(
    store: Store, orders: Store, client: SandboxClient
) -> None:
    filled_store = {"elite": store, "wje": orders}[client.name]
    for route, records in everything(filled_store, client.name).items():
        resource = RESOURCES[route]
        read_only = {field.name for field in resource.fields if field.read_only}
        hidden = {"uuid", "_created", "_updated"} | read_only
        if resource.children is not None:
            hidden.add(resource.children.name)
        for record in records:
            body = {name: value for name, value in record.items() if name not in hidden}
            check_body(resource, body, custom_fields=client.custom_fields, creating=False)


def test_references_lead_somewhere(store: Store) -> None:
    records = everything(store)
    uuids = {route: {record["uuid"] for record in found} for route, found in records.items()}
    for route, found in records.items():
        for relation in RESOURCES[route].relations:
            named = {record[relation.name]["uuid"] for record in found if record[relation.name]}
            assert named <= uuids[relation.route]


def test_times_lie_within_the_period_and_the_newest_near_its_end(store: Store) -> None:
    for route, records in everything(store).items():
        updated = [from_wire(record["_updated"]) for record in records]
        created = [from_wire(record["_created"]) for record in records]
        assert all(before >= START for before in created), route
        assert all(before <= after <= NOON for before, after in zip(created, updated, strict=True))
    for route in ("contacts", "units", "tickets", "ticket-teams"):
        newest = max(from_wire(record["_updated"]) for record in store.all("elite", route))
        assert NOON - newest < timedelta(minutes=15)


def test_notes_follow_their_ticket_and_move_it(store: Store) -> None:
    tickets = {ticket["uuid"]: ticket for ticket in store.all("elite", "tickets")}
    for note in store.all("elite", "ticket-notes"):
        ticket = tickets[note["ticket"]["uuid"]]
        assert ticket["_created"] <= note["_created"] <= ticket["_updated"]


def test_every_contact_has_an_address_of_its_own_in_a_reserved_domain(store: Store) -> None:
    emails = [contact["email"] for contact in store.all("elite", "contacts")]

    assert len({email.lower() for email in emails}) == len(emails)
    assert all(email.isascii() and email.endswith(".elite.example.com") for email in emails)


def test_the_categories_are_a_tree_of_three_levels(store: Store) -> None:
    records = {record["uuid"]: record for record in store.all("elite", "ticket-categories")}

    def path(record: dict[str, Any]) -> tuple[str, ...]:
        parent = record["parent"]
        above = path(records[parent["uuid"]]) if parent else ()
        return (*above, record["name"])

    paths = [path(record) for record in records.values()]
    names = [record["name"] for record in records.values()]
    assert {len(found) for found in paths} == {1, 2, 3}
    assert len(set(paths)) == len(paths)
    assert len(set(names)) < len(names)
    assert any("," in name for name in names)
    assert any(name != name.strip() for name in names)


def test_the_texts_are_of_many_kinds(store: Store) -> None:
    notes = store.all("elite", "ticket-notes")
    text = "".join(str(note["body"]) for note in notes)
    text += "".join(str(ticket["description"]) for ticket in store.all("elite", "tickets"))

    assert {note["isExternal"] for note in notes} == {True, False}
    for wanted in ("<p>", "ü", "é", "\r\n", 'dir="rtl"', "🎉"):
        assert wanted in text
    agents = {note["authorEmail"] for note in notes if "@desk." in note["authorEmail"]}
    assert 1 < len(agents) <= 12


def test_some_records_are_inactive(store: Store) -> None:
    for route in ("contacts", "units"):
        assert {record["isActive"] for record in store.all("elite", route)} == {True, False}


def test_files_are_whole(store: Store) -> None:
    files = store.all("elite", "files")

    assert files
    for file in files:
        content = store.content("elite", file["uuid"])
        assert len(content) == file["size"] > 0
        assert (file["contentType"] == "image/png") == content.startswith(b"\x89PNG")


def test_dirty_data_come_on_top(store: Store) -> None:
    dirty = filled(dirty=True)
    clean = everything(store)
    found = everything(dirty)
    added = {
        route: [record for record in found[route] if record not in clean[route]] for route in found
    }
    dirty.close()

    assert all(record in found[route] for route in clean for record in clean[route])
    assert {None, ""} <= {contact["email"] for contact in added["contacts"]}
    assert any(
        len(contact["firstName"] + contact["lastName"]) > 128 for contact in added["contacts"]
    )
    tags = [unit["tag"] for unit in added["units"]]
    assert tags.count("ELITE-TWICE") == 2
    loop = {category["uuid"]: category for category in added["ticket-categories"]}
    assert any(
        loop.get(category["parent"]["uuid"], category)["parent"] == {"uuid": category["uuid"]}
        for category in loop.values()
    )


def test_no_tickets_need_no_surroundings() -> None:
    store = Store([ELITE])
    made = generate(store, "elite", seed=1, start=START, end=NOON, tickets=3, notes_per_ticket=0)

    assert made["ticket-notes"] == 0
    assert {ticket["contact"] for ticket in store.all("elite", "tickets")} == {None}
    store.close()


@pytest.mark.parametrize(
    ("start", "end"), [(NOON, NOON), (NOON.replace(tzinfo=None), NOON.replace(tzinfo=None))]
)
def test_a_period_that_is_none_is_refused(store: Store, start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="start"):
        generate(store, "elite", seed=1, start=start, end=end)


def test_the_demo_has_one_larger_client() -> None:
    sizes = [demo_sizes(position) for position in range(4)]

    assert all(one.total >= next_one.total for one, next_one in pairwise(sizes))
    assert sizes[0].contacts == 400

"""The store of the sandbox's TOGA 2, as tests use it: times, malformed records, bulk loads."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from elite_pipeline.sandbox.toga2 import RefusedError, Store, Toga2Sandbox
from elite_pipeline.sandbox.toga2.writing import FIRST_NUMBER
from elite_pipeline_tests.support.toga2_wire import ELITE, NOON, WJE, Clock, Wire, running

UUID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Toga2Sandbox]:
    with running(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def store(sandbox: Toga2Sandbox) -> Store:
    return sandbox.store


def test_a_caller_may_name_uuid_and_times(store: Store) -> None:
    early, late = NOON - timedelta(days=2), NOON - timedelta(days=1)

    made = store.create("elite", "contacts", {}, uuid=UUID, created=early, updated=late)
    moved = store.update("elite", "contacts", UUID, {"firstName": "A"}, updated=early)

    assert (made["uuid"], made["_created"], made["_updated"]) == (
        UUID,
        "2026-06-08 12:00:00",
        "2026-06-09 12:00:00",
    )
    assert moved["_updated"] == "2026-06-08 12:00:00"
    assert store.get("elite", "contacts", UUID) == moved


def test_a_naive_time_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="aware"):
        store.create("elite", "contacts", {}, created=NOON.replace(tzinfo=None))


def test_a_uuid_is_taken_once(store: Store) -> None:
    store.create("elite", "contacts", {}, uuid=UUID)

    with pytest.raises(RefusedError, match="already"):
        store.create("elite", "contacts", {}, uuid=UUID)
    assert store.create("wje", "contacts", {}, uuid=UUID)["uuid"] == UUID


def test_a_refused_write_leaves_nothing(store: Store) -> None:
    with pytest.raises(RefusedError, match="EV-12"):
        store.create("elite", "tickets", {"subject": "A", "contact": {"uuid": UUID}})

    assert store.all("elite", "tickets") == []


@pytest.mark.parametrize(("client", "route"), [("nobody", "contacts"), ("elite", "people")])
def test_an_unknown_client_or_route_is_named(store: Store, client: str, route: str) -> None:
    with pytest.raises(ValueError, match=r"'nobody'.*elite|'people'.*contacts"):
        store.create(client, route, {})
    with pytest.raises(ValueError, match=r"'nobody'|'people'"):
        store.all(client, route)


def test_a_deleted_record_is_gone_and_leaves_stubs(store: Store) -> None:
    contact = store.create("elite", "contacts", {"email": "a@example.com"})["uuid"]
    unit = store.create("elite", "units", {"contact": {"uuid": contact}})["uuid"]

    store.delete("elite", "contacts", contact)

    with pytest.raises(RefusedError, match="EV-6"):
        store.get("elite", "contacts", contact)
    with pytest.raises(RefusedError, match="EV-6"):
        store.delete("elite", "contacts", contact)
    assert store.get("elite", "units", unit, depth=3)["contact"] == {"uuid": contact}
    assert store.count("elite", "contacts") == 0


def test_all_returns_records_in_the_order_in_which_they_came(store: Store) -> None:
    for number in range(5):
        store.create("elite", "tickets", {"subject": str(number)}, created=NOON.replace(year=2020))

    assert [ticket["subject"] for ticket in store.all("elite", "tickets")] == list("01234")
    assert store.all("elite", "tickets", depth=5)[0]["ticketNotes"] == []
    assert store.all("wje", "tickets") == []


class TestMalformedRecords:
    def test_it_is_served_as_it_is(self, store: Store, sandbox: Toga2Sandbox) -> None:
        document = {
            "uuid": UUID,
            "_updated": "2026-06-01 00:00:00",
            "email": ["no", "text"],
            "nonsense": {"a": None},
        }
        store.put_raw("elite", "contacts", document)
        wire = Wire(sandbox)

        assert wire.get(f"/contacts/{UUID}", depth=5) == document
        assert wire.list("/contacts", {"where[_updated >]": "2026-05-31 00:00:00"}) == [document]
        assert wire.list("/contacts", {"where[_updated >]": "2026-06-01 00:00:00"}) == []

    def test_without_uuid_and_time_it_stands_in_the_present(
        self, store: Store, sandbox: Toga2Sandbox
    ) -> None:
        uuid = store.put_raw("elite", "contacts", {"email": 5, "_updated": None})
        wire = Wire(sandbox)

        assert wire.get(f"/contacts/{uuid}") == {"email": 5, "_updated": None}
        assert len(wire.list("/contacts", {"where[_updated =]": "2026-06-10 12:00:00"})) == 1

    def test_it_replaces_a_record(self, store: Store) -> None:
        store.create("elite", "contacts", {"email": "a@example.com"}, uuid=UUID)
        store.put_raw("elite", "contacts", {"uuid": UUID, "email": 5})

        assert store.all("elite", "contacts") == [{"uuid": UUID, "email": 5}]

    def test_it_can_be_mended(self, store: Store) -> None:
        store.put_raw("elite", "contacts", {"uuid": UUID, "email": 5})

        mended = store.update("elite", "contacts", UUID, {"email": "a@example.com"})

        assert mended == {
            "uuid": UUID,
            "email": "a@example.com",
            "_updated": "2026-06-10 12:00:00",
        }

    def test_it_hangs_on_its_ticket(self, store: Store) -> None:
        ticket = store.create("elite", "tickets", {"subject": "A"})["uuid"]
        note = {"uuid": UUID, "ticket": {"uuid": ticket}, "isExternal": "perhaps"}
        store.put_raw("elite", "ticket-notes", note)

        assert store.get("elite", "tickets", ticket, depth=5)["ticketNotes"] == [note]


class TestTouch:
    def test_it_moves_to_the_present(self, store: Store, clock: Clock) -> None:
        store.create("elite", "contacts", {}, uuid=UUID)
        clock.advance(9)
        store.touch("elite", "contacts", UUID)

        assert store.get("elite", "contacts", UUID)["_updated"] == "2026-06-10 12:00:09"

    def test_it_moves_behind_what_is_newer_than_the_present(self, store: Store) -> None:
        store.create("elite", "contacts", {}, uuid=UUID)
        store.create("elite", "contacts", {}, created=NOON + timedelta(days=1))
        store.touch("elite", "contacts", UUID)

        assert store.get("elite", "contacts", UUID)["_updated"] == "2026-06-11 12:00:00"


class TestBulkLoads:
    def test_what_comes_in_in_bulk_is_as_if_created_singly(self, store: Store) -> None:
        contact = {"firstName": "A", "email": "a@example.com", "c_eliteUserId": "5"}
        store.bulk_create("elite", "contacts", [{"uuid": UUID, **contact}])
        single = store.create("wje", "contacts", {"firstName": "A", "email": "a@example.com"})

        bulk = store.get("elite", "contacts", UUID)
        assert set(bulk) == {*single, "c_eliteUserId"}
        assert bulk["_updated"] == "2026-06-10 12:00:00"

    def test_everything_that_hangs_together(self, store: Store, sandbox: Toga2Sandbox) -> None:
        moment = NOON - timedelta(days=1)
        store.bulk_create("elite", "tickets", [{"uuid": UUID, "subject": "A", "_created": moment}])
        store.bulk_create("elite", "ticket-notes", [{"uuid": "n", "ticket": {"uuid": UUID}}])
        store.bulk_create("elite", "files", [{"uuid": "f", "name": "a", "data": b"AB"}])
        store.bulk_create("elite", "ticket-note-files", [{"ticketNote": "n", "file": "f"}])

        ticket = store.get("elite", "tickets", UUID, depth=5)
        file = ticket["ticketNotes"][0]["ticketNoteFiles"][0]["file"]
        assert ticket["_updated"] == "2026-06-09 12:00:00"
        assert int(ticket["number"]) > FIRST_NUMBER
        assert file["size"] == 2
        assert store.content("elite", "f") == b"AB"
        assert Wire(sandbox).get("/files/f")["data"] == "QUI="

    def test_it_streams_and_tells_how_far_it_is(self, store: Store) -> None:
        told: list[int] = []

        made = store.bulk_create(
            "elite", "contacts", ({} for _ in range(22_000)), progress=told.append
        )

        assert (made, sum(told)) == (22_000, 22_000)
        assert len(told) > 1
        assert store.count("elite", "contacts") == 22_000

    def test_an_unknown_key_is_named(self, store: Store) -> None:
        for key in ("mail", "c_wjeUserId"):
            with pytest.raises(ValueError, match=key):
                store.bulk_create("elite", "contacts", [{key: "x"}])


def test_a_uuid_that_is_taken_stops_a_bulk_load(store: Store) -> None:
    with pytest.raises(ValueError, match="contact already"):
        store.bulk_create("elite", "contacts", [{"uuid": UUID}, {"uuid": UUID}])

    assert store.count("elite", "contacts") == 0


def test_clients_may_have_the_same_uuids(store: Store) -> None:
    for client in (ELITE, WJE):
        store.bulk_create(client.name, "contacts", [{"uuid": UUID, "firstName": client.name}])

    assert store.get("elite", "contacts", UUID)["firstName"] == "elite"
    assert store.get("wje", "contacts", UUID)["firstName"] == "wje"

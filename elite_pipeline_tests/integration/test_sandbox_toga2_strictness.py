"""What the sandbox's TOGA 2 refuses, one case per rule, and that a refusal writes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.toga2_wire import ELITE, WJE, Wire, running

CONTACT = "11111111-1111-4111-8111-111111111111"
TICKET = "22222222-2222-4222-8222-222222222222"
NOTE = "33333333-3333-4333-8333-333333333333"
FILE = "44444444-4444-4444-8444-444444444444"
ORDER = "55555555-5555-4555-8555-555555555555"
ORDER_NOTE = "66666666-6666-4666-8666-666666666666"
NOBODY = "99999999-9999-4999-8999-999999999999"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Toga2Sandbox]:
    with running() as sandbox:
        store = sandbox.store
        store.create("elite", "contacts", {"email": "a@example.com"}, uuid=CONTACT)
        store.create("elite", "tickets", {"subject": "A"}, uuid=TICKET)
        store.create("elite", "ticket-notes", {"ticket": {"uuid": TICKET}}, uuid=NOTE)
        store.create("elite", "repair-orders", {"subject": "A"}, uuid=ORDER)
        store.create(
            "elite", "repair-order-notes", {"repairOrder": {"uuid": ORDER}}, uuid=ORDER_NOTE
        )
        store.create("elite", "files", {"name": "a.txt", "data": ""}, uuid=FILE)
        yield sandbox


@pytest.fixture(scope="module")
def wire(sandbox: Toga2Sandbox) -> Wire:
    return Wire(sandbox)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nonsense", 404, "EV-3"),
        ("/ticketNotes", 404, "EV-3"),
        ("/contacts/", 404, "EV-3"),
        ("", 404, "EV-3"),
        (f"/tickets/{TICKET}/ticket-notes", 404, "EV-3"),
        (f"/ticket-notes/{NOTE}/ticket-notes-files", 404, "EV-3"),
        (f"/ticket-notes/{NOTE}/ticket-note-files/{NOTE}", 404, "EV-3"),
        ("/ticket-note-files", 404, "EV-3"),
        ("/repairOrders", 404, "EV-3"),
        (f"/repair-orders/{ORDER}/repair-order-notes", 404, "EV-3"),
        (f"/repair-order-notes/{ORDER_NOTE}/ticket-note-files", 404, "EV-3"),
        (f"/repair-order-notes/{ORDER_NOTE}/repair-order-notes-files", 404, "EV-3"),
        ("/repair-order-note-files", 404, "EV-3"),
        (f"/repair-orders/{TICKET}", 404, "EV-6"),
        (f"/tickets/{ORDER}", 404, "EV-6"),
        (f"/repair-order-notes/{NOTE}", 404, "EV-6"),
        (f"/contacts/{NOBODY}", 404, "EV-6"),
        ("/contacts/7", 404, "EV-6"),
        (f"/tickets/{CONTACT}", 404, "EV-6"),
    ],
)
def test_unknown_places(wire: Wire, path: str, status: int, code: str) -> None:
    assert wire.refused("GET", path) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/contacts/{CONTACT}"),
        ("PUT", f"/contacts/{CONTACT}"),
        ("POST", f"/contacts/{CONTACT}"),
        ("PATCH", "/contacts"),
        ("PATCH", f"/ticket-notes/{NOTE}/ticket-note-files"),
        ("PATCH", f"/repair-order-notes/{ORDER_NOTE}/repair-order-note-files"),
    ],
)
def test_methods_that_a_route_does_not_have(wire: Wire, method: str, path: str) -> None:
    assert wire.refused(method, path, json={}) == (405, "EV-4")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("where[_updated>]=2026-06-10 00:00:00", "EV-5"),
        ("filter=1", "EV-5"),
        ("sort=uuid", "EV-5"),
        ("offset=10", "EV-5"),
        ("where[nonsense =]=1", "EV-8"),
        ("where[firstName like]=A", "EV-8"),
        ("where[firstName !=]=A", "EV-8"),
        ("where[c_wjeUserId =]=1", "EV-8"),
        ("where[c_elite =]=1", "EV-8"),
        ("where[_updated >]=2026-06-10", "EV-9"),
        ("where[_updated >]=2026-06-10T00:00:00Z", "EV-9"),
        ("where[_updated >]=2026-6-1 0:00:00", "EV-9"),
        ("where[_updated >]=", "EV-9"),
        ("where[isActive =]=1", "EV-9"),
        ("where[email in]=", "EV-9"),
        ("where[email in]=a,,b", "EV-9"),
        ("orderBy=nonsense", "EV-8"),
        ("orderBy=-_updated", "EV-9"),
        ("orderBy=_updated, uuid", "EV-8"),
        ("orderBy=", "EV-8"),
        ("page=0", "EV-9"),
        ("page=one", "EV-9"),
        ("page=1&page=2", "EV-9"),
        ("limit=201", "EV-9"),
        ("limit=0", "EV-9"),
        ("limit=-1", "EV-9"),
        ("depth=0", "EV-9"),
        ("depth=11", "EV-9"),
        ("depth=deep", "EV-9"),
    ],
)
def test_queries_of_a_list(wire: Wire, query: str, code: str) -> None:
    assert wire.refused("GET", f"/contacts?{query}") == (400, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/tickets?where[contact >]=x", "EV-8"),
        ("/tickets?orderBy=contact", "EV-9"),
        ("/tickets?where[ticketNotes =]=x", "EV-8"),
        ("/repair-orders?where[repairOrderNotes =]=x", "EV-8"),
        (f"/repair-order-notes?where[ticket =]={ORDER}", "EV-8"),
        (f"/repair-orders/{ORDER}?depth=11", "EV-9"),
        ("/units?where[item =]=x", "EV-8"),
        ("/files?where[data =]=x", "EV-8"),
        ("/files?where[size >]=big", "EV-9"),
        (f"/contacts/{CONTACT}?limit=1", "EV-5"),
        (f"/contacts/{CONTACT}?depth=99", "EV-9"),
    ],
)
def test_other_queries(wire: Wire, path: str, code: str) -> None:
    assert wire.refused("GET", path) == (400, code)


@pytest.mark.parametrize(
    ("route", "body", "code"),
    [
        ("contacts", {"nonsense": 1}, "EV-10"),
        ("contacts", {"first_name": "A"}, "EV-10"),
        ("contacts", {"c_wjeUserId": "1"}, "EV-10"),
        ("contacts", {"c_elite": "1"}, "EV-10"),
        ("ticket-notes", {"ticket": {"uuid": TICKET}, "ticketNoteFiles": []}, "EV-10"),
        ("repair-orders", {"subject": "A", "repairOrderNotes": []}, "EV-10"),
        (
            "repair-order-notes",
            {"repairOrder": {"uuid": ORDER}, "repairOrderNoteFiles": []},
            "EV-10",
        ),
        ("repair-order-notes", {"ticket": {"uuid": TICKET}, "body": "A"}, "EV-10"),
        ("units", {"item": {"model": "T14"}}, "EV-10"),
        ("contacts", {"firstName": 1}, "EV-11"),
        ("contacts", {"isActive": "true"}, "EV-11"),
        ("contacts", {"isActive": None}, "EV-11"),
        ("contacts", {"c_eliteUserId": ["1"]}, "EV-11"),
        ("tickets", {"subject": "A", "status": "Open"}, "EV-11"),
        ("tickets", {"subject": "A", "priority": "MEDIUM"}, "EV-11"),
        ("tickets", {"subject": "A", "contact": CONTACT}, "EV-11"),
        ("tickets", {"subject": "A", "contact": {"id": CONTACT}}, "EV-11"),
        ("tickets", {"subject": "A", "contact": {"uuid": CONTACT, "email": "x"}}, "EV-11"),
        ("units", {"item": "T14"}, "EV-11"),
        ("units", {"item": {"name": 5}}, "EV-11"),
        ("files", {"name": "a", "data": "no base64!"}, "EV-11"),
        ("files", {"name": "a", "data": "aGk"}, "EV-11"),
        ("files", {"name": "a", "data": None}, "EV-11"),
        ("tickets", {"subject": "A", "contact": {"uuid": NOBODY}}, "EV-12"),
        ("tickets", {"subject": "A", "contact": {"uuid": TICKET}}, "EV-12"),
        ("ticket-notes", {"body": "A", "ticket": {"uuid": NOBODY}}, "EV-12"),
        ("repair-orders", {"subject": "A", "status": "Open"}, "EV-11"),
        ("repair-orders", {"subject": "A", "contact": {"uuid": ORDER}}, "EV-12"),
        ("repair-order-notes", {"body": "A", "repairOrder": {"uuid": TICKET}}, "EV-12"),
        ("ticket-notes", {"body": "A", "ticket": {"uuid": ORDER}}, "EV-12"),
        ("repair-orders", {}, "EV-13"),
        ("repair-order-notes", {"body": "A"}, "EV-13"),
        ("repair-orders", {"subject": "A", "number": "1"}, "EV-15"),
        ("tickets", {}, "EV-13"),
        ("ticket-notes", {"body": "A"}, "EV-13"),
        ("parameters", {"value": "A"}, "EV-13"),
        ("files", {"name": "a"}, "EV-13"),
        ("contacts", {"uuid": NOBODY}, "EV-15"),
        ("contacts", {"_updated": "2026-01-01 00:00:00"}, "EV-15"),
        ("tickets", {"subject": "A", "number": "1"}, "EV-15"),
        ("files", {"name": "a", "data": "", "size": 0}, "EV-15"),
    ],
)
def test_bodies_of_a_create(
    sandbox: Toga2Sandbox, wire: Wire, route: str, body: dict[str, Any], code: str
) -> None:
    before = sandbox.store.count("elite", route)

    assert wire.refused("POST", f"/{route}", json=body) == (422, code)
    assert sandbox.store.count("elite", route) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"nonsense": 1}, "EV-10"),
        ({"subject": 5}, "EV-11"),
        ({"status": None}, "EV-11"),
        ({"contact": {"uuid": NOBODY}}, "EV-12"),
        ({"number": "5"}, "EV-15"),
    ],
)
def test_bodies_of_a_change(
    sandbox: Toga2Sandbox, wire: Wire, body: dict[str, Any], code: str
) -> None:
    before = sandbox.store.get("elite", "tickets", TICKET)

    assert wire.refused("PATCH", f"/tickets/{TICKET}", json=body) == (422, code)
    assert sandbox.store.get("elite", "tickets", TICKET) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_bodies_that_are_no_json_object(wire: Wire, body: bytes) -> None:
    assert wire.refused("POST", "/contacts", data=body) == (400, "EV-7")


def test_writes_take_no_parameters(wire: Wire) -> None:
    assert wire.refused("POST", "/contacts?depth=1", json={}) == (400, "EV-5")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "EV-13"),
        ({"file": FILE}, 422, "EV-11"),
        ({"file": {"uuid": NOBODY}}, 422, "EV-12"),
        ({"file": {"uuid": FILE}, "name": "x"}, 422, "EV-10"),
        ({"file": {"uuid": FILE}, "ticketNote": {"uuid": NOTE}}, 422, "EV-10"),
        ({"file": {"uuid": FILE}, "repairOrderNote": {"uuid": ORDER_NOTE}}, 422, "EV-10"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        f"/ticket-notes/{NOTE}/ticket-note-files",
        f"/repair-order-notes/{ORDER_NOTE}/repair-order-note-files",
    ],
)
def test_links_that_do_not_work(
    wire: Wire, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    assert wire.refused("POST", path, json=body) == (status, code)


@pytest.mark.parametrize(
    "path",
    [
        f"/ticket-notes/{NOBODY}/ticket-note-files",
        f"/repair-order-notes/{NOTE}/repair-order-note-files",
    ],
)
def test_a_link_needs_its_note(wire: Wire, path: str) -> None:
    assert wire.refused("POST", path, json={"file": {"uuid": FILE}}) == (404, "EV-6")


class TestAuthentication:
    @pytest.mark.parametrize(
        ("auth", "headers", "status", "code"),
        [
            (None, {"X-Client-Uuid": ELITE.client_uuid}, 401, "EV-1"),
            ((ELITE.api_key, "wrong"), {"X-Client-Uuid": ELITE.client_uuid}, 401, "EV-1"),
            (("wrong", ELITE.api_secret), {"X-Client-Uuid": ELITE.client_uuid}, 401, "EV-1"),
            ((ELITE.api_key, WJE.api_secret), {"X-Client-Uuid": ELITE.client_uuid}, 401, "EV-1"),
            ((ELITE.api_key, ELITE.api_secret), {}, 401, "EV-1"),
            ((ELITE.api_key, ELITE.api_secret), {"X-Client-Uuid": WJE.client_uuid}, 403, "EV-2"),
            ((ELITE.api_key, ELITE.api_secret), {"X-Client-Uuid": NOBODY}, 403, "EV-2"),
        ],
    )
    def test_who_is_turned_away(
        self,
        sandbox: Toga2Sandbox,
        auth: tuple[str, str] | None,
        headers: dict[str, str],
        status: int,
        code: str,
    ) -> None:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{sandbox.base_url}/contacts", auth=auth, headers=headers, timeout=10
            )

        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)
        for secret in (ELITE.api_secret, WJE.api_secret):
            assert secret not in answer.text

    def test_another_scheme_is_refused(self, sandbox: Toga2Sandbox) -> None:
        headers = {"Authorization": "Bearer abc", "X-Client-Uuid": ELITE.client_uuid}
        with requests.Session() as session:
            session.trust_env = False
            url = f"{sandbox.base_url}/contacts"
            assert session.get(url, headers=headers, timeout=10).status_code == 401
            headers["Authorization"] = "Basic %%%"
            assert session.get(url, headers=headers, timeout=10).status_code == 401

    def test_secrets_do_not_show_in_a_client(self) -> None:
        assert ELITE.api_secret not in repr(ELITE)
        assert ELITE.api_key not in repr(ELITE)

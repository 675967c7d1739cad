"""The sandbox's TOGA 2 as a server: its own endpoints, counters, latency, start and stop."""

import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from elite_pipeline.sandbox.toga2 import PortTakenError, Stall, Store, Toga2Sandbox
from elite_pipeline_tests.support.toga2_wire import ELITE, WJE, Wire, running
from elite_pipeline_tests.support.waiting import wait_until


@pytest.fixture
def sandbox() -> Iterator[Toga2Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def wire(sandbox: Toga2Sandbox) -> Wire:
    return Wire(sandbox)


def admin(sandbox: Toga2Sandbox, method: str, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{sandbox.admin_url}/{path}", timeout=10, **options)


def test_it_counts_what_it_is_asked(sandbox: Toga2Sandbox, wire: Wire) -> None:
    uuid = wire.post("/contacts", {})["uuid"]
    wire.get(f"/contacts/{uuid}")
    wire.list("/contacts", {"where[_updated >]": "2026-01-01 00:00:00", "page": 1})
    wire.refused("GET", "/nonsense")

    assert sandbox.count() == 4
    assert sandbox.count(method="GET") == 3
    assert sandbox.count(method="GET", route="/contacts") == 1
    assert sandbox.count(route="/contacts/{uuid}") == 1
    assert sandbox.count(status=404) == 1
    listed = sandbox.requests[2]
    assert (listed.method, listed.path, listed.client) == ("GET", "/contacts", "elite")
    assert listed.parameters == {"where[_updated >]": "2026-01-01 00:00:00", "page": "1"}
    assert listed.status == 200

    sandbox.reset_stats()
    assert (sandbox.count(), sandbox.requests) == (0, [])


def test_a_request_that_is_refused_names_whom_it_claims_to_be(sandbox: Toga2Sandbox) -> None:
    wire = Wire(sandbox)
    wire.session.headers["X-Client-Uuid"] = WJE.client_uuid
    wire.refused("GET", "/contacts")

    assert [request.client for request in sandbox.requests] == ["wje"]


def test_its_own_endpoints(sandbox: Toga2Sandbox, wire: Wire) -> None:
    wire.get("/contacts")

    assert admin(sandbox, "GET", "health").json() == {"status": "ok"}
    stats = admin(sandbox, "GET", "stats").json()
    assert stats["requests"] == 1
    assert stats["routes"] == {"GET /contacts": {"200": 1}}
    assert admin(sandbox, "POST", "reset-stats").json()["requests"] == 0


def test_faults_through_its_own_endpoints(sandbox: Toga2Sandbox, wire: Wire) -> None:
    fault = {
        "route": "/contacts",
        "times": 2,
        "action": {"kind": "status", "status": 503, "retry_after": 3},
    }
    added = admin(sandbox, "POST", "faults", json=fault)
    refused = wire.call("GET", "/contacts")

    assert added.status_code == 201
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "3")
    (listed,) = admin(sandbox, "GET", "faults").json()["faults"]
    assert listed["fired"] == 1
    assert listed["action"] == {
        "kind": "status",
        "status": 503,
        "retry_after": 3,
        "body": "json",
        "code": None,
        "takes_effect": False,
    }
    assert admin(sandbox, "DELETE", "faults").json() == {"faults": []}
    assert wire.get("/contacts") == []


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        ({"kind": "stall", "seconds": 0, "takes_effect": True}, {}),
        ({"kind": "drop"}, {"times": None}),
        ({"kind": "cut-body", "keep_bytes": 3}, {}),
        ({"kind": "invalid-json"}, {"skip": 3}),
        ({"kind": "malformed-record", "changes": {"email": 5}}, {"client": "elite"}),
        ({"kind": "delay", "seconds": 0.5}, {"method": "GET"}),
        ({"kind": "shift", "count": 3}, {"probability": 0.5, "seed": 9}),
        ({"kind": "status", "status": 429, "retry_after": "2026-06-10T12:00:00+00:00"}, {}),
    ],
)
def test_each_kind_of_fault_can_be_spelled(
    sandbox: Toga2Sandbox, action: dict[str, Any], rule: dict[str, Any]
) -> None:
    added = admin(sandbox, "POST", "faults", json={**rule, "action": action})

    assert added.status_code == 201, added.text
    assert added.json()["fault"]["action"]["kind"] == action["kind"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "action"),
        ({"action": {"kind": "explode"}}, "kind"),
        ({"action": {"kind": "status"}}, "status"),
        ({"action": {"kind": "status", "status": "many"}}, "status"),
        ({"action": {"kind": "status", "status": 99}}, "status"),
        ({"action": {"kind": "delay", "minutes": 1}}, "minutes"),
        ({"action": {"kind": "drop"}, "times": 0}, "times"),
        ({"action": {"kind": "drop"}, "often": 1}, "often"),
        ([], "object"),
    ],
)
def test_a_fault_that_is_spelled_wrong_is_named(
    sandbox: Toga2Sandbox, body: Any, named: str
) -> None:
    answer = admin(sandbox, "POST", "faults", json=body)

    assert answer.status_code == 422
    assert named in answer.json()["error"]["message"]
    assert sandbox.faults.rules == ()


def test_settings_through_its_own_endpoints(sandbox: Toga2Sandbox) -> None:
    change = {"latency_seconds": 0, "expand_lists": False, "notes_touch_ticket": False}

    assert admin(sandbox, "PATCH", "settings", json=change).json() == change
    assert admin(sandbox, "GET", "settings").json() == change
    assert sandbox.settings.expand_lists is False


@pytest.mark.parametrize(
    "change",
    [
        {"latency": 1},
        {"latency_seconds": -1},
        {"latency_seconds": True},
        {"latency_seconds": "1"},
        {"expand_lists": 1},
    ],
)
def test_a_setting_that_is_wrong_changes_nothing(
    sandbox: Toga2Sandbox, change: dict[str, Any]
) -> None:
    before = admin(sandbox, "GET", "settings").json()
    answer = admin(sandbox, "PATCH", "settings", json={"notes_touch_ticket": False} | change)

    assert answer.status_code == 422
    assert admin(sandbox, "GET", "settings").json() == before


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:1", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("[::1]", 200),
        ("attacker.example", 403),
        ("attacker.example:8002", 403),
        ("127.0.0.1.attacker.example", 403),
        ("localhost.attacker.example:80", 403),
    ],
)
def test_its_own_endpoints_answer_loopback_names_alone(
    sandbox: Toga2Sandbox, host: str, status: int
) -> None:
    for method, path in (("GET", "stats"), ("DELETE", "faults")):
        answer = admin(sandbox, method, path, headers={"Host": host})
        assert answer.status_code == status


def test_latency_does_not_make_requests_wait_for_each_other(
    sandbox: Toga2Sandbox, wire: Wire
) -> None:
    sandbox.settings.latency_seconds = 0.5
    uuid = sandbox.store.create("elite", "contacts", {})["uuid"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: wire.call("GET", f"/contacts/{uuid}"), range(16)))

    assert {answer.status_code for answer in answers} == {200}
    assert sandbox.max_in_flight == 16


def test_it_stops_while_somebody_waits_for_an_answer() -> None:
    failures: list[Exception] = []

    def wait_for_ever(wire: Wire) -> None:
        try:
            wire.call("GET", "/contacts", timeout=60)
        except requests.RequestException as error:
            failures.append(error)

    with running() as sandbox:
        rule = sandbox.faults.add(Stall(seconds=600))
        caller = threading.Thread(target=wait_for_ever, args=(Wire(sandbox),))
        caller.start()
        wait_until(lambda: rule.fired, "the request stalls")
    caller.join(10)

    assert not caller.is_alive()
    assert isinstance(failures[0], requests.ConnectionError)


def test_a_port_that_is_taken_is_said_plainly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTakenError, match=f"port {port} .*in use"):
            Toga2Sandbox([ELITE], port=port).start()


def test_a_temporary_file_is_gone_afterwards() -> None:
    with running() as sandbox:
        path = sandbox.store.path
        assert path.exists()

    assert not path.parent.exists()


def test_a_file_keeps_its_records_from_one_run_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "toga2.sqlite"
    with running(path=path) as sandbox:
        uuid = Wire(sandbox).post("/contacts", {"firstName": "A", "c_eliteUserId": "1"})["uuid"]

    with running(path=path) as sandbox:
        wire = Wire(sandbox)
        assert wire.get(f"/contacts/{uuid}")["firstName"] == "A"
        assert len(wire.list("/contacts", {"where[c_eliteUserId =]": "1"})) == 1


def test_a_file_can_be_filled_while_it_is_served(tmp_path: Path) -> None:
    path = tmp_path / "toga2.sqlite"
    with running(path=path) as sandbox:
        beside = Store([ELITE], path=path)
        with ThreadPoolExecutor(2) as pool:
            filling = pool.submit(
                beside.bulk_create,
                "elite",
                "contacts",
                ({"lastName": str(number)} for number in range(20_000)),
            )
            wire = Wire(sandbox)
            while not filling.done():
                wire.post("/contacts", {"lastName": "served"})
            assert filling.result() == 20_000
        beside.close()

        served = len(wire.list("/contacts", {"where[lastName =]": "served"}))
        assert sandbox.store.count("elite", "contacts") == 20_000 + sandbox.count(method="POST")
        assert served == min(200, sandbox.count(method="POST"))


def test_a_failure_of_its_own_is_an_answer_too(
    sandbox: Toga2Sandbox, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect(sandbox.store.path) as connection:
        connection.execute("ALTER TABLE records RENAME TO elsewhere")

    assert wire.refused("GET", "/contacts") == (500, "EV-99")
    assert "no such table" in caplog.text

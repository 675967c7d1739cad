"""Faults on request, each over real HTTP: what the caller sees, and what took effect."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from elite_pipeline.sandbox.toga2 import (
    Action,
    CutBody,
    Delay,
    Drop,
    InvalidJson,
    MalformedRecord,
    Shift,
    Stall,
    Status,
    Toga2Sandbox,
)
from elite_pipeline_tests.support.toga2_wire import NOON, WJE, Clock, Wire, running


@pytest.fixture
def sandbox() -> Iterator[Toga2Sandbox]:
    with running(clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture
def wire(sandbox: Toga2Sandbox) -> Wire:
    return Wire(sandbox)


def contacts(sandbox: Toga2Sandbox) -> int:
    return sandbox.store.count("elite", "contacts")


def test_a_status_with_an_error_body(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(Status(503, retry_after=7), method="GET", route="/contacts")

    answer = wire.call("GET", "/contacts")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json()["error"]["code"] == "EV-99"
    assert wire.get("/contacts") == []


def test_retry_after_as_a_date(sandbox: Toga2Sandbox, wire: Wire) -> None:
    moment = datetime(2026, 6, 10, 12, 0, 5, tzinfo=UTC)
    sandbox.faults.add(Status(429, retry_after=moment))

    assert wire.call("GET", "/contacts").headers["Retry-After"] == "Wed, 10 Jun 2026 12:00:05 GMT"


@pytest.mark.parametrize(("body", "beginning"), [("empty", ""), ("html", "<html>")])
def test_a_status_with_a_body_that_is_no_json(
    sandbox: Toga2Sandbox, wire: Wire, body: Any, beginning: str
) -> None:
    sandbox.faults.add(Status(502, body=body))

    answer = wire.call("GET", "/contacts")

    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith(beginning)


@pytest.mark.parametrize(
    ("action", "written"),
    [
        (Status(500), 0),
        (Status(500, takes_effect=True), 1),
        (Drop(), 0),
        (Drop(takes_effect=True), 1),
        (Stall(seconds=0.05), 0),
        (Stall(seconds=0.05, takes_effect=True), 1),
        (CutBody(), 1),
        (InvalidJson(), 1),
    ],
)
def test_whether_a_write_took_effect(
    sandbox: Toga2Sandbox, wire: Wire, action: Action, written: int
) -> None:
    sandbox.faults.add(action, method="POST")

    try:
        answer = wire.call("POST", "/contacts", json={"firstName": "A"})
        failed = not answer.ok or action == InvalidJson()
    except requests.RequestException:
        failed = True

    assert failed
    assert contacts(sandbox) == written
    assert wire.post("/contacts", {"firstName": "B"})["firstName"] == "B"


def test_a_stall_runs_the_caller_into_its_timeout(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(Stall(takes_effect=True))

    with pytest.raises(requests.ReadTimeout):
        wire.call("POST", "/contacts", json={}, timeout=0.2)

    assert contacts(sandbox) == 1


def test_a_dropped_connection_gives_no_answer(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(Drop())

    with pytest.raises(requests.ConnectionError):
        wire.call("GET", "/contacts")

    assert [request.status for request in sandbox.requests] == [None]


def test_a_cut_body_is_shorter_than_it_says(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.store.create("elite", "contacts", {"firstName": "A"})
    sandbox.faults.add(CutBody(keep_bytes=10))

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="10 bytes read"):
        wire.call("GET", "/contacts")


def test_invalid_json_has_the_right_length(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(InvalidJson())

    answer = wire.call("GET", "/contacts")

    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_one_record_of_a_list_is_malformed(sandbox: Toga2Sandbox, wire: Wire) -> None:
    for number in range(3):
        sandbox.store.create("elite", "contacts", {"firstName": str(number)})
    changes = {"_updated": 17, "email": {"no": "text"}, "firstName": ...}
    sandbox.faults.add(MalformedRecord(index=1, changes=changes))

    spoiled = wire.list("/contacts", {"orderBy": "firstName"})
    whole = wire.list("/contacts", {"orderBy": "firstName"})

    assert (spoiled[0], spoiled[2]) == (whole[0], whole[2])
    assert (spoiled[1]["_updated"], spoiled[1]["email"]) == (17, {"no": "text"})
    assert "firstName" not in spoiled[1]


def test_a_malformed_record_that_is_not_there_changes_nothing(
    sandbox: Toga2Sandbox, wire: Wire
) -> None:
    sandbox.faults.add(MalformedRecord(index=5))

    assert wire.get("/contacts") == []


def test_a_delay_holds_one_answer_back_and_no_other(sandbox: Toga2Sandbox, wire: Wire) -> None:
    rule = sandbox.faults.add(Delay(600), route="/contacts")

    with pytest.raises(requests.ReadTimeout):
        wire.call("GET", "/contacts", timeout=0.2)

    assert rule.fired == 1
    assert wire.get("/tickets") == []
    assert wire.get("/contacts") == []


def test_a_rule_is_about_method_route_and_client(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(
        Status(500), method="get", route="/contacts/{uuid}", client="wje", times=None
    )
    uuid = wire.post("/contacts", {})["uuid"]
    wire.get("/contacts")
    wire.get(f"/contacts/{uuid}")
    other = Wire(sandbox, WJE)
    theirs = other.post("/contacts", {})["uuid"]

    assert other.refused("GET", f"/contacts/{theirs}")[0] == 500
    assert other.refused("GET", f"/contacts/{theirs}")[0] == 500


def test_a_rule_lets_some_pass_and_strikes_as_often_as_it_is_told(
    sandbox: Toga2Sandbox, wire: Wire
) -> None:
    rule = sandbox.faults.add(Status(500), skip=1, times=2)

    statuses = [wire.call("GET", "/contacts").status_code for _ in range(5)]

    assert statuses == [200, 500, 500, 200, 200]
    assert (rule.matched, rule.fired) == (5, 2)


def test_a_chance_is_the_same_for_the_same_seed(sandbox: Toga2Sandbox, wire: Wire) -> None:
    def statuses(seed: int) -> list[int]:
        sandbox.faults.clear()
        sandbox.faults.add(Status(500), times=None, probability=0.5, seed=seed)
        return [wire.call("GET", "/contacts").status_code for _ in range(30)]

    first = statuses(1)
    assert first == statuses(1)
    assert first != statuses(2)
    assert {200, 500} == set(first)


def test_a_shift_moves_a_record_that_was_read_to_the_end(sandbox: Toga2Sandbox, wire: Wire) -> None:
    """Paging by number then loses one record, and shows another twice."""
    sandbox.store.bulk_create(
        "elite",
        "contacts",
        ({"_created": NOON - timedelta(hours=1, seconds=-number)} for number in range(30)),
    )
    query = {"orderBy": "_updated,uuid", "limit": 10}
    everything = {contact["uuid"] for contact in sandbox.store.all("elite", "contacts")}
    rule = sandbox.faults.add(Shift(), method="GET", route="/contacts", skip=1)

    pages = [wire.list("/contacts", query | {"page": page}) for page in (1, 2, 3)]

    seen = [contact["uuid"] for page in pages for contact in page]
    first = {contact["uuid"] for contact in pages[0]}
    assert rule.fired == 1
    assert len(seen) == 30
    assert seen[-1] in first
    assert len(everything - set(seen)) == 1


def test_a_shift_of_a_chosen_record(sandbox: Toga2Sandbox, wire: Wire) -> None:
    for number in range(3):
        sandbox.store.create(
            "elite", "contacts", {"lastName": str(number)}, created=NOON + timedelta(days=number)
        )
    chosen = wire.list("/contacts", {"orderBy": "_updated"})[0]["uuid"]
    sandbox.faults.add(Shift(uuid=chosen))

    shifted = wire.list("/contacts", {"orderBy": "_updated"})

    assert {contact["lastName"] for contact in shifted[1:]} == {"0", "2"}
    assert shifted[0]["lastName"] == "1"


def test_a_shift_leaves_the_request_to_later_rules(sandbox: Toga2Sandbox, wire: Wire) -> None:
    sandbox.faults.add(Shift(uuid="gone"))
    sandbox.faults.add(Status(500))

    assert wire.refused("GET", "/contacts")[0] == 500


def test_a_callback_sees_each_request_and_may_change_the_store(
    sandbox: Toga2Sandbox, wire: Wire
) -> None:
    seen = []

    def edit_meanwhile(request: Any) -> None:
        seen.append((request.method, request.route, request.client, dict(request.parameters)))
        sandbox.store.create("elite", "contacts", {"firstName": "meanwhile"})

    sandbox.on_request = edit_meanwhile
    found = wire.list("/contacts", {"limit": 5})

    assert seen == [("GET", "/contacts", "elite", {"limit": "5"})]
    assert [contact["firstName"] for contact in found] == ["meanwhile"]

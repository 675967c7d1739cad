"""The sandbox's Freshservice: faults on request, by hand and through its own endpoints."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from elite_pipeline.sandbox.freshservice import (
    Account,
    CutBody,
    Delay,
    Drop,
    FreshserviceSandbox,
    InvalidJson,
    MalformedAttachment,
    MalformedRecord,
    Stall,
    Status,
    Traffic,
    WrongSize,
)
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice


@pytest.fixture
def sandbox() -> Iterator[FreshserviceSandbox]:
    with running_freshservice() as sandbox:
        yield sandbox


@pytest.fixture
def account(sandbox: FreshserviceSandbox) -> Account:
    return sandbox.account("elite")


@pytest.fixture
def desk(account: Account) -> Desk:
    return Desk(account)


def own(account: Account, method: str, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{account.base_url}/_sandbox/{path}", timeout=10, **options)


def test_a_status_so_many_times(sandbox: FreshserviceSandbox, desk: Desk) -> None:
    sandbox.fault(Status(503, body="html"), route="/groups", times=2)
    answers = [desk.call("GET", "/groups") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert "<html>" in answers[0].text
    assert answers[0].headers["X-RateLimit-Remaining"] == "99"


def test_403_for_one_ticket(sandbox: FreshserviceSandbox, desk: Desk, account: Account) -> None:
    first, second = account.new_ticket(), account.new_ticket()
    sandbox.fault(Status(403), route=f"/tickets/{first}", times=None)

    refused = desk.call("GET", f"/tickets/{first}")
    assert (refused.status_code, refused.json()["code"]) == (403, "access_denied")
    assert desk.get(f"/tickets/{second}")["ticket"]["id"] == second
    sandbox.faults.clear()
    sandbox.fault(Status(403, code="require_feature"), account="elite")
    assert desk.call("GET", "/groups").json()["code"] == "require_feature"


def test_429_with_seconds_or_a_date(sandbox: FreshserviceSandbox, desk: Desk) -> None:
    sandbox.fault(Status(429, retry_after=7))
    until = datetime.now(UTC) + timedelta(seconds=90)
    sandbox.fault(Status(429, retry_after=until))
    first, second = desk.call("GET", "/groups"), desk.call("GET", "/groups")

    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    given = parsedate_to_datetime(second.headers["Retry-After"])
    assert abs(given - until) <= timedelta(seconds=1)


@pytest.mark.parametrize("fault", [Drop(takes_effect=True), Stall(0.01, takes_effect=True)])
def test_an_answer_lost_after_the_effect(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account, fault: Drop | Stall
) -> None:
    ticket = account.new_ticket()
    sandbox.fault(fault, method="POST")
    with pytest.raises(requests.ConnectionError):
        desk.call("POST", f"/tickets/{ticket}/reply", json={"body": "x"})

    assert len(account.conversations(ticket)) == 1
    assert account.calls[-1].status is None


def test_answers_that_cannot_be_read(sandbox: FreshserviceSandbox, desk: Desk) -> None:
    sandbox.fault(CutBody())
    with pytest.raises(requests.RequestException):
        desk.call("GET", "/groups")
    sandbox.fault(InvalidJson())
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        desk.call("GET", "/groups").json()
    sandbox.fault(Delay(0.01))
    assert desk.get("/groups")["groups"]


def test_records_without_an_id(sandbox: FreshserviceSandbox, desk: Desk, account: Account) -> None:
    ticket = account.new_ticket(files=["a.txt", "b.txt"])
    kept = account.reply(ticket)
    account.reply(ticket, files=["c.txt"])
    path = f"/tickets/{ticket}/conversations"

    sandbox.fault(MalformedRecord(1, {"id": ..., "private": None}), route=path)
    first, second = desk.get(path)["conversations"]
    assert first["id"] == kept
    assert "id" not in second
    assert second["private"] is None
    sandbox.fault(MalformedAttachment(1, {"id": ...}), route=f"/tickets/{ticket}")
    attachments = desk.get(f"/tickets/{ticket}")["ticket"]["attachments"]
    assert ["id" in each for each in attachments] == [True, False]
    elsewhere = "https://attachments.example.com/a.txt"
    sandbox.fault(MalformedAttachment(-1, {"attachment_url": elsewhere}), route=path)
    assert desk.get(path)["conversations"][1]["attachments"][0]["attachment_url"] == elsewhere
    # nothing to spoil
    sandbox.fault(MalformedAttachment(9))
    assert "id" in desk.get(path)["conversations"][1]
    assert desk.get(path)["conversations"][1]["id"]


@pytest.mark.parametrize(("by", "length"), [(-1, 4), (-3, 2), (4, 9)])
def test_bytes_of_the_wrong_size(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account, by: int, length: int
) -> None:
    account.new_ticket(files=[("a.bin", b"12345")])
    attachment = desk.get("/tickets/1")["ticket"]["attachments"][0]
    sandbox.fault(WrongSize(by), route="/attachments/{id}")

    assert len(desk.download(attachment["attachment_url"]).content) == length
    assert desk.download(attachment["attachment_url"]).content == b"12345"
    sandbox.fault(Status(503), route=f"/attachments/{attachment['id']}")
    assert desk.download(attachment["attachment_url"]).status_code == 503
    assert sandbox.count(route="/attachments/{id}") == 3


def test_faults_and_switches_through_its_own_endpoints(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account
) -> None:
    fault = {"route": "/groups", "action": {"kind": "wrong-size", "by": -2}}
    assert own(account, "POST", "faults", json=fault).json()["fault"]["action"] == {
        "kind": "wrong-size",
        "by": -2,
    }
    assert len(own(account, "GET", "faults").json()["faults"]) == 1
    assert own(account, "DELETE", "faults").json() == {"faults": []}

    change = {"times": "offset", "link_lifetime_seconds": 5, "limit_calls": False}
    assert own(account, "PATCH", "settings", json=change).json()["times"] == "offset"
    assert sandbox.settings.link_lifetime_seconds == 5
    wrong = own(account, "PATCH", "settings", json={"times": "roman"})
    assert wrong.status_code == 422
    assert "z, offset, milliseconds" in wrong.json()["error"]["message"]
    assert own(account, "GET", "health").json() == {"status": "ok"}
    desk.get("/groups")
    assert own(account, "POST", "reset-stats").json()["requests"] == 0
    assert account.calls == []


def test_accounts_through_its_own_endpoints(desk: Desk, account: Account) -> None:
    body = {"account": "elite", "count": 20, "seed": 3}
    assert len(own(account, "POST", "traffic", json=body).json()["done"]) == 20
    desk.get("/tickets")
    shown = own(account, "GET", "accounts").json()["accounts"]["elite"]
    assert shown["most_in_60s"]["overall"] == 1
    assert shown["most_in_60s"]["list_tickets"] == 1
    assert shown["tickets"] == len(account.tickets) > 0
    assert own(account, "POST", "reset", json={"account": "elite"}).json()["tickets"] == 0
    assert own(account, "POST", "expire-links", json={"account": "elite"}).status_code == 200
    for wrong in ({"account": "nobody"}, {"account": "elite", "count": 0}):
        assert own(account, "POST", "traffic", json=wrong).status_code == 422


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """People who say that they have begun, and go on with their one thing until they may stop."""
    begun, over = threading.Event(), threading.Event()

    def do_something(_: Traffic) -> str:
        begun.set()
        return f"over: {over.wait(30)}"

    monkeypatch.setattr(Traffic, "do_something", do_something)
    yield begun, over
    over.set()


def test_calls_are_answered_while_people_are_busy(
    desk: Desk, account: Account, busy: tuple[threading.Event, threading.Event]
) -> None:
    begun, over = busy
    with ThreadPoolExecutor(1) as pool:
        burst = pool.submit(own, account, "POST", "traffic", json={"account": "elite"})
        assert begun.wait(30)
        assert desk.get("/groups")["groups"]
        assert not burst.done()
        over.set()
        assert burst.result().json()["done"] == ["over: True"]


def test_people_go_home_when_it_stops(
    sandbox: FreshserviceSandbox, account: Account, busy: tuple[threading.Event, threading.Event]
) -> None:
    begun, over = busy
    body = {"account": "elite", "count": 1000}
    with ThreadPoolExecutor(2) as pool:
        burst = pool.submit(own, account, "POST", "traffic", json=body)
        assert begun.wait(30)
        stopped = pool.submit(sandbox.stop)
        # whoever waits is hung up on
        assert isinstance(burst.exception(), requests.ConnectionError)
        begun.clear()
        over.set()
        stopped.result()

    assert not begun.is_set()

"""The sandbox's Freshservice: webhooks about every change, and what goes wrong with them."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from elite_pipeline.sandbox.freshservice import (
    PAYLOAD_KINDS,
    Account,
    Event,
    PayloadKind,
    Receiver,
)
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice
from elite_pipeline_tests.support.webhook_receiver import Received, receiving

_NUMBER = re.compile(rb"""id(?:_numeric)?": "?(?:#?[A-Z]+-)?(\d+)""")


@pytest.fixture
def account() -> Iterator[Account]:
    with running_freshservice() as sandbox:
        yield sandbox.account("elite")


@pytest.fixture
def received() -> Iterator[Received]:
    with receiving() as received:
        yield received


def told(account: Account, received: Received) -> list[int]:
    """Return which tickets the receiver was told of, in order."""
    account.webhooks.wait_until_sent()
    found = [_NUMBER.search(body) for body in received.bodies]
    return [int(each[1]) for each in found if each]


def test_every_change_is_told(account: Account, received: Received) -> None:
    account.new_ticket()
    account.webhooks.send_to(Receiver(received.url, "a-secret"))
    ticket = account.new_ticket("Printer")
    other = account.new_ticket()
    conversation = account.reply(ticket)
    account.edit_reply(conversation, body="x")
    account.set_status(ticket, 4)
    account.merge(other, ticket)
    account.delete(ticket)
    account.remove_reply(conversation)
    account.vanish(ticket)
    desk = Desk(account)
    desk.call("POST", f"/tickets/{other}/reply", json={"body": "x"})

    assert told(account, received) == [2, 3, 2, 2, 2, 3, 2, 3, 2, 2, 2, 3]
    assert {headers["X-Webhook-Secret"] for headers in received.headers} == {"a-secret"}
    first = json.loads(received.bodies[0])
    assert first["freshservice_webhook"]["ticket_id"] == "INC-2"
    assert first["freshservice_webhook"]["ticket_subject"] == "Printer"
    assert {sent.status for sent in account.webhooks.sent} == {202}


def test_the_secret_can_be_a_password(account: Account, received: Received) -> None:
    account.webhooks.send_to(Receiver(received.url, "a-secret", basic=True))
    account.new_ticket()
    account.webhooks.wait_until_sent()

    scheme, _, token = received.headers[0]["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(token).partition(b":")[2]) == ("Basic", b"a-secret")
    assert "X-Webhook-Secret" not in received.headers[0]


def test_nobody_is_told_before_and_after(account: Account, received: Received) -> None:
    account.new_ticket()
    account.webhooks.send_to(Receiver(received.url))
    account.webhooks.send_to(None)
    account.new_ticket()

    assert told(account, received) == []
    assert account.webhooks.told == 0


@pytest.mark.parametrize("kind", PAYLOAD_KINDS)
def test_each_kind_of_payload_holds_its_number(kind: PayloadKind) -> None:
    document: Any = json.loads(kind.build(Event(17, "Printer", 2)))
    inner = document[kind.wrapper] if kind.wrapper else document
    expected: object = f"{'' if kind.form == 'string' else kind.form}17"

    assert inner[kind.key] == (17 if kind.form == "number" else expected)


def test_a_raw_subject_breaks_the_json(account: Account, received: Received) -> None:
    account.webhooks.send_to(Receiver(received.url, broken=1.0))
    account.new_ticket()
    assert told(account, received) == [1]
    with pytest.raises(ValueError, match=r"Expecting|delimiter|control"):
        json.loads(received.bodies[0])
    account.webhooks.send_to(Receiver(received.url))
    account.new_ticket('A "quoted" word')
    assert told(account, received) == [1, 2]
    with pytest.raises(ValueError, match=r"Expecting|delimiter"):
        json.loads(received.bodies[1])


def test_lost_and_doubled(account: Account, received: Received) -> None:
    account.webhooks.send_to(Receiver(received.url, lost=0.3, doubled=0.3, kind=None, seed=7))
    for _ in range(60):
        account.new_ticket()
    found = told(account, received)

    assert 5 < account.webhooks.lost < 35
    assert account.webhooks.told == 60
    assert len(set(found)) == 60 - account.webhooks.lost
    assert len(found) > len(set(found))


def test_reordered_and_delayed(account: Account, received: Received) -> None:
    troubles = Receiver(received.url, reordered=0.3, delayed=0.2, delay_seconds=0.2, seed=1)
    account.webhooks.send_to(troubles)
    for _ in range(40):
        account.new_ticket()
    found = told(account, received)

    assert sorted(found) == list(range(1, 41))
    assert found != sorted(found)


def test_what_goes_wrong_follows_from_the_seed(account: Account, received: Received) -> None:
    runs = []
    for _ in range(2):
        account.webhooks.send_to(Receiver(received.url, lost=0.5, seed=4))
        before = account.webhooks.lost
        pattern = []
        for _ in range(20):
            account.new_ticket()
            pattern.append(account.webhooks.lost - before)
        runs.append(pattern)

    assert runs[0] == runs[1]


def test_there_are_no_retries(account: Account, received: Received) -> None:
    received.status = 503
    account.webhooks.send_to(Receiver(received.url))
    account.new_ticket()
    account.webhooks.wait_until_sent()
    assert [sent.status for sent in account.webhooks.sent] == [503]
    account.webhooks.send_to(Receiver("http://127.0.0.1:9/"))
    account.new_ticket()
    account.webhooks.wait_until_sent()
    assert [sent.status for sent in account.webhooks.sent] == [503, None]
    assert len(received.bodies) == 1


def test_several_go_out_at_once(account: Account, received: Received) -> None:
    account.webhooks.send_to(Receiver(received.url, connections=8))
    for _ in range(300):
        account.new_ticket()

    assert sorted(told(account, received)) == list(range(1, 301))
    assert account.webhooks.waiting == 0


def test_they_are_directed_through_its_own_endpoints(account: Account, received: Received) -> None:
    def change(**body: object) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{account.base_url}/_sandbox/webhooks"
            return session.patch(url, json={"account": "elite", **body}, timeout=10)

    assert change(url=received.url, secret="s").json()["webhooks"]["to"] == received.url
    assert change(lost=1.0).status_code == 200
    assert account.webhooks.receiver == Receiver(received.url, "s", lost=1.0)
    assert change(nonsense=1).status_code == 422
    assert change(lost="much").status_code == 422
    assert change(url="").json()["webhooks"]["to"] is None

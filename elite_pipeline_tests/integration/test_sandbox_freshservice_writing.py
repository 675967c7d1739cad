"""The sandbox's Freshservice: writes over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from elite_pipeline.sandbox.freshservice import Account
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice

_NEW = {"subject": "Printer", "description": "<p>x</p>", "status": 2, "priority": 1}


@pytest.fixture
def desk() -> Iterator[Desk]:
    with running_freshservice(plan="enterprise") as sandbox:
        yield Desk(sandbox.account("elite"))


@pytest.fixture
def account(desk: Desk) -> Account:
    return desk.account


def made(desk: Desk, path: str, **options: Any) -> Any:
    answer = desk.call("POST", path, **options)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_ticket_is_opened_for_somebody_new(desk: Desk, account: Account) -> None:
    ticket = made(desk, "/tickets", json={**_NEW, "email": "new@example.com"})["ticket"]

    assert (ticket["id"], ticket["subject"], ticket["attachments"]) == (1, "Printer", [])
    asking = desk.get(f"/requesters/{ticket['requester_id']}")["requester"]
    assert asking["primary_email"] == "new@example.com"
    again = made(desk, "/tickets", json={**_NEW, "email": "new@example.com"})["ticket"]
    assert again["requester_id"] == ticket["requester_id"]
    assert account.tickets == [1, 2]


def test_a_ticket_with_a_file_comes_as_a_form(desk: Desk, account: Account) -> None:
    form = {**_NEW, "requester_id": account.requesters[0], "cc_emails[]": ["a@b.example"]}
    files = [("attachments[]", ("ü.png", b"\x00\r\n--bytes", "image/png"))]
    ticket = made(desk, "/tickets", data=form, files=files)["ticket"]

    assert (ticket["status"], ticket["cc_emails"]) == (2, ["a@b.example"])
    [attachment] = ticket["attachments"]
    assert (attachment["name"], attachment["content_type"]) == ("ü.png", "image/png")
    assert account.content(attachment["id"]) == b"\x00\r\n--bytes"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"subject": None}, "subject", "missing_field"),
        ({"status": 1}, "status", "invalid_value"),
        ({"priority": 5}, "priority", "invalid_value"),
        ({"priority": "1"}, "priority", "datatype_mismatch"),
        ({"status": True}, "status", "datatype_mismatch"),
        ({"nonsense": 1}, "nonsense", "invalid_field"),
        ({"group_id": 7}, "group_id", "invalid_value"),
        ({"requester_id": None}, "email", "missing_field"),
    ],
)
def test_a_ticket_that_cannot_be(
    desk: Desk, account: Account, change: dict[str, Any], field: str, code: str
) -> None:
    body = {**_NEW, "requester_id": account.requesters[0], **change}
    answer = desk.call("POST", "/tickets", json=body)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert account.tickets == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_cannot_be_read(desk: Desk, body: bytes) -> None:
    assert desk.refused("POST", "/tickets", data=body) == 400


def test_a_ticket_is_changed(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket(custom_fields={"a": 1})
    group = account.groups[0]
    change = {"status": 4, "group_id": group, "category": "Hardware ", "custom_fields": {"b": 2}}
    answer = desk.call("PUT", f"/tickets/{ticket}", json=change)

    assert answer.status_code == 200
    shown = desk.get(f"/tickets/{ticket}")["ticket"]
    assert (shown["status"], shown["group_id"], shown["category"]) == (4, group, "Hardware ")
    assert shown["custom_fields"] == {"a": 1, "b": 2}
    assert desk.refused("PUT", "/tickets/99", json={"status": 4}) == 404


def test_a_ticket_goes_to_the_trash_and_back(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket()
    gone = desk.call("DELETE", f"/tickets/{ticket}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert account.ticket(ticket).document["deleted"] is True
    assert desk.call("PUT", f"/tickets/{ticket}/restore").status_code == 204
    assert account.ticket(ticket).document["deleted"] is False


def test_replies_and_notes(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket()
    reply = made(desk, f"/tickets/{ticket}/reply", json={"body": "<p>Hi</p>"})["conversation"]
    note = made(desk, f"/tickets/{ticket}/notes", json={"body": "<p>Psst</p>"})["conversation"]
    told = made(desk, f"/tickets/{ticket}/notes", json={"body": "x", "private": False})

    assert (reply["private"], reply["incoming"], reply["source"]) == (False, False, 0)
    assert reply["user_id"] == account.agents[0]
    assert (note["private"], note["source"], note["body_text"]) == (True, 2, "Psst")
    assert told["conversation"]["private"] is False
    assert desk.refused("POST", f"/tickets/{ticket}/reply", json={}) == 400
    assert desk.refused("POST", "/tickets/99/reply", json={"body": "x"}) == 404


def test_a_reply_with_a_file(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket()
    files = [("attachments[]", ("a.txt", b"text"))]
    answer = made(desk, f"/tickets/{ticket}/reply", data={"body": "<p>Hi</p>"}, files=files)

    assert [each["name"] for each in answer["conversation"]["attachments"]] == ["a.txt"]


def test_files_beyond_forty_megabytes_a_ticket_are_refused(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket(files=[("a.bin", bytes(20 * 1024 * 1024))])
    account.reply(ticket, files=[("b.bin", bytes(20 * 1024 * 1024 - 4))])

    def reply(content: bytes) -> int:
        files = [("attachments[]", ("c.bin", content))]
        return desk.call(
            "POST", f"/tickets/{ticket}/reply", data={"body": "x"}, files=files
        ).status_code

    assert [reply(b"12345"), reply(b"1234"), reply(b"1")] == [400, 201, 400]
    made(desk, f"/tickets/{ticket}/notes", json={"body": "without a file"})
    assert len(account.conversations(ticket)) == 3
    # by hand it can be: a client has to bear what others let through
    account.reply(ticket, files=[("d.bin", b"1")])


def test_a_conversation_is_changed_and_removed(desk: Desk, account: Account) -> None:
    ticket = account.new_ticket()
    conversation = account.reply(ticket)
    path = f"/conversations/{conversation}"

    assert desk.call("PUT", path, json={"body": "<p>new</p>"}).json()["conversation"]["body"] == (
        "<p>new</p>"
    )
    assert desk.call("DELETE", path).status_code == 204
    assert desk.get(f"/tickets/{ticket}/conversations")["conversations"] == []
    assert desk.refused("PUT", path, json={"body": "x"}) == 404


def test_each_account_keeps_its_own_records_by_hand() -> None:
    with running_freshservice("elite", "wje") as sandbox:
        elite, wje = sandbox.account("elite"), sandbox.account("wje")
        assert (elite.new_ticket(), wje.new_ticket()) == (1, 1)
        elite.rename("group", elite.groups[0], name="Renamed")
        elite.set_category(1, "Software", "Laptop ", "Other")
        assert wje.ticket(1).document["category"] is None
        elite.clear()
        assert (elite.tickets, elite.requesters, wje.tickets) == ([], [], [1])
        with pytest.raises(KeyError, match="elite has no ticket 1"):
            elite.reply(1)
        with pytest.raises(ValueError, match="at most three levels"):
            wje.set_category(1, "a", "b", "c", "d")

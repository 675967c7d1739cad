"""The sandbox's Freshservice: a service desk at work, and what an account is filled with."""

from collections import Counter
from pathlib import Path

from elite_pipeline.sandbox.data import Sizes, generate
from elite_pipeline.sandbox.freshservice import (
    Account,
    AccountSpec,
    FreshserviceSandbox,
    Traffic,
    fill,
)
from elite_pipeline.sandbox.toga2 import Store
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice
from elite_pipeline_tests.support.toga2_wire import ELITE, NOON, Clock


def work(seed: str, times: int) -> tuple[list[str], Counter[str]]:
    with running_freshservice(clock=Clock()) as sandbox:
        account = sandbox.account()
        people = Traffic(account, seed=seed)
        lines = [people.do_something() for _ in range(times)]
        return lines, seen(account)


def seen(account: Account) -> Counter[str]:
    """Count what there is in an account after some traffic."""
    found: Counter[str] = Counter()
    for record in account.records("ticket"):
        own = record.document
        found["tickets"] += 1
        found["deleted"] += own["deleted"]
        found["spam"] += own["spam"]
        found["closed"] += own["status"] == 5
        found["in a group"] += own["group_id"] is not None
        found["with a category"] += own["item_category"] is not None
        for reply in account.conversations(record.id):
            found["private"] += reply.document["private"]
            found["incoming"] += reply.document["incoming"]
            found["answers"] += not reply.document["incoming"] and not reply.document["private"]
            found["files"] += len(account.attachments(reply.id))
            found["images"] += "<!--image:" in reply.document["body"]
    return found


def test_everything_happens_that_happens_at_a_desk() -> None:
    lines, found = work("1", 400)

    assert len(lines) == 400
    missing = [name for name, number in found.items() if not number]
    assert not missing, found
    assert any("merged into" in line for line in lines)


def test_the_same_seed_is_the_same_day() -> None:
    assert work("5", 60) == work("5", 60)
    assert work("5", 60)[0] != work("6", 60)[0]


def test_people_are_busy_with_the_youngest_that_are_open() -> None:
    with running_freshservice() as sandbox:
        account = sandbox.account()
        for _ in range(8):
            account.new_ticket()
        account.set_status(3, 5)
        account.set_status(4, 4)
        account.delete(5)
        account.spam(6)
        account.vanish(7)
        assert account.open_tickets(10) == [1, 2, 4, 8]
        assert account.open_tickets(2) == [4, 8]
        # others have closed all of them meanwhile: what a person does is done to a new one
        for ticket in account.open_tickets(10):
            account.set_status(ticket, 5)
        assert Traffic(account).close() == "ticket 9: closed"


def test_its_pictures_are_real() -> None:
    with running_freshservice() as sandbox:
        account = sandbox.account()
        people = Traffic(account)
        people.ask()
        people.answer_with_screenshot()
        [conversation] = Desk(account).get("/tickets/1/conversations")["conversations"]
        [attachment] = conversation["attachments"]
        content = Desk(account).download(attachment["attachment_url"]).content
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) == attachment["size"]


def test_people_groups_and_categories_are_those_of_toga2(tmp_path: Path) -> None:
    store = Store([ELITE])
    sizes = Sizes(contacts=30, teams=3, categories=20)
    generate(
        store,
        "elite",
        seed=1,
        start=NOON.replace(year=2025),
        end=NOON,
        contacts=sizes.contacts,
        teams=sizes.teams,
        categories=sizes.categories,
    )
    contacts = store.all("elite", "contacts")
    teams = store.all("elite", "ticket-teams")
    store.close()
    with FreshserviceSandbox([AccountSpec("elite", "key")], path=tmp_path / "f.sqlite") as sandbox:
        account = sandbox.account()
        fill(account, requesters=30, groups=3, paths=20)
        people = [record.document["primary_email"] for record in account.records("requester")]
        assert people.count(None) == 1
        emails = {contact["email"] for contact in contacts}
        assert {email for email in people if email} < emails
        known = {contact["c_eliteUserId"] for contact in contacts if "c_eliteUserId" in contact}
        assert known <= {str(requester) for requester in account.requesters}
        assert {str(group) for group in account.groups} == {
            team["c_eliteGroupId"] for team in teams
        }


def test_what_is_in_the_file_is_there_the_next_day(tmp_path: Path) -> None:
    path = tmp_path / "freshservice.sqlite"
    for day in range(2):
        with FreshserviceSandbox([AccountSpec("elite", "key")], path=path) as sandbox:
            account = sandbox.account()
            if not day:
                fill(account)
            ticket = account.new_ticket(files=["photo.png"])
            assert ticket == day + 1
            attachment = Desk(account).get("/tickets/1")["ticket"]["attachments"][0]
            assert Desk(account).download(attachment["attachment_url"]).status_code == 200

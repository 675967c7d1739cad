"""The sandbox's Freshservice: reads, as strict as ``spec/freshservice.md``."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from elite_pipeline.sandbox.freshservice import Account, FreshserviceSandbox, Shift
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice
from elite_pipeline_tests.support.toga2_wire import NOON, Clock

_DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[FreshserviceSandbox]:
    with running_freshservice(clock=clock, plan="enterprise") as sandbox:
        yield sandbox


@pytest.fixture
def account(sandbox: FreshserviceSandbox) -> Account:
    return sandbox.account("elite")


@pytest.fixture
def desk(account: Account) -> Desk:
    return Desk(account)


def walked(desk: Desk, path: str, key: str, **parameters: str | int) -> list[int]:
    """Return the ids of a list, all its pages followed by their links."""
    found: list[int] = []
    url: str | None = f"{desk.account.api_url}{path}"
    while url is not None:
        answer = desk.session.get(url, params=parameters, timeout=10)
        assert answer.status_code == 200, answer.text
        found += [record["id"] for record in answer.json()[key]]
        url, parameters = answer.links.get("next", {}).get("url"), {}
    return found


class TestWhoCalls:
    def test_a_key_opens_its_account_with_any_password(self, desk: Desk, account: Account) -> None:
        for password in ("X", "", "a:b"):
            desk.session.auth = (account.api_key, password)
            assert desk.get("/groups")["groups"]

    @pytest.mark.parametrize("auth", [None, ("", "X"), ("another", "X")])
    def test_without_the_key_it_is_401(self, desk: Desk, auth: tuple[str, str] | None) -> None:
        desk.session.auth = auth
        answer = desk.call("GET", "/groups")

        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_credentials"

    @pytest.mark.parametrize("header", ["Basic !", "Basic", "Bearer {key}", "Basic {key}", "{key}"])
    def test_credentials_that_are_none_are_401(
        self, desk: Desk, account: Account, header: str
    ) -> None:
        desk.session.auth = None
        sent = {"Authorization": header.format(key=account.api_key)}

        assert desk.refused("GET", "/groups", headers=sent) == 401

    def test_each_account_has_its_own_port_and_key(self) -> None:
        with running_freshservice("elite", "wje") as sandbox:
            elite, wje = sandbox.account("elite"), sandbox.account("wje")
            elite.new_ticket()
            desk = Desk(wje)
            assert desk.get("/tickets") == {"tickets": []}
            desk.session.auth = (elite.api_key, "X")
            assert desk.refused("GET", "/tickets") == 401


class TestPaging:
    def test_thirty_a_page_by_default_and_the_link_leads_on(
        self, desk: Desk, account: Account
    ) -> None:
        tickets = [account.new_ticket() for _ in range(65)]

        first = desk.call("GET", "/tickets")
        assert len(first.json()["tickets"]) == 30
        assert first.links["next"]["url"] == f"{account.api_url}/tickets?page=2"
        assert "Link" not in desk.call("GET", "/tickets", params={"page": 3}).headers
        assert walked(desk, "/tickets", "tickets") == tickets[::-1]
        assert walked(desk, "/tickets", "tickets", per_page=20) == tickets[::-1]

    def test_a_last_page_that_is_full_has_no_link(self, desk: Desk, account: Account) -> None:
        for _ in range(4):
            account.new_ticket()
        answer = desk.call("GET", "/tickets", params={"per_page": 2, "page": 2})

        assert len(answer.json()["tickets"]) == 2
        assert "Link" not in answer.headers

    def test_the_link_keeps_the_other_parameters(self, desk: Desk, account: Account) -> None:
        for _ in range(3):
            account.new_ticket()
        since = "2026-06-01T00:00:00+00:00"
        answer = desk.call("GET", "/tickets", params={"updated_since": since, "per_page": 2})

        following = requests.get(answer.links["next"]["url"], auth=desk.session.auth, timeout=10)
        assert len(following.json()["tickets"]) == 1

    @pytest.mark.parametrize(
        ("spelling", "text"),
        [
            ("plain", '<{}>; rel="next"'),
            ("tight", '<{}>;rel="next"'),
            ("blank", '< {}>; rel="next"'),
        ],
    )
    def test_odd_spellings_of_the_link(
        self, sandbox: FreshserviceSandbox, desk: Desk, account: Account, spelling: str, text: str
    ) -> None:
        vars(sandbox.settings)["link_header"] = spelling
        account.new_ticket()
        account.new_ticket()

        header = desk.call("GET", "/tickets", params={"per_page": 1}).headers["Link"]
        assert header == text.format(f"{account.api_url}/tickets?per_page=1&page=2")

    @pytest.mark.parametrize(
        "wrong", [{"per_page": 101}, {"per_page": 0}, {"page": 0}, {"page": "x"}, {"per_page": ""}]
    )
    def test_a_page_that_cannot_be(self, desk: Desk, wrong: dict[str, object]) -> None:
        answer = desk.call("GET", "/tickets", params=wrong)

        assert answer.status_code == 400
        assert answer.json()["description"] == "Validation failed"
        assert answer.json()["errors"][0]["field"] in wrong

    def test_conversations_come_in_pages(
        self, sandbox: FreshserviceSandbox, desk: Desk, account: Account
    ) -> None:
        ticket = account.new_ticket()
        made = [account.reply(ticket) for _ in range(45)]
        path = f"/tickets/{ticket}/conversations"

        assert walked(desk, path, "conversations") == made
        sandbox.settings.conversation_order = "newest"
        assert walked(desk, path, "conversations", per_page=7) == made[::-1]

    def test_tickets_that_move_while_they_are_paged(
        self, sandbox: FreshserviceSandbox, desk: Desk, account: Account, clock: Clock
    ) -> None:
        sandbox.settings.order_lists_by = "updated_at"
        for _ in range(6):
            clock.advance(1)
            account.new_ticket()
        clock.advance(1)
        rule = sandbox.fault(Shift(uuid="2"), method="GET", route="/tickets", skip=1)

        assert walked(desk, "/tickets", "tickets", per_page=2) == [6, 5, 5, 4, 3, 1]
        assert rule.fired == 1


class TestTickets:
    def test_what_a_list_leaves_out(self, desk: Desk, account: Account) -> None:
        old = account.new_ticket(age_seconds=31 * _DAY)
        kept = account.new_ticket(age_seconds=29 * _DAY)
        account.spam(account.new_ticket())
        account.delete(account.new_ticket())
        account.vanish(account.new_ticket())

        assert walked(desk, "/tickets", "tickets") == [kept]
        assert walked(desk, "/tickets", "tickets", updated_since="2026-01-01") == [kept, old]
        assert walked(desk, "/tickets", "tickets", filter="spam") == [3]
        assert walked(desk, "/tickets", "tickets", filter="deleted") == [4]

    def test_updated_since(self, desk: Desk, account: Account, clock: Clock) -> None:
        first = account.new_ticket()
        clock.advance(60)
        second = account.new_ticket()
        clock.advance(60)
        account.reply(first)

        def since(text: str) -> list[int]:
            return walked(desk, "/tickets", "tickets", updated_since=text)

        assert since("2026-06-10T12:00:00Z") == [second, first]
        assert since("2026-06-10T12:01:00Z") == [second, first]
        assert since("2026-06-10T12:01:01Z") == [first]
        assert since("2026-06-10T17:31:01+05:30") == [first]
        assert since("2026-06-10T12:02:00.001Z") == []
        assert desk.refused("GET", "/tickets", params={"updated_since": "yesterday"}) == 400

    def test_a_reply_can_leave_its_ticket_as_it_was(
        self, sandbox: FreshserviceSandbox, desk: Desk, account: Account, clock: Clock
    ) -> None:
        ticket = account.new_ticket()
        clock.advance(60)
        sandbox.settings.replies_touch_ticket = False
        account.reply(ticket)

        assert desk.get(f"/tickets/{ticket}")["ticket"]["updated_at"] == "2026-06-10T12:00:00Z"

    def test_attachments_are_on_the_single_ticket_alone(self, desk: Desk, account: Account) -> None:
        ticket = account.new_ticket(files=["photo.png", "photo.png"])

        assert "attachments" not in desk.get("/tickets")["tickets"][0]
        attachments = desk.get(f"/tickets/{ticket}")["ticket"]["attachments"]
        assert [each["name"] for each in attachments] == ["photo.png", "photo.png"]
        assert len({each["id"] for each in attachments}) == 2

    def test_spam_trash_and_merged_can_be_read(self, desk: Desk, account: Account) -> None:
        spam, trash, merged, into, gone = (account.new_ticket() for _ in range(5))
        account.spam(spam)
        account.delete(trash)
        account.merge(merged, into)
        account.vanish(gone)

        assert desk.get(f"/tickets/{spam}")["ticket"]["spam"] is True
        assert desk.get(f"/tickets/{trash}")["ticket"]["deleted"] is True
        assert desk.get(f"/tickets/{merged}")["ticket"]["status"] == 5
        told = desk.get(f"/tickets/{into}/conversations")["conversations"]
        assert [(each["private"], each["source"]) for each in told] == [(True, 2)]
        assert desk.refused("GET", f"/tickets/{gone}") == 404
        assert desk.refused("GET", f"/tickets/{gone}/conversations") == 404

    def test_include_gives_the_ten_oldest_conversations(self, desk: Desk, account: Account) -> None:
        ticket = account.new_ticket()
        made = [account.reply(ticket, f"<p>{number}</p>") for number in range(12)]

        answer = desk.call("GET", f"/tickets/{ticket}", params={"include": "conversations"})
        given = [each["id"] for each in answer.json()["ticket"]["conversations"]]
        assert given == made[:10]
        assert answer.headers["X-RateLimit-Used-CurrentRequest"] == "2"
        assert desk.refused("GET", f"/tickets/{ticket}", params={"include": "nonsense"}) == 400

    def test_a_query_finds_tickets(self, desk: Desk, account: Account) -> None:
        account.new_ticket()
        closed = account.new_ticket(status=5, priority=1)
        found = desk.get("/tickets/filter", query='"status:5 AND priority:1"')

        assert [ticket["id"] for ticket in found["tickets"]] == [closed]
        assert desk.refused("GET", "/tickets/filter", params={"query": "status:5"}) == 400

    @pytest.mark.parametrize(
        ("times", "spelled"),
        [
            ("z", "2026-06-10T12:00:00Z"),
            ("offset", "2026-06-10T17:30:00+05:30"),
            ("milliseconds", "2026-06-10T12:00:00.250Z"),
        ],
    )
    def test_times_are_spelled_as_wanted(
        self,
        sandbox: FreshserviceSandbox,
        desk: Desk,
        account: Account,
        clock: Clock,
        times: str,
        spelled: str,
    ) -> None:
        vars(sandbox.settings)["times"] = times
        clock.advance(0.25)
        account.new_ticket()

        assert desk.get("/tickets/1")["ticket"]["created_at"] == spelled

    def test_ids_of_all_but_tickets_are_long(self, desk: Desk, account: Account) -> None:
        ticket = account.new_ticket(files=["a.txt"])
        account.reply(ticket, files=["b.txt"])
        spelled = desk.get(f"/tickets/{ticket}", include="conversations")["ticket"]
        conversation = spelled["conversations"][0]
        ids = [spelled["attachments"][0]["id"], conversation["id"], conversation["user_id"]]
        ids += [conversation["attachments"][0]["id"], account.agents[0], account.groups[0]]

        assert all(10 <= len(str(each)) <= 12 and each > 2**31 for each in ids), ids
        assert ticket == 1


class TestTheRest:
    def test_a_conversation_cannot_be_read_by_itself(self, desk: Desk, account: Account) -> None:
        conversation = account.reply(account.new_ticket())
        answer = desk.call("GET", f"/conversations/{conversation}")

        assert answer.status_code == 405
        assert answer.headers["Allow"] == "DELETE, PATCH, PUT"

    @pytest.mark.parametrize(
        ("path", "parameter"),
        [
            ("/tickets", "updated_before"),
            ("/tickets", "order_by"),
            ("/tickets/1/conversations", "include"),
            ("/groups", "name"),
            ("/tickets/1", "page"),
        ],
    )
    def test_an_unexpected_parameter_is_400(
        self, desk: Desk, account: Account, path: str, parameter: str
    ) -> None:
        account.new_ticket()
        answer = desk.call("GET", path, params={parameter: "x"})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == parameter

    @pytest.mark.parametrize(
        "wrong",
        [
            {"updated_since": "yesterday"},
            {"filter": "all"},
            {"order_type": "up"},
            {"include": "conversations"},
        ],
    )
    def test_a_value_that_cannot_be_is_400(self, desk: Desk, wrong: dict[str, str]) -> None:
        answer = desk.call("GET", "/tickets", params=wrong)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == list(wrong)

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [("requester_id", "{id}"), ("email", "{email}"), ("type", "Service Request")],
    )
    def test_tickets_of_one_requester_or_type(
        self, desk: Desk, account: Account, parameter: str, value: str
    ) -> None:
        requester = account.record("requester", account.requesters[1])
        assert requester is not None
        email = requester.document["primary_email"]
        account.new_ticket()
        wanted = account.new_ticket(requester=requester.id, type="Service Request")
        found = desk.get("/tickets", **{parameter: value.format(id=requester.id, email=email)})

        assert [ticket["id"] for ticket in found["tickets"]] == [wanted]

    def test_people_have_two_spellings(self, desk: Desk, account: Account) -> None:
        agent, requester = account.agents[0], account.requesters[0]

        assert "@" in desk.get(f"/agents/{agent}")["agent"]["email"]
        shown = desk.get(f"/requesters/{requester}")["requester"]
        assert "@" in shown["primary_email"]
        assert "email" not in shown
        assert desk.refused("GET", f"/requesters/{agent}") == 404
        assert desk.refused("GET", f"/agents/{requester}") == 404
        assert desk.get(f"/requesters/{account.requesters[-1]}") is not None

    def test_people_are_listed_and_found(self, desk: Desk, account: Account) -> None:
        agents = desk.get("/agents")["agents"]
        assert [each["id"] for each in agents] == account.agents
        assert desk.get("/agents", email=agents[1]["email"])["agents"] == [agents[1]]
        assert walked(desk, "/requesters", "requesters", per_page=2) == account.requesters
        assert desk.get("/agents", active="false")["agents"] == []

    def test_groups(self, desk: Desk, account: Account) -> None:
        group = account.groups[0]
        assert desk.get(f"/groups/{group}")["group"]["name"] == "Service Desk"
        assert len(desk.get("/groups")["groups"]) == 2

    def test_the_tree_of_categories(self, desk: Desk, account: Account) -> None:
        fields = {each["name"]: each for each in desk.get("/ticket_form_fields")["ticket_fields"]}
        tree = {
            (first["value"], second["value"], third["value"])
            for first in fields["category"]["choices"]
            for second in first["nested_options"]
            for third in second["nested_options"]
        }

        assert ("Hardware ", "Laptop ", "Other") in tree
        assert ("Software", "Laptop ", "Other") in tree
        assert all(path in account.categories for path in tree)
        leaves = fields["category"]["choices"][-1]["nested_options"][0]["nested_options"]
        assert "nested_options" not in leaves[0]

    @pytest.mark.parametrize(
        ("kind", "content_type", "start"),
        [
            ("empty", "text/html", ""),
            ("html", "text/html", "<html>"),
            ("json", "application/json", '{"code'),
        ],
    )
    def test_a_404_carries_what_is_wanted(
        self, sandbox: FreshserviceSandbox, desk: Desk, kind: str, content_type: str, start: str
    ) -> None:
        vars(sandbox.settings)["not_found_body"] = kind
        answer = desk.call("GET", "/tickets/99")

        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith(content_type)
        assert answer.text.startswith(start)

    @pytest.mark.parametrize(
        "path", ["/nonsense", "/tickets/x", "/tickets/1/nonsense", "/tickets/"]
    )
    def test_a_path_that_is_none(self, desk: Desk, path: str) -> None:
        assert desk.refused("GET", path) == 404

    def test_the_time_is_the_clocks(self, desk: Desk, clock: Clock) -> None:
        assert clock.now == NOON
        assert desk.call("GET", "/groups").headers["Date"] == "Wed, 10 Jun 2026 12:00:00 GMT"

"""Freshservice against real sockets: what is read, what is refused, and what it says of it."""

import base64
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from elite_pipeline.errors import (
    ConfigurationError,
    PermanentError,
    SystemicHttpError,
    TransientError,
    TransientHttpError,
)
from elite_pipeline.freshservice.errors import GoneError, RefusedError
from elite_pipeline.freshservice.models import Conversation, Malformed, TicketHead
from elite_pipeline.ledger import LedgerRateBudget
from elite_pipeline_tests.support.freshservice_script import (
    KEY,
    account,
    answer,
    conversation,
    page,
    ticket,
)
from elite_pipeline_tests.support.scripted_http import Reply

NEXT = '<https://x.freshservice.com/api/v2/tickets?page=2>;rel="next"'
NEXTS = [
    NEXT,
    '< https://x.freshservice.com/api/v2/tickets?page=2>; rel="next"',
    "<https://x.freshservice.com/api/v2/tickets?page=2>;rel=next",
    '<https://x.freshservice.com/a,b?page=2>; title="x"; rel="next"',
]
SINCE = datetime(2026, 6, 10, 8, 0, 0, 999, tzinfo=UTC)


def test_a_ticket_is_read_with_the_key_and_without_include() -> None:
    raw = ticket(category=" Hardware ", sub_category="Printers  ", type="Incident", unknown=[1])
    with account(answer({"ticket": raw})) as made:
        found = made.client.ticket(7)
        (request,) = made.server.requests
    assert request.path == "/api/v2/tickets/7"
    sent = request.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{KEY}:X"
    assert (found.id, found.status) == (7, 2)
    # as they came: the blanks are the engine's
    assert (found.category, found.sub_category) == (" Hardware ", "Printers  ")
    assert not found.deleted


def test_what_may_be_null_may_be_null() -> None:
    names = ("subject", "description", "status", "priority", "requester_id", "group_id", "category")
    more = ("attachments", "deleted", "spam", "responder_id", "item_category", "type")
    raw = {**ticket(), **dict.fromkeys(names + more)}
    with account(answer({"ticket": raw})) as made:
        found = made.client.ticket(7)
    assert found.attachments == []
    assert (found.deleted, found.spam, found.status, found.priority) == (False, False, None, None)


def test_a_ticket_that_is_none_is_named() -> None:
    with (
        account(answer({"ticket": ticket(updated_at="yesterday")})) as made,
        pytest.raises(PermanentError, match=r"ticket 7: .*updated_at") as caught,
    ):
        made.client.ticket(7)
    assert "yesterday" not in str(caught.value)


class TestConversations:
    @pytest.mark.parametrize("link", NEXTS)
    def test_all_pages_are_read_however_the_next_one_is_named(self, link: str) -> None:
        replies = [page([conversation(2), conversation(1)], link=link), page([conversation(3)])]
        with account(*replies) as made:
            found = made.client.conversations(7)
            assert made.paths == [
                "tickets/7/conversations?per_page=100&page=1",
                "tickets/7/conversations?per_page=100&page=2",
            ]
            # the key goes to the account's own address, whatever the link says
            assert len(made.exchanges) == 2
        assert [one.id for one in found] == [1, 2, 3]

    @pytest.mark.parametrize("link", [None, "", "x", '<https://x/?page=1>;rel="prev"'])
    def test_the_last_page_names_none(self, link: str | None) -> None:
        with account(page([conversation(1)], link=link)) as made:
            assert len(made.client.conversations(7)) == 1
            assert len(made.server.requests) == 1

    def test_they_come_once_each_and_oldest_first(self) -> None:
        early = "2026-06-10T13:29:59.500+05:30"
        replies = [
            page([conversation(9), conversation(5)], link=NEXT),
            page([conversation(5, body="newer"), conversation(8, created_at=early)]),
        ]
        with account(*replies) as made:
            found = made.client.conversations(7)
        assert [one.id for one in found] == [8, 5, 9]
        assert isinstance(found[1], Conversation)
        assert found[1].body == "newer"

    def test_a_list_that_stands_still_is_told(self) -> None:
        with (
            account(page([conversation(1)], link=NEXT)) as made,
            pytest.raises(TransientError, match="conversations of ticket 7 does not move on"),
        ):
            made.client.conversations(7)

    def test_one_that_does_not_say_whether_it_is_private_is_not_published(self) -> None:
        raws = [conversation(number) for number in range(1, 6)]
        raws[0].pop("private")
        raws[1]["private"] = None
        raws[2]["private"] = "false"
        raws[3]["private"] = True
        with account(page(raws)) as made:
            found = made.client.conversations(7)
        assert [isinstance(one, Malformed) for one in found] == [True, True, True, False, False]
        assert isinstance(found[0], Malformed)
        assert "private" in found[0].reason

    def test_malformed_ones_stand_in_their_place_and_spoil_nothing(self) -> None:
        raws: list[object] = [
            conversation(3),
            "text",
            conversation(1, user_id="x"),
            {"body": "no id"},
        ]
        with account(page(raws)) as made:
            found = made.client.conversations(7)
        assert [one.id for one in found] == [1, 3, None, None]
        nameless = [one for one in found if isinstance(one, Malformed) and one.id is None]
        assert len({one.name for one in nameless}) == 2

    def test_so_do_malformed_attachments(self) -> None:
        files = [
            {"id": 1, "name": "a", "size": 3, "attachment_url": "https://x/a"},
            {"id": 2, "size": 3},
            None,
            {"name": "no id", "content_type": None, "size": None, "attachment_url": "https://x/b"},
        ]
        with account(
            page([conversation(1, attachments=files), conversation(2, attachments="x")])
        ) as m:
            first, second = m.client.conversations(7)
        assert isinstance(first, Conversation)
        assert isinstance(second, Conversation)
        assert [isinstance(one, Malformed) for one in first.attachments] == [
            False,
            True,
            True,
            False,
        ]
        assert [one.name for one in first.attachments][1] == "2"
        assert [isinstance(one, Malformed) for one in second.attachments] == [True]

    def test_half_a_surrogate_pair_spoils_one_record_alone(self) -> None:
        raws = [conversation(1, body="\ud83d"), conversation(2)]
        with account(page(raws)) as made:
            first, second = made.client.conversations(7)
        assert isinstance(first, Malformed)
        assert isinstance(second, Conversation)


class TestFailures:
    @pytest.mark.parametrize("body", [b"", b"<html>nothing here</html>", b'{"message": "no"}'])
    def test_one_that_is_gone(self, body: bytes) -> None:
        with account(Reply(404, body)) as made:
            with pytest.raises(GoneError, match="tickets/7") as caught:
                made.client.ticket(7)
            assert len(made.server.requests) == 1
        assert caught.value.kind == "permanent"

    @pytest.mark.parametrize("code", ["access_denied", "require_feature", None])
    def test_one_that_the_agent_may_not_see(self, code: str | None) -> None:
        body = json.dumps({"code": code, "message": "You are not authorized"}).encode()
        with (
            account(Reply(403, body)) as made,
            pytest.raises(RefusedError, match="may not see it") as caught,
        ):
            made.client.conversations(7)
        assert caught.value.kind == "permanent"

    @pytest.mark.parametrize(
        ("status", "code"), [(401, "invalid_credentials"), (403, "invalid_credentials")]
    )
    def test_a_key_that_is_refused_stops_everything(self, status: int, code: str) -> None:
        with (
            account(Reply(status, json.dumps({"code": code}).encode())) as made,
            pytest.raises(SystemicHttpError, match="check ELITE_FRESHSERVICE_API_KEY"),
        ):
            made.client.ticket(7)

    def test_an_agent_that_may_list_nothing_stops_everything(self) -> None:
        with (
            account(Reply(403, b'{"code": "access_denied"}')) as made,
            pytest.raises(SystemicHttpError),
        ):
            list(made.client.updated_tickets(SINCE))

    def test_a_list_that_is_not_there_is_a_wrong_address(self) -> None:
        with (
            account(Reply(404)) as made,
            pytest.raises(ConfigurationError, match=r"freshservice\.base_url"),
        ):
            list(made.client.updated_tickets(SINCE))

    def test_too_many_calls_wait_as_told(self) -> None:
        busy = Reply(429, b'{"message": "slow down"}', {"Retry-After": "30"})
        with account(busy, answer({"ticket": ticket()})) as made:
            assert made.client.ticket(7).id == 7
            assert made.waits == [30.0]

    @pytest.mark.parametrize("body", [b"", b"<html>502</html>"])
    def test_a_server_in_trouble_is_asked_again(self, body: bytes) -> None:
        with account(Reply(502, body), answer({"ticket": ticket()})) as made:
            assert made.client.ticket(7).id == 7
        with account(Reply(503, body)) as made, pytest.raises(TransientHttpError):
            made.client.ticket(7)

    def test_a_page_instead_of_an_answer(self) -> None:
        html = Reply(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
        with account(html) as made, pytest.raises(TransientError, match="not JSON but text/html"):
            made.client.ticket(7)

    def test_what_is_wrong_with_a_call_is_said(self) -> None:
        body = {
            "description": "Validation failed",
            "errors": [{"field": "page", "message": "too big"}],
        }
        with (
            account(Reply(400, json.dumps(body).encode())) as made,
            pytest.raises(PermanentError, match="Validation failed; page too big"),
        ):
            made.client.ticket(7)

    def test_the_key_is_in_no_message(self) -> None:
        echoed = json.dumps(
            {"message": f"key {KEY} and {base64.b64encode(f'{KEY}:X'.encode()).decode()}"}
        )
        for status in (400, 401, 404, 500):
            with (
                account(Reply(status, echoed.encode())) as made,
                pytest.raises(Exception, match="Freshservice") as caught,
            ):
                made.client.ticket(7)
            assert KEY not in str(caught.value)
            assert base64.b64encode(f"{KEY}:X".encode()).decode() not in str(caught.value)


class TestPeopleAndGroups:
    def test_a_requester_and_an_agent_are_spelled_differently(self) -> None:
        requester = {
            "id": 4_000_000_001,
            "first_name": "Ada",
            "last_name": None,
            "primary_email": "a@x",
        }
        agent = {"id": 4_000_000_002, "first_name": "Bo", "last_name": "Li", "email": "b@x"}
        replies = [answer({"requester": requester}), Reply(404), answer({"agent": agent})]
        with account(*replies) as made:
            ada, bo = made.client.person(4_000_000_001), made.client.person(4_000_000_002)
            assert made.paths == [
                "requesters/4000000001",
                "requesters/4000000002",
                "agents/4000000002",
            ]
        assert ada is not None
        assert bo is not None
        assert (ada.name, ada.email, ada.is_agent) == ("Ada", "a@x", False)
        assert (bo.name, bo.email, bo.is_agent) == ("Bo Li", "b@x", True)

    def test_everybody_is_asked_for_once(self) -> None:
        requester = answer({"requester": {"id": 5}})
        with account(requester) as made:
            threads = [threading.Thread(target=made.client.person, args=(5,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert made.client.calls == 1

    def test_nobody_is_asked_for_once_too(self) -> None:
        with account(Reply(404)) as made:
            assert made.client.person(5) is made.client.person(5) is None
            assert made.client.group(6) is made.client.group(6) is None
            assert made.client.calls == 3

    def test_one_that_may_not_be_seen_is_asked_for_once_too(self) -> None:
        with account(Reply(403, b'{"code": "access_denied"}')) as made:
            for _ in range(2):
                with pytest.raises(RefusedError):
                    made.client.person(5)
            assert made.client.calls == 2

    def test_a_passing_failure_is_not_remembered(self) -> None:
        down = Reply(500)
        with account(down, down, down, answer({"group": {"id": 6, "name": "IT"}})) as made:
            with pytest.raises(TransientHttpError):
                made.client.group(6)
            group = made.client.group(6)
        assert group is not None
        assert group.name == "IT"


class TestSweep:
    def test_it_says_since_when_and_yields_a_page(self) -> None:
        listed = answer({"tickets": [ticket(1), ticket(2)]}, Date="Wed, 10 Jun 2026 09:00:00 GMT")
        with account(listed) as made:
            (found,) = made.client.updated_tickets(SINCE)
            assert made.paths == [
                "tickets?updated_since=2026-06-10T08%3A00%3A00Z&per_page=100&page=1"
            ]
            assert made.client.list_started() == datetime(2026, 6, 10, 9, tzinfo=UTC)
        assert [one.id for one in found] == [1, 2]

    def test_its_beginning_is_that_of_its_first_page_whatever_is_asked_meanwhile(self) -> None:
        def at(hour: int, reply: Reply) -> Reply:
            date = f"Wed, 10 Jun 2026 {hour:02}:00:00 GMT"
            return replace(reply, headers={**reply.headers, "Date": date})

        listed = page([ticket(1)], link=NEXT, key="tickets")
        last = page([ticket(2)], key="tickets")
        replies = [
            at(9, listed),
            at(10, page([conversation(1)])),
            at(11, last),
            at(12, listed),
            at(13, last),
        ]
        with account(*replies) as made:
            assert made.client.list_started() is None
            pages = made.client.updated_tickets(SINCE)
            next(pages)
            made.client.conversations(1)
            assert made.client.now_there() == datetime(2026, 6, 10, 10, tzinfo=UTC)
            list(pages)
            assert made.client.list_started() == datetime(2026, 6, 10, 9, tzinfo=UTC)
            assert made.client.now_there() == datetime(2026, 6, 10, 13, tzinfo=UTC)

    def test_a_list_without_an_end_and_one_that_does_not_come_to_rest_are_told(self) -> None:
        with (
            account(page([ticket(1)], link=NEXT, key="tickets")) as made,
            pytest.raises(TransientError, match="does not move on"),
        ):
            list(made.client.updated_tickets(SINCE))
        restless = [
            page([ticket(number)], link=NEXT if number % 2 else None, key="tickets")
            for number in range(1, 21)
        ]
        with (
            account(*restless) as made,
            pytest.raises(TransientError, match="did not come to rest in 5 passes"),
        ):
            list(made.client.updated_tickets(SINCE))

    def test_nothing_new_is_one_call(self) -> None:
        with account(answer({"tickets": []})) as made:
            assert list(made.client.updated_tickets(SINCE)) == []
            assert made.client.calls == 1

    def test_one_that_slipped_to_a_page_that_was_read_is_found_by_the_next_pass(self) -> None:
        def listed(*numbers: int, link: str | None = None) -> Reply:
            return page([ticket(number) for number in numbers], link=link, key="tickets")

        replies = [
            listed(1, 2, link=NEXT),
            # 1 was thrown away, 3 moved up to the first page
            listed(4),
            listed(2, 3, link=NEXT),
            listed(4),
            listed(2, 3, link=NEXT),
            listed(4),
        ]
        with account(*replies) as made:
            found = [one.id for each in made.client.updated_tickets(SINCE) for one in each]
            assert made.client.calls == 6
        assert found == [1, 2, 4, 3]

    def test_one_that_changed_again_comes_again(self) -> None:
        newer = "2026-06-10T08:30:00Z"
        replies = [
            page([ticket(1)], link=NEXT, key="tickets"),
            page([ticket(1, updated_at=newer)], key="tickets"),
            page([ticket(2)], link=NEXT, key="tickets"),
            page([ticket(1, updated_at=newer)], key="tickets"),
        ]
        with account(*replies, replies[2], replies[3]) as made:
            found = [one for each in made.client.updated_tickets(SINCE) for one in each]
        assert [one.id for one in found] == [1, 1, 2]

    def test_malformed_ones_stand_among_the_others_once(self) -> None:
        raws = [{"id": 3, "updated_at": None}, ticket(4)]
        with account(page(raws, key="tickets")) as made:
            (found,) = made.client.updated_tickets(SINCE)
        assert isinstance(found[0], Malformed)
        assert found[0].id == 3
        assert isinstance(found[1], TicketHead)


def test_categories_are_paths_and_asked_for_once_without_parameters() -> None:
    tree = [
        {"id": 1, "value": "Hardware ", "nested_options": [
            {"id": 2, "value": "Printer", "nested_options": [
                {"id": 3, "value": "Ink", "nested_options": [{"id": 4, "value": "too deep"}]}]},
            {"id": 5, "value": "  "}, 7,
        ]},
        {"id": 6, "value": "Software", "nested_options": [{"id": 7, "value": "Printer"}]},
        {"id": 8, "value": "Software"},
        {"value": "no id"},
    ]  # fmt: skip
    fields = {"ticket_fields": [{"name": "subject"}, {"name": "category", "choices": tree}]}
    with account(answer(fields)) as made:
        for _ in range(2):
            assert made.client.category_choices() == {
                ("Hardware",): 1,
                ("Hardware", "Printer"): 2,
                ("Hardware", "Printer", "Ink"): 3,
                ("Software",): 6,
                ("Software", "Printer"): 7,
            }
        assert made.paths == ["ticket_form_fields"]
    with account(answer({"ticket_fields": []})) as made:
        assert made.client.category_choices() == {}


def test_every_attempt_takes_a_slot_of_its_kind(tmp_path: Path) -> None:
    kinds: list[str] = []

    class Noted(LedgerRateBudget):
        def attempt(self, kind: str, place: int | None = None) -> tuple[int, float | None]:
            kinds.append(kind)
            return super().attempt(kind, place)

    budget = Noted(f"sqlite:///{tmp_path}/b.sqlite", "a", overall=9, kinds={"view_ticket": 4})
    replies = [Reply(500), answer({"ticket": ticket()}), page([]), answer({"tickets": []})]
    with account(*replies, budget=budget) as made:
        made.client.ticket(7)
        made.client.conversations(7)
        list(made.client.updated_tickets(SINCE))
    assert kinds == ["view_ticket", "view_ticket", "", "list_tickets"]

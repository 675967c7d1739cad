"""The sandbox's Freshservice: its limits a minute, and its own log of what arrived."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from elite_pipeline.sandbox.freshservice import (
    PLANS,
    Account,
    Budget,
    Call,
    CallLog,
    Drop,
    FreshserviceSandbox,
    Plan,
    Status,
)
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice
from elite_pipeline_tests.support.toga2_wire import NOON, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[FreshserviceSandbox]:
    with running_freshservice(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def account(sandbox: FreshserviceSandbox) -> Account:
    return sandbox.account("elite")


@pytest.fixture
def desk(account: Account) -> Desk:
    return Desk(account)


def statuses(desk: Desk, path: str, times: int) -> list[int]:
    return [desk.call("GET", path).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("plan", "overall", "lists", "tickets"),
    [("starter", 100, 40, 50), ("growth", 200, 70, 80), ("pro", 400, 120, 140)],
)
def test_a_plan_allows_so_many_and_no_more(
    plan: Plan, overall: int, lists: int, tickets: int
) -> None:
    with running_freshservice(plan=plan, clock=Clock()) as sandbox:
        account = sandbox.account()
        ticket = account.new_ticket()
        desk = Desk(account)

        assert statuses(desk, "/tickets", lists + 1) == [200] * lists + [429]
        assert statuses(desk, f"/tickets/{ticket}", 1) == [200]
        left = overall - lists - 2
        assert statuses(desk, "/groups", left + 1) == [200] * left + [429]
        assert account.most_calls_in_60s() == overall + 1
        assert account.most_calls_in_60s("list_tickets") == lists + 1
        assert account.most_calls_in_60s("view_ticket") == 1
        assert PLANS[plan].tickets == tickets


@pytest.mark.parametrize(
    ("path", "method", "budget"),
    [
        ("/tickets", "GET", "list_tickets"),
        ("/tickets/filter", "GET", "list_tickets"),
        ("/agents", "GET", "list_agents"),
        ("/requesters", "GET", "list_requesters"),
        ("/assets", "GET", "list_assets"),
        ("/tickets/1", "GET", "view_ticket"),
        ("/tickets/1", "PUT", "update_ticket"),
        ("/tickets", "POST", "create_ticket"),
        ("/tickets/1/conversations", "GET", None),
        ("/groups/1", "GET", None),
        ("/nonsense", "GET", None),
    ],
)
def test_what_counts_for_which_limit(
    desk: Desk, account: Account, path: str, method: str, budget: Budget | None
) -> None:
    desk.call(method, path)

    assert [call.budget for call in account.calls] == [budget]


def test_the_headers_tell(desk: Desk, account: Account) -> None:
    account.new_ticket()
    first = desk.call("GET", "/tickets", params={"include": "stats,requester"}).headers
    assert first["X-RateLimit-Total"] == "100"
    assert first["X-RateLimit-Used-CurrentRequest"] == "5"
    assert first["X-RateLimit-Remaining"] == "95"
    refused = desk.call("GET", "/nonsense").headers
    assert refused["X-RateLimit-Remaining"] == "94"


def test_failed_calls_count_whatever_they_failed_of(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account
) -> None:
    sandbox.fault(Status(503), route="/groups")
    desk.refused("GET", "/groups")
    desk.refused("GET", "/tickets/99")
    desk.refused("GET", "/tickets", params={"x": 1})
    sandbox.fault(Drop(), route="/agents")
    with pytest.raises(OSError, match=r"abort|reset|closed"):
        desk.call("GET", "/agents")
    desk.session.auth = None
    desk.refused("GET", "/groups")

    assert [call.status for call in account.calls] == [503, 404, 400, None, 401]
    assert account.most_calls_in_60s() == 5


def test_a_minute_slides(desk: Desk, clock: Clock) -> None:
    assert statuses(desk, "/tickets", 20) == [200] * 20
    clock.advance(30)
    assert statuses(desk, "/tickets", 20) == [200] * 20
    clock.advance(29.9)
    assert statuses(desk, "/tickets", 1) == [429]
    clock.advance(0.1)
    # the one that was refused counts, too
    assert statuses(desk, "/tickets", 20) == [200] * 19 + [429]


def test_retry_after_tells_when_the_next_fits(
    sandbox: FreshserviceSandbox, desk: Desk, clock: Clock
) -> None:
    statuses(desk, "/tickets", 10)
    clock.advance(20)
    statuses(desk, "/tickets", 30)
    refused = desk.call("GET", "/tickets")
    assert refused.status_code == 429
    assert "message" in refused.json()
    assert refused.headers["Retry-After"] == "40"
    clock.advance(39)
    assert statuses(desk, "/tickets", 1) == [429]

    sandbox.settings.retry_after = "date"
    until = parsedate_to_datetime(desk.call("GET", "/tickets").headers["Retry-After"])
    wait = (until - clock.now).total_seconds()
    assert wait >= 1
    clock.advance(wait)
    assert statuses(desk, "/tickets", 1) == [200]


def test_limits_can_be_off(sandbox: FreshserviceSandbox, desk: Desk, account: Account) -> None:
    sandbox.settings.limit_calls = False

    assert statuses(desk, "/tickets", 60) == [200] * 60
    assert account.most_calls_in_60s("list_tickets") == 60


def test_many_callers_at_once_get_no_more(account: Account) -> None:
    def call(_: int) -> int:
        return Desk(account).call("GET", "/tickets").status_code

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(call, range(64)))

    assert found.count(200) == 40
    assert account.log.count(status=200) == 40
    assert account.log.count(route="/tickets", status=429) == 24


def test_the_most_in_any_sixty_seconds() -> None:
    clock, log = Clock(), CallLog(PLANS["starter"])

    def arrive(cost: int = 1, budget: Budget | None = None) -> None:
        call = Call(clock.now, "GET", "/", "/", budget=budget, cost=cost)
        log.arrive(call, keep_limits=False)

    assert log.most_in_60s() == 0
    for _ in range(3):
        arrive()
    clock.advance(59.999)
    arrive(budget="view_ticket")
    assert log.most_in_60s() == 4
    clock.advance(0.001)
    arrive(cost=2)
    assert log.most_in_60s() == 4
    clock.advance(600)
    arrive()
    assert (log.most_in_60s(), log.most_in_60s("view_ticket")) == (4, 1)
    assert log.most_in_60s("list_agents") == 0


def test_the_log_tells_time_path_and_status(desk: Desk, account: Account, clock: Clock) -> None:
    ticket = account.new_ticket()
    desk.get("/tickets", per_page=5)
    clock.advance(2)
    desk.get(f"/tickets/{ticket}")

    first, second = account.calls
    assert (first.time, first.route, first.query) == (NOON, "/tickets", (("per_page", "5"),))
    assert (second.time, second.path, second.route) == (clock.now, "/tickets/1", "/tickets/{id}")
    assert (second.method, second.status, second.cost) == ("GET", 200, 1)


def test_the_counters_begin_anew(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account
) -> None:
    statuses(desk, "/tickets", 41)
    sandbox.reset_stats()

    assert (account.calls, sandbox.requests, sandbox.count()) == ([], [], 0)
    assert statuses(desk, "/tickets", 1) == [200]
    assert sandbox.count(route="/tickets", status=200) == 1
    assert sandbox.max_in_flight == 1

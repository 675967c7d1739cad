"""One budget for all threads and processes: never more calls within a window than are allowed."""

import heapq
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.errors import TransientError
from elite_pipeline.ledger import LedgerRateBudget
from elite_pipeline.transport import Redactor, Transport
from elite_pipeline_tests.support.counting_http import CountingServer, busiest
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database

START = 1_780_000_000.0
Open = Callable[..., LedgerRateBudget]


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = START
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    return empty_database(request.param, tmp_path, open_helpdesk)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_budget(url: str, clock: Clock) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(account: str = "account", overall: int = 3, **kinds: int) -> LedgerRateBudget:
            budget = LedgerRateBudget(
                url, account, overall=overall, kinds=kinds, clock=clock, sleep=clock.sleep
            )
            stack.callback(budget.close)
            return budget

        yield open_


def spend(budget: LedgerRateBudget, count: int, kind: str = "", **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for _ in range(count):
        budget.take(kind).answered(200, named)


def test_what_is_over_the_limit_waits_until_a_window_after_the_answer(
    open_budget: Open, clock: Clock
) -> None:
    budget = open_budget()
    spend(budget, 3)
    assert clock.now == START
    slot = budget.take("")
    assert START + 60 < clock.now < START + 61
    clock.now += 30
    slot.answered(200, {})
    spend(budget, 2)
    began = clock.now
    budget.take("")
    # the slot that was answered last is the last to come free; the two behind it came free before
    assert clock.now - began < 62


def test_a_call_under_way_counts_however_long_it_takes(open_budget: Open, clock: Clock) -> None:
    budget = open_budget(overall=1)
    slot = budget.take("")
    clock.now += 200
    place, wait = budget.attempt("")
    assert wait is not None
    slot.answered(200, {})
    clock.now += 59
    place, wait = budget.attempt("", place)
    assert wait is not None
    clock.now += 2
    assert budget.attempt("", place)[1] is None


def test_the_slots_of_one_that_died_come_free_in_the_end(open_budget: Open, clock: Clock) -> None:
    for _ in range(3):
        open_budget().take("")
    survivor = open_budget()
    survivor.take("")
    assert START + 300 < clock.now < START + 400


def test_a_budget_is_shared_by_all_that_open_it_and_by_nobody_else(
    open_budget: Open, clock: Clock
) -> None:
    spend(open_budget(), 2)
    spend(open_budget(), 1)
    spend(open_budget("another"), 3)
    assert clock.now == START
    open_budget().take("")
    assert clock.now > START + 60


def test_a_kind_has_its_own_limit(open_budget: Open, clock: Clock) -> None:
    budget = open_budget(overall=10, view=2)
    spend(budget, 2, "view")
    spend(budget, 5)
    assert clock.now == START
    budget.take("view")
    assert clock.now > START + 60


def test_those_that_wait_come_in_turn(open_budget: Open, clock: Clock) -> None:
    budget, other = open_budget(overall=1), open_budget(overall=1)
    spend(budget, 1)
    clock.now += 50
    first, wait = budget.attempt("")
    second, _ = other.attempt("")
    assert wait is not None
    clock.now += 11
    # the place is kept for the first for as long as it looks after it
    other_place, wait = other.attempt("", second)
    assert (other_place, wait is None) == (second, False)
    assert budget.attempt("", first)[1] is None


def test_one_that_stopped_waiting_holds_nobody_up(open_budget: Open, clock: Clock) -> None:
    budget = open_budget(overall=1)
    spend(budget, 1)
    budget.attempt("")
    clock.now += 70
    assert budget.attempt("")[1] is None


class TestWhatAnswersTell:
    def test_calls_of_other_programs_take_room(self, open_budget: Open, clock: Clock) -> None:
        budget = open_budget(overall=10)
        spend(budget, 1, X_RateLimit_Total="10", x_ratelimit_REMAINING="4")
        spend(budget, 4)
        assert clock.now == START
        budget.take("")
        assert clock.now > START + 60

    def test_what_was_left_to_others_stays_theirs(self, open_budget: Open, clock: Clock) -> None:
        budget = open_budget(overall=10)
        spend(budget, 1, X_RateLimit_Total="40", X_RateLimit_Remaining="20")
        spend(budget, 9)
        assert clock.now == START

    def test_a_smaller_account_than_was_configured(self, open_budget: Open, clock: Clock) -> None:
        budget = open_budget(overall=10)
        spend(budget, 1, X_RateLimit_Total="4", X_RateLimit_Remaining="3")
        spend(open_budget(overall=10), 0)
        spend(budget, 3)
        assert clock.now == START
        budget.take("")
        assert clock.now > START + 60

    def test_a_call_that_costs_more(self, open_budget: Open, clock: Clock) -> None:
        budget = open_budget(overall=10)
        spend(budget, 1, X_Ratelimit_Used_CurrentRequest="8")
        spend(budget, 2)
        assert clock.now == START
        budget.take("")
        assert clock.now > START + 60

    @pytest.mark.parametrize("text", ["", "many", "-1", "9" * 30])
    def test_what_is_no_number_is_left_aside(self, open_budget: Open, text: str) -> None:
        budget = open_budget(overall=10)
        names = ("Total", "Remaining", "Used_CurrentRequest")
        spend(budget, 2, **{f"X_RateLimit_{name}": text for name in names})
        assert budget.attempt("")[1] is None

    @pytest.mark.parametrize("spelled", ["seconds", "date"])
    def test_an_account_that_is_closed_is_closed_for_all(
        self, open_budget: Open, clock: Clock, spelled: str
    ) -> None:
        asked = "45"
        if spelled == "date":
            later = datetime.fromtimestamp(START, UTC) + timedelta(seconds=45)
            asked = format_datetime(later, usegmt=True)
        open_budget().take("").answered(429, {"retry-after": asked})
        open_budget().take("")
        assert START + 45 <= clock.now < START + 46

    def test_one_that_does_not_say_for_how_long(self, open_budget: Open, clock: Clock) -> None:
        open_budget().take("").answered(429, {})
        open_budget().take("")
        assert START + 60 <= clock.now < START + 62

    def test_one_that_is_closed_for_long_is_not_waited_for(self, open_budget: Open) -> None:
        open_budget().take("").answered(429, {"Retry-After": "3600"})
        with pytest.raises(
            TransientError, match="account asked to be left alone for another 3600 s"
        ):
            open_budget().take("")

    def test_one_that_asks_for_years_is_asked_again_after_an_hour(
        self, open_budget: Open, clock: Clock
    ) -> None:
        open_budget().take("").answered(429, {"Retry-After": "999999999"})
        clock.now += 3_290
        with pytest.raises(TransientError):
            open_budget().take("")
        clock.now += 301
        open_budget().take("")
        assert clock.now < START + 3_610

    def test_what_it_says_of_one_kind_is_of_that_kind(
        self, open_budget: Open, clock: Clock
    ) -> None:
        budget = open_budget(overall=10, view=4)
        headers = {"X-RateLimit-Total": "4", "X-RateLimit-Remaining": "1"}
        budget.take("view").answered(200, headers)
        spend(budget, 1, "view")
        spend(budget, 5)
        assert clock.now == START
        budget.take("view")
        assert clock.now > START + 60


def test_a_transport_closes_its_budget_and_what_ended_is_written(
    open_budget: Open, url: str, clock: Clock
) -> None:
    budget = open_budget(overall=1)
    transport = Transport(
        system="S", base_url="http://127.0.0.1", pool_size=1, redactor=Redactor(), budget=budget
    )
    budget.take("").answered(200, {})
    transport.close()
    clock.now += 61
    # else it would count for as long as one that died
    assert open_budget(overall=1).attempt("")[1] is None


def test_waiting_for_long_is_told(open_budget: Open, caplog: pytest.LogCaptureFixture) -> None:
    budget = open_budget(overall=1)
    spend(budget, 1)
    budget.take("")
    (told,) = caplog.messages
    assert "account: its 1 calls in 60 s are used up" in told


@pytest.mark.parametrize("seed", range(2))
def test_no_window_ever_sees_more_than_is_allowed(
    open_budget: Open, clock: Clock, seed: int
) -> None:
    rng = random.Random(seed)
    limits: dict[str, int] = {"list": 3, "view": 5}
    budgets = [open_budget(overall=8, **limits) for _ in range(3)]
    arrivals: list[tuple[float, str]] = []
    events: list[tuple[float, int, Callable[[], None]]] = []
    answered = 0

    def at(moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(events, (moment, rng.getrandbits(60), do))

    def look(budget: LedgerRateBudget, kind: str, place: int | None) -> None:
        found, wait = budget.attempt(kind, place)
        if wait is not None:
            at(clock.now + wait, lambda: look(budget, kind, found))
            return
        on_its_way = rng.choice([0.0, 0.01, 2.0, 20.0])
        at(clock.now + on_its_way, lambda: arrivals.append((clock.now, kind)))
        over = clock.now + on_its_way + rng.choice([0.01, 1.0, 70.0])
        status = rng.choice([200, 200, 404, None])
        at(over, lambda: end(budget, found, kind, status))

    def end(budget: LedgerRateBudget, slot: int, kind: str, status: int | None) -> None:
        nonlocal answered
        answered += 1
        budget.end(slot, kind, status, {})

    for number in range(24):
        kind = rng.choice(["", "list", "view", "view"])
        begin = START + rng.choice([0.0, 1.0, rng.uniform(0, 200)])

        def start(number: int = number, kind: str = kind) -> None:
            look(budgets[number % 3], kind, None)

        at(begin, start)
    while events:
        moment, _, do = heapq.heappop(events)
        clock.now = max(clock.now, moment)
        do()
    assert answered == len(arrivals) == 24
    assert busiest([moment for moment, _ in arrivals], 60) <= 8
    for kind, limit in limits.items():
        assert busiest([moment for moment, name in arrivals if name == kind], 60) <= limit


def test_several_processes_keep_within_one_budget(url: str) -> None:
    window, overall, kinds = 2.0, 20, {"list": 6, "view": 8}
    with CountingServer(overall, kinds, window).running() as server:
        command: list[Any] = [sys.executable, "-m", "elite_pipeline_tests.support.rate_callers"]
        command += [server.url, url, overall, json.dumps(kinds), window, 3, 5]
        running = [
            subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        said = [process.communicate()[0] for process in running]
    assert [int(count) for count in said] == [15] * 4
    assert server.refused == 0
    assert len(server.arrivals) == 60
    assert busiest(server.times(), window) <= overall
    for kind, limit in kinds.items():
        assert busiest(server.times(kind), window) <= limit

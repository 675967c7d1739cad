"""The sandbox's own log of what arrived, and the limits that it keeps by it.

The window slides: a call is refused if the plan's number of calls arrived in the sixty seconds before
it. How the real service cuts its minutes is not documented; who stays within a sliding minute stays
within any other.
"""

import math
import threading
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from elite_pipeline.sandbox.freshservice.settings import Budget, Limits

_WINDOW: Final = timedelta(seconds=60)
_REMEMBERED: Final = 200_000


@dataclass
class Call:
    """A call as it arrived.

    Attributes:
        time: When it arrived, by the sandbox's clock.
        method: Its HTTP method.
        path: Its path below ``/api/v2``.
        route: The pattern that its path fits, e.g. ``/tickets/{id}``; the path itself if none does.
        query: Its parameters in order, decoded.
        budget: The sub-limit that it counts for, besides the overall one.
        cost: How many calls it counts as (``include`` makes it more than one).
        status: The status of its answer; ``None`` while there is none, or where none was given.
    """

    time: datetime
    method: str
    path: str
    route: str
    query: tuple[tuple[str, str], ...] = ()
    budget: Budget | None = None
    cost: int = 1
    status: int | None = None


class Verdict(NamedTuple):
    """What the limits say to a call.

    Attributes:
        total: The overall limit.
        remaining: How many calls are left of it.
        cost: How many this call took.
        wait_seconds: For a call beyond a limit, when the next would be within all of them; else 0.
    """

    total: int
    remaining: int
    cost: int
    wait_seconds: int


@dataclass
class _Window:
    """The calls of the last minute that count for one limit."""

    calls: deque[tuple[datetime, int]] = field(default_factory=deque)
    used: int = 0

    def add(self, now: datetime, cost: int) -> None:
        self.calls.append((now, cost))
        self.used += cost

    def forget(self, now: datetime) -> None:
        while self.calls and now - self.calls[0][0] >= _WINDOW:
            self.used -= self.calls.popleft()[1]

    def wait(self, now: datetime, limit: int) -> float:
        """Return how long it takes until one more call is within the limit."""
        left = self.used
        for arrived, cost in self.calls:
            if left + 1 <= limit:
                return 0.0
            left -= cost
            if left + 1 <= limit:
                return (arrived + _WINDOW - now).total_seconds()
        return 0.0


class CallLog:
    """Takes down the calls of one account; safe to use from any thread.

    Args:
        limits: What the account's plan allows.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._calls: deque[Call] = deque(maxlen=_REMEMBERED)
        self._windows: dict[Budget | None, _Window] = {}
        self._lock = threading.Lock()

    def arrive(self, call: Call, *, keep_limits: bool) -> Verdict:
        """Take down a call, and say whether it is within the limits; it counts either way."""
        with self._lock:
            self._calls.append(call)
            wait = 0.0
            for budget in dict.fromkeys((None, call.budget)):
                window = self._windows.setdefault(budget, _Window())
                window.forget(call.time)
                limit = self.limits.of(budget)
                window.add(call.time, call.cost)
                if keep_limits and window.used > limit:
                    wait = max(wait, window.wait(call.time, limit), 0.001)
            left = self.limits.overall - self._windows[None].used
        return Verdict(self.limits.overall, max(0, left), call.cost, math.ceil(wait))

    @property
    def calls(self) -> list[Call]:
        """The calls, oldest first; the most recent two hundred thousand."""
        with self._lock:
            return list(self._calls)

    def count(
        self, *, method: str | None = None, route: str | None = None, status: int | None = None
    ) -> int:
        """Return how many calls of a method, route (or path) and status there were."""
        return sum(
            method in (None, call.method)
            and route in (None, call.route, call.path)
            and status in (None, call.status)
            for call in self.calls
        )

    def most_in_60s(self, budget: Budget | None = None) -> int:
        """Return the most that arrived in any sixty seconds, refused and failed calls included.

        Args:
            budget: Count the calls of this sub-limit alone; all of them for ``None``.
        """
        times: list[datetime] = []
        sums = [0]
        most = 0
        for call in self.calls:
            if budget in (None, call.budget):
                times.append(call.time)
                sums.append(sums[-1] + call.cost)
                first = bisect_left(times, call.time - _WINDOW + timedelta(microseconds=1))
                most = max(most, sums[-1] - sums[first])
        return most

    def reset(self) -> None:
        """Forget all calls; the running minute begins anew."""
        with self._lock:
            self._calls.clear()
            self._windows.clear()

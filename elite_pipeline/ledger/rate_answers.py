"""What the end of a call says about its budget, in headers whose casing varies.

What does not belong here: what follows from it (``rate_budget``).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from elite_pipeline.transport.retrying import parse_retry_after

#: Part of the window by which clocks may differ, and which is kept clear.
_MARGIN_PART = 1 / 120
#: The longest time that an account can close itself for at once, in seconds: one that says more, by
#: mistake or not, is asked again then.
_MOST_CLOSED_SECONDS = 3_600.0
#: Part of the window that a request may still be on its way after we gave up on it.
_LATE_PART = 1 / 12


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that is over. Times are microseconds since 1970.

    Attributes:
        slot: What it took.
        kind: What it is counted as.
        until: It counts until then.
        weight: As how many calls it counts.
        total: How many calls the account allows; None: it did not say.
        remaining: How many of these are left; None: it did not say.
        closed_until: Nobody may call before; None: it did not ask for that.
    """

    slot: int
    kind: str
    until: int
    weight: int
    total: int | None
    remaining: int | None
    closed_until: int | None


class EndedCalls:
    """Calls that are over and not written down yet. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Ended] = []

    def add(self, call: Ended) -> None:
        """Note one more."""
        with self._lock:
            self._calls.append(call)

    @contextmanager
    def taken(self) -> Iterator[list[Ended]]:
        """Hand out what there is; when the block raises, it is noted again."""
        with self._lock:
            taken, self._calls = self._calls, []
        try:
            yield taken
        except BaseException:
            with self._lock:
                self._calls[:0] = taken
            raise


def ended_call(
    slot: int,
    kind: str,
    status: int | None,
    headers: Mapping[str, str],
    now: int,
    window_seconds: float,
) -> Ended:
    """Return what there is to note of a call that is over now; ``status`` None: unanswered."""
    late = _LATE_PART if status is None else 0.0
    given = {name.lower(): value for name, value in headers.items()}
    closed_until = None
    if status == 429:
        asked = parse_retry_after(given.get("retry-after"), datetime.fromtimestamp(now / 1e6, UTC))
        # one that does not say when is open again when all that was counted is over
        wait = window_seconds if asked is None else asked
        closed_until = now + micros(min(max(1.0, wait), _MOST_CLOSED_SECONDS))
    return Ended(
        slot,
        kind,
        until=now + micros(window_seconds * (1 + _MARGIN_PART + late)),
        weight=max(1, _number(given.get("x-ratelimit-used-currentrequest")) or 1),
        total=_number(given.get("x-ratelimit-total")) or None,
        remaining=_number(given.get("x-ratelimit-remaining")),
        closed_until=closed_until,
    )


def micros(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return round(seconds * 1e6)


def _number(text: str | None) -> int | None:
    """Return a header's whole number; None where it is none."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

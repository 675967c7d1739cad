"""How long a call waits before it is tried again."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from elite_pipeline.transport.retrying import RetryPolicy, parse_retry_after

NOW = datetime(2026, 6, 10, 12, 0, 0, tzinfo=UTC)


class Highest(random.Random):
    """Draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_waits_double_up_to_a_bound() -> None:
    policy = RetryPolicy(attempts=9, base_seconds=0.5, max_seconds=3.0)
    waits = [policy.delay(attempt, Highest()) for attempt in range(1, 7)]
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_waits_are_spread_between_nothing_and_the_bound() -> None:
    policy, rng = RetryPolicy(base_seconds=1.0, max_seconds=4.0), random.Random(1)
    waits = [policy.delay(3, rng) for _ in range(500)]
    assert all(0 <= wait <= 4 for wait in waits)
    assert min(waits) < 0.5
    assert max(waits) > 3.5


def test_a_very_late_attempt_waits_no_longer_than_the_bound() -> None:
    assert RetryPolicy(max_seconds=2.0).delay(900, Highest()) == 2.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("Wed, 10 Jun 2026 14:00:05 +0200", 5.0),
        ("Wed, 10 Jun 2026 12:00:05 -0000", 5.0),
    ],
)
def test_what_the_server_asks_for_is_understood(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-5",
        "1.5",
        "1e9",
        "٣",
        "9" * 40,
        "Mon",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 +9999",
        "Mon, 99 Abc 2026 99:99:99 GMT",
    ],
)
def test_what_says_nothing_usable_is_no_wish(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None

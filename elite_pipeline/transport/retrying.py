"""How often a call is tried, and how long to wait between two tries.

Full jitter, bounded, and what the server asks for in ``Retry-After`` comes first, in seconds or as
an HTTP date (RFC 9110 section 10.2.3).
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of the retries within one call.

    Attributes:
        attempts: Tries in all, the first one included.
        base_seconds: Upper bound of the first wait; it doubles with each further one.
        max_seconds: Upper bound of any wait that we choose ourselves.
        max_retry_after_seconds: The longest ``Retry-After`` that is waited for. A server that asks
            for more is taken at its word: the call fails as transient at once.
    """

    attempts: int = 5
    base_seconds: float = 0.25
    max_seconds: float = 10.0
    max_retry_after_seconds: float = 120.0

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Return the seconds to wait after the ``attempt``-th try (from 1) failed."""
        return rng.uniform(0, min(self.max_seconds, self.base_seconds * 2.0 ** (attempt - 1)))


def parse_http_date(value: str | None) -> datetime | None:
    """Return an HTTP date as an aware instant; None if it is none (RFC 9110 section 5.6.7)."""
    try:
        moment = parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
    if moment is not None and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None if it says nothing usable.

    Args:
        value: The header as it came: a number of seconds, or an HTTP date.
        now: Aware; what a date is measured against.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # a number with more digits than any wait is no wait that anybody meant
        return float(value) if len(value) <= 9 else None
    moment = parse_http_date(value)
    return max(0.0, (moment - now).total_seconds()) if moment is not None else None

"""Where a sandbox gets the present from."""

from collections.abc import Callable
from datetime import UTC, datetime

#: Returns the present as an aware time.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)

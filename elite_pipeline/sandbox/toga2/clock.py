"""Times as TOGA 2 writes them: ``YYYY-MM-DD HH:MM:SS``, UTC, one-second resolution."""

from datetime import UTC, datetime
from typing import Final

FORMAT: Final = "%Y-%m-%d %H:%M:%S"


def to_wire(moment: datetime) -> str:
    """Spell an aware time as TOGA 2 does; the fraction of its second is dropped.

    Raises:
        ValueError: The time is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"an aware time is needed, not the naive {moment!r}")
    return moment.astimezone(UTC).isoformat(" ", "seconds")[:19]


def from_wire(text: str) -> datetime:
    """Read a time as TOGA 2 spells it into an aware UTC time.

    Raises:
        ValueError: The text is not spelled ``YYYY-MM-DD HH:MM:SS``.
    """
    moment = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    if moment.strftime(FORMAT) != text:
        raise ValueError(f"time data {text!r} does not match format {FORMAT!r}")
    return moment

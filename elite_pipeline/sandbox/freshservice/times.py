"""Times as Freshservice spells and reads them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from elite_pipeline.sandbox.freshservice.settings import Settings

_KOLKATA: Final = timezone(timedelta(hours=5, minutes=30))


def spell(seconds: float, settings: Settings) -> str:
    """Spell a time, given in seconds since 1970, as the settings want it; fractions are cut off."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if settings.times == "offset":
        return moment.astimezone(_KOLKATA).isoformat(timespec="seconds")
    precision = "milliseconds" if settings.times == "milliseconds" else "seconds"
    return moment.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def read(text: str) -> float:
    """Read a date or a time of ISO 8601 into seconds since 1970; one without an offset is UTC.

    Raises:
        ValueError: It is neither.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

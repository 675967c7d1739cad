"""Times and lengths of time as people say them."""

from datetime import datetime, timedelta


def at(moment: datetime | None) -> str:
    """Return an instant as it stands everywhere in this project, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "an unknown time"


def minutes(length: timedelta) -> float:
    """Return a length in minutes, to be plotted."""
    return round(length.total_seconds() / 60, 2)


def span_of(minutes: int) -> str:
    """Return :func:`span` of whole minutes."""
    return span(timedelta(minutes=minutes))


def span(length: timedelta) -> str:
    """Return a length of time as people say it: «3 days 4 hours», «50 minutes»."""
    whole = int(length.total_seconds() // 60)
    parts = [(whole // 1440, "day"), (whole // 60 % 24, "hour"), (whole % 60, "minute")]
    said = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in parts if count]
    return " ".join(said[:2]) or "less than a minute"


def sentence(text: str) -> str:
    """Return a text that ends as a sentence does."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."

"""Text for a terminal: what was written elsewhere, and spans of time."""

from datetime import timedelta


def printable(text: str) -> str:
    """Return text from elsewhere on one line, without what would steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def span(length: timedelta) -> str:
    """Word a span of time in its largest unit, e.g. ``3 h``."""
    seconds = max(int(length.total_seconds()), 0)
    for unit, unit_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= unit_seconds:
            return f"{seconds // unit_seconds} {unit}"
    return f"{seconds} s"

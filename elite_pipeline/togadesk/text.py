"""Fitting text to a column: in another form where its charset lacks a character, never cut.

``spec/sync.md`` section 10, rule 11. What does not belong here: finding out what a column can hold
(``schema``).
"""

import re
from dataclasses import dataclass

from elite_pipeline.togadesk.failures import TextTooLongError, ValueDoesNotFitError

#: The bytes that Windows-1252 leaves undefined and MySQL's ``latin1`` maps to the control
#: characters of the same number. The other C1 controls cannot be stored in it.
_LATIN1_EXTRA = "\x81\x8d\x8f\x90\x9d"


@dataclass(frozen=True, slots=True)
class TextLimits:
    """What a text column can hold.

    Attributes:
        charset: ``utf8mb4``, ``utf8mb3``, ``latin1`` (MySQL's, which is Windows-1252) or ``ascii``
            (also stands for every charset that is not known here: only what is certain is stored
            as it is).
        max_chars: Longest text in characters, or None when only bytes count.
        max_bytes: Longest text in bytes of the column's charset, or None when only characters count.
    """

    charset: str
    max_chars: int | None
    max_bytes: int | None

    @property
    def ascii_chars(self) -> int:
        """How many ASCII characters the column holds."""
        return min(most for most in (self.max_chars, self.max_bytes) if most is not None)


_LATIN1 = bytes(range(256)).decode("cp1252", errors="ignore") + _LATIN1_EXTRA

#: Charset -> a character that it lacks. By pattern: a body of 300 KB is fitted again and again.
_LACKED: dict[str, re.Pattern[str]] = {
    "utf8mb3": re.compile("[\U00010000-\U0010ffff]"),
    "latin1": re.compile(f"[^{re.escape(_LATIN1)}]"),
    "ascii": re.compile("[^\0-\x7f]"),
}


def _is_valid(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def held(text: str, charset: str) -> str:
    """Return a text in a column's charset: what that lacks as decimal HTML character references."""
    if text.isascii() or charset == "utf8mb4":
        return text
    return _LACKED[charset].sub(lambda found: f"&#{ord(found[0])};", text)


def _size(text: str, charset: str) -> int:
    if text.isascii() or charset in {"latin1", "ascii"}:
        return len(text)
    return len(text.encode("utf-8"))


def fit(text: str, limits: TextLimits, place: str) -> str:
    """Return ``text`` as the column can hold it.

    Args:
        text: Any text.
        limits: What the column holds.
        place: ``table.column``, for the error.

    Raises:
        TextTooLongError: It is too long. It names the place, the size and the limit, and never the
            text.
        ValueDoesNotFitError: The text holds half of a surrogate pair.
    """
    if not _is_valid(text):
        raise ValueDoesNotFitError(
            f"A text for {place} is not valid Unicode (half of a surrogate pair) and cannot be "
            "stored; correct it in the source system."
        )
    fitted = held(text, limits.charset)
    if limits.max_chars is not None and len(fitted) > limits.max_chars:
        raise TextTooLongError(
            f"A text for {place} has {len(fitted)} characters and the column holds "
            f"{limits.max_chars}; shorten it in the source system or widen the column."
        )
    if limits.max_bytes is not None and (size := _size(fitted, limits.charset)) > limits.max_bytes:
        raise TextTooLongError(
            f"A text for {place} takes {size} bytes and the column holds {limits.max_bytes}; "
            "shorten it in the source system or widen the column."
        )
    return fitted

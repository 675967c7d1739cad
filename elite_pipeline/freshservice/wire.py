"""How Freshservice is spelled: its envelopes, times, links to the next page, and errors.

Follows ``spec/freshservice.md``. What does not belong here: what records hold (``models``), and calling
(``client``).
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import from_json

#: Records a page: the most there are [D].
PAGE_SIZE = 100

#: Day, time, offset. Some write fractions of a second, or a blank in place of the T.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,9})?) ?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
#: A link that opens a file for a while: it is another one each time.
SIGNED_LINK = re.compile(r"https?://[^\s\"'<>\\]*(?:[Ss]ignature|token|Expires)=[^\s\"'<>\\]*")
_LINK = re.compile(r"<\s*([^>]*?)\s*>((?:\s*;\s*[^;,<]+)*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?\s*next\s*\"?", re.IGNORECASE)


def format_time(instant: datetime) -> str:
    """Return an aware instant as ``updated_since`` takes it, in whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return a time of Freshservice as an aware UTC instant.

    Raises:
        ValueError: It is none, or has no offset, so that the instant would be a guess.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("expected a time such as 2026-06-10T08:00:00Z")
    day, time, offset = found.groups()
    try:
        return datetime.fromisoformat(f"{day}T{time}{offset.upper()}").astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time within this era") from None


def has_next_page(headers: Mapping[str, str]) -> bool:
    """Tell whether the ``Link`` header names a next page; it is spelled in several ways [D].

    The address in it is not used: a page is asked for by its number, so that nobody can lead a call that
    carries the key elsewhere.
    """
    link = headers.get("Link") or ""
    return any(found[1] and _NEXT.search(found[2]) for found in _LINK.finditer(link))


def read_list(key: str, body: bytes) -> list[object]:
    """Return the records of a list answer, unparsed.

    Raises:
        ValueError: The body is not JSON, or not an envelope with a list.
    """
    content = _open(key, body)
    if isinstance(content, list):
        return content
    raise ValueError(f"{key} is not a list")


def read_one(key: str, body: bytes) -> dict[str, object]:
    """Return the one record of an answer, unparsed.

    Raises:
        ValueError: The body is not JSON, or not an envelope with an object.
    """
    content = _open(key, body)
    if isinstance(content, dict):
        return content
    raise ValueError(f"{key} is not one object")


def read_error(body: bytes) -> tuple[str | None, str]:
    """Return code and message of a failed answer; an empty or HTML body gives neither."""
    try:
        document = from_json(body)
    except ValueError:
        return None, ""
    if not isinstance(document, Mapping):
        return None, ""
    code = document.get("code")
    said = [document.get("message"), document.get("description")]
    wrong = document.get("errors")
    said += [
        " ".join(str(one[name]) for name in ("field", "message") if one.get(name))
        for one in (wrong[:3] if isinstance(wrong, list) else ())
        if isinstance(one, Mapping)
    ]
    message = "; ".join(text for text in said if isinstance(text, str) and text)
    return (code if isinstance(code, str) else None), message


def _open(key: str, body: bytes) -> object:
    try:
        document = from_json(body)
    except ValueError:
        # the fast parser refuses a whole page for half a surrogate pair in one record; the slow one hands
        # it on, and that record alone is malformed
        document = json.loads(body)
    if not isinstance(document, dict) or key not in document:
        raise ValueError(f"there is no {key} in the answer")
    return document[key]

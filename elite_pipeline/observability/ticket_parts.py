"""Which notes and files belong to a ticket, as far as the bodies of logged calls tell.

Reads what was logged, so nothing here is sure to be JSON, or whole. What does not belong here: asking
the log (``call_search``).
"""

import json
from collections.abc import Iterator

#: Under these a note names what it hangs on.
_OWNERS = ("ticket", "repairOrder")
#: Under these hang a ticket's notes, a note's files, and the file itself.
_PARTS = frozenset(
    {"ticketNotes", "repairOrderNotes", "ticketNoteFiles", "repairOrderNoteFiles", "file"}
)


def parts_named(ticket: str, request: str | None, response: str | None) -> set[str]:
    """Return the uuids of a ticket's notes and files that a call names.

    Args:
        ticket: The ticket's uuid, lower case.
        request: What was sent.
        response: What was answered.
    """
    sent, answered = _document(request), _document(response)
    try:
        found = {*_parts(sent, ticket), *_parts(answered, ticket)}
        if _belongs_to(sent, ticket) and isinstance(answered, dict):
            # a note that was made: its answer need not say again what it hangs on
            found |= set(_all(answered.get("data")))
    except RecursionError:
        return set()
    return found - {ticket}


def files_linked(request: str | None) -> set[str]:
    """Return the uuids of files that a call links to a note."""
    sent = _document(request)
    return set(_all({"file": sent.get("file")})) if isinstance(sent, dict) else set()


def _document(text: str | None) -> object:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parts(value: object, ticket: str, *, is_part: bool = False) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _parts(one, ticket, is_part=is_part)
    elif isinstance(value, dict):
        uuid = _uuid(value)
        is_mine = is_part or uuid == ticket or _belongs_to(value, ticket)
        if is_mine and uuid:
            yield uuid
        for key, child in value.items():
            yield from _parts(child, ticket, is_part=is_mine and key in _PARTS)


def _all(data: object) -> Iterator[str]:
    """Yield the uuids of what an envelope holds."""
    for value in data.values() if isinstance(data, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and (uuid := _uuid(one)):
                yield uuid


def _belongs_to(value: object, ticket: str) -> bool:
    if not isinstance(value, dict):
        return False
    owners = (value.get(name) for name in _OWNERS)
    return any(isinstance(owner, dict) and _uuid(owner) == ticket for owner in owners)


def _uuid(value: dict[str, object]) -> str:
    found = value.get("uuid")
    return found.lower() if isinstance(found, str) and len(found) == 36 else ""

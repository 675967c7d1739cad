"""How TOGA 2 is spelled: every assumption about its wire, in one place.

``spec/systems.md`` section 2 marks which of these are documented [D] and which assumed [A]; when an
assumption turns out wrong, this is the file to change (``docs/assumptions.md`` says which line).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from pydantic_core import from_json

#: How TOGA 2 writes times: UTC [A zone], one-second resolution.
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
#: Documented page size [D]; a page shorter than this is the last [A].
PAGE_SIZE = 200
#: The code of an answer that says for certain that there is no such record [D].
GONE = "EV-6"
#: The order that paging relies on [A].
ORDER_BY = "_updated,uuid"
#: The depth that brings a ticket with its notes and their files, and a category with its parents [D].
FULL_DEPTH = 5


#: How deeply an answer may be nested: far more than :data:`FULL_DEPTH` brings, and less than the fast
#: parser (200) and everything that later walks over a record can take.
_MOST_DEPTH = 190
#: A whole string, or all that is left of the body where its end is missing; or a bracket.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of record: its route (kebab-case plural) and its envelope key (camelCase plural) [D].

    Attributes:
        children: Key under which it carries what hangs on it: a ticket its notes [D], a note its files
            [D]; None for the others.
        parent: Key under which it names what it hangs on: a note its ticket [A]; None for the others.
        file_links: The links to a note's files, made below the note [D]; None for the others.
    """

    route: str
    key: str
    children: str | None = None
    parent: str | None = None
    file_links: "Resource | None" = None


CONTACTS = Resource("contacts", "contacts")
UNITS = Resource("units", "units")
TICKET_TEAMS = Resource("ticket-teams", "ticketTeams")
PREDEFINED_REPLIES = Resource("predefined-replies", "predefinedReplies")
TICKET_CATEGORIES = Resource("ticket-categories", "ticketCategories")
TICKETS = Resource("tickets", "tickets", children="ticketNotes")
#: Their key once stood with an extra s in the program before this one, where every note had no files.
TICKET_NOTE_FILES = Resource("ticket-note-files", "ticketNoteFiles")
TICKET_NOTES = Resource(
    "ticket-notes",
    "ticketNotes",
    children=TICKET_NOTE_FILES.key,
    parent="ticket",
    file_links=TICKET_NOTE_FILES,
)
REPAIR_ORDERS = Resource("repair-orders", "repairOrders", children="repairOrderNotes")
REPAIR_ORDER_NOTE_FILES = Resource("repair-order-note-files", "repairOrderNoteFiles")
REPAIR_ORDER_NOTES = Resource(
    "repair-order-notes",
    "repairOrderNotes",
    children=REPAIR_ORDER_NOTE_FILES.key,
    parent="repairOrder",
    file_links=REPAIR_ORDER_NOTE_FILES,
)
FILES = Resource("files", "files")
PARAMETERS = Resource("parameters", "parameters")


def client_header(client_uuid: str) -> tuple[str, str]:
    """Return the header that says which client a call is for [A]."""
    return "X-Client-Uuid", client_uuid


def where(field: str, operator: str, value: str) -> tuple[str, str]:
    """Return one filter of a list call; several are AND-ed [A]."""
    return f"where[{field} {operator}]", value


def file_address(base_url: str, uuid: str) -> str:
    """Return the address that a text names a stored file by [A]: it never expires."""
    return f"{base_url}/{FILES.route}/{uuid}"


def files_in(base_url: str, text: str) -> list[str]:
    """Return the uuids of the stored files that a text names by such an address, in its order."""
    return re.findall(rf"{re.escape(base_url)}/{FILES.route}/([A-Za-z0-9-]{{1,64}})", text)


def format_time(instant: datetime) -> str:
    """Return an aware instant as TOGA 2 writes it, in UTC and whole seconds."""
    # many times as quick as strftime; what stands behind are fractions, and the offset
    return str(instant.astimezone(UTC))[:19]


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """Return a time of TOGA 2 as an aware UTC instant.

    Raises:
        ValueError: The text is not spelled ``YYYY-MM-DD HH:MM:SS``.
    """
    # the same text is asked for by paging, and as the time of creation and of change;
    # several times as fast as strptime, which counts with a hundred thousand records
    # (fromisoformat also reads week dates, 2026-W24-3)
    if len(text) != 19 or text[4:17:3] != "-- ::" or text[5] == "W":
        raise ValueError("expected a time spelled YYYY-MM-DD HH:MM:SS")
    # the zone is parsed with the time: replace() would take five times as long as the parsing
    return datetime.fromisoformat(f"{text}+00:00")


def list_params(
    filters: Sequence[tuple[str, str]], *, page: int, limit: int, depth: int
) -> list[tuple[str, str]]:
    """Return the query of a list call [A]."""
    return [
        *filters,
        ("orderBy", ORDER_BY),
        ("page", str(page)),
        ("limit", str(limit)),
        ("depth", str(depth)),
    ]


def read_list(resource: Resource, body: bytes) -> list[object]:
    """Return the records of a list answer, unparsed.

    Raises:
        ValueError: The body is not JSON, or not an envelope with a list.
    """
    content = _open_envelope(resource, body)
    if isinstance(content, list):
        return content
    raise ValueError(f"data.{resource.key} is not a list")


def read_one(resource: Resource, body: bytes) -> dict[str, object]:
    """Return the one object of an answer: the envelope's key stays plural for one object too [D].

    Raises:
        ValueError: The body is not JSON, or not an envelope with one object.
    """
    content = _open_envelope(resource, body)
    if isinstance(content, dict):
        return content
    raise ValueError(f"data.{resource.key} is not one object")


def read_linked(body: bytes) -> None:
    """Accept the answer to a link: any record [A]; which envelope it comes in does not matter.

    Raises:
        ValueError: It is no answer of TOGA 2.
    """
    document = _from_json(body)
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise ValueError("there is no data in the answer")


def read_changed(resource: Resource, body: bytes) -> None:
    """Accept the answer to a change: the record, or no content at all.

    Raises:
        ValueError: It is something else, as a proxy's page would be.
    """
    if body.strip():
        read_one(resource, body)


def _open_envelope(resource: Resource, body: bytes) -> object:
    document = _from_json(body)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict) or resource.key not in data:
        raise ValueError(f"there is no data.{resource.key} in the answer")
    return data[resource.key]


def _from_json(body: bytes) -> object:
    try:
        return from_json(body, cache_strings="keys")
    except ValueError:
        # the fast parser refuses a whole page for half a surrogate pair in one record; the slow one
        # hands it on, and that record alone is malformed; likewise for a number beyond all measure,
        # and for what is nested more deeply than either of them reads
        return json.loads(_without_depths(body), parse_int=_whole_number)


def _without_depths(body: bytes) -> bytes:
    """Put a text, which is nowhere meant at that depth, in place of what is nested too deeply.

    Raises:
        ValueError: The end of it is missing.
    """
    kept: list[bytes] = []
    depth = start = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == _MOST_DEPTH + 1:
                kept.append(body[start : token.start()])
        elif mark in (b"]", b"}"):
            if depth == _MOST_DEPTH + 1:
                kept.append(b'"(nested too deeply)"')
                start = token.end()
            depth -= 1
    if depth > _MOST_DEPTH:
        raise ValueError("what is nested too deeply is cut")
    return b"".join([*kept, body[start:]])


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) < 64 else digits


def read_error(body: bytes) -> tuple[str | None, str]:
    """Return code and message of a failed answer; a body of any other kind gives neither [A]."""
    try:
        document = from_json(body)
    except ValueError:
        return None, ""
    error = document.get("error") if isinstance(document, Mapping) else None
    if not isinstance(error, Mapping):
        return None, ""
    code, message = error.get("code"), error.get("message")
    return (code if isinstance(code, str) else None), (message if isinstance(message, str) else "")

"""The records that are carried: made once for all runs, as files that the sandbox serves."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.toga2_server import sandbox_client
from elite_pipeline.sandbox.data.people import World, contacts
from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.toga2 import Store

_CLIENT = "elite"
_SEED = 7
_START = datetime(2024, 1, 1, tzinfo=UTC)
_END = datetime(2026, 6, 10, tzinfo=UTC)
#: Contacts that the tickets refer to.
TICKET_CONTACTS = 500
NOTES = 3
#: About how large a file is.
FILE_BYTES = 20_000

_BODY = (
    "<p>Hello {name},</p><p>we have looked at the device on site. The power supply was replaced and "
    "the unit has run for an hour without a fault; please tell us if it happens again.</p>"
)


def make_contacts(path: Path, count: int, *, changed: bool = False) -> None:
    """Make a file of contacts; ``changed``: the same ones, each with another phone, updated later."""
    world = _world()
    documents: Iterator[dict[str, Any]] = contacts(world, count)
    if changed:
        documents = (
            {
                **contact,
                "phone": f"+1 555 7{number:07}",
                "_updated": _END + timedelta(seconds=number // 20),
            }
            for number, contact in enumerate(documents)
        )
    with closing(_store(path)) as store:
        store.bulk_create(_CLIENT, "contacts", documents)


def make_tickets(
    path: Path, count: int, *, changed: bool = False, file_every: int | None = None
) -> None:
    """Make a file of tickets with three notes each, and the contacts that they refer to.

    Args:
        path: Where.
        count: How many.
        changed: The same ones, later, each with another status and a note that was edited.
        file_every: One of so many tickets has a file; None: none has.
    """
    world = _world()
    people = list(contacts(world, TICKET_CONTACTS))
    later = timedelta(days=400) if changed else timedelta()
    first = datetime(2025, 1, 1, tzinfo=UTC)

    def tickets() -> Iterator[dict[str, Any]]:
        for number in range(count):
            contact = people[number % len(people)]
            moment = first + timedelta(minutes=10 * number)
            yield {
                "uuid": world.uuid("ticket", number),
                "_created": moment,
                "_updated": moment + timedelta(minutes=5) + later,
                "number": str(100_001 + number),
                "subject": f"Printer {number} does not answer",
                "description": _BODY.format(name="colleagues"),
                "status": "CLOSED" if changed else "OPEN",
                "priority": "NORMAL",
                "contact": {"uuid": contact["uuid"]},
                "ticketTeam": None,
                "ticketCategory": None,
                "unit": None,
            }

    def notes() -> Iterator[dict[str, Any]]:
        for number in range(count):
            contact = people[number % len(people)]
            for place in range(NOTES):
                moment = first + timedelta(minutes=10 * number + 1 + place)
                edited = changed and place == 0
                yield {
                    "uuid": world.uuid("note", number * NOTES + place),
                    "_created": moment,
                    "_updated": moment + (later if edited else timedelta()),
                    "ticket": {"uuid": world.uuid("ticket", number)},
                    "isExternal": place != 1,
                    "body": _BODY.format(name=contact["firstName"]) + ("edited" if edited else ""),
                    "authorName": f"{contact['firstName']} {contact['lastName']}",
                    "authorEmail": contact["email"],
                }

    with closing(_store(path)) as store:
        store.bulk_create(_CLIENT, "contacts", people)
        store.bulk_create(_CLIENT, "tickets", tickets())
        store.bulk_create(_CLIENT, "ticket-notes", notes())
        if file_every is not None:
            with_files = range(0, count, file_every)
            store.bulk_create(_CLIENT, "files", _files(world, with_files))
            store.bulk_create(_CLIENT, "ticket-note-files", _links(world, with_files))


def _files(world: World, tickets: Iterable[int]) -> Iterator[dict[str, Any]]:
    for number in tickets:
        yield {
            "uuid": world.uuid("file", number),
            "_created": _START,
            "_updated": _START,
            "name": f"photo {number}.jpg",
            "contentType": "image/jpeg",
            "data": (b"%d " % number) * (FILE_BYTES // 8),
        }


def _links(world: World, tickets: Iterable[int]) -> Iterator[dict[str, Any]]:
    for number in tickets:
        yield {
            "uuid": world.uuid("link", number),
            "_created": _START,
            "_updated": _START,
            "ticketNote": {"uuid": world.uuid("note", number * NOTES)},
            "file": {"uuid": world.uuid("file", number)},
        }


def _world() -> World:
    prefix = sandbox_client().custom_field_prefix
    return World(_CLIENT, _SEED, prefix, Timeline(_START, _END))


def _store(path: Path) -> Store:
    return Store([sandbox_client()], path=path)

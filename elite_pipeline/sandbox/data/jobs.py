"""Tickets or repair orders, the notes on them and the files on those."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from elite_pipeline.sandbox.data.files import file_content
from elite_pipeline.sandbox.data.people import World
from elite_pipeline.sandbox.data.words import (
    ANSWER_TEXTS,
    FILE_NAMES,
    FOLLOW_UP_TEXTS,
    INTERNAL_TEXTS,
    MODELS,
    PROBLEMS,
    REQUEST_TEXTS,
    SITES,
)
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.toga2.documents import Document
from elite_pipeline.sandbox.toga2.schema import JobKind

_NOTE_WITHIN: Final = timedelta(days=2)
_SETTLED_AFTER: Final = timedelta(days=21)

#: One note in so many carries a file.
_FILE_EVERY: Final = 12


@dataclass(frozen=True)
class Surroundings:
    """How many of everything there is that a ticket can refer to."""

    contacts: int
    units: int
    teams: int
    categories: int


@dataclass(frozen=True)
class Job:
    """A ticket, or a repair order, with everything that hangs on it."""

    ticket: Document
    notes: list[Document]
    files: list[Document]
    links: list[Document]


def jobs(
    world: World, count: int, *, kind: JobKind, notes: int, around: Surroundings
) -> Iterator[Job]:
    """Yield the tickets of a client, or what stands for them, with about ``notes`` notes each."""
    for index in range(count):
        yield _job(world, index, count, kind, notes, around)


def _job(
    world: World, index: int, count: int, kind: JobKind, notes: int, around: Surroundings
) -> Job:
    dice = world.dice("ticket", index)
    created = world.timeline.created(dice, index, count)
    contact = dice.below(around.contacts) if around.contacts else None
    person = world.person(contact or 0)
    problem = dice.pick(PROBLEMS).format(
        model=dice.pick(MODELS).name, site=dice.pick(SITES).title(), person=person.name
    )
    ticket_uuid = world.uuid("ticket", index)
    moment = created
    written: list[Document] = []
    files: list[Document] = []
    links: list[Document] = []
    for place in range(_about(dice, notes)):
        moment = world.timeline.after(dice, moment, _NOTE_WITHIN)
        number = index * 1_000 + place
        note = _note(world, dice, number, place, moment, contact or 0)
        note[kind.note_parent] = {"uuid": ticket_uuid}
        written.append(note)
        if dice.below(_FILE_EVERY) == 0:
            file = _file(world, dice, number, moment)
            files.append(file)
            links.append(
                {
                    "uuid": world.uuid("link", number),
                    "_created": moment,
                    kind.link_parent: {"uuid": note["uuid"]},
                    "file": {"uuid": file["uuid"]},
                }
            )
    updated = max(moment, world.timeline.updated(dice, created, last=index == count - 1))
    ticket: Document = {
        "uuid": ticket_uuid,
        "_created": created,
        "_updated": updated,
        "number": str(100_001 + index),
        "subject": problem,
        "description": dice.pick(REQUEST_TEXTS).format(
            problem=problem, person=person.name, site=dice.pick(SITES).title()
        ),
        "status": _status(world, dice, updated, bool(written)),
        "priority": dice.pick(("LOW", "NORMAL", "NORMAL", "NORMAL", "HIGH", "URGENT")),
        "contact": None if contact is None else {"uuid": world.uuid("contact", contact)},
        "ticketTeam": _maybe(world, dice, "team", around.teams, 0.9),
        "ticketCategory": _maybe(world, dice, "category", around.categories, 0.85),
        "unit": _maybe(world, dice, "unit", around.units, 0.5),
    }
    if dice.chance(0.2):
        ticket[f"{world.prefix}TicketId"] = str(20_000 + index)
    return Job(ticket, written, files, links)


def _note(
    world: World, dice: Dice, number: int, place: int, moment: datetime, contact: int
) -> Document:
    internal = dice.chance(0.2)
    by_agent = internal or place % 2 == 0
    author = world.agent(number) if by_agent else world.person(contact)
    texts = INTERNAL_TEXTS if internal else ANSWER_TEXTS if by_agent else FOLLOW_UP_TEXTS
    return {
        "uuid": world.uuid("note", number),
        "_created": moment,
        "isExternal": not internal,
        "body": dice.pick(texts).format(person=world.person(contact).name),
        "authorName": author.name,
        "authorEmail": author.email,
    }


def _file(world: World, dice: Dice, number: int, moment: datetime) -> Document:
    name = dice.pick(FILE_NAMES)
    content_type, content = file_content(dice, name, f"line {number}: Prüfsumme ok ✓")
    return {
        "uuid": world.uuid("file", number),
        "_created": moment,
        "name": name,
        "contentType": content_type,
        "data": content,
    }


def _about(dice: Dice, number: int) -> int:
    """Return a number around another: from none to twice as many."""
    return dice.below(number + 1) + dice.below(number + 1) if number else 0


def _status(world: World, dice: Dice, updated: datetime, answered: bool) -> str:
    """Return the status that a ticket of that age would have."""
    if world.timeline.end - updated > _SETTLED_AFTER:
        return dice.pick(("CLOSED", "CLOSED", "CLOSED", "RESOLVED"))
    if not answered:
        return dice.pick(("NEW", "NEW", "OPEN"))
    return dice.pick(("OPEN", "OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED"))


def _maybe(world: World, dice: Dice, kind: str, count: int, chance: float) -> dict[str, str] | None:
    """Return a reference to one of the records of a kind, or none."""
    if not count or not dice.chance(chance):
        return None
    return {"uuid": world.uuid(kind, dice.below(count))}

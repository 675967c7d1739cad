"""Reference data beside contacts: units, teams, predefined replies and the tree of categories."""

from collections.abc import Iterator

from elite_pipeline.sandbox.data.people import World
from elite_pipeline.sandbox.data.words import (
    CATEGORY_ACTIONS,
    CATEGORY_AREAS,
    CATEGORY_SUBJECTS,
    MODELS,
    REPLY_NAMES,
    REPLY_TEXTS,
    TEAMS,
)
from elite_pipeline.sandbox.toga2.documents import Document


def units(world: World, count: int, *, contacts: int) -> Iterator[Document]:
    """Yield the units of a client; most belong to one of its contacts."""
    for index in range(count):
        dice = world.dice("unit", index)
        number = dice.below(len(MODELS))
        model = MODELS[number]
        created = world.timeline.imported_or_created(dice, index, count)
        owner = dice.below(contacts) if contacts and dice.chance(0.85) else None
        yield {
            "uuid": world.uuid("unit", index),
            "_created": created,
            "_updated": world.timeline.updated(dice, created, last=index == count - 1),
            "name": f"{model.name} #{index + 1}",
            "serialNumber": f"{dice.below(36**6):09X}",
            "tag": f"{world.client.upper()}-{100_001 + index}",
            "isActive": dice.chance(0.93),
            "item": {"uuid": world.uuid("item", number), **model._asdict()},
            "contact": None if owner is None else {"uuid": world.uuid("contact", owner)},
        }


def teams(world: World, count: int) -> Iterator[Document]:
    """Yield the teams of a client."""
    for index in range(count):
        dice = world.dice("team", index)
        created = world.timeline.created(dice, index, count)
        yield {
            "uuid": world.uuid("team", index),
            "_created": created,
            "_updated": world.timeline.updated(dice, created, last=index == count - 1),
            "name": _numbered(TEAMS, index),
            "isActive": index == 0 or dice.chance(0.9),
            f"{world.prefix}GroupId": str(15_000_000_000 + index * 31),
        }


def predefined_replies(world: World, count: int) -> Iterator[Document]:
    """Yield the predefined replies of a client."""
    for index in range(count):
        dice = world.dice("reply", index)
        created = world.timeline.created(dice, index, count)
        yield {
            "uuid": world.uuid("reply", index),
            "_created": created,
            "_updated": world.timeline.updated(dice, created, last=index == count - 1),
            "name": _numbered(REPLY_NAMES, index),
            "content": dice.pick(REPLY_TEXTS),
            "isActive": dice.chance(0.9),
        }


def category_parent(index: int, count: int) -> int | None:
    """Return which category stands above category ``index`` of ``count``; ``None`` for a root.

    A tenth are roots, three tenths stand below them, the rest on the third level.
    """
    areas = max(1, count // 10)
    subjects = max(1, count * 3 // 10)
    if index < areas:
        return None
    if index < areas + subjects:
        return (index - areas) % areas
    return areas + (index - areas - subjects) % subjects


def categories(world: World, count: int) -> Iterator[Document]:
    """Yield the categories of a client: a tree of three levels, parents first.

    Siblings have different names; under different parents names come back.
    """
    siblings: dict[int | None, int] = {}
    for index in range(count):
        dice = world.dice("category", index)
        created = world.timeline.created(dice, index, count)
        parent = category_parent(index, count)
        place = siblings.get(parent, 0)
        siblings[parent] = place + 1
        if parent is None:
            name = _numbered(CATEGORY_AREAS, place)
        elif category_parent(parent, count) is None:
            name = _numbered(CATEGORY_SUBJECTS, place, shift=parent * 3)
        else:
            name = _numbered(CATEGORY_ACTIONS, place, shift=parent)
        yield {
            "uuid": world.uuid("category", index),
            "_created": created,
            "_updated": world.timeline.updated(dice, created, last=index == count - 1),
            "name": name,
            "parent": None if parent is None else {"uuid": world.uuid("category", parent)},
            "isActive": parent is None or dice.chance(0.93),
            f"{world.prefix}CategoryId": str(16_000_000_000 + index * 13),
        }


def _numbered(names: tuple[str, ...], place: int, *, shift: int = 0) -> str:
    """Return the name at a place of a list that begins again, numbered, when it is used up."""
    name = names[(place + shift) % len(names)]
    again = place // len(names)
    return f"{name} {again + 1}" if again else name

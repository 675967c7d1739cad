"""A few records that a pipeline cannot carry over as they are: the bad input of real life."""

from datetime import timedelta

from elite_pipeline.sandbox.data.people import World
from elite_pipeline.sandbox.toga2.documents import Document


def dirty_contacts(world: World) -> list[Document]:
    """Return contacts without an e-mail, with one that is taken, and with a name too long to keep."""
    return [
        _stamped(world, "contact", 0, firstName="No", lastName="Address", email=None),
        _stamped(world, "contact", 1, firstName="Empty", lastName="Address", email=""),
        _stamped(
            world,
            "contact",
            2,
            firstName="Wolfeschlegel" * 8,
            lastName="Hausenbergerdorff" * 8,
            email=f"long.name@{world.client}.example.com",
        ),
        _stamped(
            world,
            "contact",
            3,
            firstName="Second",
            lastName="Of The Same Address",
            email=world.person(0).email.upper(),
        ),
        _stamped(
            world,
            "contact",
            4,
            firstName="Ada 🚀",
            lastName="Lovelace",
            email=f"emoji@{world.client}.example.com",
        ),
    ]


def dirty_units(world: World) -> list[Document]:
    """Return two units with the same tag, and one without any."""
    item = {"uuid": world.uuid("dirty-item", 0), "name": "", "manufacturer": None, "category": ""}
    tags = (f"{world.client.upper()}-TWICE", f"{world.client.upper()}-TWICE", "")
    return [
        _stamped(world, "unit", index, name="Mystery box", serialNumber="", tag=tag, item=item)
        for index, tag in enumerate(tags)
    ]


def dirty_categories(world: World) -> list[Document]:
    """Return two categories that stand above each other, and one whose parent does not exist."""
    uuids = [world.uuid("dirty-category", index) for index in range(3)]
    parents = (uuids[1], uuids[0], world.uuid("gone-category", 0))
    names = ("Hen", "Egg", "Orphan")
    return [
        _stamped(world, "category", index, name=name, parent={"uuid": parent})
        for index, (name, parent) in enumerate(zip(names, parents, strict=True))
    ]


def dirty_predefined_replies(world: World) -> list[Document]:
    """Return a reply that latin1 cannot hold, and one that is too long for a ``TEXT`` column."""
    return [
        _stamped(world, "reply", 0, name="Thumbs up 👍", content="<p>Готово ✅ 完了</p>"),
        _stamped(world, "reply", 1, name="N" * 300, content="<p>Straße</p>" * 6_000),
    ]


def _stamped(world: World, kind: str, index: int, **fields: object) -> Document:
    moment = world.timeline.end - timedelta(minutes=30 - index)
    return {
        "uuid": world.uuid(f"dirty-{kind}", index),
        "_created": moment,
        "_updated": moment,
        "isActive": True,
        **fields,
    }

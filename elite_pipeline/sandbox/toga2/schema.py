"""The resources of TOGA 2 as the sandbox declares them: routes, envelopes, fields, relations.

Follows ``spec/systems.md`` section 2 (names marked [A] there are assumptions of this project). What
belongs here: declarations alone. Checking a value against them is ``validation``, keeping it is
``store``, reading it back is ``reading``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

FieldKind = Literal["text", "flag", "item", "base64", "number"]

STATUSES: Final = ("NEW", "OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED")
PRIORITIES: Final = ("LOW", "NORMAL", "HIGH", "URGENT")

#: The fields that every record has and that nobody can write.
SYSTEM_FIELDS: Final = ("uuid", "_created", "_updated")

#: The plain text keys of a unit's embedded ``item`` (its ``uuid`` comes on top).
ITEM_FIELDS: Final = ("name", "manufacturer", "category")


@dataclass(frozen=True)
class Field:
    """One own field of a resource.

    Attributes:
        name: Its key in a record.
        kind: ``text``, ``flag`` (true or false), ``number``, ``item`` (a unit's embedded object) or
            ``base64`` (a file's bytes: kept outside the document, answered by a single read alone).
        default: What a record that is created without it gets.
        required: A create without it is refused.
        nullable: ``null`` is a value of it.
        read_only: A write that names it is refused; TOGA 2 fills it.
        choices: The values that are allowed, if only some are.
        indexed: An equality filter on it is answered from an index.
    """

    name: str
    kind: FieldKind = "text"
    default: str | bool | int | None = None
    required: bool = False
    nullable: bool = True
    read_only: bool = False
    choices: tuple[str, ...] = ()
    indexed: bool = False


@dataclass(frozen=True)
class Relation:
    """A reference to one other record; ``null`` where there is none."""

    name: str
    route: str
    required: bool = False


@dataclass(frozen=True)
class Parent:
    """The record on whose list of children a record stands.

    ``shown`` says whether the child names it: a note shows its ticket, a file link not its note.
    """

    name: str
    route: str
    shown: bool


@dataclass(frozen=True)
class Children:
    """A list of records that hang on a record, by the parent that each of them names."""

    name: str
    route: str


@dataclass(frozen=True)
class Resource:
    """One kind of record: what it is called on the wire, and what it is made of."""

    route: str
    envelope: str
    label: str
    fields: tuple[Field, ...] = ()
    relations: tuple[Relation, ...] = ()
    parent: Parent | None = None
    children: Children | None = None
    own_route: bool = True

    @cached_property
    def fields_by_name(self) -> dict[str, Field]:
        """Own fields by their key."""
        return {field.name: field for field in self.fields}

    @cached_property
    def relations_by_name(self) -> dict[str, Relation]:
        """To-one relations by their key, the parent's included where the record shows it."""
        return {relation.name: relation for relation in self.relations}

    @cached_property
    def document_fields(self) -> tuple[str, ...]:
        """Own fields that stand in the document: all but a file's bytes."""
        return tuple(field.name for field in self.fields if field.kind != "base64")

    @cached_property
    def indexed_fields(self) -> tuple[str, ...]:
        """Own fields on which an equality filter is answered from an index."""
        return tuple(field.name for field in self.fields if field.indexed)


_IS_ACTIVE = Field("isActive", "flag", default=True, nullable=False)


def _job(route: str, envelope: str, label: str, children: Children) -> Resource:
    """Declare tickets, or repair orders, which have the same shape."""
    return Resource(
        route,
        envelope,
        label,
        fields=(
            Field("number", read_only=True, indexed=True),
            Field("subject", required=True),
            Field("description"),
            Field("status", default="NEW", nullable=False, choices=STATUSES),
            Field("priority", default="NORMAL", nullable=False, choices=PRIORITIES),
        ),
        relations=(
            Relation("contact", "contacts"),
            Relation("ticketTeam", "ticket-teams"),
            Relation("ticketCategory", "ticket-categories"),
            Relation("unit", "units"),
        ),
        children=children,
    )


def _note(route: str, envelope: str, label: str, parent: Parent, children: Children) -> Resource:
    """Declare ticket notes, or repair order notes."""
    return Resource(
        route,
        envelope,
        label,
        fields=(
            Field("isExternal", "flag", default=False, nullable=False),
            Field("body"),
            Field("authorName"),
            Field("authorEmail", indexed=True),
        ),
        relations=(Relation(parent.name, parent.route, required=True),),
        parent=parent,
        children=children,
    )


def _link(route: str, envelope: str, label: str, parent: Parent) -> Resource:
    """Declare the link between a note and a file; reachable through its note alone."""
    return Resource(
        route,
        envelope,
        label,
        relations=(Relation("file", "files", required=True),),
        parent=parent,
        own_route=False,
    )


_DECLARED = (
    _job("tickets", "tickets", "ticket", Children("ticketNotes", "ticket-notes")),
    _note(
        "ticket-notes",
        "ticketNotes",
        "ticket note",
        Parent("ticket", "tickets", shown=True),
        Children("ticketNoteFiles", "ticket-note-files"),
    ),
    _link(
        "ticket-note-files",
        "ticketNoteFiles",
        "ticket note file",
        Parent("ticketNote", "ticket-notes", shown=False),
    ),
    _job(
        "repair-orders",
        "repairOrders",
        "repair order",
        Children("repairOrderNotes", "repair-order-notes"),
    ),
    _note(
        "repair-order-notes",
        "repairOrderNotes",
        "repair order note",
        Parent("repairOrder", "repair-orders", shown=True),
        Children("repairOrderNoteFiles", "repair-order-note-files"),
    ),
    _link(
        "repair-order-note-files",
        "repairOrderNoteFiles",
        "repair order note file",
        Parent("repairOrderNote", "repair-order-notes", shown=False),
    ),
    Resource(
        "contacts",
        "contacts",
        "contact",
        fields=(
            Field("firstName"),
            Field("lastName"),
            Field("email", indexed=True),
            Field("phone"),
            Field("title"),
            _IS_ACTIVE,
        ),
    ),
    Resource(
        "units",
        "units",
        "unit",
        fields=(
            Field("name"),
            Field("serialNumber", indexed=True),
            Field("tag", indexed=True),
            _IS_ACTIVE,
            Field("item", "item", nullable=False),
        ),
        relations=(Relation("contact", "contacts"),),
    ),
    Resource(
        "ticket-teams",
        "ticketTeams",
        "ticket team",
        fields=(Field("name", required=True, nullable=False, indexed=True), _IS_ACTIVE),
    ),
    Resource(
        "predefined-replies",
        "predefinedReplies",
        "predefined reply",
        fields=(
            Field("name", required=True, nullable=False, indexed=True),
            Field("content"),
            _IS_ACTIVE,
        ),
    ),
    Resource(
        "ticket-categories",
        "ticketCategories",
        "ticket category",
        fields=(Field("name", required=True, nullable=False, indexed=True), _IS_ACTIVE),
        relations=(Relation("parent", "ticket-categories"),),
    ),
    Resource(
        "files",
        "files",
        "file",
        fields=(
            Field("name", required=True, nullable=False, indexed=True),
            Field("contentType", default="application/octet-stream", nullable=False),
            Field("size", "number", read_only=True),
            Field("data", "base64", required=True, nullable=False),
        ),
    ),
    Resource(
        "parameters",
        "parameters",
        "parameter",
        fields=(Field("name", required=True, nullable=False, indexed=True), Field("value")),
    ),
)

#: Every resource by its kebab-case plural, the file links included.
RESOURCES: Final[dict[str, Resource]] = {resource.route: resource for resource in _DECLARED}


@dataclass(frozen=True)
class JobKind:
    """What stands for tickets, with what hangs on it.

    Attributes:
        job: Tickets, or repair orders.
        note: The notes under them.
        link: The links between those and files.
        note_parent: The key under which a note names its job.
        link_parent: The key under which a link names its note, where no route says it.
    """

    job: Resource
    note: Resource
    link: Resource
    note_parent: str
    link_parent: str


#: A client's integration type -> what stands for its tickets. Both are served to every client.
JOB_KINDS: Final[dict[str, JobKind]] = {
    "TICKETS": JobKind(
        RESOURCES["tickets"],
        RESOURCES["ticket-notes"],
        RESOURCES["ticket-note-files"],
        "ticket",
        "ticketNote",
    ),
    "REPAIR_ORDERS": JobKind(
        RESOURCES["repair-orders"],
        RESOURCES["repair-order-notes"],
        RESOURCES["repair-order-note-files"],
        "repairOrder",
        "repairOrderNote",
    ),
}


def routes() -> Iterator[str]:
    """Yield the names of the resources that have a route of their own."""
    return (resource.route for resource in _DECLARED if resource.own_route)


def custom_field_pattern(prefix: str) -> re.Pattern[str]:
    """Return what a client's custom field looks like, e.g. ``c_eliteUserId`` for ``c_elite``."""
    return re.compile(rf"{re.escape(prefix)}[A-Z][A-Za-z0-9]*")

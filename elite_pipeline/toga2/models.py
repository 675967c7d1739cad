"""TOGA 2's records as they are read: parsed at the edge, trusted inside.

Names as in ``spec/systems.md`` section 2. Unknown fields are ignored and never written back. A relation
below the depth that was asked for is a stub that holds only a ``uuid``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from elite_pipeline.errors import Kind, PermanentError, PipelineError, TransientError
from elite_pipeline.toga2 import wire

#: Begins what a record without uuid is called.
NAMELESS = "(a record without uuid"

#: An identity; longer than the column that has to hold it would be cut there (systems.md 3).
Uuid = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected a time")
    return wire.parse_time(value)


Instant = Annotated[datetime, PlainValidator(_instant)]


class _Record(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        # beyond any answer; with a limit pydantic looks into a text, and refuses half a surrogate pair,
        # which no database and no log could take
        str_max_length=1 << 30,
    )


class Stub(_Record):
    """A relation: always its uuid, the rest only where it was expanded."""

    uuid: Uuid


class Record(_Record):
    """What is read of every record. Times are aware, UTC, whole seconds."""

    uuid: Uuid
    updated: Instant = Field(validation_alias=AliasChoices("_updated", "updated"))


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that could not be parsed.

    Attributes:
        name: What to call it: its uuid where it has one.
        updated: When it says it was updated, where that much can be read.
        reason: Which field is wrong and how; never the field's value.
        is_private: Whether it says that it is an internal note.
        position: Which of the records it was that it was parsed with, from 1; 0: it was alone.
        kind: Whether it may come as it should the next time.
    """

    name: str
    updated: datetime | None
    reason: str
    is_private: bool = False
    position: int = 0
    kind: Kind = "permanent"

    @property
    def is_nameless(self) -> bool:
        """Whether nothing says which record it is."""
        return self.name.startswith(NAMELESS)

    @property
    def error(self) -> PipelineError:
        """What is wrong with it, as an error."""
        return (
            TransientError(self.reason) if self.kind == "transient" else PermanentError(self.reason)
        )


class Contact(Record):
    """A person on the client's side."""

    first_name: str | None = Field(default=None, validation_alias="firstName")
    last_name: str | None = Field(default=None, validation_alias="lastName")
    email: str | None = None
    phone: str | None = None
    title: str | None = None
    is_active: bool = Field(default=True, validation_alias="isActive")


class Item(_Record):
    """What kind of thing a unit is."""

    uuid: str | None = None
    name: str | None = None
    manufacturer: str | None = None
    category: str | None = None


class Unit(Record):
    """A thing that the client owns."""

    name: str | None = None
    serial_number: str | None = Field(default=None, validation_alias="serialNumber")
    tag: str | None = None
    is_active: bool = Field(default=True, validation_alias="isActive")
    item: Item | None = None
    contact: Stub | None = None


class TicketTeam(Record):
    """Who works on tickets."""

    name: str
    is_active: bool = Field(default=True, validation_alias="isActive")


class PredefinedReply(Record):
    """A canned answer; ``content`` is HTML."""

    name: str
    content: str | None = None
    is_active: bool = Field(default=True, validation_alias="isActive")


class TicketCategory(Record):
    """One node of the category tree, three levels deep."""

    name: str
    parent: Stub | None = None
    is_active: bool = Field(default=True, validation_alias="isActive")


class CategoryPath(_Record):
    """A ticket's category with its parents as far as they were expanded; a stub has no name."""

    uuid: Uuid
    name: str | None = None
    parent: "CategoryPath | None" = None


class Person(_Record):
    """A ticket's contact; a stub has no names."""

    uuid: Uuid
    first_name: str | None = Field(default=None, validation_alias="firstName")
    last_name: str | None = Field(default=None, validation_alias="lastName")
    email: str | None = None


class FileInfo(_Record):
    """What is known of a file without its bytes.

    Attributes:
        size: Bytes, where TOGA 2 says it.
    """

    uuid: Uuid
    name: str
    content_type: str | None = Field(default=None, validation_alias="contentType")
    size: int | None = Field(default=None, ge=0)


class NoteFile(_Record):
    """A link between a note and a file, with the link's own uuid."""

    uuid: Uuid
    file: FileInfo


def _note_files(raw: object) -> list[NoteFile | Malformed] | None:
    """Read a note's links; None where what came shows no file: none of them was expanded.

    A link that cannot be read stands in its place as malformed: as one that was not there, its file
    would be uploaded again.
    """
    if raw is None or raw == []:
        return raw
    if not isinstance(raw, list):
        return [Malformed("(its files)", None, "not what TOGA 2 documents: not a list of files")]
    if all(is_stub(link) or (isinstance(link, dict) and is_stub(link.get("file"))) for link in raw):
        return None
    return [_NOTE_FILES.one(link) for link in raw]


NoteFiles = Annotated[list[NoteFile | Malformed] | None, PlainValidator(_note_files)]

#: How many there are, also where none of them was expanded.
FileCount = Annotated[int, PlainValidator(lambda raw: len(raw) if isinstance(raw, list) else 0)]


class TicketNote(Record):
    """A note under a ticket; ``body`` is HTML. ``is_external`` false means that it is private.

    ``is_external`` has no default: a note that does not say whether it may be seen is refused, not
    published by guess (sync.md 10.6). ``files`` None means that nothing says which it has; read the note
    at the full depth.
    """

    # a key of its own that is called as a field is here must not be taken for it
    model_config = ConfigDict(populate_by_name=False)

    created: Instant = Field(validation_alias=AliasChoices("_created", "created"))
    is_external: bool = Field(validation_alias="isExternal")
    body: str | None = None
    author_name: str | None = Field(default=None, validation_alias="authorName")
    author_email: str | None = Field(default=None, validation_alias="authorEmail")
    ticket: Stub | None = Field(default=None, validation_alias=wire.TICKET_NOTES.parent)
    files: NoteFiles = Field(default=None, validation_alias=wire.TICKET_NOTES.children)
    file_count: FileCount = Field(default=0, validation_alias=wire.TICKET_NOTES.children)


class RepairOrderNote(TicketNote):
    """A note under a repair order, which stands in the place of its ticket.

    It has the shape of a ticket's note but for that key and its files'; a ticket that it may name besides
    is not what it hangs on.
    """

    ticket: Stub | None = Field(default=None, validation_alias=wire.REPAIR_ORDER_NOTES.parent)
    files: NoteFiles = Field(default=None, validation_alias=wire.REPAIR_ORDER_NOTES.children)
    file_count: FileCount = Field(default=0, validation_alias=wire.REPAIR_ORDER_NOTES.children)


class Ticket(Record):
    """A ticket, or a repair order, without its notes.

    They are parsed one by one, so that one cannot spoil the rest. ``description`` is HTML.
    """

    created: Instant = Field(validation_alias=AliasChoices("_created", "created"))
    number: str | None = None
    subject: str | None = None
    description: str | None = None
    status: str | None = None
    priority: str | None = None
    contact: Person | None = None
    team: Stub | None = Field(default=None, validation_alias="ticketTeam")
    category: CategoryPath | None = Field(default=None, validation_alias="ticketCategory")
    unit: Stub | None = None


class Parameter(Record):
    """One of the client's parameters; the watermarks are kept as such [D]."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed(Generic[R]):
    """The records of a page, and those that are not what they should be."""

    records: list[R]
    malformed: list[Malformed]


class RecordParser(Generic[R]):
    """Parses raw records of one kind, a whole page at once where nothing is wrong with it."""

    def __init__(self, model: type[R]) -> None:
        self._model = model
        # a type made while the program runs, which no checker can know
        self._page = TypeAdapter(list[model])  # type: ignore[valid-type]

    def one(self, raw: object) -> R | Malformed:
        """Parse one raw record."""
        try:
            return self._model.model_validate(raw)
        except ValidationError as error:
            return _malformed(raw, error)

    def each(self, raws: Sequence[object]) -> Sequence[R | Malformed]:
        """Parse raw records, each in its place."""
        try:
            return self._validated(raws)
        except ValidationError:
            return [self.one(raw) for raw in raws]

    def lists(self, lists: Sequence[Sequence[object]]) -> list[Parsed[R]]:
        """Parse several lists as :meth:`many` parses each, all at once where nothing is wrong."""
        try:
            records = self._validated([raw for raws in lists for raw in raws])
        except ValidationError:
            return [self.many(raws) for raws in lists]
        ends = list(accumulate(map(len, lists), initial=0))
        return [Parsed(records[start:end], []) for start, end in pairwise(ends)]

    def many(self, raws: Sequence[object]) -> Parsed[R]:
        """Parse raw records; each malformed one is set apart and the rest go on."""
        try:
            return Parsed(self._validated(raws), [])
        except ValidationError:
            results = [self.one(raw) for raw in raws]
        return Parsed(
            [result for result in results if not isinstance(result, Malformed)],
            [
                replace(result, position=position)
                for position, result in enumerate(results, start=1)
                if isinstance(result, Malformed)
            ],
        )

    def _validated(self, raws: Sequence[object]) -> list[R]:
        records: list[R] = self._page.validate_python(raws)
        return records


_NOTE_FILES = RecordParser(NoteFile)


def is_stub(raw: object) -> bool:
    """Tell whether a raw record was not expanded: below the depth that is honoured only a uuid comes."""
    return isinstance(raw, dict) and len(raw) <= 1 and raw.keys() <= {"uuid"}


def uuid_of(raw: object) -> str | None:
    """Return a raw record's uuid, when it has one that can be shown and stored."""
    uuid = raw.get("uuid") if isinstance(raw, dict) else None
    return uuid if isinstance(uuid, str) and uuid and uuid.isprintable() else None


def name_of(raw: object) -> str:
    """Return what to call a raw record: its uuid, else what tells it from other nameless ones."""
    return (uuid_of(raw) or f"{NAMELESS}, {_digest(raw)})")[:64]


def updated_of(raw: object) -> datetime | None:
    """Return a raw record's ``_updated``, when it has one that is a time."""
    try:
        return _instant(raw.get("_updated")) if isinstance(raw, dict) else None
    except ValueError:
        return None


def _place(location: Sequence[int | str]) -> str:
    """Name a field; one that stands far below, in a chain of parents, by its beginning and its end."""
    parts = [str(part) for part in location] or ["record"]
    return ".".join(parts if len(parts) <= 8 else [*parts[:4], "…", *parts[-2:]])


def _digest(raw: object) -> str:
    """Return what tells one nameless record from another."""
    text = json.dumps(raw, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()


def _malformed(raw: object, error: ValidationError) -> Malformed:
    problems = "; ".join(
        f"{_place(detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_input=False)[:5]
    )
    reason = f"not what TOGA 2 documents: {problems}"
    if is_stub(raw) and raw:
        reason = "nothing but its uuid came"
    return Malformed(
        name=name_of(raw),
        updated=updated_of(raw),
        reason=reason,
        is_private=isinstance(raw, dict) and raw.get("isExternal") is False,
    )

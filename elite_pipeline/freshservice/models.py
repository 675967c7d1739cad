"""Freshservice's records as they are read: parsed at the edge, trusted inside.

Names as in ``spec/freshservice.md``. Unknown keys are ignored; whatever is documented can be null. Times
are aware, UTC.

What does not belong here: envelopes and times on the wire (``wire``), and calling (``client``).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationError,
)

from elite_pipeline.freshservice import wire

#: Ids are below 2^53 [D]; a column of the ledger holds them with room to spare.
_MOST_ID = 1 << 53


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected a time")
    return wire.parse_time(value)


_Instant = Annotated[datetime, PlainValidator(_instant)]
_Id = Annotated[StrictInt, Field(ge=1, lt=_MOST_ID)]
#: Null is no.
_Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]


class _Record(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        # beyond any answer; with a limit pydantic looks into a text, and refuses half a surrogate pair,
        # which no database and no log could take
        str_max_length=1 << 30,
    )


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that could not be parsed; it stands in the place of the record.

    Attributes:
        name: What to call it: its id where it has one.
        reason: Which field is wrong and how; never the field's value.
        id, created, updated: What could be read of it all the same.
        is_private: Whether it says that it is private.
    """

    name: str
    reason: str
    id: int | None = None
    created: datetime | None = None
    updated: datetime | None = None
    is_private: bool = False


class Attachment(_Record):
    """A file of a ticket or a conversation.

    Attributes:
        id: None: it does not say, as in one documented sample.
        size: Bytes, where it says it.
        url: A link that is signed, expires, and is another one each time: never an identity.
    """

    id: _Id | None = None
    name: Annotated[str, Field(min_length=1)]
    content_type: str | None = None
    size: Annotated[StrictInt, Field(ge=0)] | None = None
    url: Annotated[str, Field(min_length=1, validation_alias="attachment_url")]


def _attachments(raw: object) -> list[Attachment | Malformed]:
    """Read a list of attachments; one that cannot be read stands in its place as malformed."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        return [Malformed("(its attachments)", "not what Freshservice documents: not a list")]
    return [parse(Attachment, one) for one in raw]


Attachments = Annotated[list[Attachment | Malformed], PlainValidator(_attachments)]


class Ticket(_Record):
    """A ticket; ``description`` is HTML. Categories are names, never ids [D].

    Attributes:
        status, priority: The account's numbers; None: it has none.
    """

    id: _Id
    subject: str | None = None
    description: str | None = None
    status: StrictInt | None = None
    priority: StrictInt | None = None
    requester_id: _Id | None = None
    responder_id: _Id | None = None
    group_id: _Id | None = None
    category: str | None = None
    sub_category: str | None = None
    item_category: str | None = None
    attachments: Attachments = []
    deleted: _Flag = False
    spam: _Flag = False
    created_at: _Instant
    updated_at: _Instant


class TicketHead(_Record):
    """A ticket in a list: enough to tell whether it has changed."""

    id: _Id
    updated_at: _Instant


class Conversation(_Record):
    """A reply or a note; ``body`` is HTML.

    ``private`` has no default: a conversation that does not say whether it may be seen is malformed, and
    not published by guess (``spec/sync.md`` section 10.6).
    """

    id: _Id
    ticket_id: _Id | None = None
    user_id: _Id | None = None
    body: str | None = None
    body_text: str | None = None
    incoming: bool | None = None
    private: StrictBool
    source: int | None = None
    from_email: str | None = None
    attachments: Attachments = []
    created_at: _Instant
    updated_at: _Instant | None = None


class Group(_Record):
    """Who works on tickets."""

    id: _Id
    name: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Person:
    """A requester or an agent; empty text: not said."""

    id: int
    name: str
    email: str
    phone: str
    title: str
    is_agent: bool


class _RawPerson(_Record):
    id: _Id
    first_name: str | None = None
    last_name: str | None = None
    primary_email: str | None = None
    email: str | None = None
    work_phone_number: str | None = None
    mobile_phone_number: str | None = None
    job_title: str | None = None


def parse(model: type[R], raw: object) -> R | Malformed:
    """Parse one raw record."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        return Malformed(
            _name(raw),
            _reason(error),
            _number(raw),
            _moment(raw, "created_at"),
            _moment(raw, "updated_at"),
            isinstance(raw, dict) and raw.get("private") is True,
        )


def parse_person(raw: Mapping[str, object], *, is_agent: bool) -> Person | Malformed:
    """Parse a requester, whose address is ``primary_email``, or an agent, whose is ``email``."""
    found = parse(_RawPerson, raw)
    if isinstance(found, Malformed):
        return found
    names = [part.strip() for part in (found.first_name, found.last_name) if part]
    email = found.email if is_agent else found.primary_email
    return Person(
        found.id,
        " ".join(names),
        (email or "").strip(),
        (found.work_phone_number or found.mobile_phone_number or "").strip(),
        (found.job_title or "").strip(),
        is_agent,
    )


def choices_in(fields: Sequence[object]) -> dict[tuple[str, ...], int]:
    """Return path of names -> id of the choice, of the form's field ``category``, three levels deep.

    Values can carry trailing blanks, and the same value can stand under several parents [D]: a path is
    what tells them apart. Choices that cannot be read are left out, with what stands below them.
    """
    found: dict[tuple[str, ...], int] = {}
    for one in fields:
        if isinstance(one, dict) and one.get("name") == "category":
            _collect(one.get("choices"), (), found)
    return found


def _collect(choices: object, above: tuple[str, ...], found: dict[tuple[str, ...], int]) -> None:
    if not isinstance(choices, list) or len(above) >= 3:
        return
    for choice in choices:
        value: Any = choice.get("value") if isinstance(choice, dict) else None
        number = choice.get("id") if isinstance(choice, dict) else None
        if not isinstance(value, str) or not value.strip() or not isinstance(number, int):
            continue
        path = (*above, value.strip())
        found.setdefault(path, number)
        _collect(choice.get("nested_options"), path, found)


def _number(raw: object) -> int | None:
    number = raw.get("id") if isinstance(raw, dict) else None
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 < number < _MOST_ID
    return number if is_id else None


def _moment(raw: object, name: str) -> datetime | None:
    try:
        return _instant(raw.get(name)) if isinstance(raw, dict) else None
    except ValueError:
        return None


def _name(raw: object) -> str:
    if (number := _number(raw)) is not None:
        return str(number)
    text = json.dumps(raw, sort_keys=True, default=str)
    digest = hashlib.blake2b(_stable(text).encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"(without id, {digest})"


def _stable(text: str) -> str:
    """Leave out of a record what is another one at each reading: its links."""
    return wire.SIGNED_LINK.sub("", text)


def _reason(error: ValidationError) -> str:
    problems = "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'record'}: "
        f"{detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_input=False)[:5]
    )
    return f"not what Freshservice documents: {problems}"

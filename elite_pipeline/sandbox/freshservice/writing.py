"""What the sandbox's Freshservice does on writes: tickets, replies and notes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.asked import Asked, Given
from elite_pipeline.sandbox.freshservice.bodies import read_body
from elite_pipeline.sandbox.freshservice.files import File
from elite_pipeline.sandbox.freshservice.problems import invalid
from elite_pipeline.sandbox.freshservice.store import Kind, Record

_TICKET_FIELDS: Final = frozenset(
    {
        *("subject", "description", "status", "priority", "source", "type", "requester_id"),
        *("responder_id", "group_id", "department_id", "category", "sub_category"),
        *("item_category", "cc_emails", "tags", "custom_fields", "email", "workspace_id"),
    }
)
_REPLY_FIELDS: Final = frozenset({"body", "from_email", "user_id", "cc_emails", "bcc_emails"})
_NOTE_FIELDS: Final = frozenset({"body", "private", "incoming", "user_id", "notify_emails"})
#: How many bytes the files of a ticket and its conversations may have together.
_MOST_BYTES: Final = 40 * 1024 * 1024
_REFERENCES: Final[Mapping[str, Kind]] = {
    "requester_id": "requester",
    "responder_id": "agent",
    "group_id": "group",
}


def create_ticket(asked: Asked) -> Given:
    """Open a ticket."""
    fields, files = read_body(asked.body, asked.content_type, takes=_TICKET_FIELDS)
    for name in ("subject", "description", "status", "priority"):
        if fields.get(name) in (None, ""):
            raise _missing(name)
    email = fields.pop("email", None)
    if fields.get("requester_id") is None:
        if not email:
            raise _missing("email")
        fields["requester_id"] = _requester(asked, email)
    _check(asked, fields)
    _check_size(files)
    asking = fields.pop("requester_id")
    ticket = asked.account.new_ticket(
        fields.pop("subject"), fields.pop("description"), requester=asking, files=files, **fields
    )
    return _ticket(asked, ticket, 201)


def update_ticket(asked: Asked) -> Given:
    """Change fields of a ticket."""
    ticket = asked.record("ticket")
    fields, _ = read_body(asked.body, asked.content_type, takes=_TICKET_FIELDS - {"email"})
    _check(asked, fields)
    if "custom_fields" in fields:
        fields["custom_fields"] = ticket.document["custom_fields"] | fields["custom_fields"]
    asked.account.update(ticket.id, **fields)
    return _ticket(asked, ticket.id, 200)


def delete_ticket(asked: Asked) -> Given:
    """Move a ticket to the trash."""
    asked.account.delete(asked.record("ticket").id)
    return Given(204, None)


def restore_ticket(asked: Asked) -> Given:
    """Take a ticket out of the trash."""
    asked.account.restore(asked.record("ticket").id)
    return Given(204, None)


def create_reply(asked: Asked) -> Given:
    """Answer a ticket."""
    fields, files = read_body(asked.body, asked.content_type, takes=_REPLY_FIELDS)
    return _write(asked, fields, files, private=False)


def create_note(asked: Asked) -> Given:
    """Write a note on a ticket; it is private unless it says otherwise."""
    fields, files = read_body(asked.body, asked.content_type, takes=_NOTE_FIELDS)
    fields.pop("notify_emails", None)
    return _write(asked, fields | {"source": 2}, files, private=fields.pop("private", True))


def update_conversation(asked: Asked) -> Given:
    """Change the body of a conversation."""
    record = asked.record("conversation")
    fields, _ = read_body(asked.body, asked.content_type, takes=frozenset({"body"}))
    asked.account.edit_reply(record.id, **fields)
    return _conversation(asked, record.id, 200)


def delete_conversation(asked: Asked) -> Given:
    """Delete a conversation for good."""
    asked.account.remove_reply(asked.record("conversation").id)
    return Given(204, None)


WRITES: Final[Mapping[str, Callable[[Asked], Given]]] = {
    write.__name__: write
    for write in (
        *(create_ticket, update_ticket, delete_ticket, restore_ticket),
        *(create_reply, create_note, update_conversation, delete_conversation),
    )
}


def _write(asked: Asked, fields: dict[str, Any], files: list[File], *, private: bool) -> Given:
    ticket = asked.record("ticket")
    if not fields.get("body"):
        raise _missing("body")
    account = asked.account
    owners = (ticket.id, *(each.id for each in account.conversations(ticket.id)))
    _check_size(files, *(each for owner in owners for each in account.attachments(owner)))
    agents = account.agents
    author = fields.pop("user_id", None) or (agents[0] if agents else None)
    fields.pop("private", None)
    made = account.reply(
        ticket.id, fields.pop("body"), author=author, private=private, files=files, **fields
    )
    return _conversation(asked, made, 201)


def _requester(asked: Asked, email: str) -> int:
    """Return the requester of an e-mail address, a new one if it has none."""
    for record in asked.account.records("requester"):
        if record.document["primary_email"] == email:
            return record.id
    return asked.account.add_requester(email.partition("@")[0], "", email)


def _check(asked: Asked, fields: Mapping[str, Any]) -> None:
    """Refuse values that are none of a field's."""
    if "status" in fields and fields["status"] < 2:
        raise invalid("status", "It should be one of these values: '2,3,4,5'")
    if "priority" in fields and not 1 <= fields["priority"] <= 4:
        raise invalid("priority", "It should be one of these values: '1,2,3,4'")
    for name, kind in _REFERENCES.items():
        value = fields.get(name)
        if value is not None and asked.account.record(kind, value) is None:
            raise invalid(name, f"There is no {kind} matching the given {name}")


def _check_size(files: Iterable[File], *present: Record) -> None:
    """Refuse files that make a ticket, with its conversations, bigger than one may be."""
    size = sum(len(file.bytes) for file in files)
    if size and size + sum(each.document["size"] for each in present) > _MOST_BYTES:
        raise invalid("attachments", "The total size of a ticket's attachments exceeds 40 MB")


def _missing(name: str) -> Exception:
    return invalid(name, "It should not be blank as this is a mandatory field", "missing_field")


def _ticket(asked: Asked, ticket: int, status: int) -> Given:
    account = asked.account
    spelled = account.shapes.ticket(account.ticket(ticket), account.attachments(ticket))
    return Given(status, {"ticket": spelled})


def _conversation(asked: Asked, conversation: int, status: int) -> Given:
    account = asked.account
    record = account.record("conversation", conversation)
    if record is None:
        raise KeyError(conversation)
    spelled = account.shapes.conversation(record, account.attachments(conversation))
    return Given(status, {"conversation": spelled})

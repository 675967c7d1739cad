"""What records of TOGA 2 that come from Freshservice are found by, and what they are called.

Follows ``spec/sync.md`` section 7: the client's custom fields hold Freshservice's own ids. They are
plain numbers, and so never taken for the helpdesk's keys (``own_keys``).

What does not belong here: reading and writing (``freshservice_*``).
"""

import hashlib

FLOW = "freshservice_to_toga2"

_TICKET = "ticket "
#: Ids of Freshservice lie below it, and ids that are made up here above it.
_MADE_UP = 1 << 62


def ticket_field(prefix: str) -> str:
    """Return the name of a ticket's field for Freshservice's id, e.g. ``c_eliteTicketId`` [D]."""
    return f"{prefix}TicketId"


def note_field(prefix: str) -> str:
    """Return the name of a note's field for a conversation's id [D]."""
    return f"{prefix}ConversationId"


def contact_field(prefix: str) -> str:
    """Return the name of a contact's field for a requester's or agent's id [D]."""
    return f"{prefix}UserId"


def team_field(prefix: str) -> str:
    """Return the name of a team's field for a group's id [D]."""
    return f"{prefix}GroupId"


def category_field(prefix: str) -> str:
    """Return the name of a category's field for a choice's id [D]."""
    return f"{prefix}CategoryId"


def files_key(ticket_id: int) -> str:
    """Return what is in the conversation field of the note that carries a ticket's own files."""
    return f"freshservice:files:{ticket_id}"


def entity_of(ticket_id: int) -> str:
    """Return what a ticket is called where it fails, and in the ledger."""
    return f"{_TICKET}{ticket_id}"


def is_ticket(entity: str) -> bool:
    """Tell whether something that failed is a ticket that can be asked for."""
    number = entity.removeprefix(_TICKET)
    return entity.startswith(_TICKET) and number.isascii() and number.isdecimal()


def ticket_id_of(entity: str) -> int:
    """Return the id of a ticket by what it is called (:func:`is_ticket`)."""
    return int(entity.removeprefix(_TICKET))


def file_id_of(owner: str, attachment_id: int | None, name: str, place: int) -> int:
    """Return what an attachment is for ever called where uploads are written down.

    Args:
        owner: What it hangs on.
        attachment_id: Freshservice's; None: it does not say, as in one documented sample.
        name: The attachment's, or what stands for it.
        place: Which of its owner's attachments it is.
    """
    if attachment_id is not None:
        return attachment_id
    digest = hashlib.blake2b(f"{owner}\0{name}\0{place}".encode("utf-8", "replace"), digest_size=7)
    return _MADE_UP | int.from_bytes(digest.digest(), "big")


def fingerprint(text: str | None) -> str:
    """Return what tells one text from another, short enough to be remembered."""
    return hashlib.blake2b((text or "").encode("utf-8", "replace"), digest_size=12).hexdigest()

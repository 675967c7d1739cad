"""Idempotency keys: what the sync writes into TOGA 2 names the helpdesk's row that it stands for.

Follows ``spec/sync.md`` section 5: the conversation field of a note, and the ticket field of a ticket,
name a row for ever (``togadesk:reply:123``). Whoever is about to send a row looks for its key first, and
whoever meets a record with such a key knows that it came from here: no crash and no lost answer makes
two of one, and nothing echoes.

What does not belong here: reading and writing (``outgoing_*``, ``ticket_batch``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from elite_pipeline.toga2.models import uuid_of

#: ``files``: a note that carries the files of a description, which in TOGA 2 has none of its own.
KeyKind = Literal["ticket", "reply", "comment", "files"]

_KINDS: dict[str, KeyKind] = {kind: kind for kind in get_args(KeyKind)}
_KEY = re.compile(rf"togadesk:({'|'.join(_KINDS)}):([1-9][0-9]{{0,17}})")


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The row that a record of TOGA 2 stands for.

    Attributes:
        kind: Of ``tickets``, ``tickets_replies`` or ``comments``; ``files`` are those of a reply.
        id: The row's id.
    """

    kind: KeyKind
    id: int

    def __str__(self) -> str:
        """Spell it as TOGA 2 keeps it."""
        return f"togadesk:{self.kind}:{self.id}"


def parse_key(text: object) -> OwnKey | None:
    """Return what a field of TOGA 2 names, None where it is not one of ours (e.g. Freshservice's)."""
    found = _KEY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    return OwnKey(_KINDS[found[1]], int(found[2]))


def ticket_field(prefix: str) -> str:
    """Return the name of a ticket's field for its key, e.g. ``c_eliteTicketId`` [D]."""
    return f"{prefix}TicketId"


def note_field(prefix: str) -> str:
    """Return the name of a note's field for its key, e.g. ``c_eliteConversationId`` [D]."""
    return f"{prefix}ConversationId"


def own_key(raw: object, field: str) -> OwnKey | None:
    """Return the key that a raw record carries."""
    return parse_key(raw.get(field)) if isinstance(raw, dict) else None


def own_keys(raws: Iterable[object], field: str) -> dict[str, OwnKey]:
    """Return uuid -> key of the raw records that carry one."""
    return {
        uuid: key
        for raw in raws
        # most have none, and looking closer at each would take longer than all else that is read of it
        if isinstance(raw, dict)
        and raw.get(field)
        and (key := own_key(raw, field)) is not None
        and (uuid := uuid_of(raw)) is not None
    }

"""Which pair of routes carries a client's tickets and notes, by its integration type.

Follows ``spec/systems.md`` section 2: repair orders have the shape of tickets, under names of their own.
Whoever reads tickets takes the client's pair from here and never asks which of the two it is.

What does not belong here: the names themselves (``wire``), and the records' fields (``models``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import RecordParser, RepairOrderNote, TicketNote, is_stub


@dataclass(frozen=True, slots=True)
class TicketRoutes:
    """A pair of routes.

    Attributes:
        tickets: What stands for tickets.
        notes: What stands for the notes under them.
        note_parser: Parses such notes; one knows what it hangs on as its ``ticket``.
    """

    tickets: wire.Resource
    notes: wire.Resource
    note_parser: RecordParser[TicketNote]

    def notes_of(self, raw: object) -> list[object] | None:
        """Return the raw notes that a raw ticket carries; None: it does not say which it has."""
        notes = raw.get(self.tickets.children) if isinstance(raw, dict) else None
        return notes if isinstance(notes, list) else None

    def has_whole_notes(self, raw: object) -> bool:
        """Tell whether a raw ticket carries its notes, none of them below the depth that was honoured."""
        notes = self.notes_of(raw)
        return notes is not None and not any(is_stub(note) for note in notes)

    def is_expanded(self, raw: object) -> bool:
        """Tell whether a listed ticket shows that the list honours ``depth``.

        An empty list of notes shows nothing: below the depth that is honoured it would look the same.
        """
        if not isinstance(raw, dict):
            return False
        relations = [*raw.values(), *(self.notes_of(raw) or [])]
        return any(isinstance(one, dict) and not is_stub(one) for one in relations)


#: A client's integration type -> its pair.
TICKET_ROUTES: Mapping[str, TicketRoutes] = MappingProxyType(
    {
        "TICKETS": TicketRoutes(wire.TICKETS, wire.TICKET_NOTES, RecordParser(TicketNote)),
        "REPAIR_ORDERS": TicketRoutes(
            wire.REPAIR_ORDERS, wire.REPAIR_ORDER_NOTES, RecordParser(RepairOrderNote)
        ),
    }
)

"""A ticket on its way to TOGA 2: what may be tried of it, and what became of it.

What does not belong here: sending (``outgoing_sender``, ``outgoing_messages``), the rows
(``outgoing_rows``).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from elite_pipeline.sync.outgoing_rows import OutgoingTicket


@dataclass(slots=True)
class Sent:
    """What became of one ticket.

    Attributes:
        references: What is to be written back: table, id, uuid, in this order.
        failures: Records that failed, in their order, and why.
        untried: Records that failed before and were not due yet, or were not come to.
        met: Files that were looked at.
        counts: What was made, by kind.
    """

    ticket: OutgoingTicket
    uuid: str = ""
    is_new: bool = False
    references: list[tuple[str, int, str]] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Count one thing made."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def name_ticket(self) -> None:
        """Have the ticket called what TOGA 2 calls it, unless it is."""
        if self.uuid and self.ticket.row.referenceId != self.uuid:
            self.references.append(("tickets", self.ticket.row.id, self.uuid))


@dataclass(frozen=True, slots=True)
class Held:
    """Which of a ticket's records failed before and are not to be tried now.

    Attributes:
        passing: For a reason that may pass: what stands behind them waits too.
        refused: For good, as it seems, or until a person acts: the rest goes on.
    """

    passing: Collection[str] = ()
    refused: Collection[str] = ()

    def __contains__(self, record: object) -> bool:
        return record in self.passing or record in self.refused


def late_files(ticket: OutgoingTicket) -> list[str]:
    """Return the files whose replies were sent without them: nothing but a dead letter knows of them."""
    return [
        f"file {file.id}"
        for message in ticket.messages
        if message.reference is not None
        for file in message.files
    ]

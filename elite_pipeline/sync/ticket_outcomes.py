"""Tickets on their way: as TOGA 2 has them, what is to be written of them, and what became of it.

What does not belong here: reading them (``ticket_reading``) and writing them (``ticket_writing``,
``ticket_batch``, ``ticket_messages``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.own_keys import OwnKey
from elite_pipeline.sync.results import Action, Change
from elite_pipeline.sync.ticket_rows import Message
from elite_pipeline.sync.wanted_files import WantedFile
from elite_pipeline.toga2.models import Malformed, Ticket, TicketNote

#: Begins the name under which a note fails.
NOTE = "note "


@dataclass(frozen=True, slots=True)
class Bundle:
    """A ticket with its notes, as TOGA 2 has them.

    Attributes:
        notes: In no particular order.
        malformed: Notes that could not be parsed.
        notes_only: The ticket itself was handled before and has not changed since; only its notes are
            written.
        own: The helpdesk's ticket that it was made from, if it was.
        own_notes: Uuid -> the helpdesk's row that a note was sent from, of those that were.
    """

    ticket: Ticket
    notes: Sequence[TicketNote]
    malformed: Sequence[Malformed] = ()
    notes_only: bool = False
    own: OwnKey | None = None
    own_notes: Mapping[str, OwnKey] = field(default_factory=dict)

    @property
    def updated(self) -> datetime:
        """The newest time of the ticket and its notes."""
        return max([self.ticket.updated, *(note.updated for note in self.notes)])


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Where files go.

    Attributes:
        note: Uuid of the note.
        reply_id: Its reply; None: it is an internal comment, which cannot have files itself.
        files: All that it has.
        was_private: The note was internal until now.
    """

    note: str
    reply_id: int | None
    files: Sequence[WantedFile]
    was_private: bool = False


@dataclass(slots=True)
class TicketOutcome:
    """What became of one ticket.

    Attributes:
        refusal: Why it was not written at all.
        note_failures: Its notes that were not written (what to call each, its ``_updated``, and why);
            the others were.
        counts: What was written under it, by kind.
        files: Messages of it that have files, once their rows are there.
        made_public: Notes of it that were internal until now.
        dropped: Files of the uploads folder that no row names any more.
    """

    bundle: Bundle
    action: Action = "unchanged"
    fields: tuple[str, ...] = ()
    refusal: PermanentError | None = None
    note_failures: list[tuple[str, datetime | None, PermanentError]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    files: list[FileTarget] = field(default_factory=list)
    made_public: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)

    @property
    def change(self) -> Change:
        """The ticket's line in the table of changes."""
        action = self.action
        if action == "unchanged" and any(self.counts.values()):
            action = "updated"
        ticket = self.bundle.ticket
        fields = (*self.fields, *(name for name, count in self.counts.items() if count))
        return Change(ticket.uuid, ticket.subject or "(no subject)", action, fields)

    def count(self, what: str) -> None:
        """Count one thing written under the ticket."""
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass(slots=True)
class Pending:
    """A ticket on its way.

    Attributes:
        messages: In the order of time.
        ticket_id: Of its row; 0: not there yet.
        owned: What its row should hold; empty where it is new.
        carried: Files that another note carries for a description.
    """

    outcome: TicketOutcome
    messages: list[Message]
    ticket_id: int = 0
    is_new: bool = False
    owned: dict[str, object] = field(default_factory=dict)
    carried: list[FileTarget] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        """The ticket's."""
        return self.outcome.bundle.ticket.uuid

"""One ticket under judgement: what TOGA 2 says of it, what the helpdesk has, what is wrong with it.

What does not belong here: the judgement (``judging``, ``judged_messages``, ``judged_files``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.ledger import DeadLetter
from elite_pipeline.sync.category_trees import TICKETS_FLOW as INCOMING
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING
from elite_pipeline.sync.ticket_outcomes import Bundle, TicketOutcome
from elite_pipeline.sync.verify.explaining import dead_letter, letter_for, not_yet_due
from elite_pipeline.sync.verify.findings import Finding, Reason
from elite_pipeline.sync.verify.sides import MessageHere, Place, TicketHere, key
from elite_pipeline.sync.verify.watching import Noted

#: The most characters of a subject that a finding quotes.
_MOST_SUBJECT = 60


@dataclass(slots=True)
class Case:
    """One ticket.

    Attributes:
        bundle: As TOGA 2 has it.
        outcome: What the engine would make of it; None: it could not tell.
        noted: What it would write, of this ticket and others of the same batch.
        error: Why it could not tell.
        rows: The helpdesk's rows that say that they are this ticket, by id.
        own: The row that it was made from and that does not know it yet.
        messages: Key of a note, or of the ticket -> the rows that say that they are it.
        own_messages: Row of the helpdesk, place and id -> it, of those that notes were sent from.
        letters_in, letters_out: Its dead letters, of the way in and of the way out.
        is_due_in, is_due_out: Whether the next run of the way in, or out, looks at it.
        findings: What is wrong.
        met: Dead letters that stand for one of them.
    """

    bundle: Bundle
    outcome: TicketOutcome | None = None
    noted: Noted = field(default_factory=Noted)
    error: Exception | None = None
    rows: Sequence[TicketHere] = ()
    own: TicketHere | None = None
    messages: Mapping[str, list[MessageHere]] = field(default_factory=dict)
    own_messages: dict[tuple[Place, int], MessageHere] = field(default_factory=dict)
    letters_in: Sequence[DeadLetter] = ()
    letters_out: Sequence[DeadLetter] = ()
    is_due_in: bool = False
    is_due_out: bool = False
    findings: list[Finding] = field(default_factory=list)
    met: set[str] = field(default_factory=set)

    @property
    def uuid(self) -> str:
        """The ticket's."""
        return self.bundle.ticket.uuid

    @property
    def row(self) -> TicketHere | None:
        """The helpdesk's row of it; of several the one that the engine goes by."""
        return self.rows[0] if self.rows else self.own

    @property
    def name(self) -> str:
        """What people call it."""
        ticket = self.bundle.ticket
        number = f"ticket {ticket.number or ticket.uuid}"
        return f"{number}: {(ticket.subject or '')[:_MOST_SUBJECT]}"

    def rows_of(self, uuid: str, place: Place) -> list[MessageHere]:
        """Return the rows in a table that say that they are a message."""
        return [row for row in self.messages.get(key(uuid), ()) if row.place == place]

    def find(
        self,
        kind: str,
        reason: Reason,
        detail: str,
        *,
        record: str = "",
        row: str = "",
        fields: Collection[str] = (),
        flow: str = INCOMING,
        called: Collection[str] = (),
        heals: bool = True,
    ) -> None:
        """Add a finding, as what it is in the light of what is due and of the dead letters.

        Args:
            kind, reason, detail, record, row, fields, flow: As of :class:`Finding`.
            called: What a dead letter of the flow may call it.
            heals: Whether a run that looks at the ticket would put it right.
        """
        finding = Finding(flow, kind, reason, record, row, self.name, tuple(sorted(fields)), detail)
        is_incoming = flow == INCOMING
        letters = self.letters_in if is_incoming else self.letters_out
        if (letter := letter_for(letters, called)) is not None:
            self.met.add(letter.id)
            finding = dead_letter(finding, letter)
        elif heals and (self.is_due_in if is_incoming else self.is_due_out):
            finding = not_yet_due(finding)
        self.findings.append(finding)

    def find_letters(self) -> None:
        """Add what dead letters tell of beside what was found: it was kept, or left, because of them."""
        for flow, letters in ((INCOMING, self.letters_in), (OUTGOING, self.letters_out)):
            for letter in letters:
                if letter.id in self.met:
                    continue
                finding = Finding(
                    flow, "part of a ticket", Reason.DIFFERENT, letter.record, of=self.name,
                    detail=f"{letter.record} could not be carried",
                )  # fmt: skip
                self.findings.append(dead_letter(finding, letter))

"""Rows of the helpdesk that belong in TOGA 2 and do not say that they are there.

Follows ``spec/sync.md`` section 5: tickets of the monitored departments, their replies and comments.

What does not belong here: rows that name a record which TOGA 2 does not have (``gone``).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from elite_pipeline.iteration import chunked
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.outgoing_rows import FLOW
from elite_pipeline.sync.own_keys import KeyKind, OwnKey
from elite_pipeline.sync.ticket_writing import outgoing_letters
from elite_pipeline.sync.verify.explaining import dead_letter, holding, letter_for, not_yet_due
from elite_pipeline.sync.verify.findings import Finding, Reason
from elite_pipeline.sync.verify.sides import (
    COMMENTS,
    REPLIES,
    MessageHere,
    Place,
    Sides,
    TicketHere,
)
from elite_pipeline.togadesk import Tx
from elite_pipeline.togadesk.walks import Walk

_CHUNK = 500
_KINDS: dict[Place, KeyKind] = {REPLIES: "reply", COMMENTS: "comment"}
_WORDS = {REPLIES: "external note", COMMENTS: "internal note"}
_MOST_SUBJECT = 60


class Unsent:
    """Finds what has not been sent of one client, and why.

    Args:
        context: The client's systems.
        sides: Both sides, all of them.
        since: Only rows written since; aware. None: all.
    """

    def __init__(self, context: FlowContext, sides: Sides, since: datetime | None) -> None:
        self._context = context
        self._sides = sides
        self._since = ""
        if since is not None:
            self._since = str(context.togadesk.local_lower_bound(since))
        departments = context.client.monitored_department_ids
        self._monitored = ", ".join(map(str, departments))

    def find(self) -> None:
        """Add what is found, each row read once more before it is said."""
        for tickets in chunked(self._tickets(), _CHUNK):
            still = self._still(tickets)
            self._sides.add(self._of_tickets([one for one in tickets if one.id in still]))
        for place in (REPLIES, COMMENTS):
            for messages in chunked(self._messages(place), _CHUNK):
                left = self._still_messages(place, messages)
                self._sides.add(self._of_messages([one for one in messages if one.id in left]))

    # Tickets

    def _tickets(self) -> Iterator[TicketHere]:
        """Yield tickets without a reference: to be sent, or sent and not written back."""
        query = (
            "SELECT t.* FROM tickets_here t WHERE t.reference IS NULL AND coalesce(t.time, '') >= ?1 "
            f"AND (t.department IN ({self._monitored}) "
            "OR EXISTS (SELECT 1 FROM tickets_there o WHERE o.own = 'togadesk:ticket:' || t.id)) "
            "ORDER BY t.id"
        )
        for row in self._sides.query(query, self._since):
            yield TicketHere(*row)

    def _of_tickets(self, tickets: Sequence[TicketHere]) -> Iterator[Finding]:
        ids = [ticket.id for ticket in tickets]
        letters = outgoing_letters(self._context.ledger, ids)
        due = self._sides.due_here(ids)
        for ticket in tickets:
            there = self._there("tickets_there", OwnKey("ticket", ticket.id))
            messages = self._sides.one(
                "SELECT count(*) FROM messages_here WHERE ticket = ?", ticket.id
            )
            finding = Finding(
                FLOW,
                "ticket",
                Reason.MISSING,
                record=there or "",
                row=f"tickets {ticket.id}",
                of=_name(ticket),
                detail=f"TOGA 2 has it as {there}, and its referenceId does not say so"
                if there
                else f"it is not in TOGA 2, nor are its {messages} messages",
            )
            some = letters.get(ticket.id, [])
            letter = letter_for(some, [f"ticket {ticket.id}"]) or next(iter(some), None)
            yield _explained(finding, letter, is_due=ticket.id in due)

    # Messages

    def _messages(self, place: Place) -> Iterator[MessageHere]:
        """Yield messages without a reference under tickets that have one, or of which only it lacks."""
        own = f"'togadesk:{_KINDS[place]}:' || m.id"
        query = (
            "SELECT m.* FROM messages_here m JOIN tickets_here t ON t.id = m.ticket "
            "WHERE m.place = ?1 AND m.reference IS NULL AND coalesce(m.time, '') >= ?2 AND "
            f"((t.reference IS NOT NULL AND t.department IN ({self._monitored})) "
            f"OR EXISTS (SELECT 1 FROM notes_there o WHERE o.own = {own})) ORDER BY m.id"
        )
        for row in self._sides.query(query, place, self._since):
            yield MessageHere(*row)

    def _of_messages(self, messages: Sequence[MessageHere]) -> Iterator[Finding]:
        ids = list(dict.fromkeys(message.ticket for message in messages))
        letters = outgoing_letters(self._context.ledger, ids)
        due, tickets = self._sides.due_here(ids), self._sides.tickets_by_id(ids)
        for message in messages:
            own = OwnKey(_KINDS[message.place], message.id)
            there = self._there("notes_there", own)
            finding = Finding(
                FLOW,
                _WORDS[message.place],
                Reason.MISSING,
                record=there or "",
                row=message.row,
                of=_name(tickets[message.ticket]),
                detail=f"TOGA 2 has it as {there}, and its referenceId does not say so"
                if there
                else "it is not in TOGA 2",
            )
            some = letters.get(message.ticket, [])
            letter = letter_for(some, [f"{own.kind} {own.id}"]) or holding(some)
            yield _explained(finding, letter, is_due=message.ticket in due)

    # How

    def _there(self, table: str, own: OwnKey) -> str | None:
        found = self._sides.query(f"SELECT uuid FROM {table} WHERE own = ? LIMIT 1", str(own))
        return next((str(row[0]) for row in found), None)

    def _still(self, tickets: Sequence[TicketHere]) -> set[int]:
        """Return which tickets still have no reference."""
        ids = [ticket.id for ticket in tickets]
        rows = self._context.togadesk.run(partial(_walk, "tickets", ids))
        return {row[0] for row in rows if not row[1]}

    def _still_messages(self, place: Place, messages: Sequence[MessageHere]) -> set[int]:
        ids = [message.id for message in messages]
        rows = self._context.togadesk.run(partial(_walk, place, ids))
        return {row[0] for row in rows if not row[1]}


def _walk(place: Walk, ids: Sequence[int], tx: Tx) -> list[Sequence[Any]]:
    return tx.walk_some(place, ids)


def _explained(finding: Finding, letter: DeadLetter | None, *, is_due: bool) -> Finding:
    if letter is not None:
        return dead_letter(finding, letter)
    return not_yet_due(finding) if is_due else finding


def _name(ticket: TicketHere) -> str:
    return f"ticket row {ticket.id}: {ticket.subject[:_MOST_SUBJECT]}"

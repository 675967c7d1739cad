"""One batch of tickets, written in one transaction: rows, descriptions, notes, history.

Follows ``spec/sync.md`` section 4, points 3 and [+]. Every attempt first reads what is there and goes on
from it, so a batch that was cut off anywhere, also on MyISAM where nothing is rolled back, is completed
by the next attempt and doubles nothing:

* rows are found by ``referenceId``;
* a note's history row names the note, and is written before the note's own row: what is left over from
  a broken attempt is recognised;
* a note that stopped being public leaves ``tickets_replies`` before anything else is written.

A history row says what happened where, and stays: a reply that moves to another ticket is not a new
one, and leaves its history row at the ticket to which it came. Made private and public again under
the other ticket, it is new there, and that ticket gets a row of its own, once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.results import Action, Change
from elite_pipeline.sync.ticket_rows import (
    OWNED,
    Message,
    References,
    TicketRows,
    author_email,
)
from elite_pipeline.toga2.models import Malformed, Ticket, TicketNote
from elite_pipeline.togadesk import Row, TogadeskStore, Tx

#: Begins the description of every history row that the sync writes; the note's uuid follows.
HISTORY_TEXT = "Reply from TOGA 2, note "

#: Whether it is public -> table and column of a message.
_TABLES = {True: ("tickets_replies", "message"), False: ("comments", "comment")}
_MOVED = {True: "notes made public", False: "notes made private"}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A ticket with its notes, as TOGA 2 has them.

    Attributes:
        notes: In no particular order.
        malformed: Notes that could not be parsed.
        notes_only: The ticket itself was handled before and has not changed since; only its notes are
            written.
    """

    ticket: Ticket
    notes: Sequence[TicketNote]
    malformed: Sequence[Malformed] = ()
    notes_only: bool = False


@dataclass(slots=True)
class TicketOutcome:
    """What became of one ticket.

    Attributes:
        refusal: Why it was not written at all.
        note_failures: Its notes that were not written (what to call each, its ``_updated``, and why);
            the others were.
        counts: What was written under it, by kind.
    """

    bundle: Bundle
    action: Action = "unchanged"
    fields: tuple[str, ...] = ()
    refusal: PermanentError | None = None
    note_failures: list[tuple[str, datetime | None, PermanentError]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)

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
class _Pending:
    """A ticket on its way: its outcome, its messages in the order of time, and its row's id."""

    outcome: TicketOutcome
    messages: list[Message]
    ticket_id: int = 0
    is_new: bool = False

    @property
    def uuid(self) -> str:
        """The ticket's."""
        return self.outcome.bundle.ticket.uuid


class TicketBatch:
    """Writes some tickets of one client.

    Args:
        choices: The category paths that the client's field offers.
        category_paths: Category uuid -> the path under which the field offers it.
    """

    def __init__(
        self,
        client: Client,
        store: TogadeskStore,
        bundles: Sequence[Bundle],
        choices: frozenset[str],
        category_paths: Mapping[str, str],
    ) -> None:
        self._client = client
        self._store = store
        self._bundles = bundles
        self._choices = choices
        self._category_paths = category_paths
        self._withdrawn: set[str] = set()

    def write(self, tx: Tx) -> list[TicketOutcome]:
        """Write what differs; safe to be called again after an attempt that did not come through."""
        self._withdraw_private_notes(tx)
        references = self._find_references(tx)
        rows = tx.select_by_reference(
            "tickets", ["id", *OWNED], [bundle.ticket.uuid for bundle in self._bundles]
        )
        outcomes: list[TicketOutcome] = []
        pending: list[_Pending] = []
        new: dict[str, dict[str, object]] = {}
        updates: list[dict[str, object]] = []
        for bundle in self._bundles:
            outcome = TicketOutcome(bundle)
            outcomes.append(outcome)
            row = rows.get(bundle.ticket.uuid)
            maker = TicketRows(self._client, self._store, references)
            try:
                owned = maker.owned(bundle.ticket, row)
                description = maker.description(bundle.ticket)
            except PermanentError as error:
                outcome.refusal = error
                continue
            messages = [description, *self._notes(maker, bundle, outcome)]
            for note in bundle.notes:
                if note.uuid in self._withdrawn:
                    outcome.count(_MOVED[False])
            outcome.waiting = maker.waiting
            entry = _Pending(outcome, messages)
            pending.append(entry)
            if row is None:
                outcome.action, entry.is_new = "created", True
                new[bundle.ticket.uuid] = maker.new(bundle.ticket, owned)
                continue
            entry.ticket_id = row.id
            changed = tuple(name for name in OWNED if row[name] != owned[name])
            if changed and not bundle.notes_only:
                outcome.action, outcome.fields = "updated", changed
                updates.append({"id": row.id, **owned})
        _keep_newest(pending)
        there = _find_messages(tx, pending)
        pending = self._refuse_moved(tx, pending, there)
        made = tx.insert_referenced(
            "tickets", [new[entry.uuid] for entry in pending if entry.is_new]
        )
        tx.update("tickets", updates)
        for entry in pending:
            if entry.is_new:
                entry.ticket_id = made[entry.uuid]
        self._write_messages(tx, pending, there)
        return outcomes

    def _withdraw_private_notes(self, tx: Tx) -> None:
        """Take what is private out of the replies before anything else can go wrong with it.

        Whatever else is the matter with a note or its ticket, it does not stay public (sync.md 10.6).
        """
        private = {
            note.uuid for bundle in self._bundles for note in bundle.notes if not note.is_external
        } | {
            malformed.name
            for bundle in self._bundles
            for malformed in bundle.malformed
            if malformed.is_private
        }
        table = _TABLES[True][0]
        public = tx.select_by_reference(table, ["id", "ticketid"], private)
        if not public:
            return
        own = {
            row.id
            for row in tx.select(
                "tickets",
                ["id"],
                where={"clientid": self._store.client_id},
                in_=("id", [row.ticketid for row in public.values()]),
            )
        }
        withdrawn = {uuid: row.id for uuid, row in public.items() if row.ticketid in own}
        tx.delete(table, list(withdrawn.values()))
        self._withdrawn = set(withdrawn)

    def _find_references(self, tx: Tx) -> References:
        """Find everything that the tickets refer to, in a handful of statements."""
        tickets = [bundle.ticket for bundle in self._bundles]
        notes = [note for bundle in self._bundles for note in bundle.notes]
        return References(
            people=_ids(tx, "people", {one.contact.uuid for one in tickets if one.contact}),
            assets=_ids(tx, "assets", {one.unit.uuid for one in tickets if one.unit}),
            groups=_ids(tx, "groups", {one.team.uuid for one in tickets if one.team}),
            authors=find_authors(tx, self._store, {author_email(note) for note in notes}),
            choices=self._choices,
            category_paths=self._category_paths,
        )

    @staticmethod
    def _notes(maker: TicketRows, bundle: Bundle, outcome: TicketOutcome) -> list[Message]:
        messages: list[Message] = []
        for malformed in bundle.malformed:
            # it may have no name of its own
            name = f"{malformed.name}, number {malformed.position} of its notes"
            outcome.note_failures.append(
                (name, malformed.updated, PermanentError(malformed.reason))
            )
        for note in sorted(bundle.notes, key=lambda note: (note.created, note.uuid)):
            try:
                messages.append(maker.note(bundle.ticket.uuid, note))
            except PermanentError as error:
                outcome.note_failures.append((note.uuid, note.updated, error))
        return messages

    def _refuse_moved(
        self, tx: Tx, pending: Sequence[_Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> list[_Pending]:
        """Set apart tickets whose row people have moved to another client (sync.md 10.2, 10.8).

        They look new, since only this client's tickets are looked for. Their descriptions and notes
        stand under the row that was moved: that finds it without reading the whole table, which has
        no index on its reference.
        """
        under = {
            entry.uuid: {
                row.ticketid
                for message in entry.messages
                for rows in there.values()
                if (row := rows.get(message.uuid)) is not None
            }
            for entry in pending
            if entry.is_new
        }
        ids = sorted(set().union(*under.values()))
        if not ids:
            return list(pending)
        found = {
            row.id: row
            for row in tx.select("tickets", ["id", "clientid", "referenceId"], in_=("id", ids))
        }
        kept: list[_Pending] = []
        for entry in pending:
            moved = [
                row
                for id_ in sorted(under.get(entry.uuid, ()))
                if (row := found.get(id_)) is not None
                and row.clientid != self._store.client_id
                and (row.referenceId or "").lower() == entry.uuid.lower()
            ]
            if not moved:
                kept.append(entry)
                continue
            entry.outcome.refusal = PermanentError(
                f"its row in the helpdesk, ticket {moved[0].id} there, belongs to client "
                f"{moved[0].clientid} and not to {self._client.name!r} "
                f"(client {self._store.client_id}); it was left alone. Move it back in the "
                "helpdesk to have it kept up to date again."
            )
        return kept

    def _write_messages(
        self,
        tx: Tx,
        pending: Sequence[_Pending],
        there: Mapping[bool, Mapping[str, Row]],
    ) -> None:
        self._refuse_foreign(tx, pending, there)
        self._move_between_tables(tx, pending, there)
        self._write_history(tx, pending, there[True])
        for is_public, (table, column) in _TABLES.items():
            inserts: list[dict[str, object]] = []
            updates: list[dict[str, object]] = []
            for entry in pending:
                for message in entry.messages:
                    if message.is_public != is_public:
                        continue
                    row = there[is_public].get(message.uuid)
                    values = {
                        "ticketid": entry.ticket_id,
                        "peopleid": message.author_id,
                        column: message.text,
                    }
                    if row is None:
                        written = self._store.to_local(message.written)
                        inserts.append(
                            {"referenceId": message.uuid, "timestamp": written, **values}
                        )
                        entry.outcome.count(_name(message, "created"))
                    elif message.is_description and entry.outcome.bundle.notes_only:
                        # the ticket has not changed; what people made of its description stays
                        continue
                    elif any(row[name] != value for name, value in values.items()):
                        updates.append({"id": row.id, **values})
                        entry.outcome.count(_name(message, "updated"))
            tx.insert(table, inserts)
            tx.update(table, updates)

    def _refuse_foreign(
        self, tx: Tx, pending: Sequence[_Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> None:
        """Set apart messages whose row stands under another client's ticket (sync.md 10.8)."""
        elsewhere: dict[int, list[tuple[_Pending, Message]]] = {}
        for entry in pending:
            for message in entry.messages:
                for rows in there.values():
                    row = rows.get(message.uuid)
                    if row is not None and row.ticketid != entry.ticket_id:
                        elsewhere.setdefault(row.ticketid, []).append((entry, message))
        if not elsewhere:
            return
        foreign = {
            row.id
            for row in tx.select("tickets", ["id", "clientid"], in_=("id", sorted(elsewhere)))
            if row.clientid != self._store.client_id
        }
        for ticket_id, found in elsewhere.items():
            for entry, message in found if ticket_id in foreign else ():
                entry.messages = [one for one in entry.messages if one is not message]
                error = PermanentError(
                    f"a row with its reference stands under ticket {ticket_id}, which is not one "
                    "of this client; it was left alone"
                )
                entry.outcome.note_failures.append((message.uuid, None, error))

    @staticmethod
    def _move_between_tables(
        tx: Tx, pending: Sequence[_Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> None:
        """Take notes out of the table where they no longer belong; replies first, they are public."""
        for is_public in (True, False):
            moved = []
            for entry in pending:
                for message in entry.messages:
                    row = there[is_public].get(message.uuid)
                    if message.is_public != is_public and row is not None:
                        moved.append(row.id)
                        entry.outcome.count(_MOVED[message.is_public])
            tx.delete(_TABLES[is_public][0], moved)

    def _write_history(
        self, tx: Tx, pending: Sequence[_Pending], replies: Mapping[str, Row]
    ) -> None:
        """Write a history row for each new reply, unless its ticket has that row already.

        A broken attempt may have left it, or the reply was public there before.
        """
        new: list[tuple[_Pending, Message]] = [
            (entry, message)
            for entry in pending
            for message in entry.messages
            if message.is_public and not message.is_description and message.uuid not in replies
        ]
        older = {entry.ticket_id for entry, _ in new if not entry.is_new}
        written = (
            {
                (row.ticketid, row.description)
                for row in tx.select(
                    "tickets_history", ["ticketid", "description"], in_=("ticketid", sorted(older))
                )
            }
            if older
            else set()
        )
        rows = [
            {
                "ticketid": entry.ticket_id,
                "peopleid": message.author_id,
                "description": HISTORY_TEXT + message.uuid,
                "timestamp": self._store.to_local(message.written),
            }
            for entry, message in new
            if (entry.ticket_id, HISTORY_TEXT + message.uuid) not in written
        ]
        tx.insert("tickets_history", rows)


def _ids(tx: Tx, table: str, uuids: set[str]) -> dict[str, int]:
    found = tx.select_by_reference(table, ["id"], uuids)
    return {uuid: row.id for uuid, row in found.items()}


def _name(message: Message, done: str) -> str:
    if message.is_description:
        return f"descriptions {done}"
    return f"{'replies' if message.is_public else 'comments'} {done}"


def _keep_newest(pending: Sequence[_Pending]) -> None:
    """Leave each message once: a note may move while its two tickets are read, or come twice in one."""
    newest: dict[str, Message] = {}
    for entry in pending:
        for message in entry.messages:
            other = newest.get(message.uuid)
            if other is None or message.updated >= other.updated:
                newest[message.uuid] = message
    for entry in pending:
        entry.messages = [one for one in entry.messages if newest[one.uuid] is one]


def _find_messages(tx: Tx, pending: Sequence[_Pending]) -> dict[bool, Mapping[str, Row]]:
    """Return the rows of messages by uuid, public ones and private ones."""
    uuids = [message.uuid for entry in pending for message in entry.messages]
    return {
        is_public: tx.select_by_reference(table, ["id", "ticketid", "peopleid", column], uuids)
        for is_public, (table, column) in _TABLES.items()
    }


def find_authors(tx: Tx, store: TogadeskStore, emails: Collection[str]) -> dict[str, int]:
    """Return e-mail -> id of people of this client and of administrators.

    A person of another client is nobody here, even with the same address.
    """
    wanted = [email for email in emails if email]
    rows = tx.select("people", ["id", "email", "clientid", "type"], in_=("email", wanted))
    return {
        row.email.strip().lower(): row.id
        for row in rows
        if row.clientid == store.client_id or row.type == "admin"
    }


def changed_notes(
    tx: Tx, client: Client, store: TogadeskStore, notes: Sequence[TicketNote]
) -> list[TicketNote]:
    """Return the notes that the helpdesk does not have exactly as they are now.

    Exactly: in the right table and nowhere else, under the right ticket, by the right author, and
    with the same text.
    """
    uuids = [note.uuid for note in notes]
    rows = {
        is_public: tx.select_by_reference(table, ["ticketid", "peopleid", column], uuids)
        for is_public, (table, column) in _TABLES.items()
    }
    tickets = tx.select_by_reference(
        "tickets", ["id"], {note.ticket.uuid for note in notes if note.ticket is not None}
    )
    authors = find_authors(tx, store, {author_email(note) for note in notes})
    maker = TicketRows(client, store, References(authors=authors))

    def is_there(note: TicketNote) -> bool:
        row = rows[note.is_external].get(note.uuid)
        ticket = tickets.get(note.ticket.uuid) if note.ticket is not None else None
        if row is None or ticket is None or note.uuid in rows[not note.is_external]:
            return False
        try:
            message = maker.note(note.uuid, note)
        except PermanentError:
            # to be met, and reported, where it is written
            return False
        column = _TABLES[note.is_external][1]
        expected = (ticket.id, message.author_id, message.text)
        return expected == (row.ticketid, row.peopleid, row[column])

    return [note for note in notes if not is_there(note)]

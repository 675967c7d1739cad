"""One batch of tickets, written in one transaction: rows, descriptions, notes, history.

Follows ``spec/sync.md`` section 4, points 3 and [+]. Every attempt first reads what is there and goes on
from it, so a batch that was cut off anywhere, also on MyISAM where nothing is rolled back, is completed
by the next attempt and doubles nothing:

* rows are found by ``referenceId``;
* a note's history row names the note, and is written before the note's own row: what is left over from
  a broken attempt is recognised;
* a note that stopped being public leaves ``tickets_replies`` before anything else is written.

What does not belong here: the messages themselves (``ticket_messages``).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError
from elite_pipeline.sync.born_here import (
    TICKET_COLUMNS,
    LettersOf,
    find_on_their_way,
    find_own_tickets,
    find_unmirrored,
    keep_states_to_send,
    leave_to_sender,
    withdraw_described_files,
)
from elite_pipeline.sync.file_rows import count_files, find_file_targets, hide_files
from elite_pipeline.sync.own_keys import OwnKey
from elite_pipeline.sync.ticket_messages import (
    MOVED,
    TABLES,
    MessageWriter,
    find_messages,
    keep_newest,
)
from elite_pipeline.sync.ticket_outcomes import Bundle, Pending, TicketOutcome
from elite_pipeline.sync.ticket_rows import OWNED, Message, References, TicketRows, author_email
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Malformed, TicketNote
from elite_pipeline.togadesk import Row, TogadeskStore, Tx


class TicketBatch:
    """Writes some tickets of one client.

    Args:
        choices: The category paths that the client's field offers.
        category_paths: Category uuid -> the path under which the field offers it.
        letters_of: Gives the dead letters of the way out.
    """

    def __init__(
        self,
        client: Client,
        store: TogadeskStore,
        bundles: Sequence[Bundle],
        choices: frozenset[str],
        category_paths: Mapping[str, str],
        letters_of: LettersOf,
    ) -> None:
        self._letters_of = letters_of
        self._client = client
        self._store = store
        self._bundles = bundles
        self._choices = choices
        self._category_paths = category_paths
        #: Uuid of a note that was taken out of the replies -> who had written it there.
        self._withdrawn: dict[str, int] = {}

    def write(self, tx: Tx) -> list[TicketOutcome]:
        """Write what differs; safe to be called again after an attempt that did not come through."""
        self._withdraw_private_notes(tx)
        rows: dict[str, Row] = dict(
            tx.select_by_reference(
                "tickets",
                list(TICKET_COLUMNS),
                [bundle.ticket.uuid for bundle in self._bundles],
            )
        )
        rows |= find_own_tickets(tx, self._store.client_id, self._bundles, rows)
        references = self._find_references(tx, rows)
        outcomes: list[TicketOutcome] = []
        pending: list[Pending] = []
        new: dict[str, dict[str, object]] = {}
        for bundle in self._bundles:
            outcome = TicketOutcome(bundle)
            outcomes.append(outcome)
            row = rows.get(bundle.ticket.uuid)
            maker = TicketRows(self._client, self._store, references)
            try:
                owned = maker.owned(bundle.ticket, row, bundle.own)
                description = maker.description(bundle.ticket, bundle.own)
            except PermanentError as error:
                outcome.refusal = error
                continue
            messages = self._notes(maker, bundle, outcome)
            if description.text or bundle.own is None:
                # a ticket that was opened in the helpdesk without a word has no row for it
                messages.insert(0, description)
            for note in bundle.notes:
                if note.uuid in self._withdrawn:
                    outcome.count(MOVED[False])
            outcome.waiting = maker.waiting
            entry = Pending(outcome, messages)
            pending.append(entry)
            if row is None:
                outcome.action, entry.is_new = "created", True
                new[bundle.ticket.uuid] = maker.new(bundle.ticket, owned)
                continue
            entry.ticket_id, entry.owned = row.id, owned
        keep_newest(pending)
        there = find_messages(tx, pending)
        pending = self._refuse_moved(tx, pending, there)
        leave_to_sender(tx, self._client, pending, rows, there)
        updates = self._updates(tx, pending, rows)
        made = tx.insert_referenced(
            "tickets", [new[entry.uuid] for entry in pending if entry.is_new]
        )
        tx.update("tickets", updates)
        for entry in pending:
            if entry.is_new:
                entry.ticket_id = made[entry.uuid]
        MessageWriter(self._store).write(tx, pending, there, self._withdrawn)
        find_file_targets(tx, pending)
        return outcomes

    def _updates(
        self, tx: Tx, pending: Sequence[Pending], rows: Mapping[str, Row]
    ) -> list[dict[str, object]]:
        """Return the rows of tickets that differ, as they should be."""
        differing = [
            entry
            for entry in pending
            if not entry.is_new
            and not entry.outcome.bundle.notes_only
            and any(rows[entry.uuid][name] != entry.owned[name] for name in OWNED)
        ]
        keep_states_to_send(tx, self._client, differing, rows, self._letters_of)
        updates: list[dict[str, object]] = []
        for entry in differing:
            row = rows[entry.uuid]
            changed = tuple(name for name in OWNED if row[name] != entry.owned[name])
            if changed:
                entry.outcome.action, entry.outcome.fields = "updated", changed
                updates.append({"id": row.id, **entry.owned})
        return updates

    def _withdraw_private_notes(self, tx: Tx) -> None:
        """Take what is private out of the replies before anything else can go wrong with it.

        Whatever else is the matter with a note or its ticket, it does not stay public (sync.md 10.6).
        """
        withdraw_described_files(tx, self._store.client_id, self._bundles)
        private = {
            note.uuid for bundle in self._bundles for note in bundle.notes if not note.is_external
        } | {
            malformed.name
            for bundle in self._bundles
            for malformed in bundle.malformed
            if malformed.is_private
        }
        table = TABLES[True][0]
        public = tx.select_by_reference(table, ["id", "ticketid", "peopleid"], private)
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
        withdrawn = {row.id: uuid for uuid, row in public.items() if row.ticketid in own}
        hide_files(tx, self._store.client_id, withdrawn)
        tx.delete(table, list(withdrawn))
        self._withdrawn = {uuid: public[uuid].peopleid for uuid in withdrawn.values()}

    def _find_references(self, tx: Tx, rows: Mapping[str, Row]) -> References:
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
            unmirrored=find_unmirrored(tx, self._bundles, rows),
        )

    def _notes(self, maker: TicketRows, bundle: Bundle, outcome: TicketOutcome) -> list[Message]:
        messages: list[Message] = []
        for malformed in bundle.malformed:
            # it may have no name of its own
            name = f"{malformed.name}, number {malformed.position} of its notes"
            outcome.note_failures.append(
                (name, malformed.updated, PermanentError(malformed.reason))
            )
        for note in sorted(bundle.notes, key=lambda note: (note.created, note.uuid)):
            try:
                own = bundle.own_notes.get(note.uuid)
                message = maker.note(bundle.ticket.uuid, note, own)
                if own is not None and note.uuid in self._withdrawn:
                    message = replace(message, author_id=self._withdrawn[note.uuid])
                messages.append(message)
            except PermanentError as error:
                outcome.note_failures.append((note.uuid, note.updated, error))
            outcome.note_failures += _unreadable_files(note)
        return messages

    def _refuse_moved(
        self, tx: Tx, pending: Sequence[Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> list[Pending]:
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
        kept: list[Pending] = []
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


def _unreadable_files(
    note: TicketNote,
) -> Iterator[tuple[str, datetime | None, PermanentError]]:
    """Yield what cannot be read of a note's files: a file that is not named is not forgotten."""
    for link in note.files or ():
        if isinstance(link, Malformed):
            yield f"file {link.name} of note {note.uuid}", note.updated, PermanentError(link.reason)
    if note.files is None and note.file_count:
        error = PermanentError(
            f"TOGA 2 gave the note without its files at depth {wire.FULL_DEPTH}; see "
            "docs/assumptions.md, files"
        )
        yield f"files of note {note.uuid}", note.updated, error


def _ids(tx: Tx, table: str, uuids: set[str]) -> dict[str, int]:
    found = tx.select_by_reference(table, ["id"], uuids)
    return {uuid: row.id for uuid, row in found.items()}


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
    tx: Tx,
    client: Client,
    store: TogadeskStore,
    notes: Sequence[TicketNote],
    own: Mapping[str, OwnKey],
) -> list[TicketNote]:
    """Return the notes that the helpdesk does not have exactly as they are now.

    Exactly: in the right table and nowhere else, under the right ticket, by the right author, with the
    same text and with as many files.

    Args:
        own: Uuid -> the helpdesk's row that a note was sent from, of those that were.
    """
    uuids = [note.uuid for note in notes]
    rows = {
        is_public: tx.select_by_reference(table, ["id", "ticketid", "peopleid", column], uuids)
        for is_public, (table, column) in TABLES.items()
    }
    tickets = tx.select_by_reference(
        "tickets", ["id"], {note.ticket.uuid for note in notes if note.ticket is not None}
    )
    authors = find_authors(tx, store, {author_email(note) for note in notes})
    maker = TicketRows(client, store, References(authors=authors))
    on_their_way = find_on_their_way(
        tx,
        client,
        {uuid: key for uuid, key in own.items() if not any(uuid in some for some in rows.values())},
    )
    files = count_files(
        tx,
        {
            note.uuid: row.id if note.is_external else None
            for note in notes
            if note.file_count and (row := rows[note.is_external].get(note.uuid)) is not None
        }
        | {uuid: own[uuid].id for uuid in on_their_way if own[uuid].kind == "files"},
    )

    def is_there(note: TicketNote) -> bool:
        ticket = tickets.get(note.ticket.uuid) if note.ticket is not None else None
        if note.uuid in on_their_way and own[note.uuid].kind == "files":
            return (
                ticket is not None
                and on_their_way[note.uuid] == ticket.id
                and note.is_external
                and files.get(note.uuid, 0) >= note.file_count
            )
        row = rows[note.is_external].get(note.uuid)
        if row is None or ticket is None or note.uuid in rows[not note.is_external]:
            return False
        try:
            message = maker.note(note.uuid, note, own.get(note.uuid))
        except PermanentError:
            # to be met, and reported, where it is written
            return False
        column = TABLES[note.is_external][1]
        if note.uuid not in own and row.peopleid != message.author_id:
            return False
        return (ticket.id, message.text) == (row.ticketid, row[column]) and files.get(
            note.uuid, 0
        ) >= note.file_count

    return [note for note in notes if not is_there(note)]

"""What comes back from TOGA 2 and was born in the helpdesk: recognised, never doubled, never echoed.

Follows ``spec/sync.md`` sections 5 and 10. A ticket or a note that carries one of our keys
(``own_keys``) is the row that the key names, also before that row knows what TOGA 2 calls it: a run in
the other direction may just be at it, or have been cut off.

A key is text from outside like any other, and reaches rows of its own client alone. Within the client it
is trusted, under whichever ticket the note is by now: people move notes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from elite_pipeline.clients import Client
from elite_pipeline.ledger import DeadLetter, Waiting
from elite_pipeline.sync.descriptions import description_among, read_replies
from elite_pipeline.sync.file_rows import hide_described_files
from elite_pipeline.sync.outgoing_rows import STATES
from elite_pipeline.sync.own_keys import OwnKey
from elite_pipeline.sync.ticket_outcomes import Bundle, FileTarget, Pending
from elite_pipeline.sync.ticket_rows import OWNED
from elite_pipeline.toga2.models import Malformed, NoteFile, TicketNote
from elite_pipeline.togadesk import Row, Tx

#: Gives the dead letters of the way out, by the ids of tickets.
LettersOf = Callable[[Sequence[int]], Mapping[int, Sequence[DeadLetter]]]

TICKET_COLUMNS = ("id", "departmentid", "referenceId", *OWNED)

_TABLES = {"reply": "tickets_replies", "files": "tickets_replies", "comment": "comments"}
#: Column of a ticket -> the table of what it names, and the relation of a ticket of TOGA 2.
_RELATIONS = {
    "userid": ("people", "contact"),
    "assetid": ("assets", "unit"),
    "groupid": ("groups", "team"),
}


def find_own_tickets(
    tx: Tx, client_id: int, bundles: Sequence[Bundle], known: Mapping[str, Row]
) -> dict[str, Row]:
    """Return the rows of tickets that were sent from here and do not know it yet, by uuid.

    Nothing is written into them: the other direction has still to finish, and goes by what they lack.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        bundles: Tickets as TOGA 2 has them.
        known: Uuid -> row of those that were found by it.
    """
    lacking = {
        bundle.own.id: bundle.ticket.uuid
        for bundle in bundles
        if bundle.own is not None and bundle.ticket.uuid not in known
    }
    if not lacking:
        return {}
    rows = tx.select(
        "tickets",
        list(TICKET_COLUMNS),
        where={"clientid": client_id},
        in_=("id", sorted(lacking)),
    )
    return {lacking[row.id]: row for row in rows if _may_be(row, lacking[row.id])}


def find_unmirrored(
    tx: Tx, bundles: Iterable[Bundle], rows: Mapping[str, Row]
) -> dict[str, frozenset[int]]:
    """Return which values of tickets' columns name what TOGA 2 cannot know.

    Only of tickets for which TOGA 2 names nothing: of the others it is to say.
    """
    found: dict[str, frozenset[int]] = {}
    for column, (table, relation) in _RELATIONS.items():
        ids = {
            row[column]
            for bundle in bundles
            if getattr(bundle.ticket, relation) is None
            and (row := rows.get(bundle.ticket.uuid)) is not None
            and row[column]
        }
        if ids:
            named = tx.select(table, ["id", "referenceId"], in_=("id", sorted(ids)))
            found[column] = frozenset(row.id for row in named if not row.referenceId)
    return found


def keep_states_to_send(
    tx: Tx,
    client: Client,
    pending: Sequence[Pending],
    rows: Mapping[str, Row],
    letters_of: LettersOf,
) -> None:
    """Leave status and priority of tickets alone that have something to send.

    They travel with the activity that moved them (sync.md 5), so the end is the same whichever direction
    runs first. One that could not be sent stays as well, as long as its dead letter stands; a message
    that waits for a person holds up nothing else.
    """
    if not client.flows.togadesk_to_toga2:
        return
    monitored = client.monitored_department_ids
    asked = {
        entry.ticket_id: entry
        for entry in pending
        if rows[entry.uuid].departmentid in monitored
        and any(rows[entry.uuid][name] != entry.owned[name] for name in STATES)
    }
    if not asked:
        return
    active = {
        row.ticketid
        for table in ("tickets_replies", "comments")
        for row in tx.select_unreferenced(table, ["id", "ticketid"], asked)
    }
    letters = letters_of(list(asked))
    for id_, entry in asked.items():
        records = {letter.record for letter in letters.get(id_, ())}
        waits = id_ in active and not any(letter.parked for letter in letters.get(id_, ()))
        for name in STATES:
            if waits or name in records:
                entry.owned[name] = rows[entry.uuid][name]


def withdraw_described_files(tx: Tx, client_id: int, bundles: Iterable[Bundle]) -> None:
    """Take files away from descriptions whose note became internal in TOGA 2.

    There they hang on a note of their own; here under the description itself, where the customer sees
    them as long as they stay (sync.md 10.6). What the description has besides stays.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        bundles: Tickets as TOGA 2 has them.
    """
    private: dict[int, tuple[str, Sequence[NoteFile] | None]] = {}
    for bundle in bundles:
        notes = {note.uuid: _files_of(note) for note in bundle.notes if not note.is_external}
        # of one that cannot be read nobody knows which files it has
        notes |= {one.name: None for one in bundle.malformed if one.is_private}
        private |= {
            key.id: (uuid, notes[uuid])
            for uuid, key in bundle.own_notes.items()
            if key.kind == "files" and uuid in notes
        }
    if not private:
        return
    replies = {
        row.id: row.ticketid
        for row in tx.select("tickets_replies", ["id", "ticketid"], in_=("id", sorted(private)))
    }
    own = {
        row.id
        for row in tx.select(
            "tickets",
            ["id"],
            where={"clientid": client_id},
            in_=("id", sorted(set(replies.values()))),
        )
    }
    hide_described_files(
        tx,
        client_id,
        {reply: private[reply] for reply, ticket in replies.items() if ticket in own},
    )


def _files_of(note: TicketNote) -> Sequence[NoteFile] | None:
    """Return a note's files; None: it has some, and nobody knows which."""
    if not note.file_count:
        return ()
    if note.files is None or any(isinstance(link, Malformed) for link in note.files):
        return None
    return [link for link in note.files if isinstance(link, NoteFile)]


def find_on_their_way(tx: Tx, client: Client, own: Mapping[str, OwnKey]) -> dict[str, int]:
    """Return uuid -> ticket id of notes whose row is there and does not know its uuid yet.

    A note that carries the files of a description has no row of its own, and counts as long as the
    description is there. Only rows count that the other direction has to finish: under tickets of this
    client that it sends.
    """
    found: dict[str, int] = {}
    for table in dict.fromkeys(_TABLES.values()):
        wanted = {uuid: key for uuid, key in own.items() if _TABLES.get(key.kind) == table}
        if not wanted:
            continue
        rows = {
            row.id: row
            for row in tx.select(
                table,
                ["id", "ticketid", "referenceId"],
                in_=("id", sorted({key.id for key in wanted.values()})),
            )
        }
        for uuid, key in wanted.items():
            row = rows.get(key.id)
            if row is not None and (key.kind == "files" or _may_be(row, uuid)):
                found[uuid] = row.ticketid
    if not found:
        return found
    sent = {
        row.id
        for row in tx.select(
            "tickets",
            ["id", "departmentid"],
            where={"clientid": client.togadesk.client_id},
            in_=("id", sorted(set(found.values()))),
        )
        if row.departmentid in client.monitored_department_ids
    }
    return {uuid: ticket for uuid, ticket in found.items() if ticket in sent}


def leave_to_sender(
    tx: Tx,
    client: Client,
    pending: Sequence[Pending],
    rows: Mapping[str, Row],
    there: Mapping[bool, Mapping[str, Row]],
) -> None:
    """Take out the messages whose row the other direction has still to finish.

    Their tickets wait for that: what was changed of them in TOGA 2 meanwhile is written afterwards. A
    note may have been moved to another ticket meanwhile.

    Args:
        tx: A transaction of the client.
        client: Whose tickets.
        pending: Tickets with their messages.
        rows: Uuid -> row of the tickets that have one.
        there: Which messages were found by their uuid.
    """
    _leave_descriptions(tx, pending, rows, there)
    own = {
        message.uuid: message.own
        for entry in pending
        for message in entry.messages
        if message.own is not None
        and not message.is_description
        and not any(message.uuid in found for found in there.values())
    }
    if not own:
        return
    on_their_way = find_on_their_way(tx, client, own)
    for entry in pending:
        kept = []
        for message in entry.messages:
            key = own.get(message.uuid)
            ticket = on_their_way.get(message.uuid)
            if key is None or ticket is None:
                kept.append(message)
            elif key.kind != "files":
                _wait(entry, key.kind, message.uuid)
            elif ticket != entry.ticket_id or not message.is_public:
                kept.append(message)
            elif message.files:
                entry.carried.append(FileTarget(message.uuid, key.id, message.files))
        entry.messages = kept


def _wait(entry: Pending, kind: str, uuid: str) -> None:
    entry.outcome.waiting.append(Waiting(entry.uuid, kind, uuid))


def _may_be(row: Row, uuid: str) -> bool:
    """Tell whether a row is what is called so: it does not know it yet, or has only just learnt it."""
    return not row.referenceId or row.referenceId.lower() == uuid.lower()


def _leave_descriptions(
    tx: Tx,
    pending: Sequence[Pending],
    rows: Mapping[str, Row],
    there: Mapping[bool, Mapping[str, Row]],
) -> None:
    """Take out descriptions that the helpdesk has, as replies that do not know it yet."""
    asked = {
        entry.ticket_id: entry
        for entry in pending
        if entry.outcome.bundle.own is not None
        and not entry.is_new
        and entry.uuid not in there[True]
    }
    if not asked:
        return
    opened = {
        row.id: row.timestamp
        for row in tx.select("tickets", ["id", "timestamp"], in_=("id", sorted(asked)))
    }
    candidates = [
        id_
        for ticket, replies in read_replies(tx, asked).items()
        if (id_ := description_among(replies, asked[ticket].uuid, opened.get(ticket))) is not None
    ]
    columns = ["id", "ticketid", "message", "referenceId"]
    for row in tx.select("tickets_replies", columns, in_=("id", candidates)):
        entry = asked[row.ticketid]
        bundle = entry.outcome.bundle
        described = [message for message in entry.messages if message.is_description]
        if not described:
            continue
        if row.referenceId:
            if _may_be(row, entry.uuid):
                _wait(entry, "reply", entry.uuid)
                entry.messages = [one for one in entry.messages if not one.is_description]
            continue
        is_first_time = not rows[entry.uuid].referenceId
        carries_files = OwnKey("files", row.id) in bundle.own_notes.values()
        says_it = row.message in (described[0].text, described[0].unstripped)
        if is_first_time or carries_files or says_it:
            _wait(entry, "reply", entry.uuid)
            entry.messages = [one for one in entry.messages if not one.is_description]

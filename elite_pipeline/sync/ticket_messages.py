"""The messages of a batch of tickets: descriptions and notes, as replies or as internal comments.

Follows ``spec/sync.md`` section 4, point 3. The order of writes is what completes a broken attempt
(``ticket_batch``): a note's history row names the note, and is written before the note's own row.

A history row says what happened where, and stays: a reply that moves to another ticket is not a new
one, and leaves its history row at the ticket to which it came. Made private and public again under
the other ticket, it is new there, and that ticket gets a row of its own, once.
"""

from collections.abc import Collection, Mapping, Sequence

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync.file_rows import drop_full_texts, hide_files
from elite_pipeline.sync.long_texts import may_be_beginning
from elite_pipeline.sync.ticket_outcomes import FileTarget, Pending
from elite_pipeline.sync.ticket_rows import Message
from elite_pipeline.togadesk import Row, TogadeskStore, Tx

#: Begins the description of every history row that the sync writes; the note's uuid follows.
HISTORY_TEXT = "Reply from TOGA 2, note "

#: Whether it is public -> table and column of a message.
TABLES = {True: ("tickets_replies", "message"), False: ("comments", "comment")}
MOVED = {True: "notes made public", False: "notes made private"}


class MessageWriter:
    """Writes messages of one client's tickets."""

    def __init__(self, store: TogadeskStore) -> None:
        self._store = store

    def write(
        self,
        tx: Tx,
        pending: Sequence[Pending],
        there: Mapping[bool, Mapping[str, Row]],
        withdrawn: Collection[str] = (),
    ) -> None:
        """Write what differs of tickets' messages.

        Args:
            tx: The transaction.
            pending: Tickets whose rows are there by now.
            there: What :func:`find_messages` found for them.
            withdrawn: Notes that were public until now, and whose rows are gone.
        """
        self._refuse_foreign(tx, pending, there)
        self._drop_full_texts(tx, pending, there, withdrawn)
        self._move_between_tables(tx, pending, there)
        self._write_history(tx, pending, there[True])
        for is_public, (table, column) in TABLES.items():
            inserts: list[dict[str, object]] = []
            updates: list[dict[str, object]] = []
            for entry in pending:
                for message in entry.messages:
                    if message.is_public != is_public:
                        continue
                    row = there[is_public].get(message.uuid)
                    values = values_of(message, entry.ticket_id, column)
                    if row is not None and row[column] == message.unstripped:
                        values[column] = row[column]
                    written_here = row or there[not is_public].get(message.uuid)
                    if written_here is not None and message.own is not None:
                        # who wrote it in the helpdesk is nothing that TOGA 2 could know better
                        values["peopleid"] = written_here.peopleid
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

    @staticmethod
    def _drop_full_texts(
        tx: Tx,
        pending: Sequence[Pending],
        there: Mapping[bool, Mapping[str, Row]],
        withdrawn: Collection[str],
    ) -> None:
        """Remove what was attached for texts that were too long and are others now."""
        asked: list[tuple[Pending, FileTarget]] = []
        for entry in pending:
            for message in entry.messages:
                if message.is_description and entry.outcome.bundle.notes_only:
                    continue
                texts = {
                    row[column]
                    for is_public, (_, column) in TABLES.items()
                    if (row := there[is_public].get(message.uuid)) is not None
                } - {message.text}
                if message.uuid in withdrawn or any(map(may_be_beginning, texts)):
                    reply = there[True].get(message.uuid)
                    id_ = reply.id if reply is not None else None
                    asked.append((entry, FileTarget(message.uuid, id_, message.files, True)))
        dropped = drop_full_texts(tx, [target for _, target in asked])
        for entry, target in asked:
            entry.outcome.dropped += dropped[target.note]

    def _refuse_foreign(
        self, tx: Tx, pending: Sequence[Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> None:
        """Set apart messages whose row stands under another client's ticket (sync.md 10.8)."""
        elsewhere: dict[int, list[tuple[Pending, Message]]] = {}
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

    def _move_between_tables(
        self, tx: Tx, pending: Sequence[Pending], there: Mapping[bool, Mapping[str, Row]]
    ) -> None:
        """Take notes out of the table where they no longer belong; replies first, they are public."""
        for is_public in (True, False):
            moved: dict[int, str] = {}
            for entry in pending:
                for message in entry.messages:
                    row = there[is_public].get(message.uuid)
                    if message.is_public != is_public and row is not None:
                        moved[row.id] = message.uuid
                        entry.outcome.count(MOVED[message.is_public])
                        if message.is_public:
                            entry.outcome.made_public.add(message.uuid)
            if is_public and moved:
                hide_files(tx, self._store.client_id, moved)
            tx.delete(TABLES[is_public][0], list(moved))

    def _write_history(
        self, tx: Tx, pending: Sequence[Pending], replies: Mapping[str, Row]
    ) -> None:
        """Write a history row for each new reply, unless its ticket has that row already.

        A broken attempt may have left it, or the reply was public there before.
        """
        new: list[tuple[Pending, Message]] = [
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


def values_of(message: Message, ticket_id: int, column: str) -> dict[str, object]:
    """Return what the row of a message holds."""
    return {"ticketid": ticket_id, "peopleid": message.author_id, column: message.text}


def _name(message: Message, done: str) -> str:
    if message.is_description:
        return f"descriptions {done}"
    return f"{'replies' if message.is_public else 'comments'} {done}"


def keep_newest(pending: Sequence[Pending]) -> None:
    """Leave each message once: a note may move while its two tickets are read, or come twice in one."""
    newest: dict[str, Message] = {}
    for entry in pending:
        for message in entry.messages:
            other = newest.get(message.uuid)
            if other is None or message.updated >= other.updated:
                newest[message.uuid] = message
    for entry in pending:
        entry.messages = [one for one in entry.messages if newest[one.uuid] is one]


def find_messages(tx: Tx, pending: Sequence[Pending]) -> dict[bool, Mapping[str, Row]]:
    """Return the rows of messages by uuid, public ones and private ones."""
    uuids = [message.uuid for entry in pending for message in entry.messages]
    return {
        is_public: tx.select_by_reference(table, ["id", "ticketid", "peopleid", column], uuids)
        for is_public, (table, column) in TABLES.items()
    }

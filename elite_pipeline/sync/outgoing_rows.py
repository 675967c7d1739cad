"""Tickets of the helpdesk on their way to TOGA 2: what is read of them, in a handful of statements.

Follows ``spec/sync.md`` section 5. What is sent of them: ``outgoing_sender``; which of them there are:
``outgoing``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from elite_pipeline.sync.descriptions import description_among, read_replies
from elite_pipeline.sync.file_rows import find_rows, untagged_name
from elite_pipeline.sync.own_keys import KeyKind, OwnKey
from elite_pipeline.sync.ticket_outcomes import FileTarget
from elite_pipeline.sync.wanted_files import note_start, private_tag
from elite_pipeline.togadesk import Row, Tx, file_names

FLOW = "togadesk_to_toga2"

#: What travels with a ticket's activity; also what it is called where it fails.
STATES = ("status", "priority")

TICKET_COLUMNS = (
    "id", "departmentid", "userid", "assetid", "email", "subject", "status", "priority", "groupid",
    "category", "timestamp", "referenceId",
)  # fmt: skip
#: Kind of a message -> its table, and the column that holds its text.
MESSAGES: Mapping[KeyKind, tuple[str, str]] = {
    "reply": ("tickets_replies", "message"),
    "comment": ("comments", "comment"),
}
#: Gives the instants of one table's naive times, by its ids.
Instants = Callable[[Iterable[datetime | None]], list[datetime | None]]

#: A time that nobody knows stands before all others.
_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file under a reply.

    Attributes:
        id: Of its row in ``files``.
        name: What people call it.
        stored: Its name in the uploads folder.
        content_type: As the helpdesk has it; may be empty.
    """

    id: int
    name: str
    stored: str
    content_type: str


@dataclass(slots=True)
class OutgoingMessage:
    """A reply or a comment.

    Attributes:
        key: Names its row.
        text: HTML.
        written: Naive, in the helpdesk's zone.
        reference: The note that it was sent as; only its files are asked for again then.
        late: Of one that was sent: which of its files failed then, and are to be tried again.
    """

    key: OwnKey
    author_id: int
    text: str
    written: datetime | None
    reference: str | None = None
    files: list[OutgoingFile] = field(default_factory=list)
    late: set[int] = field(default_factory=set)

    @property
    def record(self) -> str:
        """What to call it where it fails."""
        return f"{self.key.kind} {self.key.id}"


@dataclass(slots=True)
class OutgoingTicket:
    """A ticket with what has not been sent of it.

    Attributes:
        row: Of ``tickets``, with :data:`TICKET_COLUMNS`.
        messages: In the order of time.
        replies: All that it has, sent or not, but for their texts.
        is_young: Something of it was written only just now, and is left for the next run.
        owes_states: Its status or priority could not be sent with what moved it.
        stray_files: Files that are to be tried again, and whose message cannot be found now: a run that
            takes it out of the replies was cut off, or its note cannot be read.
    """

    row: Row
    messages: list[OutgoingMessage] = field(default_factory=list)
    replies: Sequence[Row] = ()
    is_young: bool = False
    owes_states: bool = False
    stray_files: list[int] = field(default_factory=list)

    @property
    def entity(self) -> str:
        """What its dead letters are filed under."""
        return entity_of(self.row.id)

    @property
    def key(self) -> OwnKey:
        """Names its row."""
        return OwnKey("ticket", self.row.id)

    @property
    def has_something(self) -> bool:
        """Whether there is anything to send."""
        return not self.row.referenceId or bool(self.messages) or self.owes_states

    @property
    def is_sendable(self) -> bool:
        """Whether that may be sent now."""
        if self.messages or (self.owes_states and self.row.referenceId):
            return True
        return not self.row.referenceId and not self.is_young

    def description_key(self, uuid: str | None) -> OwnKey | None:
        """Return the key of the reply that may be its description [S]; None: it has none.

        Args:
            uuid: What TOGA 2 calls the ticket; None: it does not have it yet.
        """
        id_ = description_among(self.replies, uuid, self.row.timestamp)
        return OwnKey("reply", id_) if id_ is not None else None

    def description(self, uuid: str | None) -> OutgoingMessage | None:
        """Return that reply where it, or a file of it, is to be sent; arguments likewise."""
        key = self.description_key(uuid)
        return next((message for message in self.messages if message.key == key), None)


@dataclass(frozen=True, slots=True)
class Relations:
    """What the tickets refer to: ids of the helpdesk -> what TOGA 2 calls it.

    Attributes:
        people: Every person who wrote something, or whose ticket it is.
        contacts, units, teams: Id -> uuid, of what is mirrored and belongs to this client.
        categories: Path -> uuid.
    """

    people: Mapping[int, Row] = field(default_factory=dict)
    contacts: Mapping[int, str] = field(default_factory=dict)
    units: Mapping[int, str] = field(default_factory=dict)
    teams: Mapping[int, str] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)


def read_tickets(
    tx: Tx,
    client_id: int,
    ids: Sequence[int],
    instants_of: Instants,
    late_files: Mapping[int, int] = MappingProxyType({}),
) -> list[OutgoingTicket]:
    """Read tickets of one client with all that has not been sent of them, in the order of ``ids``.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        ids: Of tickets.
        instants_of: Gives the instants of one table's times, by its ids: where a clock was put back, the
            times alone are not in the order of writing.
        late_files: Id of a file that was not sent with its reply -> the ticket that it was a file of
            then. Its message is read too, wherever people have taken it since.
    """
    rows = {
        row.id: row
        for row in tx.select(
            "tickets", list(TICKET_COLUMNS), where={"clientid": client_id}, in_=("id", ids)
        )
    }
    tickets = {id_: OutgoingTicket(rows[id_]) for id_ in ids if id_ in rows}
    if not tickets:
        return []
    for kind, (table, text) in MESSAGES.items():
        columns = ["id", "ticketid", "peopleid", "timestamp", "referenceId", text]
        for row in tx.select_unreferenced(table, columns, tickets):
            if (ticket := tickets.get(row.ticketid)) is not None:
                ticket.messages.append(_message(kind, row, row[text]))
    if late_files:
        _read_late_messages(tx, client_id, tickets, late_files)
    waiting = [ticket for ticket in tickets.values() if ticket.has_something]
    for ticket in waiting:
        ticket.messages = _in_order(ticket.messages, instants_of)
    replies = read_replies(tx, [ticket.row.id for ticket in waiting])
    for ticket in waiting:
        ticket.replies = replies.get(ticket.row.id, ())
    _read_files(tx, waiting)
    return list(tickets.values())


def _in_order(messages: Sequence[OutgoingMessage], instants_of: Instants) -> list[OutgoingMessage]:
    """Return a ticket's messages in the order in which they were written.

    Replies and comments are numbered each for themselves, so it is the times that say how they lie among
    each other, and the numbers that say, within one table, which pass of a repeated time is meant.
    """
    dated: list[tuple[datetime, int, OutgoingMessage]] = []
    for kind in MESSAGES:
        some = sorted((one for one in messages if one.key.kind == kind), key=lambda one: one.key.id)
        instants = instants_of(one.written for one in some)
        dated += [
            (instant or _UNKNOWN, one.key.id, one)
            for one, instant in zip(some, instants, strict=True)
        ]
    return [one for _, _, one in sorted(dated, key=lambda entry: entry[:2])]


def _message(kind: KeyKind, row: Row, text: str) -> OutgoingMessage:
    reference = row.referenceId or None
    return OutgoingMessage(OwnKey(kind, row.id), row.peopleid, text, row.timestamp, reference)


def _read_late_messages(
    tx: Tx, client_id: int, tickets: Mapping[int, OutgoingTicket], late_files: Mapping[int, int]
) -> None:
    """Add the messages of files that were not sent with them, each to the ticket that it was sent with.

    It may have been moved to another ticket meanwhile, and of a note that was made internal it is a
    comment now, and the file is kept with the client's (``file_rows``).
    """
    columns = ["id", "ticketreplyid", "name"]
    files = tx.select("files", columns, in_=("id", sorted(late_files)))
    under = {row.id: row.ticketreplyid for row in files if row.ticketreplyid}
    columns = ["id", "peopleid", "timestamp", "referenceId"]
    replies = {
        row.id: row
        for row in tx.select("tickets_replies", columns, in_=("id", sorted(set(under.values()))))
    }
    found: dict[int, tuple[KeyKind, Row]] = {
        id_: ("reply", replies[reply]) for id_, reply in under.items() if reply in replies
    }
    hidden = {row.id: row.name.lower() for row in files if not row.ticketreplyid}
    for comment in _comments_of(tx, client_id, hidden.values()):
        tag = private_tag(comment.referenceId)
        found |= {id_: ("comment", comment) for id_, name in hidden.items() if name.startswith(tag)}
    messages: dict[tuple[int, OwnKey], OutgoingMessage] = {}
    for file in files:
        ticket = tickets.get(late_files[file.id])
        if ticket is None:
            continue
        if file.id not in found:
            # what people took away from its message is nobody's any more
            if not file.ticketreplyid and note_start(file.name):
                ticket.stray_files.append(file.id)
            continue
        kind, row = found[file.id]
        fresh = _message(kind, row, "")
        if fresh.reference is not None:
            message = messages.setdefault((ticket.row.id, fresh.key), fresh)
            message.late.add(file.id)
    for (ticket_id_, _), message in messages.items():
        tickets[ticket_id_].messages.append(message)


def _comments_of(tx: Tx, client_id: int, names: Iterable[str]) -> list[Row]:
    """Return the comments of the client's internal notes that files are named by."""
    starts = {start for name in names if (start := note_start(name))}
    if not starts:
        return []
    columns = ["id", "ticketid", "peopleid", "timestamp", "referenceId"]
    rows = tx.select_by_reference_start("comments", columns, sorted(starts))
    tickets = sorted({row.ticketid for row in rows})
    own = {
        row.id
        for row in tx.select("tickets", ["id"], where={"clientid": client_id}, in_=("id", tickets))
    }
    return [row for row in rows if row.ticketid in own]


def _read_files(tx: Tx, tickets: Iterable[OutgoingTicket]) -> None:
    messages = [message for ticket in tickets for message in ticket.messages]
    replies = {one.key.id: one for one in messages if one.key.kind == "reply"}
    columns = ["id", "ticketreplyid", "name", "file", "filetype"]
    if replies:
        for row in tx.select("files", columns, in_=("ticketreplyid", sorted(replies))):
            replies[row.ticketreplyid].files.append(
                OutgoingFile(
                    row.id, file_names.real_name(row.id, row.name, row.file), row.file, row.filetype
                )
            )
    comments = {one.reference: one for one in messages if one.key.kind == "comment" and one.late}
    if comments:
        targets = [FileTarget(note, None, ()) for note in comments if note is not None]
        limits = tx.limits("files", "name")
        for note, rows in find_rows(tx, targets).items():
            comments[note].files += [
                OutgoingFile(row.id, untagged_name(note, row, limits), row.file, row.filetype)
                for row in rows
            ]


def read_relations(
    tx: Tx, client_id: int, tickets: Sequence[OutgoingTicket], categories: Mapping[str, str]
) -> Relations:
    """Read what tickets that have something to send refer to."""
    people_ids = {message.author_id for ticket in tickets for message in ticket.messages} | {
        ticket.row.userid for ticket in tickets
    }
    people = {
        row.id: row
        for row in tx.select(
            "people",
            ["id", "type", "clientid", "name", "email", "referenceId"],
            in_=("id", sorted(id_ for id_ in people_ids if id_ > 0)),
        )
        # another client's person is nobody here (sync.md 10.8)
        if row.clientid == client_id or row.type == "admin"
    }
    return Relations(
        people=people,
        contacts={
            row.id: row.referenceId
            for row in people.values()
            if row.referenceId and row.clientid == client_id
        },
        units=_uuids(tx, "assets", client_id, {ticket.row.assetid for ticket in tickets}),
        teams=_uuids(tx, "groups", client_id, {ticket.row.groupid for ticket in tickets}),
        categories=categories,
    )


def _uuids(tx: Tx, table: str, client_id: int, ids: set[int]) -> dict[int, str]:
    wanted = sorted(id_ for id_ in ids if id_)
    if not wanted:
        return {}
    rows = tx.select(
        table, ["id", "referenceId"], where={"clientid": client_id}, in_=("id", wanted)
    )
    return {row.id: row.referenceId for row in rows if row.referenceId}


def entity_of(id_: int) -> str:
    """Return what the dead letters of a ticket of the helpdesk are filed under."""
    return f"ticket {id_}"


def ticket_id(entity: str) -> int:
    """Return the id of the ticket that dead letters are filed under."""
    return int(entity.removeprefix("ticket "))

"""Tickets of the helpdesk on their way to TOGA 2: what is read of them, in a handful of statements.

Follows ``spec/sync.md`` section 5. What is sent of them: ``outgoing_sender``; which of them there are:
``outgoing``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from elite_pipeline.sync.own_keys import KeyKind, OwnKey
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
#: Who writes when a rule of the helpdesk does [S].
RULE_AUTHOR = -1


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
    """

    key: OwnKey
    author_id: int
    text: str
    written: datetime | None
    reference: str | None = None
    files: list[OutgoingFile] = field(default_factory=list)

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
        first_reply: Id of its first reply, which is its description; None: it has no reply.
        is_young: Something of it was written only just now, and is left for the next run.
        owes_states: Its status or priority could not be sent with what moved it.
    """

    row: Row
    messages: list[OutgoingMessage] = field(default_factory=list)
    first_reply: int | None = None
    is_young: bool = False
    owes_states: bool = False

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
    files_of: Collection[int] = (),
) -> list[OutgoingTicket]:
    """Read tickets of one client with all that has not been sent of them, in the order of ``ids``.

    Args:
        tx: A transaction of the client.
        client_id: The helpdesk's id of it.
        ids: Of tickets.
        instants_of: Gives the instants of one table's times, by its ids: where a clock was put back, the
            times alone are not in the order of writing.
        files_of: Ids of files that were not sent with their replies: these replies are read too.
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
    late = _replies_of_files(tx, files_of)
    for kind, (table, text) in MESSAGES.items():
        columns = ["id", "ticketid", "peopleid", "timestamp", "referenceId", text]
        unsent = tx.select_unreferenced(table, columns, tickets)
        if kind == "reply" and late:
            known = {row.id for row in unsent}
            unsent += tx.select(table, columns, in_=("id", sorted(late - known)))
        for row in unsent:
            if (ticket := tickets.get(row.ticketid)) is not None:
                ticket.messages.append(
                    OutgoingMessage(
                        OwnKey(kind, row.id),
                        row.peopleid,
                        row[text],
                        row.timestamp,
                        row.referenceId or None,
                    )
                )
    waiting = [ticket for ticket in tickets.values() if ticket.has_something]
    for ticket in waiting:
        ticket.messages = _in_order(ticket.messages, instants_of)
    firsts = tx.first_ids("tickets_replies", [ticket.row.id for ticket in waiting])
    for ticket in waiting:
        ticket.first_reply = firsts.get(ticket.row.id)
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


def _replies_of_files(tx: Tx, files: Collection[int]) -> set[int]:
    rows = tx.select("files", ["id", "ticketreplyid"], in_=("id", sorted(files))) if files else []
    return {row.ticketreplyid for row in rows if row.ticketreplyid}


def _read_files(tx: Tx, tickets: Iterable[OutgoingTicket]) -> None:
    replies = {
        message.key.id: message
        for ticket in tickets
        for message in ticket.messages
        if message.key.kind == "reply"
    }
    if not replies:
        return
    columns = ["id", "ticketreplyid", "name", "file", "filetype"]
    for row in tx.select("files", columns, in_=("ticketreplyid", sorted(replies))):
        replies[row.ticketreplyid].files.append(
            OutgoingFile(
                row.id, file_names.real_name(row.id, row.name, row.file), row.file, row.filetype
            )
        )


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

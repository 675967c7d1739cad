"""Sends one ticket of the helpdesk to TOGA 2: the ticket itself, its replies and comments, their files.

Follows ``spec/sync.md`` section 5. Exactly once by reading before writing: whatever carries the row's key
(``own_keys``) is that row, also when the answer that told of it was lost. A row gets its ``referenceId``
last, when its files are through too; until then the next run goes on from what it finds.

Within a ticket the order is the order of time: behind something whose outcome is not known nothing is
sent, behind something that is refused for good the rest goes on.

It runs on a worker thread and writes nothing into the helpdesk: what is to be written back is in its
outcome. What does not belong here: which tickets (``outgoing``), files (``outgoing_files``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.clients import Client
from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.sync.outgoing_files import FileSender
from elite_pipeline.sync.outgoing_rows import (
    MESSAGES,
    RULE_AUTHOR,
    STATES,
    OutgoingMessage,
    OutgoingTicket,
    Relations,
)
from elite_pipeline.sync.own_keys import OwnKey, note_field, own_key, own_keys, ticket_field
from elite_pipeline.sync.signatures import signature, without_signature
from elite_pipeline.sync.ticket_states import back
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Malformed, NoteFile, uuid_of
from elite_pipeline.toga2.ticket_routes import TicketRoutes

#: What a note that carries a description's files says.
FILES_TEXT = "<p>Files of the description</p>"
#: Who a rule of the helpdesk is in TOGA 2.
RULE_NAME = "TOGaDesk (rule)"
#: Who wrote a description of which nobody says who did.
NO_NAME = "TOGaDesk"


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


@dataclass(slots=True)
class _Remote:
    """A ticket as TOGA 2 has it.

    Attributes:
        notes: Key -> uuid of the note that carries it.
        files: Uuid of a note -> its files; None: they are not known.
    """

    raw: Mapping[str, object]
    notes: dict[OwnKey, str] = field(default_factory=dict)
    files: dict[str, Sequence[NoteFile | Malformed] | None] = field(default_factory=dict)


class TicketSender:
    """Sends tickets of one client. Safe to use from several threads.

    Args:
        client: Whose they are.
        toga2: Where to.
        routes: What carries tickets and notes.
        relations: What the tickets refer to.
        files: Sends the files of a message.
    """

    def __init__(
        self,
        client: Client,
        toga2: Toga2Client,
        routes: TicketRoutes,
        relations: Relations,
        files: FileSender,
    ) -> None:
        self._client = client
        self._toga2 = toga2
        self._routes = routes
        self._relations = relations
        self._files = files
        self._ticket_field = ticket_field(client.custom_field_prefix)
        self._note_field = note_field(client.custom_field_prefix)

    def send(
        self,
        ticket: OutgoingTicket,
        *,
        known: str | None,
        notes: Mapping[OwnKey, str],
        held: Held,
    ) -> Sent:
        """Send what has not been sent of a ticket.

        Args:
            ticket: With something to send.
            known: The uuid of the TOGA 2 ticket that carries its key, where it has no reference yet.
            notes: Key -> uuid of notes that are there, under whichever ticket.
            held: Records that are not to be tried.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        # read now: of a description it is forgotten on the way
        late = late_files(ticket)
        sent = self._send(ticket, known=known, notes=notes, held=held)
        # what was not come to stays a dead letter: nothing else asks for it
        sent.untried += [one for one in late if one not in sent.met and one not in sent.untried]
        return sent

    def _send(
        self,
        ticket: OutgoingTicket,
        *,
        known: str | None,
        notes: Mapping[OwnKey, str],
        held: Held,
    ) -> Sent:
        sent = Sent(ticket)
        name = ticket.entity
        if name in held:
            sent.untried.append(name)
            return sent
        try:
            remote = self._open(sent, known)
            self._send_states(sent, remote)
        except SystemicError:
            raise
        except PipelineError as error:
            sent.failures.append((name, error))
            return sent
        for message in self._messages(sent, remote):
            if message.record in held:
                sent.untried.append(message.record)
                if message.record in held.passing:
                    break
                continue
            if not self._send_message(sent, remote, message, notes, held):
                break
        return sent

    # The ticket

    def _open(self, sent: Sent, known: str | None) -> _Remote:
        """Return the ticket as TOGA 2 has it, after making it where there is none."""
        ticket = sent.ticket
        uuid = ticket.row.referenceId or known
        if not uuid:
            raw = self._toga2.create(self._routes.tickets, self._new_ticket(ticket))
            uuid = uuid_of(raw)
            if uuid is None:
                raise TransientError(
                    f"TOGA 2 made the ticket and did not say its uuid; the next try looks it up by "
                    f"{self._ticket_field}."
                )
            sent.is_new = True
            sent.count("tickets created")
            remote = _Remote({**self._new_ticket(ticket), **raw})
        else:
            try:
                raw = self._toga2.fetch(self._routes.tickets, uuid, depth=wire.FULL_DEPTH)
            except PermanentHttpError as error:
                if error.code != wire.GONE:
                    raise
                raise PermanentError(
                    f"TOGA 2 no longer has the ticket {uuid} that it was sent as, so nothing can be "
                    "added to it. To have it made anew, empty its referenceId in the helpdesk."
                ) from None
            remote = self._read(raw)
        sent.uuid = uuid
        return remote

    def _read(self, raw: Mapping[str, object]) -> _Remote:
        notes = self._routes.notes_of(raw)
        if notes is None:
            # what feeds dedupe must never be taken for empty (systems.md 2, traps)
            raise PermanentError(
                f"TOGA 2 gave the ticket without its notes at depth {wire.FULL_DEPTH}; see "
                "docs/assumptions.md, tickets."
            )
        remote = _Remote(raw)
        remote.notes = {key: uuid for uuid, key in own_keys(notes, self._note_field).items()}
        for note in self._routes.note_parser.many(notes).records:
            remote.files[note.uuid] = note.files
        return remote

    def _new_ticket(self, ticket: OutgoingTicket) -> dict[str, object]:
        row, known = ticket.row, self._relations
        first = self._first(ticket)
        references = {
            "contact": known.contacts.get(row.userid),
            "ticketTeam": known.teams.get(row.groupid),
            "unit": known.units.get(row.assetid),
            "ticketCategory": known.categories.get(row.category),
        }
        fields: dict[str, object] = {
            "subject": row.subject,
            "description": self._described(ticket, first) if first is not None else "",
            self._ticket_field: str(ticket.key),
            **{key: {"uuid": uuid} for key, uuid in references.items() if uuid},
        }
        for what in STATES:
            if (value := self._state(what, row[what], None)) is not None:
                fields[what] = value
        return fields

    def _described(self, ticket: OutgoingTicket, first: OutgoingMessage) -> str:
        """Return the description, with its author in front where TOGA 2 would not know it.

        Also where it begins like such a line by itself: exactly one is taken off on the way back.
        """
        looks_signed = without_signature(first.text) != first.text
        if ticket.row.userid in self._relations.contacts and not looks_signed:
            return first.text
        person = self._relations.people.get(first.author_id or ticket.row.userid)
        name = person.name if person is not None else ""
        line = signature(name, person.email if person is not None else ticket.row.email)
        if looks_signed:
            line = line or signature(NO_NAME, None)
        return line + first.text

    @staticmethod
    def _first(ticket: OutgoingTicket) -> OutgoingMessage | None:
        """Return the ticket's first reply, if it has not been sent: it is its description [S]."""
        if ticket.first_reply is None:
            return None
        key = OwnKey("reply", ticket.first_reply)
        return next((message for message in ticket.messages if message.key == key), None)

    def _send_states(self, sent: Sent, remote: _Remote) -> None:
        """Let status and priority travel with what is sent; the same twice is the same as once."""
        changed: dict[str, object] = {}
        for what in STATES:
            current = remote.raw.get(what)
            value = self._state(
                what, sent.ticket.row[what], current if isinstance(current, str) else None
            )
            if value is None:
                error = PermanentError(
                    f"its {what} {sent.ticket.row[what]!r} has no counterpart in TOGA 2, which keeps "
                    f"what it has; add it to the client's toga2.{what}_map in the registry"
                )
                sent.failures.append((what, error))
            elif value != current:
                changed[what] = value
        if changed and not sent.is_new:
            self._toga2.update(self._routes.tickets, sent.uuid, changed)
            sent.count("tickets updated")

    def _state(self, what: str, value: str, current: str | None) -> str | None:
        client = self._client
        mapping, own = (
            (client.status_map, client.toga2.status_map)
            if what == "status"
            else (client.priority_map, client.toga2.priority_map)
        )
        return back(what, value, mapping=mapping, own=own, current=current)

    # Its messages

    def _messages(self, sent: Sent, remote: _Remote) -> list[OutgoingMessage]:
        """Return the messages; of a description only the files are left to be sent."""
        ticket = sent.ticket
        first = self._first(ticket)
        if first is None or not self._is_description(ticket, first, remote):
            if sent.uuid and ticket.row.referenceId != sent.uuid:
                sent.references.append(("tickets", ticket.row.id, sent.uuid))
            return ticket.messages
        # its files are those of the note that carries the key, not of what it was sent as
        first.key, first.reference = OwnKey("files", first.key.id), None
        if not first.files:
            sent.references.append(("tickets_replies", first.key.id, sent.uuid))
        # behind the description's: what has a reference is not asked for its description any more
        if ticket.row.referenceId != sent.uuid:
            sent.references.append(("tickets", ticket.row.id, sent.uuid))
        return [message for message in ticket.messages if message is not first or first.files]

    def _is_description(
        self, ticket: OutgoingTicket, first: OutgoingMessage, remote: _Remote
    ) -> bool:
        """Tell whether the first reply is what TOGA 2 has as the description.

        A ticket without any reply is made with none; the first reply that comes later is a note.
        """
        if own_key(remote.raw, self._ticket_field) != ticket.key:
            return False
        if first.reference is not None:
            return bool(first.reference == ticket.row.referenceId)
        description = remote.raw.get("description")
        return description == self._described(ticket, first) or (
            # it was made by a run that was cut off, and has been edited since
            bool(description)
            and (not ticket.row.referenceId or OwnKey("files", first.key.id) in remote.notes)
        )

    def _send_message(
        self,
        sent: Sent,
        remote: _Remote,
        message: OutgoingMessage,
        notes: Mapping[OwnKey, str],
        held: Held,
    ) -> bool:
        """Send a message with its files; return whether what stands behind it may be sent."""
        try:
            note = message.reference or remote.notes.get(message.key) or notes.get(message.key)
            if note is not None and note not in remote.files and message.files:
                # people have moved it to another ticket
                remote.files |= self._files_of(note)
            if note is None:
                note = self._make_note(sent, message)
                remote.notes[message.key] = note
                remote.files[note] = []
            elif message.files and note not in remote.files:
                raise PermanentError(
                    f"its note {note} is not among the notes of its ticket in TOGA 2, or not what is "
                    "documented, so which files it has is not known"
                )
        except SystemicError:
            raise
        except TransientError as error:
            sent.failures.append((message.record, error))
            return False
        except PermanentError as error:
            sent.failures.append((message.record, error))
            return True
        is_through = True
        if message.files:
            there = _readable(remote.files[note])
            if there is None:
                unknown = PermanentError(
                    f"TOGA 2 gave the note {note} without its files at depth {wire.FULL_DEPTH}, or not "
                    "as documented; see docs/assumptions.md, files"
                )
                sent.failures.append((message.record, unknown))
                return True
            failures, untried, made = self._files.send(
                self._routes.notes, note, message.files, there, held
            )
            sent.failures += failures
            sent.untried += untried
            sent.met |= {f"file {file.id}" for file in message.files}.difference(untried)
            for _ in range(made):
                sent.count("files created")
            is_through = not any(isinstance(error, TransientError) for _, error in failures)
        if is_through and message.reference is None:
            is_description = message.key.kind == "files"
            table = "tickets_replies" if is_description else MESSAGES[message.key.kind][0]
            reference = sent.uuid if is_description else note
            sent.references.append((table, message.key.id, reference))
        return is_through

    def _files_of(self, note: str) -> dict[str, Sequence[NoteFile | Malformed] | None]:
        raw = self._toga2.fetch(self._routes.notes, note, depth=wire.FULL_DEPTH)
        parsed = self._routes.note_parser.one(raw)
        return {} if isinstance(parsed, Malformed) else {note: parsed.files}

    def _make_note(self, sent: Sent, message: OutgoingMessage) -> str:
        is_external = message.key.kind != "comment"
        fields: dict[str, object] = {
            str(self._routes.notes.parent): {"uuid": sent.uuid},
            "isExternal": is_external,
            "body": FILES_TEXT if message.key.kind == "files" else message.text,
            self._note_field: str(message.key),
            **self._author(message.author_id),
        }
        raw = self._toga2.create(self._routes.notes, fields)
        uuid = uuid_of(raw)
        if uuid is None:
            raise TransientError(
                "TOGA 2 made the note and did not say its uuid; the next try looks it up by "
                f"{self._note_field}."
            )
        sent.count("external notes created" if is_external else "internal notes created")
        return uuid

    def _author(self, id_: int) -> dict[str, object]:
        if id_ == RULE_AUTHOR:
            return {"authorName": RULE_NAME}
        person = self._relations.people.get(id_)
        if person is None:
            return {}
        return {"authorName": person.name, "authorEmail": person.email}


def late_files(ticket: OutgoingTicket) -> list[str]:
    """Return the files whose replies were sent without them: nothing but a dead letter knows of them."""
    return [
        f"file {file.id}"
        for message in ticket.messages
        if message.reference is not None
        for file in message.files
    ]


def _readable(links: Sequence[NoteFile | Malformed] | None) -> list[NoteFile] | None:
    """Return a note's files; None where one of them cannot be read: it would be sent again."""
    if links is None or any(isinstance(link, Malformed) for link in links):
        return None
    return [link for link in links if isinstance(link, NoteFile)]

"""Sends one ticket of the helpdesk to TOGA 2, and its messages in their order.

Follows ``spec/sync.md`` section 5. Exactly once by reading before writing: whatever carries the row's key
(``own_keys``) is that row, also when the answer that told of it was lost.

Within a ticket the order is the order of time: behind something whose outcome is not known nothing is
sent, behind something that is refused for good the rest goes on.

It runs on a worker thread and writes nothing into the helpdesk: what is to be written back is in its
outcome. What does not belong here: which tickets (``outgoing``), what they look like
(``outgoing_fields``), one message (``outgoing_messages``).
"""

from collections.abc import Mapping

from elite_pipeline.clients import Client
from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.sync.descriptions import is_of_the_opening
from elite_pipeline.sync.outgoing_fields import TicketFields
from elite_pipeline.sync.outgoing_files import FileSender
from elite_pipeline.sync.outgoing_messages import MessageSender, Remote
from elite_pipeline.sync.outgoing_outcomes import Held, Sent, late_files
from elite_pipeline.sync.outgoing_rows import STATES, OutgoingMessage, OutgoingTicket, Relations
from elite_pipeline.sync.own_keys import OwnKey, note_field, own_key, own_keys, ticket_field
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import uuid_of
from elite_pipeline.toga2.ticket_routes import TicketRoutes


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
        self._toga2 = toga2
        self._routes = routes
        self._fields = TicketFields(client, relations)
        self._messages = MessageSender(client, toga2, routes, relations, files)
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
        for message in self._unsent(sent, remote, notes):
            if message.record in held:
                sent.untried.append(message.record)
                if message.record in held.passing:
                    break
                continue
            if not self._messages.send(sent, remote, message, notes, held):
                break
        return sent

    # The ticket

    def _open(self, sent: Sent, known: str | None) -> Remote:
        """Return the ticket as TOGA 2 has it, after making it where there is none."""
        ticket = sent.ticket
        uuid = ticket.row.referenceId or known
        if not uuid:
            raw = self._toga2.create(self._routes.tickets, self._fields.new(ticket))
            uuid = uuid_of(raw)
            if uuid is None:
                raise TransientError(
                    f"TOGA 2 made the ticket and did not say its uuid; the next try looks it up by "
                    f"{self._ticket_field}."
                )
            sent.is_new = True
            sent.count("tickets created")
            remote = Remote({**self._fields.new(ticket), **raw})
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

    def _read(self, raw: Mapping[str, object]) -> Remote:
        notes = self._routes.notes_of(raw)
        if notes is None:
            # what feeds dedupe must never be taken for empty (systems.md 2, traps)
            raise PermanentError(
                f"TOGA 2 gave the ticket without its notes at depth {wire.FULL_DEPTH}; see "
                "docs/assumptions.md, tickets."
            )
        remote = Remote(raw)
        remote.notes = {key: uuid for uuid, key in own_keys(notes, self._note_field).items()}
        for note in self._routes.note_parser.many(notes).records:
            remote.files[note.uuid] = note.files
        return remote

    def _send_states(self, sent: Sent, remote: Remote) -> None:
        """Let status and priority travel with what is sent; the same twice is the same as once."""
        changed: dict[str, object] = {}
        for what in STATES:
            current = remote.raw.get(what)
            value = self._fields.state(
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

    # Its messages

    def _unsent(
        self, sent: Sent, remote: Remote, notes: Mapping[OwnKey, str]
    ) -> list[OutgoingMessage]:
        """Return the messages; of a description only the files are left to be sent."""
        ticket = sent.ticket
        first = ticket.description(None if sent.is_new else sent.uuid)
        if first is None or not self._is_description(sent, first, remote, notes):
            sent.name_ticket()
            return ticket.messages
        # its files are those of the note that carries the key, not of what it was sent as
        first.key, first.reference = OwnKey("files", first.key.id), None
        if first.files:
            # its name follows them, and the ticket's follows that: until then its key alone tells
            return ticket.messages
        sent.references.append(("tickets_replies", first.key.id, sent.uuid))
        sent.name_ticket()
        return [message for message in ticket.messages if message is not first]

    def _is_description(
        self, sent: Sent, first: OutgoingMessage, remote: Remote, notes: Mapping[OwnKey, str]
    ) -> bool:
        """Tell whether what may be the description is what TOGA 2 has as such.

        A ticket without any reply is made with none; the first reply that comes later is a note.
        """
        ticket = sent.ticket
        if own_key(remote.raw, self._ticket_field) != ticket.key:
            return False
        if first.reference is not None:
            # a file of it is late
            return first.reference.lower() == sent.uuid.lower()
        if first.key in remote.notes or first.key in notes:
            return False
        description = remote.raw.get("description")
        from_the_start = is_of_the_opening(first.written, ticket.row.timestamp)
        if description == self._fields.described(ticket, first):
            return bool(description) or from_the_start
        # it was made by a run that was cut off, and has been edited since
        is_cut_off = not ticket.row.referenceId and from_the_start
        carrier = OwnKey("files", first.key.id)
        has_carrier = carrier in remote.notes or carrier in notes
        return bool(description) and (is_cut_off or has_carrier)

"""Carries one ticket of Freshservice into TOGA 2: the ticket, its own files, its conversations.

Follows ``spec/sync.md`` section 7. A webhook is a hint and never the data: the ticket is fetched with all
its conversations, and what TOGA 2 lacks of it is written. Found by the client's custom fields, so that a
lost answer, a repeated webhook or a crash makes nothing twice.

It runs on a worker thread. What does not belong here: which tickets (``freshservice_flow``), a ticket's
own fields (``freshservice_fields``), files (``freshservice_files``).
"""

from collections.abc import Mapping

from elite_pipeline.clients import Client
from elite_pipeline.errors import TransientError
from elite_pipeline.freshservice.client import FreshserviceClient
from elite_pipeline.ledger.carried import State
from elite_pipeline.sync.freshservice_conversations import ConversationCarrier
from elite_pipeline.sync.freshservice_counterparts import Counterparts
from elite_pipeline.sync.freshservice_fields import OWED, TicketFields, choose
from elite_pipeline.sync.freshservice_files import FileCarrier, PlacedText, images_in
from elite_pipeline.sync.freshservice_keys import files_key, note_field, ticket_field
from elite_pipeline.sync.freshservice_notes import Notes, unknown_files
from elite_pipeline.sync.freshservice_work import Outcome, Remote, Work, part, texts
from elite_pipeline.sync.outgoing_messages import FILES_TEXT
from elite_pipeline.sync.outgoing_outcomes import Held
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import uuid_of
from elite_pipeline.toga2.ticket_routes import TicketRoutes


class TicketCarrier:
    """Carries tickets of one client. Safe to use from several threads.

    Args:
        client: Whose they are.
        freshservice: Where from.
        toga2: Where to.
        routes: What carries tickets and notes there.
        counterparts: What the tickets refer to.
        files: Carries their files.
    """

    def __init__(
        self,
        client: Client,
        freshservice: FreshserviceClient,
        toga2: Toga2Client,
        routes: TicketRoutes,
        counterparts: Counterparts,
        files: FileCarrier,
    ) -> None:
        self._freshservice = freshservice
        self._toga2 = toga2
        self._routes = routes
        self._fields = TicketFields(client, counterparts)
        self._files = files
        self._ticket_field = ticket_field(client.custom_field_prefix)
        self._notes = Notes(toga2, routes, note_field(client.custom_field_prefix))
        self._conversations = ConversationCarrier(freshservice, toga2, routes, self._notes, files)

    def carry(
        self, outcome: Outcome, *, known: str | None, before: State | None, held: Held
    ) -> None:
        """Carry what TOGA 2 lacks of a ticket.

        Args:
            outcome: Of the ticket; filled in on the way, so that what was done is known also if the rest
                fails.
            known: The uuid of the ticket of TOGA 2 that carries its id.
            before: What was last carried of it.
            held: Records that are not to be tried.

        Raises:
            TransientError, PermanentError: Nothing more of it can be done now.
            SystemicError: Nothing of this client can work.
        """
        ticket = self._freshservice.ticket(outcome.ticket_id)
        outcome.label, outcome.updated = ticket.subject or "(no subject)", ticket.updated_at
        if ticket.spam or ticket.deleted:
            # what TOGA 2 has of it stays: it is the system of record, and nothing is ever deleted there
            outcome.count("tickets in the trash" if ticket.deleted else "tickets marked as spam")
            return
        conversations = self._freshservice.conversations(ticket.id)
        work = Work(ticket, outcome, held, before or {})
        remote = self._open(work, known)
        self._carry_own_files(work, remote)
        self._conversations.carry(work, remote, conversations)

    # The ticket

    def _open(self, work: Work, known: str | None) -> Remote:
        """Return the ticket as TOGA 2 has it now, after making or changing it."""
        ticket, outcome = work.ticket, work.outcome
        there = None
        if known is not None:
            there = self._toga2.fetch(self._routes.tickets, known, depth=wire.FULL_DEPTH)
        remote = self._notes.read(known, there) if known is not None and there is not None else None

        def described() -> str:
            return self._described(work, there).html

        before = part(work.before, "ticket") if work.before else None
        wanted = self._fields.wanted(ticket, described)
        left = [name for name in wanted if name in work.held]
        outcome.untried += left
        chosen = choose(
            {name: one for name, one in wanted.items() if name not in left},
            ticket=ticket,
            before=before,
            there=there,
        )
        outcome.failures += chosen.failures
        work.marks = {**chosen.marks, **dict.fromkeys(left, OWED)}
        if work.description is not None:
            work.images = work.description.images
            if not work.description.is_whole:
                # it is to be written again when its images are there
                work.marks["description"] = OWED
        else:
            work.images = self._files.stored_images(
                outcome.entity, ticket.description or "", self._known_images(work, there)
            )
        if remote is None:
            raw = self._toga2.create(
                self._routes.tickets, {**chosen.fields, self._ticket_field: str(ticket.id)}
            )
            uuid = uuid_of(raw)
            if uuid is None:
                raise TransientError(
                    "TOGA 2 made the ticket and did not say its uuid; the next try looks it up by "
                    f"{self._ticket_field}."
                )
            outcome.is_new = True
            outcome.count("tickets created")
            remote = Remote(uuid, {})
        elif chosen.fields:
            self._toga2.update(self._routes.tickets, remote.uuid, chosen.fields)
            outcome.count("tickets updated")
        work.remember()
        return remote

    def _described(self, work: Work, there: Mapping[str, object] | None) -> PlacedText:
        """Return the description, its images stored; made once, however often it is asked for."""
        if work.description is None:
            work.description = self._files.place(
                work.outcome.entity,
                work.ticket.description or "",
                known=self._known_images(work, there),
                relist=lambda: self._freshservice.ticket(work.ticket.id).description or "",
                held=work.held,
            )
            work.outcome.take(work.description.outcome)
        return work.description

    def _known_images(self, work: Work, there: Mapping[str, object] | None) -> dict[str, str]:
        """Return key -> uuid of the description's images that were stored before."""
        stored = there.get("description") if there is not None else None
        return {
            **images_in(
                self._toga2,
                work.ticket.description or "",
                stored if isinstance(stored, str) else "",
            ),
            **texts(part(work.before, "images")),
        }

    # What hangs on the ticket itself

    def _carry_own_files(self, work: Work, remote: Remote) -> None:
        """Carry attachments and images of the ticket itself.

        A ticket of TOGA 2 has no files of its own: a note carries them.
        """
        ticket, outcome = work.ticket, work.outcome
        key = files_key(ticket.id)
        note = remote.notes.get(key)
        stored = [image for image in work.images if image.uuid is not None]
        if not (ticket.attachments or stored):
            return
        if key in remote.unreadable:
            outcome.failures.append((f"files of {outcome.entity}", unknown_files(key)))
            return
        if note is None:
            note = self._notes.find(key)
        if note is None:
            fields: dict[str, object] = {"isExternal": True, "body": FILES_TEXT}
            note = self._notes.make(remote, key, fields)
        linked = {link.file.uuid for link in note.files}
        hung = self._files.hang_images(
            self._routes.notes, note.uuid, outcome.entity, stored, linked
        )
        outcome.take(hung)
        carried = self._files.carry(
            self._routes.notes,
            note.uuid,
            outcome.entity,
            ticket.attachments,
            note.files,
            relist=lambda: self._freshservice.ticket(ticket.id).attachments,
            held=work.held,
            stored_images={image.attachment_id for image in stored if image.attachment_id},
        )
        outcome.take(carried)

"""Carries the conversations of a ticket of Freshservice into notes of TOGA 2, in the order of time.

Follows ``spec/sync.md`` section 7. Behind something whose outcome is not known nothing is written, behind
something that is refused for good the rest goes on. A private conversation is an internal note, always; a
public one is not made public over the head of whoever made its note internal.

What does not belong here: the ticket itself (``freshservice_ticket``), files (``freshservice_files``).
"""

import html
from collections.abc import Mapping, Sequence
from email.utils import parseaddr

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError, TransientError
from elite_pipeline.freshservice.client import FreshserviceClient
from elite_pipeline.freshservice.models import Conversation, Malformed
from elite_pipeline.sync.freshservice_fields import OWED
from elite_pipeline.sync.freshservice_files import (
    FileCarrier,
    PlacedText,
    images_in,
    without_links,
)
from elite_pipeline.sync.freshservice_keys import fingerprint
from elite_pipeline.sync.freshservice_notes import Notes, unknown_files
from elite_pipeline.sync.freshservice_work import Note, Outcome, Remote, Work, part, texts
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.ticket_routes import TicketRoutes


class ConversationCarrier:
    """Carries conversations of one client. Safe to use from several threads.

    Args:
        freshservice: Where from.
        toga2: Where to.
        routes: What carries tickets and notes there.
        notes: Finds and makes the notes.
        files: Carries their files.
    """

    def __init__(
        self,
        freshservice: FreshserviceClient,
        toga2: Toga2Client,
        routes: TicketRoutes,
        notes: Notes,
        files: FileCarrier,
    ) -> None:
        self._freshservice = freshservice
        self._toga2 = toga2
        self._routes = routes
        self._notes = notes
        self._files = files

    def carry(
        self,
        work: Work,
        remote: Remote,
        conversations: Sequence[Conversation | Malformed],
    ) -> None:
        """Carry the conversations of a ticket, in their order.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        outcome, held = work.outcome, work.held
        lacking = [
            str(one.id)
            for one in conversations
            if (isinstance(one, Conversation) or _is_private(one))
            and str(one.id) not in remote.notes
        ]
        elsewhere = self._notes.elsewhere(lacking)
        # first of all, whatever fails or waits: what is private must not stay public meanwhile
        self._keep_private(work, {**elsewhere, **remote.unreadable, **remote.notes}, conversations)
        for one in conversations:
            record = f"conversation {one.name if isinstance(one, Malformed) else one.id}"
            if isinstance(one, Malformed):
                outcome.failures.append((record, PermanentError(one.reason)))
                continue
            if record in held:
                outcome.untried.append(record)
                if record in held.passing:
                    return
                continue
            try:
                if str(one.id) in remote.unreadable:
                    raise unknown_files(str(one.id))
                note = remote.notes.get(str(one.id)) or elsewhere.get(str(one.id))
                if isinstance(note, PermanentError):
                    raise note
                self._carry(work, remote, one, note)
            except SystemicError:
                raise
            except TransientError as error:
                outcome.failures.append((record, error))
                return
            except PipelineError as error:
                outcome.failures.append((record, error))
                continue

    def _keep_private(
        self,
        work: Work,
        notes: Mapping[str, Note | PermanentError],
        conversations: Sequence[Conversation | Malformed],
    ) -> None:
        """Make the notes of private conversations internal, also of those that cannot be read whole."""
        for one in conversations:
            note = notes.get(str(one.id)) if _is_private(one) else None
            if not isinstance(note, Note) or not note.uuid or not note.is_external:
                continue
            try:
                self._toga2.update(self._routes.notes, note.uuid, {"isExternal": False})
            except SystemicError:
                raise
            except PipelineError as error:
                work.outcome.failures.append((f"privacy of conversation {one.id}", error))
            else:
                note.is_external = False
                work.outcome.count("notes made internal")

    def _carry(self, work: Work, remote: Remote, one: Conversation, note: Note | None) -> None:
        """Carry a conversation with its files."""
        outcome, owner = work.outcome, f"conversation {one.id}"
        before = part(part(work.before, "notes"), str(one.id))
        mark = fingerprint(without_links(_text(one)))
        known = images_in(self._toga2, _text(one), note.body) if note is not None else {}
        known |= texts(part(before, "images"))
        placed: PlacedText | None = None
        if note is None or (before and before.get("body") != mark):
            placed = self._files.place(
                owner,
                _text(one),
                known=known,
                relist=lambda: _text(_same(one, self._conversations(work))),
                held=work.held,
            )
            outcome.take(placed.outcome)
        if note is None:
            note = self._make(remote, one, placed.html if placed is not None else _text(one))
            outcome.count("internal notes created" if one.private else "external notes created")
        else:
            self._change(outcome, one, note, before, placed)
        images = (
            placed.images
            if placed is not None
            else self._files.stored_images(owner, _text(one), known)
        )
        stored = [image for image in images if image.uuid is not None]
        linked = {link.file.uuid for link in note.files}
        hung = self._files.hang_images(self._routes.notes, note.uuid, owner, stored, linked)
        outcome.take(hung)
        work.notes[str(one.id)] = {
            "body": mark if placed is None or placed.is_whole else OWED,
            "private": one.private,
            "images": {image.key: image.uuid for image in stored},
        }
        work.remember()
        carried = self._files.carry(
            self._routes.notes,
            note.uuid,
            owner,
            one.attachments,
            note.files,
            relist=lambda: _same(one, self._conversations(work)).attachments,
            held=work.held,
            stored_images={image.attachment_id for image in stored if image.attachment_id},
        )
        outcome.take(carried)

    def _change(
        self,
        outcome: Outcome,
        one: Conversation,
        note: Note,
        before: Mapping[str, object],
        placed: PlacedText | None,
    ) -> None:
        """Let a note follow its conversation where that was changed in Freshservice."""
        changed: dict[str, object] = {}
        if placed is not None and placed.html != note.body:
            changed["body"] = placed.html
        if not one.private and not note.is_external and before.get("private") is True:
            changed["isExternal"] = True
        if changed:
            self._toga2.update(self._routes.notes, note.uuid, changed)
            outcome.count("notes updated")

    def _make(self, remote: Remote, one: Conversation, text: str) -> Note:
        fields = {"isExternal": not one.private, "body": text, **self._author(one)}
        return self._notes.make(remote, str(one.id), fields)

    def _author(self, one: Conversation) -> dict[str, object]:
        """Return who wrote a conversation, as far as Freshservice says it."""
        person = None
        if one.user_id is not None:
            try:
                person = self._freshservice.person(one.user_id)
            except PermanentError:
                # the note is worth more than the name under it
                person = None
        if person is not None and (person.name or person.email):
            given = {"authorName": person.name, "authorEmail": person.email}
            return {key: text for key, text in given.items() if text}
        name, email = parseaddr(one.from_email or "")
        return {key: text for key, text in (("authorName", name), ("authorEmail", email)) if text}

    def _conversations(self, work: Work) -> Sequence[Conversation | Malformed]:
        return self._freshservice.conversations(work.ticket.id)


def _is_private(one: Conversation | Malformed) -> bool:
    if isinstance(one, Malformed):
        return one.is_private and one.id is not None
    return one.private


def _text(one: Conversation) -> str:
    """Return what a conversation says, HTML; a plain text is text, never markup."""
    return one.body or html.escape(one.body_text or "", quote=False).replace("\n", "<br>")


def _same(one: Conversation, fresh: Sequence[Conversation | Malformed]) -> Conversation:
    for other in fresh:
        if isinstance(other, Conversation) and other.id == one.id:
            return other
    raise PermanentError("Freshservice does not list it any more: it was removed there")

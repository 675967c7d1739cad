"""Sends one reply or comment of a ticket that is in TOGA 2, as a note, with its files.

Follows ``spec/sync.md`` section 5. A row gets its ``referenceId`` last, when its files are through too;
until then the next run goes on from what it finds.

What does not belong here: the ticket, and the order of its messages (``outgoing_sender``), files
(``outgoing_files``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError, SystemicError, TransientError
from elite_pipeline.sync.outgoing_files import FileSender
from elite_pipeline.sync.outgoing_outcomes import Held, Sent
from elite_pipeline.sync.outgoing_rows import MESSAGES, OutgoingMessage, Relations
from elite_pipeline.sync.own_keys import OwnKey, note_field
from elite_pipeline.sync.signatures import RULE_AUTHOR, RULE_NAME
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Malformed, NoteFile, uuid_of
from elite_pipeline.toga2.ticket_routes import TicketRoutes

#: What a note that carries a description's files says.
FILES_TEXT = "<p>Files of the description</p>"


@dataclass(slots=True)
class Remote:
    """A ticket as TOGA 2 has it.

    Attributes:
        notes: Key -> uuid of the note that carries it.
        files: Uuid of a note -> its files; None: they are not known.
    """

    raw: Mapping[str, object]
    notes: dict[OwnKey, str] = field(default_factory=dict)
    files: dict[str, Sequence[NoteFile | Malformed] | None] = field(default_factory=dict)


class MessageSender:
    """Sends messages of one client. Safe to use from several threads.

    Args:
        client: Whose they are.
        toga2: Where to.
        routes: What carries notes.
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
        self._relations = relations
        self._files = files
        self._note_field = note_field(client.custom_field_prefix)

    def send(
        self,
        sent: Sent,
        remote: Remote,
        message: OutgoingMessage,
        notes: Mapping[OwnKey, str],
        held: Held,
    ) -> bool:
        """Send a message with its files; return whether what stands behind it may be sent.

        Args:
            sent: What became of its ticket so far; added to.
            remote: The ticket as TOGA 2 has it; added to.
            message: A reply, a comment, or the files of a description.
            notes: Key -> uuid of notes that are there, under whichever ticket.
            held: Records that are not to be tried.

        Raises:
            SystemicError: Nothing of this client can work.
        """
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
                self._routes.notes, note, message.files, there, held, message.late
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
            if is_description:
                sent.name_ticket()
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


def _readable(links: Sequence[NoteFile | Malformed] | None) -> list[NoteFile] | None:
    """Return a note's files; None where one of them cannot be read: it would be sent again."""
    if links is None or any(isinstance(link, Malformed) for link in links):
        return None
    return [link for link in links if isinstance(link, NoteFile)]

"""Notes of TOGA 2 that stand for conversations: found by their key, made with it.

What does not belong here: what is written into them (``freshservice_conversations``).
"""

from collections.abc import Mapping, Sequence

from elite_pipeline.errors import PermanentError, TransientError
from elite_pipeline.iteration import chunked
from elite_pipeline.sync.freshservice_work import Note, Remote
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Malformed, NoteFile, TicketNote, uuid_of
from elite_pipeline.toga2.ticket_routes import TicketRoutes

#: Keys in one filter: what an address can hold by far.
_KEYS_PER_CALL = 50


class Notes:
    """One client's notes. Safe to use from several threads.

    Args:
        toga2: Where they are.
        routes: What carries tickets and notes.
        field: The field that holds their key.
    """

    def __init__(self, toga2: Toga2Client, routes: TicketRoutes, field: str) -> None:
        self._toga2 = toga2
        self._routes = routes
        self._field = field

    def read(self, uuid: str, raw: Mapping[str, object]) -> Remote:
        """Return a ticket with its notes, as it came at the full depth.

        Raises:
            PermanentError: Which notes it has does not show.
        """
        raws = self._routes.notes_of(raw)
        if raws is None:
            # what feeds dedupe must never be taken for empty (systems.md 2, traps)
            raise PermanentError(
                f"TOGA 2 gave the ticket without its notes at depth {wire.FULL_DEPTH}; see "
                "docs/assumptions.md, tickets."
            )
        remote = Remote(uuid, {})
        unreadable: dict[str, Note] = {}
        for one in raws:
            key = self._key_of(one)
            if key is None:
                continue
            note = self._routes.note_parser.one(one)
            if isinstance(note, Malformed) or (known := _note(note)) is None:
                # what does not say that it is internal is taken for external
                is_external = not (isinstance(one, dict) and one.get("isExternal") is False)
                unreadable.setdefault(key, Note(uuid_of(one) or "", is_external, "", []))
            else:
                # of two of one key the one that was made first is meant
                remote.notes.setdefault(key, known)
        remote.unreadable = {
            key: note for key, note in unreadable.items() if key not in remote.notes
        }
        return remote

    def _key_of(self, raw: object) -> str | None:
        key = raw.get(self._field) if isinstance(raw, dict) else None
        return str(key) if isinstance(key, str | int) and key else None

    def elsewhere(self, keys: Sequence[str]) -> dict[str, Note | PermanentError]:
        """Return the notes with these keys, under whichever ticket: people move notes, and merge tickets.

        In place of one that cannot be read stands why.
        """
        found: dict[str, Note | PermanentError] = {}
        for some in chunked(keys, _KEYS_PER_CALL):
            raws = self._toga2.find(self._routes.notes, [(self._field, "in", ",".join(some))])
            for raw in raws:
                key, uuid = self._key_of(raw), uuid_of(raw)
                if key is None or uuid is None or isinstance(found.get(key), Note):
                    continue
                try:
                    found[key] = self._fetch(uuid)
                except PermanentError as error:
                    found[key] = error
        return found

    def find(self, key: str) -> Note | None:
        """Return the note with this key, under whichever ticket; None: there is none.

        Raises:
            PermanentError: It cannot be read.
        """
        note = self.elsewhere([key]).get(key)
        if isinstance(note, PermanentError):
            raise note
        return note

    def _fetch(self, uuid: str) -> Note:
        """Return a note with its files, which only the note itself is sure to show."""
        raw = self._toga2.fetch(self._routes.notes, uuid, depth=wire.FULL_DEPTH)
        note = self._routes.note_parser.one(raw)
        known = None if isinstance(note, Malformed) else _note(note)
        if known is None:
            raise unknown_files(uuid)
        return known

    def make(self, remote: Remote, key: str, fields: Mapping[str, object]) -> Note:
        """Make a note under a ticket, with its key.

        Raises:
            TransientError: No answer came: the next try finds it by its key.
            PermanentError, SystemicError: As the transport says.
        """
        raw = self._toga2.create(
            self._routes.notes,
            {
                str(self._routes.notes.parent): {"uuid": remote.uuid},
                self._field: key,
                **fields,
            },
        )
        uuid = uuid_of(raw)
        if uuid is None:
            raise TransientError(
                "TOGA 2 made the note and did not say its uuid; the next try looks it up by "
                f"{self._field}."
            )
        return Note(uuid, bool(fields["isExternal"]), str(fields["body"]), [])


def _note(note: TicketNote) -> Note | None:
    """Return what is to be known of a note; None: which files it has is not known."""
    if note.files is None and note.file_count:
        return None
    links = note.files or []
    readable = [link for link in links if isinstance(link, NoteFile)]
    if len(readable) != len(links):
        return None
    return Note(note.uuid, note.is_external, note.body or "", readable)


def unknown_files(key: str) -> PermanentError:
    """Return what is wrong where it does not show which files a note has."""
    return PermanentError(
        f"TOGA 2 gave the note {key} without its files at depth {wire.FULL_DEPTH}, or not as documented, "
        "so what it lacks is not known; see docs/assumptions.md, files"
    )

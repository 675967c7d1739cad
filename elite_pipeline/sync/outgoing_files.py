"""Sends the files of a reply to the note that it was sent as.

Follows ``spec/sync.md`` section 6: what the note has already is not sent again, a name counts only as
often as it is there, and what was cut off between two steps is gone on with.

What does not belong here: the uploads folder (``togadesk.uploads``), bodies (``toga2.file_bodies``).
"""

import hashlib
import mimetypes
from collections.abc import Callable, Container, Sequence
from contextlib import nullcontext
from threading import Lock
from typing import BinaryIO

from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.ledger.uploads import Upload
from elite_pipeline.ledger.uploads import Uploads as Intents
from elite_pipeline.sync.file_matching import Likeness, match
from elite_pipeline.sync.outgoing_rows import OutgoingFile
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import NoteFile, uuid_of
from elite_pipeline.togadesk import Uploads

#: Larger ones are carried one at a time, so that memory holds one of them.
LARGE_BYTES = 4 << 20
_HASH_CHUNK = 1 << 20


class FileSender:
    """Sends files of one client. Safe to use from several threads.

    Args:
        toga2: Where to.
        uploads: The helpdesk's folder.
        intents: Which uploads earlier runs have begun.
        shown: Returns a name as the helpdesk shows it.
    """

    def __init__(
        self,
        toga2: Toga2Client,
        uploads: Uploads,
        intents: Intents,
        shown: Callable[[str], str],
    ) -> None:
        self._toga2 = toga2
        self._shown = shown
        self._large = Lock()
        self._uploads = uploads
        self._intents = intents

    def send(
        self,
        notes: wire.Resource,
        note: str,
        files: Sequence[OutgoingFile],
        there: Sequence[NoteFile],
        held: Container[str],
    ) -> tuple[list[tuple[str, Exception]], list[str], int]:
        """Send what a note lacks.

        Args:
            notes: What the note is.
            note: Its uuid.
            files: All files of its reply.
            there: All files of the note.
            held: Records that are not to be tried now.

        Returns:
            What failed (record and why), what was not tried, and how many files were linked.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        failures: list[tuple[str, Exception]] = []
        untried: list[str] = []
        made = 0
        likenesses: list[Likeness] = []
        sized: list[OutgoingFile] = []
        for file in files:
            try:
                likenesses.append(Likeness(self._shown(file.name), self._uploads.size(file.stored)))
                sized.append(file)
            except SystemicError:
                raise
            except PipelineError as error:
                # the folder itself may be away: nothing says which of its files are there already
                failures.append((f"file {file.id}", error))
        found = match(
            likenesses,
            [Likeness(self._shown(link.file.name), link.file.size) for link in there],
        )
        linked = {link.file.uuid for link in there}
        is_stopped = False
        for file, at in zip(sized, found, strict=True):
            if at is not None:
                continue
            record = f"file {file.id}"
            if is_stopped:
                untried.append(record)
                continue
            if record in held:
                untried.append(record)
                continue
            try:
                self._send_one(notes, note, file, linked)
                made += 1
            except SystemicError:
                raise
            except PipelineError as error:
                failures.append((record, error))
                is_stopped = isinstance(error, TransientError)
        return failures, untried, made

    def _send_one(
        self, notes: wire.Resource, note: str, file: OutgoingFile, linked: set[str]
    ) -> None:
        # before anything is written down: a file that is not there is nothing to be sent
        content, size = self._uploads.open(file.stored, file_id=file.id)
        with content, self._large if size > LARGE_BYTES else nullcontext():
            begun = self._intents.begin(file.id)
            uuid = self._begun(begun, file, content, size, linked) if begun is not None else None
            if uuid is None:
                content.seek(0)
                uuid = self._toga2.upload(file.name, _content_type(file), content, size)
            if begun is None or begun.uuid != uuid:
                self._intents.made(file.id, uuid)
        if uuid not in linked:
            self._link(notes, note, file, uuid)
            linked.add(uuid)
        self._intents.end(file.id)

    def _link(self, notes: wire.Resource, note: str, file: OutgoingFile, uuid: str) -> None:
        try:
            self._toga2.link_file(notes, note, uuid)
        except PermanentHttpError:
            # perhaps for a file that is gone: the next try sends it anew
            self._intents.end(file.id)
            raise

    def _begun(
        self,
        begun: Upload,
        file: OutgoingFile,
        content: BinaryIO,
        size: int,
        linked: Container[str],
    ) -> str | None:
        """Return the file of TOGA 2 that an earlier run sent for this row, None when there is none.

        One that hangs on the note stands for another row: else this one would not be missing.
        """
        if begun.uuid is not None:
            return begun.uuid
        wanted = _digest(content)
        for raw in self._toga2.find(wire.FILES, [("name", "=", file.name)]):
            uuid = uuid_of(raw)
            if uuid is None or uuid in linked or not isinstance(raw, dict):
                continue
            if raw.get("size") not in (None, size):
                continue
            try:
                there = self._toga2.download(uuid)
            except PermanentError:
                # not a file that could be read, so not the one that was sent
                continue
            digest = hashlib.sha256()
            for chunk in there.chunks():
                digest.update(chunk)
            if digest.digest() == wanted:
                return uuid
        return None


def _digest(content: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while chunk := content.read(_HASH_CHUNK):
        digest.update(chunk)
    return digest.digest()


def _content_type(file: OutgoingFile) -> str:
    kind = file.content_type.strip()
    if "/" in kind:
        return kind
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"

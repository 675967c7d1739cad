"""Sends the files of a reply to the note that it was sent as.

Follows ``spec/sync.md`` section 6: what the note has already is not sent again, and a name counts only as
often as it is there.

What does not belong here: the uploads folder (``togadesk.uploads``), what was cut off between two steps
(``toga2_files``), bodies (``toga2.file_bodies``).
"""

import mimetypes
from collections.abc import Callable, Collection, Container, Sequence
from contextlib import nullcontext
from threading import Lock

from elite_pipeline.errors import PipelineError, SystemicError, TransientError
from elite_pipeline.ledger.uploads import Uploads as Intents
from elite_pipeline.sync.file_matching import Likeness, match
from elite_pipeline.sync.outgoing_rows import OutgoingFile
from elite_pipeline.sync.toga2_files import FileMaker
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import NoteFile
from elite_pipeline.togadesk import Uploads

#: Larger ones are carried one at a time, so that memory holds one of them.
LARGE_BYTES = 4 << 20


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
        self._maker = FileMaker(toga2, intents)
        self._shown = shown
        self._large = Lock()
        self._uploads = uploads

    def send(
        self,
        notes: wire.Resource,
        note: str,
        files: Sequence[OutgoingFile],
        there: Sequence[NoteFile],
        held: Container[str],
        late: Collection[int] = (),
    ) -> tuple[list[tuple[str, Exception]], list[str], int]:
        """Send what a note lacks.

        Args:
            notes: What the note is.
            note: Its uuid.
            files: All files of its reply.
            there: All files of the note.
            held: Records that are not to be tried now.
            late: Ids of those to be sent, where the others were sent before; none: all of them.

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
                if not late or file.id in late:
                    failures.append((f"file {file.id}", error))
        found = match(
            likenesses,
            [Likeness(self._shown(link.file.name), link.file.size) for link in there],
        )
        linked = {link.file.uuid for link in there}
        is_stopped = False
        for file, at in zip(sized, found, strict=True):
            if at is not None or (late and file.id not in late):
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
            uuid = self._maker.make(file.id, file.name, _content_type(file), content, size, linked)
        if uuid not in linked:
            self._maker.link(notes, note, file.id, uuid)
            linked.add(uuid)
        self._maker.end(file.id)


def _content_type(file: OutgoingFile) -> str:
    kind = file.content_type.strip()
    if "/" in kind:
        return kind
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"

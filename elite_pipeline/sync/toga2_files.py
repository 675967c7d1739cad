"""Makes files in TOGA 2 and hangs them on notes, each once, whichever system they come from.

Follows ``spec/sync.md`` section 6: a file has no field for a key of ours, so an upload is written down
before it is sent (``ledger.uploads``); one that was cut off is found again by its name and its bytes, and
one that was uploaded and not linked is linked, not uploaded again.

What does not belong here: which files a note lacks (``outgoing_files``, ``freshservice_files``).
"""

import hashlib
from collections.abc import Container
from typing import BinaryIO

from elite_pipeline.errors import PermanentError, PermanentHttpError
from elite_pipeline.ledger.uploads import Uploads as Intents
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import uuid_of

_HASH_CHUNK = 1 << 20


class FileMaker:
    """Makes files for one client. Safe to use from several threads.

    Args:
        toga2: Where.
        intents: Which uploads earlier runs have begun.
    """

    def __init__(self, toga2: Toga2Client, intents: Intents) -> None:
        self._toga2 = toga2
        self._intents = intents

    def make(
        self,
        file_id: int,
        name: str,
        content_type: str,
        content: BinaryIO,
        size: int,
        linked: Container[str],
    ) -> str:
        """Return the uuid of a file in TOGA 2, after sending it where no earlier run did.

        Args:
            file_id: What the file is for ever called on its own side.
            name: Any text.
            content_type: What kind of file it is.
            content: Its bytes.
            size: How many there are.
            linked: Uuids of files that stand for others: they hang on the note already.

        Raises:
            TransientError: No answer came: whether the file was made is looked up by the next try.
            PermanentError, SystemicError: As the transport says.
        """
        begun = self._intents.begin(file_id)
        uuid = begun.uuid if begun is not None else None
        if begun is not None and uuid is None:
            uuid = self._cut_off(name, content, size, linked)
        if uuid is None:
            content.seek(0)
            uuid = self._toga2.upload(name, content_type, content, size)
        if begun is None or begun.uuid != uuid:
            self._intents.made(file_id, uuid)
        return uuid

    def made(self, file_id: int) -> str | None:
        """Return the uuid of a file that an earlier try sent and did not link; None: there is none."""
        return self._intents.made_as(file_id)

    def link(self, notes: wire.Resource, note: str, file_id: int, uuid: str) -> None:
        """Hang a file on a note; with that it is done.

        Raises:
            TransientError: No answer came: whether it is linked now is not known.
            PermanentError, SystemicError: As the transport says.
        """
        try:
            self._toga2.link_file(notes, note, uuid)
        except PermanentHttpError:
            # perhaps for a file that is gone: the next try sends it anew
            self._intents.end(file_id)
            raise

    def end(self, file_id: int) -> None:
        """Forget a file: it hangs on its note."""
        self._intents.end(file_id)

    def _cut_off(
        self, name: str, content: BinaryIO, size: int, linked: Container[str]
    ) -> str | None:
        """Return the file that an earlier run sent without learning its uuid; None: there is none.

        One that hangs on the note stands for another file: else this one would not be missing.
        """
        wanted = _digest(content)
        found = self._toga2.find(wire.FILES, [("name", "=", name)])
        # the newest first: the same logo hangs on many notes, and the one that was cut off hangs on none
        for raw in sorted(found, key=lambda one: str(one.get("_created") or ""), reverse=True):
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
    content.seek(0)
    while chunk := content.read(_HASH_CHUNK):
        digest.update(chunk)
    return digest.digest()

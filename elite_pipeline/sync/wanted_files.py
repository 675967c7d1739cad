"""Files that belong under a message of the helpdesk: what each is, and where it comes from.

What does not belong here: writing them (``incoming_files``).
"""

import re
from dataclasses import dataclass

from elite_pipeline.toga2.models import FileInfo

_TAGGED = re.compile("note-([0-9a-z]{8})[0-9a-z]{0,4}-", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file.

    Attributes:
        name: What people call it; text from outside.
        size: Bytes; None: not known before it is read.
        content_type: As its source says it; may be empty.
        uuid: What TOGA 2 calls it; None: it is made here.
        content: Its bytes, where it is made here.
    """

    name: str
    size: int | None
    content_type: str
    uuid: str | None
    content: bytes = b""

    @property
    def record(self) -> str:
        """What to call it where it fails."""
        return f"file {self.uuid or self.name}"


def wanted(file: FileInfo) -> WantedFile:
    """Return the file that a link of TOGA 2 names."""
    return WantedFile(file.name, file.size, file.content_type or "", file.uuid)


def private_tag(note: str) -> str:
    """Return what the names of an internal note's files begin with, for the note's uuid.

    A comment cannot have files in the helpdesk, so they are kept with the client's own, by these names.
    """
    beginning = note.replace("-", "")[:12]
    if not beginning.isalnum():
        beginning = "".join(filter(str.isalnum, note))[:12]
    return f"note-{beginning.lower()}-"


def note_start(name: str) -> str:
    """Return what the uuid of a note begins with whose file is called so; empty: it is no such name."""
    found = _TAGGED.match(name)
    return found[1].lower() if found else ""


def private_line(note: str) -> str:
    """Return the line under an internal comment that says where its files are."""
    return f"<p><em>Its files are kept with the client's, named {private_tag(note)}\u2026</em></p>"

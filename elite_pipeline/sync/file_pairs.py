"""Which row of ``files`` is which file of a message (``spec/sync.md`` section 6).

What does not belong here: which rows there are (``file_rows``), carrying what is missing
(``incoming_files``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from elite_pipeline.sync.file_matching import Likeness, match
from elite_pipeline.sync.file_rows import TABLE, tagged_name
from elite_pipeline.sync.ticket_outcomes import FileTarget
from elite_pipeline.sync.wanted_files import WantedFile
from elite_pipeline.togadesk import Row, TogadeskStore, Uploads, file_names


@dataclass(frozen=True, slots=True)
class FilePair:
    """A file of a message, and the row that it is.

    Attributes:
        row: None: it has none yet.
        size: Bytes in the uploads folder; None: they are not there, or it has no row.
    """

    file: WantedFile
    row: Row | None
    size: int | None


class FilePairs:
    """Pairs files and rows of one client."""

    def __init__(self, store: TogadeskStore, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads

    def of(self, target: FileTarget, rows: Sequence[Row]) -> list[FilePair]:
        """Return a pair for each file of a message.

        Args:
            target: The message.
            rows: Its rows, without the tag of an internal note.

        Raises:
            PermanentError, TransientError: The uploads folder cannot be read, or a row names what cannot
                be a file of it.
        """
        there = [self.likeness(target, row) for row in rows]
        wanted = [Likeness(self.known_as(target, file.name), file.size) for file in target.files]
        return [
            FilePair(file, None, None) if at is None else FilePair(file, rows[at], there[at].size)
            for file, at in zip(target.files, match(wanted, there), strict=True)
        ]

    def likeness(self, target: FileTarget, row: Row) -> Likeness:
        """Return what a row is recognised by; without a size it waits for its bytes."""
        name = row.name
        if target.reply_id is not None:
            name = file_names.real_name(row.id, name, row.file)
        size = self._uploads.size(row.file) if row.file else None
        return Likeness(self.known_as(target, name), size)

    def known_as(self, target: FileTarget, name: str) -> str:
        """Return what a name is compared as: one that was once made shorter for a tag is the same."""
        return tagged_name(target.note, name, self._store.limits(TABLE, "name"))

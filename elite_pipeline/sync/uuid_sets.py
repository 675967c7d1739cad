"""A set of uuids that may be larger than memory should be: kept in temporary files."""

import hashlib
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from elite_pipeline.iteration import chunked
from elite_pipeline.uuids import LENGTH, WIDTH, cut, packed_at_once

_CHUNK = 500
#: Uuids that are sorted in at once.
_BLOCK = 10_000


class UuidSet:
    """What a full run has listed, to be held against what the helpdesk has. Use as a context.

    Uuids are only noted while they are added, and sorted when the first question is asked: keeping
    order while adding takes many times as long.

    Attributes:
        added: How many were added, one that came twice counted twice.
    """

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="elite_pipeline_")
        folder = Path(self._folder.name)
        self._notes = (folder / "uuids").open("w+b")
        self._database = sqlite3.connect(folder / "uuids.sqlite")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE uuids (uuid BLOB)")
        self.added = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._notes.close()
        self._folder.cleanup()

    def add(self, uuids: Sequence[str]) -> None:
        """Add uuids."""
        if (packed := packed_at_once(uuids)) is None:
            packed = b"".join(map(_packed, uuids))
        self._notes.write(packed)
        self.added += len(uuids)

    def count(self, *, each_came_once: bool = False) -> int:
        """Return how many uuids there are.

        Args:
            each_came_once: None was added twice: then nothing need be sorted to tell.
        """
        if each_came_once:
            return self.added
        self._sort()
        return int(self._database.execute("SELECT count(DISTINCT uuid) FROM uuids").fetchone()[0])

    def count_missing(self, uuids: Sequence[str]) -> int:
        """Return how many of some uuids are not in the set."""
        self._sort()
        missing = 0
        for chunk in chunked(map(_packed, uuids), _CHUNK):
            marks = ", ".join("?" * len(chunk))
            found = self._database.execute(f"SELECT uuid FROM uuids WHERE uuid IN ({marks})", chunk)
            listed = {row[0] for row in found}
            missing += sum(packed not in listed for packed in chunk)
        return missing

    def _sort(self) -> None:
        if self._notes.tell() == 0:
            return
        self._database.execute("DROP INDEX IF EXISTS by_uuid")
        self._notes.seek(0)
        while block := self._notes.read(WIDTH * _BLOCK):
            self._database.executemany("INSERT INTO uuids VALUES (?)", zip(cut(block), strict=True))
        self._database.execute("CREATE INDEX by_uuid ON uuids (uuid)")
        self._notes.seek(0)
        self._notes.truncate()


def _packed(uuid: str) -> bytes:
    """Return a uuid's bytes, the same for both cases; of any other text a digest of as many."""
    if len(uuid) == LENGTH:
        try:
            if len(packed := bytes.fromhex(uuid.replace("-", ""))) == WIDTH:
                return packed
        except ValueError:
            pass
    plain = uuid.casefold().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(plain, digest_size=WIDTH).digest()

"""A set of uuids that may be larger than memory should be: kept in a temporary file."""

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from elite_pipeline.iteration import chunked

_CHUNK = 500


class UuidSet:
    """What a full run has listed, to be held against what the helpdesk has. Use as a context."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="elite_pipeline_")
        self._database = sqlite3.connect(Path(self._folder.name) / "uuids.sqlite")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE uuids (uuid TEXT PRIMARY KEY) WITHOUT ROWID")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def add(self, uuids: Iterable[str]) -> None:
        """Add uuids."""
        self._database.executemany(
            "INSERT OR IGNORE INTO uuids VALUES (?)", ((uuid.casefold(),) for uuid in uuids)
        )

    def count(self) -> int:
        """Return how many uuids there are."""
        return int(self._database.execute("SELECT count(*) FROM uuids").fetchone()[0])

    def count_missing(self, uuids: Sequence[str]) -> int:
        """Return how many of some uuids are not in the set."""
        missing = 0
        for chunk in chunked(uuids, _CHUNK):
            marks = ", ".join("?" * len(chunk))
            found = self._database.execute(
                f"SELECT count(*) FROM uuids WHERE uuid IN ({marks})",
                [uuid.casefold() for uuid in chunk],
            ).fetchone()
            missing += len(chunk) - int(found[0])
        return missing

"""Which row carries which ``referenceId``, where the server has no index to tell.

Production has no index on ``referenceId``: each lookup there reads the whole table. The first few
are answered that way; a run that needs more reads the references of a table once, in the order of
the primary key and a bounded number at a time, into a temporary file of its own, and asks that from
then on. What the file says is only ever a hint: rows are read by id and their reference compared.

Rows that appear later have higher ids and are picked up when a lookup misses. A reference that
*this* store writes into an old row is noted. One that another process writes into an old row after
the table was read is not seen: flows that do that to one client must not overlap
(``TogadeskStore.lock``).

What does not belong here: reading rows of the helpdesk (``transaction``).
"""

import sqlite3
from collections.abc import Collection, Iterable
from typing import Protocol

#: References read at once: some megabytes at most.
CHUNK = 10_000

#: Values in one IN list; far below SQLite's limit for parameters.
_LOOKUP = 500

#: What the file may keep in memory, in kibibytes.
_CACHE_KIB = 8_192


class ReferenceSource(Protocol):
    """Where references are read from: a transaction on the helpdesk's database."""

    def highest_id(self, table: str) -> int:
        """Return the highest id in a table, 0 when it is empty."""

    def references(self, table: str, after: int, until: int, most: int) -> list[tuple[int, str]]:
        """Return id and reference of rows with ``after < id <= until``, by id."""


def key(reference: str) -> str:
    """Return a reference in the form in which two of them are compared, as the server does."""
    return reference.rstrip(" ").lower()


def _packed(reference: str) -> bytes:
    """Return a short form for the file; most references are uuids, which take 16 bytes."""
    plain = reference if len(reference) == 36 and " " not in reference else key(reference)
    if len(plain) == 36:
        try:
            # reads both cases
            return bytes.fromhex(plain.replace("-", ""))
        except ValueError:
            plain = key(plain)
    return plain.encode("utf-8", "surrogatepass")


class ReferenceIndex:
    """The references of the tables that were read so far.

    Args:
        spill_after: How many lookups per table may read the whole table before it is spilled.
    """

    def __init__(self, spill_after: int) -> None:
        self._spill_after = spill_after
        self._scans: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        # The empty name is a temporary file that SQLite deletes, also when the process dies.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._file.execute("PRAGMA journal_mode = OFF")

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def scan_is_due(self, table: str) -> bool:
        """Return whether the next lookup may read the whole table, and count it."""
        if table in self._seen:
            return False
        done = self._scans.get(table, 0)
        self._scans[table] = done + 1
        return done < self._spill_after

    def mark(self) -> dict[str, int]:
        """Return how far each table has been read, for ``rewind``."""
        return dict(self._seen)

    def rewind(self, mark: dict[str, int]) -> None:
        """Forget having read past a mark.

        Ids of rows that were rolled back may be given again, to other references.
        """
        for table in self._seen.keys() - mark.keys():
            self._file.execute(f"DROP TABLE {_name(table)}")
        self._seen = dict(mark)

    def learn(self, table: str, references: Iterable[tuple[int, str]]) -> None:
        """Note references that were written into rows that may have been read before."""
        if table in self._seen:
            self._add(table, references)

    def candidates(
        self, source: ReferenceSource, table: str, references: Collection[str]
    ) -> list[int]:
        """Return ids of rows that may carry one of the references."""
        if table not in self._seen:
            self._read_all(source, table)
        ids: set[int] = set()
        wanted = list({_packed(reference) for reference in references})
        for start in range(0, len(wanted), _LOOKUP):
            some = wanted[start : start + _LOOKUP]
            marks = ", ".join("?" * len(some))
            rows = self._file.execute(
                f"SELECT id FROM {_name(table)} WHERE reference IN ({marks})", some
            )
            ids.update(row[0] for row in rows)
        return sorted(ids)

    def top_up(self, source: ReferenceSource, table: str) -> bool:
        """Read what lies beyond the last id seen; return whether there was anything."""
        until = source.highest_id(table)
        after = self._seen[table]
        if until <= after:
            return False
        while True:
            chunk = source.references(table, after, until, CHUNK)
            self._add(table, chunk)
            if len(chunk) < CHUNK:
                break
            after = chunk[-1][0]
        self._seen[table] = until
        return True

    def _read_all(self, source: ReferenceSource, table: str) -> None:
        self._file.execute(f"CREATE TABLE {_name(table)} (reference BLOB, id INTEGER)")
        self._seen[table] = 0
        self.top_up(source, table)
        # Sorted once at the end: much cheaper than keeping the order while filling.
        self._file.execute(
            f"CREATE UNIQUE INDEX {_name(table, 'by')} ON {_name(table)} (reference, id)"
        )

    def _add(self, table: str, references: Iterable[tuple[int, str]]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany(
            f"INSERT OR IGNORE INTO {_name(table)} (reference, id) VALUES (?, ?)",
            ((_packed(reference), id_) for id_, reference in references),
        )
        self._file.execute("COMMIT")


def _name(table: str, prefix: str = "of") -> str:
    return f'"{prefix}_{table}"'

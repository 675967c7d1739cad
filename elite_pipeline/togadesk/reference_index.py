"""Which row carries which ``referenceId``, where the server has no index to tell.

Production has no index on ``referenceId``: each lookup there reads the whole table. The first few
are answered that way; a run that needs more reads the references of a table once, in the order of
the primary key and a bounded number at a time, into a temporary file of its own, and asks that from
then on. What the file says is only ever a hint: rows are read by id and their reference compared.

Rows that appear later have higher ids and are picked up when a lookup misses, at most a second late while
this store inserts rows itself; those are not read back before one of them is asked for. A reference that
*this* store writes into an old row is noted. One that another process writes into an old row after the
table was read is not seen: flows that do that to one client must not overlap
(``TogadeskStore.lock``).

What does not belong here: reading rows of the helpdesk (``reads``).
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from elite_pipeline.uuids import cut, packed_at_once

#: References read at once: some megabytes at most.
CHUNK = 10_000

#: Seconds for which a store that inserts believes that nobody else does: asking costs a trip to the
#: server for every batch.
BELIEVED_SECONDS = 1.0

#: Values in one IN list; far below SQLite's limit for parameters.
_LOOKUP = 500

#: What the file may keep in memory, in kibibytes.
_CACHE_KIB = 8_192

#: Bits of a filter: a million references make it wrong about one in ten thousand others.
_FILTER_BITS = 26


class ReferenceSource(Protocol):
    """Where references are read from: a transaction on the helpdesk's database."""

    def highest_id(self, table: str) -> int:
        """Return the highest id in a table, 0 when it is empty."""

    def references(self, table: str, after: int, until: int, most: int) -> list[tuple[int, str]]:
        """Return id and reference of rows with ``after < id <= until``, by id."""


class Candidates(NamedTuple):
    """What the index says of some references.

    Attributes:
        ids: Rows that may carry one of them.
        may_be_own: Whether one of them can be in a row that this store has inserted itself.
    """

    ids: list[int]
    may_be_own: bool


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


def _all_packed(references: Collection[str]) -> list[bytes]:
    given = [*references]
    together = packed_at_once(given)
    return cut(together) if together is not None else [*map(_packed, given)]


class _Filter:
    """Knows, in bounded memory, of most references that they were never added (a Bloom filter)."""

    def __init__(self) -> None:
        self._bytes = bytearray(1 << (_FILTER_BITS - 3))

    def add(self, packed: Iterable[bytes]) -> None:
        """Add references."""
        bits, mask = self._bytes, (1 << _FILTER_BITS) - 1
        for number in map(hash, packed):
            for place in (number & mask, number >> 18 & mask, number >> 36 & mask):
                bits[place >> 3] |= 1 << (place & 7)

    def held(self, packed: Iterable[bytes]) -> set[bytes]:
        """Return those references that may have been added; of the others it is certain."""
        bits, mask = self._bytes, (1 << _FILTER_BITS) - 1
        found = set()
        for reference in packed:
            number = hash(reference)
            place = number & mask
            # nearly all that were not added are told by this one
            if bits[place >> 3] >> (place & 7) & 1:
                places = (number >> 18 & mask, number >> 36 & mask)
                if all(bits[place >> 3] >> (place & 7) & 1 for place in places):
                    found.add(reference)
        return found


class ReferenceIndex:
    """The references of the tables that were read so far.

    Args:
        spill_after: How many lookups per table may read the whole table before it is spilled.
        clock: Seconds that only grow.
    """

    def __init__(self, spill_after: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._spill_after = spill_after
        self._clock = clock
        #: When it was last asked whether others have inserted rows.
        self._asked: dict[str, float] = {}
        self._scans: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        #: Rows inserted by this store since its table was read; None: not certain.
        self._inserted: dict[str, int | None] = {}
        self._filters: dict[str, _Filter] = {}
        # The empty name is a temporary file that SQLite deletes, also when the process dies.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._file.execute("PRAGMA journal_mode = OFF")

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def spill_at_once(self) -> None:
        """Keep the references of a table from the first lookup on: there will be many."""
        self._spill_after = 0

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
        # what was added to a filter stays: it only ever makes a lookup that was not needed
        self._inserted = dict.fromkeys(mark)

    def learn(self, table: str, references: Iterable[tuple[int, str]]) -> None:
        """Note references that were written into rows that may have been read before."""
        if table in self._seen:
            self._add(table, references)

    def note_inserts(self, table: str, rows: int, references: Collection[str]) -> None:
        """Note that this store has inserted so many rows, and the references among them."""
        if table not in self._seen:
            return
        packed = _all_packed(references)
        before = self._inserted[table]
        # into a row without a reference somebody else can write one
        is_certain = before is not None and len(packed) == rows
        self._inserted[table] = (before or 0) + rows if is_certain else None
        self._filters[table].add(packed)

    def candidates(
        self, source: ReferenceSource, table: str, references: Collection[str]
    ) -> Candidates:
        """Return which rows may carry one of the references, as far as the table was read."""
        if table not in self._seen:
            self._read_all(source, table)
        ids: set[int] = set()
        wanted = [*self._filters[table].held(_all_packed(references))]
        for start in range(0, len(wanted), _LOOKUP):
            some = wanted[start : start + _LOOKUP]
            marks = ", ".join("?" * len(some))
            rows = self._file.execute(
                f"SELECT id FROM {_name(table)} WHERE reference IN ({marks})", some
            )
            ids.update(row[0] for row in rows)
        return Candidates(sorted(ids), may_be_own=bool(wanted))

    def top_up(self, source: ReferenceSource, table: str, *, may_be_own: bool = True) -> bool:
        """Read what lies beyond the last id seen; return whether there was anything.

        Where those rows are all this store's own, they are read only if what is looked for can be
        among them (``Candidates``).
        """
        inserted = self._inserted.get(table)
        now = self._clock()
        if inserted and not may_be_own and now - self._asked.get(table, -1e9) < BELIEVED_SECONDS:
            return False
        until = source.highest_id(table)
        self._asked[table] = now
        after = self._seen[table]
        if until <= after:
            return False
        if inserted is not None and until == after + inserted and not may_be_own:
            return False
        while True:
            chunk = source.references(table, after, until, CHUNK)
            self._add(table, chunk)
            if len(chunk) < CHUNK:
                break
            after = chunk[-1][0]
        self._seen[table] = until
        self._inserted[table] = 0
        return True

    def _read_all(self, source: ReferenceSource, table: str) -> None:
        self._file.execute(f"CREATE TABLE {_name(table)} (reference BLOB, id INTEGER)")
        self._seen[table] = 0
        self._inserted[table] = None
        self._filters[table] = _Filter()
        self.top_up(source, table)
        # Sorted once at the end: much cheaper than keeping the order while filling.
        self._file.execute(
            f"CREATE UNIQUE INDEX {_name(table, 'by')} ON {_name(table)} (reference, id)"
        )

    def _add(self, table: str, references: Iterable[tuple[int, str]]) -> None:
        known = [*references]
        packed = _all_packed([reference for _, reference in known])
        rows = [(one, id_) for one, (id_, _) in zip(packed, known, strict=True)]
        self._filters[table].add(packed)
        self._file.execute("BEGIN")
        self._file.executemany(
            f"INSERT OR IGNORE INTO {_name(table)} (reference, id) VALUES (?, ?)", rows
        )
        self._file.execute("COMMIT")


def _name(table: str, prefix: str = "of") -> str:
    return f'"{prefix}_{table}"'

"""A transaction that reads as any other, and notes what it is told to write instead of writing it.

With it the engine itself says what it would change: what it would leave alone is as it should be.

What does not belong here: what the engine is asked (``judging``, ``reference_data``).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.togadesk import ReferencedRows, Row, Tx
from elite_pipeline.togadesk.reference_index import key

#: Gives ids of rows, for a table and references.
FindRows = Callable[[str, Collection[str]], Sequence[int]]

#: Tables of which the caller knows where the rows are.
_KNOWN = frozenset({"tickets", "tickets_replies", "comments"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that would be changed.

    Attributes:
        row: As it is: id, reference where it has one, and the columns that would change.
        wanted: Column -> what it would hold, of those that hold something else.
    """

    row: Row
    wanted: Mapping[str, object]


@dataclass(slots=True)
class Noted:
    """What would have been written.

    Attributes:
        inserted: Table -> rows.
        changed: Table -> id -> difference.
        deleted: Table -> ids.
    """

    inserted: dict[str, list[Mapping[str, object]]] = field(default_factory=dict)
    changed: dict[str, dict[int, Difference]] = field(default_factory=dict)
    deleted: dict[str, set[int]] = field(default_factory=dict)

    def references(self, table: str) -> set[str]:
        """Return the references of the rows that would be inserted into a table."""
        return {str(row["referenceId"]) for row in self.inserted.get(table, ())}


class WatchingTx(Tx):
    """Reads through another transaction, and writes nothing.

    Args:
        tx: The other one.
        noted: Takes what would have been written.
        find: Gives the ids of the rows of a table that carry references; None: they are looked up.
    """

    def __init__(self, tx: Tx, noted: Noted, find: FindRows | None = None) -> None:
        # all that a transaction is: it takes part in the other one, and makes none
        self.__dict__.update(vars(tx))
        self._noted = noted
        self._find = find
        self._made = 0

    def select_by_reference(
        self, table: str, columns: Sequence[str], uuids: Collection[str]
    ) -> ReferencedRows:
        """Return rows by reference; where they are is known of tickets and their messages."""
        if self._find is None or table not in _KNOWN:
            return super().select_by_reference(table, columns, uuids)
        found = ReferencedRows()
        ids = self._find(table, uuids)
        if not ids:
            return found
        wanted = {key(uuid): uuid for uuid in uuids if uuid}
        needed = list(dict.fromkeys(("id", "referenceId", *columns)))
        for row in self.select(table, needed, in_=("id", ids)):
            uuid = wanted.get(key(row.referenceId or ""))
            if uuid is not None and uuid not in found:
                found[uuid] = Row((name, row[name]) for name in columns)
        return found

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Note rows."""
        self._noted.inserted.setdefault(table, []).extend(rows)

    def insert_referenced(self, table: str, rows: Sequence[Mapping[str, object]]) -> dict[str, int]:
        """Note rows; return ids that no row has."""
        self.insert(table, rows)
        return {str(row["referenceId"]): self._new_id() for row in rows}

    def update(self, table: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Note what differs from what is there."""
        if not rows:
            return 0
        columns = list(dict.fromkeys(["id", *rows[0]]))
        if "referenceId" in self._table(table).c and "referenceId" not in columns:
            columns.append("referenceId")
        ids = [row["id"] for row in rows]
        there = {row.id: row for row in self.select(table, columns, in_=("id", ids))}
        changed = self._noted.changed.setdefault(table, {})
        for row in rows:
            current = there.get(int(str(row["id"])))
            if current is None:
                continue
            wanted = {name: value for name, value in row.items() if current[name] != value}
            if wanted:
                changed[current.id] = Difference(current, wanted)
        return len(there)

    def delete(self, table: str, ids: Sequence[int]) -> int:
        """Note ids."""
        self._noted.deleted.setdefault(table, set()).update(ids)
        return len(set(ids))

    def find_or_create_names(self, table: str, names: Collection[str]) -> dict[str, int]:
        """Return the ids of names; of one that is not there an id that no row has."""
        found = super().find_or_create_names(table, names)
        return {name: found[name] if name in found else self._new_id() for name in names}

    def _new_id(self) -> int:
        self._made += 1
        return -self._made

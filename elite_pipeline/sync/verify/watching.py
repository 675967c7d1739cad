"""A transaction that reads as any other, and notes what it is told to write instead of writing it.

With it the engine itself says what it would change: what it would leave alone is as it should be.

What does not belong here: what the engine is asked (``judging``, ``reference_data``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.togadesk import Row, Tx


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
    """

    def __init__(self, tx: Tx, noted: Noted) -> None:
        # all that a transaction is: it takes part in the other one, and makes none
        self.__dict__.update(vars(tx))
        self._noted = noted
        self._made = 0

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

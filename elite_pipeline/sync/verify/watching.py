"""A transaction that reads as any other, and notes what it is told to write instead of writing it.

With it the engine itself says what it would change: what it would leave alone is as it should be.

What does not belong here: what the engine is asked (``judging``, ``reference_data``).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.sync.verify.sides import MessageHere, TicketHere, key
from elite_pipeline.togadesk import ReferencedRows, Row, Tx
from elite_pipeline.togadesk.bulk import rows_of
from elite_pipeline.togadesk.walks import digest_of

#: Tables of which the caller knows where the rows are.
_KNOWN = frozenset({"tickets", "tickets_replies", "comments"})
#: Table of messages -> the column of their texts.
_TEXTS = {"tickets_replies": "message", "comments": "comment"}


class StoredText(str):
    """A text of which only the digest was read: equal to the text of that digest."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Compare with a text."""
        if isinstance(other, StoredText):
            return str.__eq__(self, other)
        return isinstance(other, str) and digest_of(other) == str.__str__(self)

    def __ne__(self, other: object) -> bool:
        """Compare with a text."""
        return not self == other

    __hash__ = str.__hash__


class Known:
    """What is known of tickets and their messages before the engine asks.

    Args:
        tickets: Key of a reference -> rows that carry it, by id.
        messages: Likewise, of both tables.
        asked: The keys that were looked for: what is not found of them is not there.
    """

    def __init__(
        self,
        tickets: Mapping[str, Sequence[TicketHere]],
        messages: Mapping[str, Sequence[MessageHere]],
        asked: Collection[str],
    ) -> None:
        self._tickets = tickets
        self._messages = messages
        self._asked = asked

    def covers(self, uuid: str) -> bool:
        """Tell whether it was looked for."""
        return key(uuid) in self._asked

    def row(self, table: str, uuid: str) -> Row | None:
        """Return the row of a reference, of several the one with the lowest id."""
        if table == "tickets":
            tickets = self._tickets.get(key(uuid))
            return tickets[0].as_read if tickets else None
        for one in self._messages.get(key(uuid), ()):
            if one.place == table:
                return Row(
                    {
                        "id": one.id,
                        "ticketid": one.ticket,
                        "peopleid": one.person,
                        _TEXTS[table]: StoredText(one.digest),
                    }
                )
        return None


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
        known: What is known of tickets and their messages already; None: nothing.
    """

    def __init__(self, tx: Tx, noted: Noted, known: Known | None = None) -> None:
        # all that a transaction is: it takes part in the other one, and makes none
        self.__dict__.update(vars(tx))
        self._noted = noted
        self._known = known
        self._made = 0

    def select_by_reference(
        self, table: str, columns: Sequence[str], uuids: Collection[str]
    ) -> ReferencedRows:
        """Return rows by reference, of tickets and messages as they are known already."""
        known = self._known
        if known is None or table not in _KNOWN or not all(map(known.covers, uuids)):
            return super().select_by_reference(table, columns, uuids)
        found = ReferencedRows()
        for uuid in uuids:
            row = known.row(table, uuid)
            if row is not None:
                found[uuid] = row
        return found

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Note rows."""
        self._noted.inserted.setdefault(table, []).extend(rows)

    def insert_columns(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Note rows that are given column by column."""
        self.insert(table, rows_of(columns))

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

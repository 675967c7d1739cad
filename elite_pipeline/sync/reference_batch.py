"""One batch of reference data, written in one transaction: match, decide, write what differs.

Follows ``spec/sync.md`` section 3: matched by ``referenceId``; a hand-made row is adopted where that is
safe; only owned columns are written; an unchanged record causes no write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync.reference_kinds import Kind, Lookups, R
from elite_pipeline.sync.results import MAX_CHANGES, Action, Change
from elite_pipeline.togadesk import FittedTogether, Row, TogadeskStore, Tx

#: What a record's row should hold; or why the record cannot be a row.
Planned = Mapping[str, dict[str, object] | PermanentError]

#: Records that refer to nothing have nothing looked up.
_NOTHING = Lookups()
#: Of records that are as they were nothing is kept but their number.
_UNCHANGED, _INACTIVE = Change("", "", "unchanged"), Change("", "", "inactive")
#: And of those that were written once a result has no room for more (``MAX_CHANGES``).
_UNDETAILED: Mapping[Action, Change] = {
    action: Change("", "", action) for action in ("created", "updated", "adopted", "inactive")
}


@dataclass(slots=True)
class Outcome(Generic[R]):
    """What became of one record: a change, or a refusal.

    Attributes:
        is_plain: Its batch came through at the first attempt, and nothing in it gave up, took over or
            was refused a natural key that rows of others hold: nothing was written but what the
            outcomes of the batch say.
    """

    record: R
    change: Change | None = None
    refusal: PermanentError | None = None
    is_plain: bool = False


def plan(kind: Kind[R], store: TogadeskStore, records: Sequence[R]) -> Planned:
    """Return what the rows of records should hold, by uuid, where that needs nothing but them."""
    planned: dict[str, dict[str, object] | PermanentError] = {}
    if kind.refers:
        return planned
    texts = FittedTogether(store)
    for record in records:
        try:
            planned[record.uuid] = kind.values(record, _NOTHING, texts)
        except PermanentError as error:
            planned[record.uuid] = error
        except Exception:  # noqa: BLE001, S112 - met again where the record's own net is
            continue
    if failed := texts.finish():
        for uuid, row in [*planned.items()]:
            if (problem := failed.get(id(row))) is None:
                continue
            if isinstance(problem, PermanentError):
                planned[uuid] = problem
            else:
                # met again where the record's own net is
                del planned[uuid]
    return planned


def find_holders(
    kind: Kind[R], client_id: int, tx: Tx, keys: Sequence[object]
) -> list[Sequence[Any]]:
    """Return the rows that hold one of some natural keys: id, client, reference, further columns."""
    return tx.select_values(
        kind.table,
        kind.columns,
        # a unique key is looked up by its index; any other one among this client's rows
        where={} if kind.key_is_unique else {"clientid": client_id},
        in_=(kind.key, keys),
    )


def are_unchanged(
    kind: Kind[R],
    client_id: int,
    records: Sequence[R],
    planned: Planned,
    holders: Sequence[Sequence[Any]],
) -> bool:
    """Tell whether records are plainly as their rows are: a quick look, to which any doubt is a no.

    Args:
        kind: What they are.
        client_id: Whose rows they have.
        records: Each with another uuid.
        planned: What :func:`plan` said of them.
        holders: What :func:`find_holders` says of their natural keys.
    """
    if len(holders) != len(records):
        return False
    # client, reference and the owned columns stand behind the id
    end = 3 + len(kind.owned)
    by_uuid = {row[2]: row for row in holders}
    for record in records:
        values, row = planned.get(record.uuid), by_uuid.get(record.uuid)
        if row is None or not isinstance(values, dict):
            return False
        if [*row[1:end]] != [client_id, record.uuid, *values.values()]:
            return False
    return True


def write_new(
    kind: Kind[R], store: TogadeskStore, records: Sequence[R], planned: Planned
) -> list[dict[str, object]] | None:
    """Write records that plainly have no rows yet, all at once, as of most of what a first run lists.

    Args:
        kind: What they are; its natural key is unique, and nobody has those of the records.
        store: Where to.
        records: Each with another uuid.
        planned: What :func:`plan` said of them.

    Returns:
        The owned columns of their rows; None where there is any doubt: then they are to be looked at
        more closely. Where an attempt was broken off, some of them may be written all the same.

    Raises:
        PermanentError: The database refuses a value; likewise.
        TransientError, SystemicError: As ``TogadeskStore.run``.
    """
    rows = [row for record in records if isinstance(row := planned.get(record.uuid), dict)]
    keys = {kind.key_of(row[kind.key]) for row in rows}
    if len(keys) != len(records) or len(rows) != len(records):
        return None
    if kind.skips_inactive and not all(map(kind.is_active, records)):
        return None
    uuids = [record.uuid for record in records]
    made = {name: [row[name] for row in rows] for name in kind.owned}

    def write(tx: Tx) -> bool:
        # what a first attempt may have written is seen by a second one
        if tx.select_by_reference(kind.table, ["id"], uuids):
            return False
        further = kind.new_columns(len(uuids))
        tx.insert_columns(kind.table, {"referenceId": uuids, **made, **further})
        return True

    kind.prepare(store, records)
    return rows if store.run(write) else None


def write_in_rounds(
    kind: Kind[R],
    store: TogadeskStore,
    records: Sequence[R],
    planned: Planned,
    holders: list[Sequence[Any]] | None = None,
) -> tuple[list[Outcome[R]], Lookups]:
    """Write records in rounds: a key that one record gives up may be what another one needs.

    Args:
        kind: What they are.
        store: Where to.
        records: Each with another uuid.
        planned: What :func:`plan` said of them, or of some of them.
        holders: What :func:`find_holders` says of their natural keys, where that was asked before.

    Returns:
        One outcome per record, and what the records refer to.
    """
    done: list[Outcome[R]] = []
    lookups = Lookups()
    kind.prepare(store, records)
    while True:
        batch = Batch(kind, store, records, planned, holders)
        store.run(batch.write)
        lookups.waiting += batch.lookups.waiting
        done += batch.outcomes
        refused = [outcome for outcome in batch.outcomes if outcome.refusal is not None]
        if not refused:
            return done, lookups
        if not batch.freed_a_key:
            if (parked := batch.ring()) is None:
                return done, lookups
            store.run(partial(_park, kind, parked))
        holders = None
        records = [outcome.record for outcome in refused]
        done = [outcome for outcome in done if outcome.refusal is None]


@dataclass(frozen=True, slots=True)
class Parked:
    """A row that must make room for the moment: as it is, under which key, and what it is to hold."""

    row: Row
    key: str
    values: dict[str, object]


class Batch(Generic[R]):
    """One transaction of a flow: reads what is there, decides, writes what differs.

    Attributes:
        outcomes: One per record, in their order.
        freed_a_key: A row was given another natural key, so that the old one is free now.
    """

    def __init__(
        self,
        kind: Kind[R],
        store: TogadeskStore,
        records: Sequence[R],
        planned: Planned,
        holders: list[Sequence[Any]] | None,
    ) -> None:
        self._kind = kind
        self._store = store
        self._records = records
        self._planned = planned
        self._holders = holders
        self._columns = kind.columns
        self._owned = slice(3, 3 + len(kind.owned))
        #: What says whether a row may be written at all.
        self._guards = ("id", *kind.extra_columns)
        #: Further columns of rows that may be written.
        self._unprotected: set[tuple[object, ...]] = set()
        self._detailed = 0
        self.lookups = Lookups()
        self.outcomes: list[Outcome[R]] = []
        self.freed_a_key = False
        self._inserts: list[dict[str, object]] = []
        self._updates: list[dict[str, object]] = []
        self._update_columns: set[str] = set()
        self._adoptions: list[dict[str, object]] = []
        self._moved: list[tuple[Row, dict[str, object]]] = []
        self._claimed: dict[str, str] = {}
        self._blocked: dict[str, tuple[Row, str, dict[str, object]]] = {}
        self._attempts = 0

    def write(self, tx: Tx) -> None:
        """Do it; safe to be called again after a transaction that did not come through."""
        self._start_over()
        self.lookups = self._kind.look_up(tx, self._records, self._store)
        values: dict[str, dict[str, object]] = {}
        refused: dict[str, PermanentError] = {}
        planned = self._planned
        for record in self._records:
            row = planned.get(record.uuid)
            if row is None:
                row = self._values(record)
            if isinstance(row, PermanentError):
                refused[record.uuid] = row
            else:
                values[record.uuid] = row
        # seen before, if at all, only once: a second attempt reads what the first one wrote
        found, self._holders = self._holders, None
        was_seen_before = found is not None
        keys = [fields[self._kind.key] for fields in values.values()]
        if found is None:
            found = find_holders(self._kind, self._store.client_id, tx, keys)
        self._decide_all(tx, found, values, refused)
        if was_seen_before and (self._adoptions or self._blocked or self._moved):
            # whose row that is may have changed since it was seen
            self._start_over()
            found = find_holders(self._kind, self._store.client_id, tx, keys)
            self._decide_all(tx, found, values, refused)
        self._attempts += 1
        if self._attempts == 1 and not (self._adoptions or self._blocked or self._moved):
            for outcome in self.outcomes:
                outcome.is_plain = True
        self._kind.before_move(tx, self._moved)
        # nothing but what differs somewhere: the same columns in all rows of one statement
        columns = ["id", *(name for name in self._kind.owned if name in self._update_columns)]
        tx.update(
            self._kind.table, [{name: row[name] for name in columns} for row in self._updates]
        )
        tx.update(self._kind.table, self._adoptions)
        if self._inserts:
            names = ("referenceId", *self._kind.owned)
            made = {name: [row[name] for row in self._inserts] for name in names}
            tx.insert_columns(
                self._kind.table, {**made, **self._kind.new_columns(len(self._inserts))}
            )

    def _start_over(self) -> None:
        self.outcomes, self._inserts, self._updates, self._adoptions = [], [], [], []
        self._moved, self._update_columns = [], set()
        self._claimed, self._blocked, self.freed_a_key = {}, {}, False
        self._detailed = 0

    def _decide_all(
        self,
        tx: Tx,
        found: Sequence[Sequence[Any]],
        values: dict[str, dict[str, object]],
        refused: Mapping[str, PermanentError],
    ) -> None:
        settled = self._settled(found, values)
        own, holders = self._rows(tx, found, values, settled)
        for record in self._records:
            uuid = record.uuid
            if (kept := settled.get(uuid)) is not None:
                outcome = self._settle(record, kept, values[uuid])
            elif uuid in refused:
                outcome = Outcome(record, refusal=refused[uuid])
            else:
                outcome = self._decide(record, values[uuid], own, holders)
            self.outcomes.append(outcome)

    def _values(self, record: R) -> dict[str, object] | PermanentError:
        try:
            return self._kind.values(record, self.lookups, self._store)
        except PermanentError as error:
            return error

    def _settled(
        self, found: Sequence[Sequence[Any]], values: Mapping[str, Mapping[str, object]]
    ) -> dict[str, Sequence[Any]]:
        """Return the rows of the records that keep their natural key: nothing can be in their way.

        Where two rows mirror one record, each record is looked at more closely.
        """
        client_id, kind = self._store.client_id, self._kind
        key, place = kind.key, self._columns.index(kind.key)
        settled: dict[str, Sequence[Any]] = {}
        mirrors = 0
        for row in found:
            wanted = values.get(row[2])
            if wanted is not None and row[1] == client_id:
                mirrors += 1
                if row[place] == wanted[key]:
                    settled[row[2]] = row
        return settled if len(settled) == mirrors else {}

    def _rows(
        self,
        tx: Tx,
        found: Sequence[Sequence[Any]],
        values: Mapping[str, Mapping[str, object]],
        settled: Mapping[str, Sequence[Any]],
    ) -> tuple[dict[str, Row], dict[str, list[Row]]]:
        """Return the rows of the other records, and all rows that hold natural keys, by key."""
        holders: dict[str, list[Row]] = {}
        own: dict[str, Row] = {}
        if len(settled) == len(values):
            return own, holders
        kind = self._kind
        # by id, and one that two spellings found only once
        by_id = {row[0]: row for row in found}
        for id_ in sorted(by_id):
            row = Row(zip(self._columns, by_id[id_], strict=True))
            holders.setdefault(kind.key_of(row[kind.key]), []).append(row)
            if row["clientid"] == self._store.client_id and row["referenceId"] in values:
                own.setdefault(row["referenceId"], row)
        missing = [uuid for uuid in values if uuid not in own]
        own.update(tx.select_by_reference(kind.table, self._columns, missing))
        return own, holders

    def _settle(self, record: R, row: Sequence[Any], values: dict[str, object]) -> Outcome[R]:
        stood = row[self._owned]
        if [*stood] == [*values.values()]:
            return Outcome(record, _UNCHANGED if self._kind.is_active(record) else _INACTIVE)
        changed = tuple(
            [
                name
                for name, before, after in zip(values, stood, values.values(), strict=True)
                if before != after
            ]
        )
        extras = tuple(row[self._owned.stop :])
        if extras in self._unprotected:
            return self._note_update(record, row[0], values, changed)
        guards = Row(zip(self._guards, [row[0], *extras], strict=True))
        outcome = self._write_changed(record, guards, values, changed)
        if outcome.refusal is None:
            self._unprotected.add(extras)
        return outcome

    def _decide(
        self,
        record: R,
        values: dict[str, object],
        own: dict[str, Row],
        holders: dict[str, list[Row]],
    ) -> Outcome[R]:
        kind = self._kind
        key = kind.key_of(values[kind.key])
        row = own.get(record.uuid)
        others = holders.get(key, [])
        if others and row is not None:
            others = [holder for holder in others if holder["id"] != row["id"]]
        if others and not kind.key_is_unique:
            # rows that mirror another record of the same name are none of this one's business
            others = [other for other in others if not other.referenceId]
        conflict = self._conflict(record, key, row, others, values)
        if conflict is not None:
            return Outcome(record, refusal=PermanentError(f"its {kind.key} {conflict}"))
        if row is not None:
            return self._update(record, row, values)
        if others:
            adopted = others[0]
            # taken now: a second record of that name gets a row of its own
            holders[key].remove(adopted)
            self._adoptions.append({"id": adopted.id, "referenceId": record.uuid, **values})
            return self._done(record, values, "adopted")
        if kind.skips_inactive and not kind.is_active(record):
            return self._done(record, values, "inactive")
        self._inserts.append({"referenceId": record.uuid, **values})
        return self._done(record, values, "created")

    def _conflict(
        self,
        record: R,
        key: str,
        row: Row | None,
        others: Sequence[Row],
        values: dict[str, object],
    ) -> str | None:
        """Say why the record cannot have its natural key; None: it can."""
        kind = self._kind
        if kind.key_is_unique:
            if others and (reason := self._held(record, row, others[0], values)) is not None:
                return reason
            # only now: what is refused claims nothing from one who comes later and has it
            claimed_by = self._claimed.setdefault(key, record.uuid)
            if claimed_by != record.uuid:
                return f"is also that of {claimed_by}; change one of the two in TOGA 2"
            return None
        if row is None and len(others) > 1:
            return (
                f"stands {len(others)} times in {kind.table} without a reference; which one is "
                "meant cannot be told: rename or delete the others in the helpdesk"
            )
        return None

    def _held(
        self, record: R, row: Row | None, holder: Row, values: dict[str, object]
    ) -> str | None:
        """Say why a unique natural key that a row holds cannot be the record's; None: it can."""
        kind, client_id = self._kind, self._store.client_id
        reason = kind.refusal(holder, client_id)
        if row is None:
            return reason
        if reason is None:
            return f"is held by another row without a reference ({kind.table} {holder.id})"
        is_only_taken = kind.refusal(Row(holder, referenceId=None), client_id) is None
        if is_only_taken and kind.protection(row) is None:
            self._blocked[record.uuid] = (row, holder.referenceId, values)
        return reason

    def ring(self) -> Parked | None:
        """Return one of a ring of records whose rows have exchanged their natural keys, if any."""
        for start, (row, _, values) in self._blocked.items():
            passed: set[str] = set()
            uuid = start
            while uuid in self._blocked and uuid not in passed:
                passed.add(uuid)
                uuid = self._blocked[uuid][1]
            if uuid == start:
                return Parked(row, start, values)
        return None

    def _update(self, record: R, row: Row, values: dict[str, object]) -> Outcome[R]:
        changed = tuple([name for name, value in values.items() if row[name] != value])
        if not changed:
            return Outcome(record, _UNCHANGED if self._kind.is_active(record) else _INACTIVE)
        outcome = self._write_changed(record, row, values, changed)
        if outcome.refusal is None and self._kind.key in changed:
            self.freed_a_key = True
            self._moved.append((row, values))
        return outcome

    def _write_changed(
        self, record: R, row: Row, values: dict[str, object], changed: tuple[str, ...]
    ) -> Outcome[R]:
        """Write a row, unless it is protected; of the row its id and the guarding columns count."""
        if (protection := self._kind.protection(row)) is not None:
            return Outcome(record, refusal=PermanentError(f"its row {protection}"))
        return self._note_update(record, row["id"], values, changed)

    def _note_update(
        self, record: R, id_: int, values: dict[str, object], changed: tuple[str, ...]
    ) -> Outcome[R]:
        self._updates.append({"id": id_, **values})
        self._update_columns.update(changed)
        return self._done(record, values, "updated", changed)

    def _done(
        self,
        record: R,
        values: dict[str, object],
        action: Action,
        fields: tuple[str, ...] = (),
    ) -> Outcome[R]:
        if self._detailed >= MAX_CHANGES:
            return Outcome(record, _UNDETAILED[action])
        self._detailed += 1
        label = str(values[self._kind.key])
        return Outcome(record, Change(record.uuid, label, action, fields))


def _park(kind: Kind[R], parked: Parked, tx: Tx) -> None:
    """Break a ring: give one of its rows a key that nobody else has, for the moment."""
    # already now: afterwards nobody could tell what its key was
    kind.before_move(tx, [(parked.row, parked.values)])
    tx.update(kind.table, [{"id": parked.row.id, kind.key: parked.key}])

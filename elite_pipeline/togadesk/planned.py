"""The helpdesk's database in a dry run: read as it is, written into an overlay and a plan.

A flow works with it as with the real store. Nothing that it writes reaches the server: the statements of
:class:`PlannedTx` go into the overlay, :class:`PlannedSender` refuses all others, and every transaction
is begun as one that only reads. What was written is found by the reads that come later in the same run.

What does not belong here: where that is kept (``overlay``), and what is done with a plan (``planning``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa

from elite_pipeline.only_reading import only_reading
from elite_pipeline.planning import Draft, EffectKind, Planner
from elite_pipeline.togadesk import changed_tickets, tables
from elite_pipeline.togadesk.bulk import Statement, Values, in_chunks, rows_of
from elite_pipeline.togadesk.overlay import Overlay
from elite_pipeline.togadesk.reference_index import ReferenceIndex
from elite_pipeline.togadesk.sending import Sender, query_of
from elite_pipeline.togadesk.store import Counters, TogadeskStore
from elite_pipeline.togadesk.transaction import Tx

T = TypeVar("T")

SYSTEM: Final = "TOGaDesk"
#: Not equal to any number of rows.
_NOT_COUNTED = -1


class PlannedStore(TogadeskStore):
    """The twin of a store, on the same connections.

    It learns references by itself: what it makes up must not be known to the real one.

    Args:
        real: Whose twin it is.
        planner: Told of what would be written, once a transaction has come through.
    """

    def __init__(self, real: TogadeskStore, planner: Planner) -> None:
        self.__dict__.update(vars(real))
        self.statements = Counters()
        self._references = ReferenceIndex(self._spill_after)
        self._planner = planner
        self._overlay = Overlay()
        self._draft = Draft(planner)

    def close(self) -> None:
        """Delete what the store keeps on disk; the engine stays open."""
        super().close()
        self._overlay.close()

    def run_beside(self, work: Callable[[Tx], T]) -> T:
        """Run reads in their turn: the overlay is one connection."""
        return self.run(work)

    def _attempt(self, work: Callable[[Tx], T]) -> T:
        with self._translated(), self._engine.connect() as connection, connection.begin():
            with only_reading(connection), self._overlay.attempt():
                self._draft = Draft(self._planner)
                result = work(self._transaction(connection))
            self._draft.publish()
            return result

    def _transaction(self, connection: sa.Connection) -> Tx:
        return PlannedTx(
            connection,
            client_id=self.client_id,
            schema=self._read_schema(connection),
            references=self._references,
            statements=self._texts,
            count=self.statements.add,
            overlay=self._overlay,
            draft=self._draft,
            planner=self._planner,
        )


class PlannedSender(Sender):
    """Reads from the server with the overlay laid over it, and writes nowhere."""

    def __init__(self, *given: Any, overlay: Overlay) -> None:
        super().__init__(*given)
        self._overlay = overlay
        self._is_alone = False

    @property
    def is_alone(self) -> bool:
        """Whether the server is read as it is."""
        return self._is_alone

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Read the server as it is, without the overlay, for the length of a ``with`` block."""
        before, self._is_alone = self._is_alone, True
        try:
            yield
        finally:
            self._is_alone = before

    def read(self, query: sa.Select[Any], table: str) -> Sequence[Sequence[Any]]:
        """Return the rows of a query, of which the id is one of the columns."""
        rows = super().read(query, table)
        if self._is_alone or not self._overlay.is_touched(table):
            return rows
        names = [column.name for column in query.selected_columns]
        if "id" not in names:
            raise AssertionError(f"a dry run cannot tell which rows of {table} are meant")
        place = names.index("id")
        merged = self._merged(table, rows, place, query)
        return sorted(merged, key=lambda row: int(row[place]))

    def read_all(
        self, declared: sa.Table, columns: Sequence[str], where: Mapping[str, object]
    ) -> Sequence[Sequence[Any]]:
        """Return the values of ``columns`` of rows whose columns have some values, by id."""
        if not self._overlay.is_touched(declared.name):
            return super().read_all(declared, columns, where)
        named = [*columns, "id"]
        with self.alone():
            rows = super().read_all(declared, named, where)
        merged = self._merged(declared.name, rows, -1, query_of(declared, named, where))
        return [row[:-1] for row in sorted(merged, key=lambda row: int(row[-1]))]

    def read_in(
        self,
        declared: sa.Table,
        columns: Sequence[str],
        where: Mapping[str, object],
        in_: tuple[str, Sequence[object]],
    ) -> Sequence[Sequence[Any]]:
        """Return the same of rows of which one column has one of some values, in no order."""
        if not self._overlay.is_touched(declared.name):
            return super().read_in(declared, columns, where, in_)
        named = [*columns, "id"]
        with self.alone():
            rows = super().read_in(declared, named, where, in_)
        name, values = in_
        query = query_of(declared, named, where).where(declared.c[name].in_(values))
        return [row[:-1] for row in self._merged(declared.name, rows, -1, query)]

    def _merged(
        self, table: str, rows: Sequence[Sequence[Any]], place: int, query: sa.Select[Any]
    ) -> list[Sequence[Any]]:
        touched = self._overlay.touched(table, [row[place] for row in rows])
        return [
            *(tuple(row) for row in rows if row[place] not in touched),
            *(tuple(row) for row in self._overlay.rows(query)),
        ]

    def write(self, statement: sa.Delete, table: str) -> int:
        """Refuse: nothing that writes comes this way in a dry run."""
        del statement
        raise AssertionError(f"a dry run must not write to {table}")

    def write_rows(self, table: str, values: Sequence[Values], statement: Statement) -> int:
        """Refuse: nothing that writes comes this way in a dry run."""
        del values, statement
        raise AssertionError(f"a dry run must not write to {table}")

    def planning(self, table: str) -> AbstractContextManager[None]:
        """Let the overlay refuse what the server would, and in the same words."""
        return self._translated(table)


class PlannedTx(Tx):
    """A transaction of a dry run: see :class:`Tx` for what its methods do."""

    _sender: PlannedSender

    def __init__(
        self,
        connection: sa.Connection,
        *,
        overlay: Overlay,
        draft: Draft,
        planner: Planner,
        **given: Any,
    ) -> None:
        super().__init__(connection, **given)
        self._sender = PlannedSender(
            connection, given["schema"], given["statements"], given["count"], overlay=overlay
        )
        self._overlay = overlay
        self._draft = draft
        self._planner = planner

    # Writes

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Plan to insert rows."""
        self._plan_insert(table, rows)

    def insert_columns(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Plan to insert rows that are given column by column."""
        self._plan_insert(table, rows_of(columns))

    def insert_referenced(self, table: str, rows: Sequence[Mapping[str, object]]) -> dict[str, int]:
        """Plan to insert rows that all have a reference; return the made-up id of each."""
        ids = self._plan_insert(table, rows)
        return {str(row["referenceId"]): id_ for row, id_ in zip(rows, ids, strict=True)}

    def _plan_insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> list[int]:
        if not rows:
            return []
        declared = self._table(table)
        self._refuse_other_clients(rows)
        if any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError("All rows of one write must give the same columns.")
        neutral = {one.name: tables.neutral(one) for one in declared.c if not one.primary_key}
        if "clientid" in neutral:
            neutral["clientid"] = self._client_id
        neutral = {name: _as_given(declared, name, value) for name, value in neutral.items()}
        ids = [self._planner.new_id(table) for _ in rows]
        made = [{**neutral, **row, "id": id_} for row, id_ in zip(rows, ids, strict=True)]
        with self._sender.planning(table):
            self._overlay.put(table, made)
        kind = EffectKind(SYSTEM, table, "create")
        for row, id_ in zip(rows, ids, strict=True):
            self._draft.add(kind, id_, partial(dict, row), name=(table, id_))
        references = [str(row["referenceId"]) for row in rows if row.get("referenceId") is not None]
        self._references.note_inserts(table, len(rows), references)
        return ids

    def update(self, table: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Plan to change rows by id; return how many of them exist."""
        if not rows:
            return 0
        if not rows[0].keys() - {"id"}:
            raise ValueError("An update must give a column beside the id.")
        if any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError("All rows of one write must give the same columns.")
        self._table(table)
        self._refuse_other_clients(rows)
        latest = {cast("int", row["id"]): row for row in rows}
        there = self._whole(table, list(latest))
        with self._sender.planning(table):
            self._overlay.put(
                table, [{**there[id_], **latest[id_]} for id_ in latest if id_ in there]
            )
        for id_, row in latest.items():
            if id_ in there:
                self._plan_change(table, id_, there[id_], row)
        self._references.learn(
            table,
            (
                (id_, str(row["referenceId"]))
                for id_, row in latest.items()
                if row.get("referenceId") is not None
            ),
        )
        return len(there)

    def _plan_change(
        self, table: str, id_: int, there: Mapping[str, object], row: Mapping[str, object]
    ) -> None:
        new = {name: value for name, value in row.items() if there[name] != value}
        if not new:
            # the same once more: the server writes nothing then
            return
        if self._planner.is_made_up(table, id_):
            self._draft.amend((table, id_), lambda: new)
            return
        old = {name: there[name] for name in new}
        self._draft.add(EffectKind(SYSTEM, table, "change"), id_, lambda: new, lambda: old)

    def delete(self, table: str, ids: Sequence[int]) -> int:
        """Plan to delete rows by id; return how many there are."""
        there = self._whole(table, list(dict.fromkeys(ids)))
        self._overlay.remove(table, list(there))
        for id_, row in there.items():
            if self._planner.is_made_up(table, id_):
                self._draft.withdraw(EffectKind(SYSTEM, table, "create"), (table, id_))
                continue
            told = {name: value for name, value in row.items() if name != "id" and value}
            kind = EffectKind(SYSTEM, table, "delete")
            self._draft.add(kind, id_, dict, partial(dict, told))
        return len(there)

    def _whole(self, table: str, ids: Sequence[int]) -> dict[int, dict[str, object]]:
        """Return rows that a write reaches, whole but for bytes, which no flow asks for."""
        declared = self._table(table)
        columns = [one.name for one in declared.c if not isinstance(one.type, sa.LargeBinary)]
        blobs = {one.name: b"" for one in declared.c if one.name not in columns}
        scope = {"clientid": self._client_id} if tables.is_client_scoped(declared) else {}
        return {
            row.id: {**row, **blobs}
            for some in in_chunks(ids)
            for row in self.select(table, columns, where=scope, in_=("id", some))
        }

    # Reads that cannot be put together row by row

    def highest_id(self, table: str) -> int:
        """Return the highest id in a table, made-up ones included; 0 when it is empty."""
        was_alone = self._sender.is_alone
        with self._sender.alone():
            there = super().highest_id(table)
        if was_alone or not self._overlay.is_touched(table):
            return there
        ((highest,),) = self._overlay.rows(sa.select(sa.func.max(self._table(table).c.id)))
        return max(there, int(highest or 0))

    def count_referenced(self, table: str) -> int:
        """Return how many rows carry a reference; where that is not known, a number that is none.

        Whoever compares it looks at the rows then.
        """
        return _NOT_COUNTED if self._overlay.is_touched(table) else super().count_referenced(table)

    def references(self, table: str, after: int, until: int, most: int) -> list[tuple[int, str]]:
        """Return id and reference of this client's rows, made-up ones behind the real ones.

        What changed of a real row is not seen here: that is noted where it is written.
        """
        with self._sender.alone():
            there = super().references(table, after, until, most)
        if not self._overlay.is_touched(table) or len(there) >= most:
            return there
        declared = self._table(table)
        first = max(after, self._planner.before_made_up(table))
        query = (
            self._own(sa.select(declared.c.id, declared.c.referenceId), declared)
            .where(declared.c.id > first, declared.c.id <= until)
            .where(declared.c.referenceId.is_not(None))
            .order_by(declared.c.id)
            .limit(most - len(there))
        )
        return there + [(row[0], row[1]) for row in self._overlay.rows(query)]

    def changed_tickets(
        self, departments: Sequence[int], after: datetime | None, *, is_far: bool = False
    ) -> changed_tickets.ChangedTickets:
        """Return the tickets that have changed, as the server has them.

        The flow that asks writes nothing of what they are selected by.
        """
        with self._sender.alone():
            return super().changed_tickets(departments, after, is_far=is_far)


def _as_given(declared: sa.Table, name: str, value: object) -> object:
    """Return a neutral value as a row would give it: Python's, where its type has one."""
    if isinstance(declared.c[name].type, tables.ZeroDate):
        return None
    if isinstance(declared.c[name].type, tables.LocalDateTime):
        return tables.LocalDateTime().process_result_value(value, cast("Any", None))
    return value

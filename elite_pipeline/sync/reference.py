"""Reference data, TOGA 2 -> TOGaDesk: how any kind of it is carried over.

Follows ``spec/sync.md`` section 3. Each kind (``contacts``, ``units``, …) says what a record's row looks
like; here is what they share: reading from the watermark, matching by ``referenceId``, adopting a
hand-made row where that is safe, writing only what differs, about a thousand records at a time.

What does not belong here: anything that only one kind does.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import ClassVar, Generic, TypeVar

from elite_pipeline.errors import PermanentError, PermanentHttpError, PipelineError
from elite_pipeline.iteration import chunked, prefetch
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.context import FlowContext, FlowRun, Options
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.results import Action, Change, FlowResult, failure_of
from elite_pipeline.sync.uuid_sets import UuidSet
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Parsed, Record, RecordParser, uuid_of
from elite_pipeline.togadesk import Row, TogadeskStore, Tx

R = TypeVar("R", bound=Record)

#: Pages that are written together: with 200 records a page, a thousand rows a statement.
PAGES_PER_BATCH = 5
#: Batches after which a long run stores the watermark, so that a run that dies does not start over.
BATCHES_PER_CHECKPOINT = 10
_CHUNK = 1000


@dataclass(slots=True)
class Lookups:
    """What a batch refers to, found in the helpdesk before its rows are made.

    Attributes:
        ids: Kind of reference -> what TOGA 2 calls it -> id in the helpdesk.
        waiting: References that are not there yet.
    """

    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


class Kind(ABC, Generic[R]):
    """One kind of reference data.

    Attributes:
        flow: Its name: in the registry's switches, in results and in the ledger.
        resource, model: Where and as what TOGA 2 lists it.
        table: The helpdesk's table.
        key: The column that is a row's natural key, by which a hand-made row is adopted.
        owned: The columns that the sync owns; nothing else of an existing row is ever written.
        watermark: The parameter that holds its watermark.
        depth: Levels of relations that a record is needed with.
    """

    flow: ClassVar[str]
    resource: ClassVar[wire.Resource]
    model: type[R]
    table: ClassVar[str]
    key: ClassVar[str]
    owned: ClassVar[tuple[str, ...]]
    watermark: ClassVar[str]
    depth: ClassVar[int] = 1
    #: The natural key is unique in the whole table, across clients.
    key_is_unique: ClassVar[bool] = False
    #: A record that TOGA 2 has switched off gets no row of its own, where rows are what is offered.
    skips_inactive: ClassVar[bool] = False
    #: Further columns that :meth:`refusal` needs to see.
    extra_columns: ClassVar[tuple[str, ...]] = ()
    #: Records can refer to what is not there yet.
    waits: ClassVar[bool] = False

    @abstractmethod
    def values(self, record: R, lookups: Lookups, store: TogadeskStore) -> dict[str, object]:
        """Return the owned columns of a record's row, each fitted to its column.

        Raises:
            PermanentError: The record cannot be a row.
        """

    @abstractmethod
    def is_active(self, record: R) -> bool:
        """Tell whether TOGA 2 has the record switched on."""

    def new_row(self, record: R) -> dict[str, object]:
        """Return further columns of a row that is made, the same ones for every record."""
        del record
        return {}

    def look_up(self, tx: Tx, records: Sequence[R], store: TogadeskStore) -> Lookups:
        """Find what the records refer to."""
        del tx, records, store
        return Lookups()

    def ready(self, tx: Tx, waiting: Sequence[Waiting]) -> set[str]:
        """Return which records no longer wait: something that they refer to is there now."""
        del tx, waiting
        return set()

    def key_of(self, value: object) -> str:
        """Return a natural key in the form in which two are compared."""
        return str(value or "").strip().casefold()

    def protection(self, row: Row) -> str | None:
        """Say why a row is never overwritten, whatever it mirrors; None: it may be."""
        del row
        return None

    def refusal(self, holder: Row, client_id: int) -> str | None:
        """Say why a row that holds the record's natural key may not be adopted; None: it may."""
        if (protection := self.protection(holder)) is not None:
            return protection
        if holder.clientid != client_id:
            return f"belongs to client {holder.clientid} of the helpdesk ({self.table} {holder.id})"
        if holder.referenceId:
            return f"already belongs to {holder.referenceId} ({self.table} {holder.id})"
        return None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of one record: a change, or a refusal."""

    record: R
    change: Change | None = None
    refusal: PermanentError | None = None


def run_reference_flow(kind: Kind[R], context: FlowContext, options: Options) -> FlowResult:
    """Bring one client's records of one kind into the helpdesk.

    Returns:
        What was done; records that failed are in it, and stopped nothing else.

    Raises:
        SystemicError: Nothing of this client can work; the watermark stays.
        TransientError: TOGA 2 or the database gave no answer, retries included; likewise.
    """
    run = FlowRun(context, flow=kind.flow, watermark=kind.watermark, options=options)
    flow = _ReferenceFlow(kind, context, run)
    after = run.start()
    if kind.waits:
        flow.write_waiting()
    progress = Progress()
    with ExitStack() as stack:
        listed = stack.enter_context(UuidSet()) if options.full else None
        pages = context.toga2.pages(kind.resource, after=after, depth=kind.depth)
        # read and parsed while the batch before is on its way to the helpdesk
        batches = stack.enter_context(
            closing(prefetch(flow.parse(batch) for batch in chunked(pages, PAGES_PER_BATCH)))
        )
        for number, (uuids, parsed) in enumerate(batches, start=1):
            if listed is not None:
                listed.add(uuids)
            flow.write_batch(parsed, progress)
            if number % BATCHES_PER_CHECKPOINT == 0:
                run.advance(progress.reached)
            context.progress(f"{kind.flow}: {run.tally.handled} records looked at")
        if listed is not None:
            flow.count_vanished(listed)
    run.advance(progress.reached)
    return run.result()


class _ReferenceFlow(Generic[R]):
    """One run of :func:`run_reference_flow`."""

    def __init__(self, kind: Kind[R], context: FlowContext, run: FlowRun) -> None:
        self._kind = kind
        self._context = context
        self._run = run
        self._store = context.togadesk
        self._parser = RecordParser(kind.model)
        self._lookups = Lookups()
        self._listed = 0

    def write_waiting(self) -> None:
        """Write again what waited for something that is there now."""
        kind = self._kind
        for some in self._context.ledger.waiting(kind.flow):
            ready = sorted(self._store.run(partial(kind.ready, waiting=some)))
            answers = self._context.toga2.fetch_many(kind.resource, ready, depth=kind.depth)
            # one that is gone waits no more; one that cannot be read goes on waiting, and is not part
            # of what this run must handle
            gone = [uuid for uuid, answer in zip(ready, answers, strict=True) if _is_gone(answer)]
            self._context.ledger.set_waiting(kind.flow, gone, [])
            raws = [answer for answer in answers if not isinstance(answer, PipelineError)]
            self.write_batch(self._parser.many(raws), Progress())

    def parse(self, pages: Sequence[Sequence[object]]) -> tuple[list[str], Parsed[R]]:
        """Return the uuids of the records of some pages, malformed ones too, and the records."""
        raws = [raw for page in pages for raw in page]
        return [uuid for raw in raws if (uuid := uuid_of(raw)) is not None], self._parser.many(raws)

    def write_batch(self, parsed: Parsed[R], progress: Progress) -> None:
        """Write a batch, and take it into account."""
        failed: list[datetime | None] = []

        def fail(name: str, updated: datetime | None, error: Exception) -> None:
            failed.append(updated)
            self._run.fail(failure_of(name, updated, error), error)

        for malformed in parsed.malformed:
            fail(malformed.name, malformed.updated, PermanentError(malformed.reason))
        # two versions of one record in a batch: the later one is the one that counts
        records = list({record.uuid: record for record in parsed.records}.values())
        self._lookups = Lookups()
        outcomes = write_in_nets(
            records, self._write, lambda record, error: fail(record.uuid, record.updated, error)
        )
        handled: list[datetime] = []
        for outcome in outcomes:
            if outcome.change is not None:
                handled.append(outcome.record.updated)
                self._run.tally.add(outcome.change)
            elif outcome.refusal is not None:
                fail(outcome.record.uuid, outcome.record.updated, outcome.refusal)
        if self._kind.waits:
            self._context.ledger.set_waiting(
                self._kind.flow,
                [outcome.record.uuid for outcome in outcomes],
                self._lookups.waiting,
            )
        progress.add(handled, failed)

    def count_vanished(self, listed: UuidSet) -> None:
        """Count the rows whose record TOGA 2 no longer has; they are left alone (sync.md 3)."""
        table = self._kind.table
        last = self._store.run(lambda tx: tx.highest_id(table))
        after = 0
        while rows := self._store.run(partial(_references, table, after, last)):
            references = [reference for _, reference in rows if reference]
            self._run.tally.vanished += listed.count_missing(references)
            after = rows[-1][0]
        if self._run.tally.vanished:
            self._run.tally.remark(
                f"{self._run.tally.vanished} rows of {table} mirror records that TOGA 2 no longer "
                "has; they were left alone"
            )

    def _write(self, records: Sequence[R]) -> list[Outcome[R]]:
        """Write records in rounds: a key that one record gives up may be what another one needs."""
        done: list[Outcome[R]] = []
        while True:
            batch = _Batch(self._kind, self._store, records)
            self._store.run(batch.write)
            self._lookups.waiting += batch.lookups.waiting
            done += batch.outcomes
            refused = [outcome for outcome in batch.outcomes if outcome.refusal is not None]
            if not refused:
                return done
            if not batch.freed_a_key:
                if (parked := batch.ring()) is None:
                    return done
                self._store.run(partial(_park, self._kind.table, parked))
            records = [outcome.record for outcome in refused]
            done = [outcome for outcome in done if outcome.refusal is None]


class _Batch(Generic[R]):
    """One transaction of a flow: reads what is there, decides, writes what differs.

    Attributes:
        outcomes: One per record, in their order.
        freed_a_key: A row was given another natural key, so that the old one is free now.
    """

    def __init__(self, kind: Kind[R], store: TogadeskStore, records: Sequence[R]) -> None:
        self._kind = kind
        self._store = store
        self._records = records
        self.lookups = Lookups()
        self.outcomes: list[Outcome[R]] = []
        self.freed_a_key = False
        self._inserts: list[dict[str, object]] = []
        self._updates: list[dict[str, object]] = []
        self._adoptions: list[dict[str, object]] = []
        self._claimed: dict[str, str] = {}
        self._blocked: dict[str, tuple[int, str]] = {}

    def write(self, tx: Tx) -> None:
        """Do it; safe to be called again after a transaction that did not come through."""
        self.outcomes, self._inserts, self._updates, self._adoptions = [], [], [], []
        self._claimed, self._blocked, self.freed_a_key = {}, {}, False
        self.lookups = self._kind.look_up(tx, self._records, self._store)
        values: dict[str, dict[str, object]] = {}
        refused: dict[str, PermanentError] = {}
        for record in self._records:
            try:
                values[record.uuid] = self._kind.values(record, self.lookups, self._store)
            except PermanentError as error:
                refused[record.uuid] = error
        own, holders = self._rows(tx, values)
        for record in self._records:
            if record.uuid in refused:
                self.outcomes.append(Outcome(record, refusal=refused[record.uuid]))
            else:
                self.outcomes.append(self._decide(record, values[record.uuid], own, holders))
        tx.update(self._kind.table, self._updates)
        tx.update(self._kind.table, self._adoptions)
        tx.insert(self._kind.table, self._inserts)

    def _rows(
        self, tx: Tx, values: dict[str, dict[str, object]]
    ) -> tuple[dict[str, Row], dict[str, list[Row]]]:
        """Return the rows of the records, and the rows that hold their natural keys."""
        kind = self._kind
        columns = ("id", "clientid", "referenceId", *kind.owned, *kind.extra_columns)
        # a unique key is looked up by its index; any other one among this client's rows
        scope = {} if kind.key_is_unique else {"clientid": self._store.client_id}
        rows = tx.select(
            kind.table,
            columns,
            where=scope,
            in_=(kind.key, [fields[kind.key] for fields in values.values()]),
        )
        holders: dict[str, list[Row]] = {}
        own: dict[str, Row] = {}
        for row in rows:
            holders.setdefault(kind.key_of(row[kind.key]), []).append(row)
            if row.clientid == self._store.client_id and row.referenceId in values:
                own.setdefault(row.referenceId, row)
        missing = [uuid for uuid in values if uuid not in own]
        own.update(tx.select_by_reference(kind.table, columns, missing))
        return own, holders

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
        others = [holder for holder in holders.get(key, []) if row is None or holder.id != row.id]
        if not kind.key_is_unique:
            # rows that mirror another record of the same name are none of this one's business
            others = [other for other in others if not other.referenceId]
        conflict = self._conflict(record, key, row, others)
        if conflict is not None:
            return Outcome(record, refusal=PermanentError(f"its {kind.key} {conflict}"))
        if row is not None:
            return self._update(record, row, values)
        if others:
            # taken now: a second record of that name gets a row of its own
            holders[key].remove(others[0])
            self._adoptions.append({"id": others[0].id, "referenceId": record.uuid, **values})
            return self._done(record, values, "adopted")
        if kind.skips_inactive and not kind.is_active(record):
            return self._done(record, values, "inactive")
        self._inserts.append({"referenceId": record.uuid, **values, **kind.new_row(record)})
        return self._done(record, values, "created")

    def _conflict(self, record: R, key: str, row: Row | None, others: Sequence[Row]) -> str | None:
        """Say why the record cannot have its natural key; None: it can."""
        kind = self._kind
        if kind.key_is_unique:
            if others and (reason := self._held(record, row, others[0])) is not None:
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

    def _held(self, record: R, row: Row | None, holder: Row) -> str | None:
        """Say why a unique natural key that a row holds cannot be the record's; None: it can."""
        kind, client_id = self._kind, self._store.client_id
        reason = kind.refusal(holder, client_id)
        if row is None:
            return reason
        if reason is None:
            return f"is held by another row without a reference ({kind.table} {holder.id})"
        is_only_taken = kind.refusal(Row(holder, referenceId=None), client_id) is None
        if is_only_taken and kind.protection(row) is None:
            self._blocked[record.uuid] = (row.id, holder.referenceId)
        return reason

    def ring(self) -> dict[str, object] | None:
        """Break a ring of records whose rows have exchanged their natural keys, if there is one.

        Returns:
            An update that gives one of its rows a key that nobody else has, for the moment.
        """
        for start, (row_id, _) in self._blocked.items():
            passed: set[str] = set()
            uuid = start
            while uuid in self._blocked and uuid not in passed:
                passed.add(uuid)
                uuid = self._blocked[uuid][1]
            if uuid == start:
                return {"id": row_id, self._kind.key: start}
        return None

    def _update(self, record: R, row: Row, values: dict[str, object]) -> Outcome[R]:
        changed = tuple(name for name, value in values.items() if row[name] != value)
        if not changed:
            is_active = self._kind.is_active(record)
            return self._done(record, values, "unchanged" if is_active else "inactive")
        if (protection := self._kind.protection(row)) is not None:
            return Outcome(record, refusal=PermanentError(f"its row {protection}"))
        if self._kind.key in changed:
            self.freed_a_key = True
        self._updates.append({"id": row.id, **values})
        return self._done(record, values, "updated", changed)

    def _done(
        self,
        record: R,
        values: dict[str, object],
        action: Action,
        fields: tuple[str, ...] = (),
    ) -> Outcome[R]:
        label = str(values[self._kind.key])
        return Outcome(record, change=Change(record.uuid, label, action, fields))


def _is_gone(answer: object) -> bool:
    return isinstance(answer, PermanentHttpError) and answer.status == 404


def _park(table: str, row: dict[str, object], tx: Tx) -> None:
    tx.update(table, [row])


def _references(table: str, after: int, until: int, tx: Tx) -> list[tuple[int, str]]:
    return tx.references(table, after, until, _CHUNK)

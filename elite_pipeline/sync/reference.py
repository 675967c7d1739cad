"""Reference data, TOGA 2 -> TOGaDesk: how any kind of it is carried over.

Follows ``spec/sync.md`` section 3. Reading from the watermark, about a thousand records at a time,
each in a net of its own. What a record's row looks like is for its kind to say (``reference_kinds``);
matching and writing is in ``reference_batch``.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Generic

from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.iteration import chunked, prefetch
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.look_ahead import LookAhead
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.reference_batch import (
    Outcome,
    Planned,
    are_unchanged,
    write_in_rounds,
    write_new,
)
from elite_pipeline.sync.reference_kinds import Kind, R
from elite_pipeline.sync.reference_reading import PAGES_PER_BATCH, ReadBatch, ReferenceReader
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.uuid_sets import UuidSet
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import NAMELESS, Malformed
from elite_pipeline.togadesk import Tx

logger = logging.getLogger(__name__)

#: Batches after which a long run stores the watermark, so that a run that dies does not start over.
BATCHES_PER_CHECKPOINT = 10
_CHUNK = 1000


def run_reference_flow(kind: Kind[R], context: FlowContext, options: Options) -> FlowResult:
    """Bring one client's records of one kind into the helpdesk.

    Returns:
        What was done; records that failed are in it, and stopped nothing else.

    Raises:
        SystemicError: Nothing of this client can work; the watermark stays.
        TransientError: TOGA 2 or the database gave no answer, retries included; likewise.
    """
    run = FlowRun(context, flow=kind.flow, watermark=kind.watermark, options=options)
    flow = ReferenceFlow(kind, context, run)
    after = run.start()
    flow.write_due()
    if kind.waits:
        flow.write_waiting()
    progress = Progress()
    with ExitStack() as stack:
        listed = stack.enter_context(UuidSet()) if options.full else None
        pages = context.toga2.pages(kind.resource, after=after, depth=kind.depth)
        # four batches are under way: one is read, one parsed and made into rows, one looked up in the
        # helpdesk, and one is written
        read = stack.enter_context(closing(prefetch(chunked(pages, PAGES_PER_BATCH))))
        parsed = stack.enter_context(closing(prefetch(map(flow.reader.pages, read))))
        batches = stack.enter_context(closing(prefetch(map(flow.look_ahead, parsed))))
        for number, batch in enumerate(batches, start=1):
            progress.limit = context.toga2.list_started(kind.resource)
            if listed is not None:
                listed.add(batch.uuids)
                flow.note_changes_since(progress.limit, batch)
            flow.write_batch(batch, progress)
            if number % BATCHES_PER_CHECKPOINT == 0:
                run.advance(progress.reached)
            context.progress(f"{kind.flow}: {run.tally.handled} records looked at")
        if listed is not None:
            flow.count_vanished(listed)
    run.advance(progress.reached)
    return run.result()


class ReferenceFlow(Generic[R]):
    """One run of :func:`run_reference_flow`.

    Attributes:
        reader: Reads the records.
    """

    def __init__(self, kind: Kind[R], context: FlowContext, run: FlowRun) -> None:
        self._kind = kind
        self._context = context
        self._run = run
        self._store = context.togadesk
        self.reader = ReferenceReader(kind, context)
        self._ahead = LookAhead(kind, self._store)
        self._waiting: list[Waiting] = []
        self._attempts = 0
        self._changed_meanwhile = False

    def write_due(self) -> None:
        """Try again what failed before and is due."""
        kind = self._kind
        for uuids in self._run.letters.due_entities():
            answers = self._context.toga2.fetch_many(kind.resource, uuids, depth=kind.depth)
            gone: list[str] = []
            unreadable: list[Malformed] = []
            raws: list[object] = []
            for uuid, answer in zip(uuids, answers, strict=True):
                if not isinstance(answer, PipelineError):
                    raws.append(answer)
                elif _is_gone(answer):
                    gone.append(uuid)
                else:
                    unreadable.append(Malformed(uuid, None, str(answer), kind=answer.kind))
            if not self._run.options.full:
                # a full run counts the rows of all that is gone
                self._run.tally.vanished += len(gone)
            self._run.letters.settle([], gone)
            self.write_batch(self.reader.single(raws, unreadable), Progress())

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
            self.write_batch(self.reader.single(raws), Progress())

    def look_ahead(self, batch: ReadBatch[R]) -> ReadBatch[R]:
        """Return a batch with the rows that it is going to need."""
        return replace(batch, glimpse=self._ahead.glimpse(batch.records, batch.planned))

    def write_batch(self, batch: ReadBatch[R], progress: Progress) -> None:
        """Write a batch, and take it into account."""
        seen = self._ahead.rows(batch.glimpse)
        self._waiting, self._attempts = [], 0
        if seen is not None and self._is_plain(batch):
            if self._is_unchanged(batch, seen):
                self._ahead.wrote_nothing()
                active = sum(map(self._kind.is_active, batch.records))
                inactive = len(batch.records) - active
                self._run.tally.add_unwritten(unchanged=active, inactive=inactive)
                progress.add(record.updated for record in batch.records)
                return
            if not seen and self._kind.key_is_unique:
                if self._write_new(batch):
                    progress.add(record.updated for record in batch.records)
                    return
                # it may have written some of them
                seen = None
        self._write_batch(batch, seen, progress)

    def _is_plain(self, batch: ReadBatch[R]) -> bool:
        """Tell whether nothing but rows need be looked at for a batch."""
        return not (batch.malformed or self._kind.waits or self._run.letters.is_any_known())

    def _is_unchanged(self, batch: ReadBatch[R], seen: list[Sequence[Any]]) -> bool:
        """Tell whether plainly nothing of a batch is to be written, as of most of what a run lists."""
        return are_unchanged(self._kind, self._store.client_id, batch.records, batch.planned, seen)

    def _write_new(self, batch: ReadBatch[R]) -> bool:
        """Write a batch of which nothing is there yet; False: each is to be looked at by itself."""
        self._attempts += 1
        try:
            rows = write_new(self._kind, self._store, batch.records, batch.planned)
        except (SystemicError, TransientError):
            raise
        except PermanentError:
            # of one of them: which one is found where each has a net of its own
            return False
        except Exception:
            # a defect of ours: the careful path may not meet it, and the trace must be seen
            logger.exception("an unforeseen error in new records; each is tried by itself")
            return False
        if rows is None:
            return False
        keys = [row[self._kind.key] for row in rows]
        uuids = [record.uuid for record in batch.records]
        self._ahead.wrote_new(uuids, keys)
        self._run.tally.add_created(zip(uuids, map(str, keys), strict=True), len(rows))
        return True

    def _write_batch(
        self, batch: ReadBatch[R], seen: list[Sequence[Any]] | None, progress: Progress
    ) -> None:
        stumbles: list[Stumble] = []

        def fail(name: str, updated: datetime | None, error: Exception) -> None:
            nameless = name.startswith(NAMELESS)
            stumbles.append(Stumble(name, name, error, updated, unretriable=nameless))

        moments = {record.uuid: record.updated for record in batch.records}
        moments |= {one.name: one.updated for one in batch.malformed if one.updated is not None}
        held = self._run.letters.held(moments)
        for malformed in batch.malformed:
            if malformed.name not in held:
                fail(malformed.name, malformed.updated, malformed.error)
        records = batch.records
        if held:
            records = [record for record in records if record.uuid not in held]
        outcomes = write_in_nets(
            records,
            partial(self._write, batch.planned, [seen]),
            lambda record, error: fail(record.uuid, record.updated, error),
        )
        # more than one attempt: an earlier one may have written what the last one found as it should be
        self._ahead.wrote(batch.records, batch.planned, outcomes, at_once=self._attempts <= 1)
        done = [one.record.uuid for one in outcomes if one.change is not None]
        self._run.tally.add(*[one.change for one in outcomes if one.change is not None])
        for outcome in outcomes:
            if outcome.refusal is not None:
                fail(outcome.record.uuid, outcome.record.updated, outcome.refusal)
        self._run.tally.waiting += len(held)
        if self._kind.waits:
            # before a dead letter is dropped: nothing else would bring the record again
            self._context.ledger.set_waiting(
                self._kind.flow,
                [outcome.record.uuid for outcome in outcomes],
                self._waiting,
            )
        self._run.letters.settle(stumbles, done)
        progress.add(moments.values())

    def note_changes_since(self, started: datetime | None, batch: ReadBatch[R]) -> None:
        """Note whether a record may have been changed while the list was read: it comes twice then."""
        newest = max([record.updated for record in batch.records], default=None)
        # not to the second: answers are put together before they are stamped, and clocks differ
        if newest is not None and (started is None or newest >= started - self._context.lag):
            self._changed_meanwhile = True

    def count_vanished(self, listed: UuidSet) -> None:
        """Count the rows whose record TOGA 2 no longer has; they are left alone (sync.md 3)."""
        table = self._kind.table
        tally = self._run.tally
        has_all_rows = not (tally.failed or tally.waiting or self._kind.skips_inactive)
        # then as many rows as records means that none is left over
        if has_all_rows:
            count = listed.count(each_came_once=not self._changed_meanwhile)
            if count == self._store.run(lambda tx: tx.count_referenced(table)):
                return
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

    def _write(
        self, planned: Planned, seen: list[list[Sequence[Any]] | None], records: Sequence[R]
    ) -> list[Outcome[R]]:
        self._attempts += 1
        # what was seen before is true for the first attempt only
        holders = seen.pop() if seen else None
        outcomes, lookups = write_in_rounds(self._kind, self._store, records, planned, holders)
        self._waiting += lookups.waiting
        return outcomes


def _is_gone(answer: object) -> bool:
    # any other 404 may be a proxy's, and pass
    return isinstance(answer, PermanentHttpError) and answer.code == wire.GONE


def _references(table: str, after: int, until: int, tx: Tx) -> list[tuple[int, str]]:
    return tx.references(table, after, until, _CHUNK)

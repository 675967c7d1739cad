"""Judges reference data: contacts, units, teams, predefined replies.

What a record's row should hold, and whose a natural key is, is for the engine to say
(``reference_batch``): it is asked with a transaction that writes nothing. How many rows say that they are
a record is counted beside it.

What does not belong here: the tree of categories (``category_tree``).
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from elite_pipeline.iteration import chunked, prefetch
from elite_pipeline.sync.contacts import Contacts
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.predefined_replies import PredefinedReplies
from elite_pipeline.sync.reference_batch import Batch, Outcome
from elite_pipeline.sync.reference_kinds import Kind
from elite_pipeline.sync.reference_reading import PAGES_PER_BATCH, ReadBatch, ReferenceReader
from elite_pipeline.sync.teams import Teams
from elite_pipeline.sync.units import Units
from elite_pipeline.sync.verify.due import records_due
from elite_pipeline.sync.verify.explaining import dead_letter, letter_for, not_yet_due
from elite_pipeline.sync.verify.findings import Count, Finding, Reason
from elite_pipeline.sync.verify.sides import Sides, key
from elite_pipeline.sync.verify.watching import Difference, Noted, WatchingTx
from elite_pipeline.togadesk import Tx

#: Every kind, by its flow.
KINDS: dict[str, Callable[[], Kind[Any]]] = {
    "contacts": Contacts,
    "units": Units,
    "teams": Teams,
    "predefined_replies": PredefinedReplies,
}
_CHUNK = 10_000
_WORDS = {"contacts": "contact", "units": "unit", "teams": "team"}


def put_rows(context: FlowContext, sides: Sides, flow: str) -> None:
    """Note which rows of the helpdesk say that they are a record of a kind."""
    table = KINDS[flow]().table
    last = context.togadesk.run(lambda tx: tx.highest_id(table))
    after = 0
    while rows := context.togadesk.run(partial(_references, table, after, last)):
        sides.put_records_here(flow, rows)
        after = rows[-1][0]


def _references(table: str, after: int, until: int, tx: Tx) -> list[tuple[int, str]]:
    return tx.references(table, after, until, _CHUNK)


class ReferenceJudge:
    """Judges the records of one kind of one client.

    Args:
        context: The client's systems.
        sides: Has the rows already (:func:`put_rows`), sorted.
        options: From where to read.
        flow: Which kind.
    """

    def __init__(self, context: FlowContext, sides: Sides, options: Options, flow: str) -> None:
        self._context = context
        self._sides = sides
        self._options = options
        self._kind = KINDS[flow]()
        self._flow = flow
        self._word = _WORDS.get(flow, "predefined reply")
        self._reader = ReferenceReader(self._kind, context)
        self._listed = 0

    def judge(self) -> Count:
        """Add what is found, and return how many there are."""
        context, kind = self._context, self._kind
        pages = context.toga2.pages(kind.resource, after=self._options.since, depth=kind.depth)
        chunks = chunked(pages, PAGES_PER_BATCH)
        with closing(prefetch(map(self._reader.pages, chunks))) as batches:
            for batch in batches:
                self._judge_batch(batch)
                self._listed += len(batch.uuids)
                context.progress(f"{self._flow}: {self._listed} records compared")
        self._sides.index_records()
        self._sides.add(self._doubled())
        if self._options.since is None:
            self._sides.add(self._vanished())
        return self._count()

    def _judge_batch(self, batch: ReadBatch[Any]) -> None:
        self._sides.put_records_there(self._flow, batch.uuids)
        findings: list[Finding] = []

        def refuse(record: Any, error: Exception) -> None:
            findings.append(self._refused(record.uuid, str(error), Reason.NOT_COMPARABLE))

        found = write_in_nets(batch.records, partial(self._would_write, batch), refuse)
        rows = self._sides.rows_of(self._flow, [record.uuid for record in batch.records])
        for outcome, noted in found:
            finding = self._of(outcome, noted, rows.get(key(outcome.record.uuid), []))
            if finding is not None:
                findings.append(finding)
        findings += [
            self._refused(one.name, str(one.error), Reason.NOT_COMPARABLE)
            for one in batch.malformed
        ]
        updated = {record.uuid: record.updated for record in batch.records}
        updated |= {one.name: one.updated for one in batch.malformed if one.updated is not None}
        due = set(records_due(self._context, self._kind.watermark, updated))
        letters = self._context.ledger.dead_letters.among(
            self._flow, [finding.record for finding in findings]
        )
        explained: list[Finding] = []
        for finding in findings:
            letter = letter_for(letters.get(finding.record, ()), [])
            if letter is not None:
                explained.append(dead_letter(finding, letter))
            elif finding.record in due:
                explained.append(not_yet_due(finding))
                self._sides.put_late(self._flow, [finding.record])
            else:
                explained.append(finding)
        self._sides.add(explained)

    def _would_write(
        self, batch: ReadBatch[Any], records: Sequence[Any]
    ) -> list[tuple[Outcome[Any], Noted]]:
        planned = Batch(self._kind, self._context.togadesk, records, batch.planned, None)

        def ask(tx: Tx) -> list[tuple[Outcome[Any], Noted]]:
            noted = Noted()
            planned.write(WatchingTx(tx, noted))
            return [(outcome, noted) for outcome in planned.outcomes]

        return self._context.togadesk.run(ask)

    def _of(self, outcome: Outcome[Any], noted: Noted, rows: Sequence[int]) -> Finding | None:
        uuid, change = outcome.record.uuid, outcome.change
        row = f"{self._kind.table} {rows[0]}" if rows else ""
        name, reason = "", Reason.MISSING
        fields: tuple[str, ...] = ()
        if outcome.refusal is not None:
            reason = Reason.DIFFERENT if rows else Reason.MISSING
            detail = str(outcome.refusal)
        elif change is not None and change.action == "updated":
            name, reason, fields = change.label, Reason.DIFFERENT, change.fields
            changed = noted.changed.get(self._kind.table, {})
            detail = "; ".join(_in_words(one) for id_, one in changed.items() if id_ in rows)
        elif change is not None and change.action == "created":
            name, detail = change.label, "the helpdesk has no row for it"
        elif change is not None and change.action == "adopted":
            name, table = change.label, self._kind.table
            detail = f"{table} has a row of the same {self._kind.key} without a reference"
        elif not rows and (self._kind.is_active(outcome.record) or not self._kind.skips_inactive):
            detail = "no row says that it is it"
        else:
            return None
        return Finding(self._flow, self._word, reason, uuid, row, name, fields, detail)

    def _refused(self, uuid: str, detail: str, reason: Reason, row: str = "") -> Finding:
        return Finding(self._flow, self._word, reason, uuid, row, detail=detail)

    def _doubled(self) -> Sequence[Finding]:
        """Return the records that several rows say that they are."""
        query = (
            "SELECT h.reference, count(*), group_concat(h.id, ', ') FROM records_here h "
            "WHERE h.kind = ?1 AND EXISTS "
            "(SELECT 1 FROM records_there t WHERE t.kind = ?1 AND t.uuid = h.reference) "
            "GROUP BY h.reference HAVING count(*) > 1 ORDER BY h.reference"
        )
        return [
            Finding(
                self._flow,
                self._word,
                Reason.DOUBLED,
                reference,
                f"{self._kind.table} {ids.split(',')[0]}",
                detail=f"{count} rows of {self._kind.table} say that they are it: {ids}",
            )
            for reference, count, ids in self._sides.query(query, self._flow)
        ]

    def _vanished(self) -> Sequence[Finding]:
        """Return the rows whose record TOGA 2 no longer has: they stay (sync.md 3), and are shown."""
        query = (
            "SELECT h.id, h.reference FROM records_here h WHERE h.kind = ?1 AND NOT EXISTS "
            "(SELECT 1 FROM records_there t WHERE t.kind = ?1 AND t.uuid = h.reference) ORDER BY h.id"
        )
        return [
            Finding(
                self._flow,
                self._word,
                Reason.VANISHED,
                reference,
                f"{self._kind.table} {id_}",
                detail="TOGA 2 no longer has it; the row was left alone",
            )
            for id_, reference in self._sides.query(query, self._flow)
        ]

    def _count(self) -> Count:
        there = "SELECT count(DISTINCT uuid) FROM records_there WHERE kind = ?"
        here = "SELECT count(*) FROM records_here WHERE kind = ?"
        return Count(
            self._flow.replace("_", " "),
            self._sides.one(there, self._flow),
            self._sides.one(here, self._flow),
        )


def _in_words(difference: Difference) -> str:
    return "; ".join(
        f"{column}: {difference.row[column]!r} instead of {value!r}"
        for column, value in sorted(difference.wanted.items())
    )

"""Reference data as it is read: pages of raw records, parsed and made into rows.

What does not belong here: what is written of it (``reference``, ``reference_batch``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from elite_pipeline.errors import PipelineError
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.look_ahead import Glimpse
from elite_pipeline.sync.reference_batch import Planned, plan
from elite_pipeline.sync.reference_kinds import Kind, R
from elite_pipeline.toga2.models import Malformed, Parsed, RecordParser, updated_of, uuid_of

#: Pages that are written together: with 200 records a page, a thousand rows a statement.
PAGES_PER_BATCH = 5


@dataclass(frozen=True, slots=True)
class ReadBatch(Generic[R]):
    """Some pages, read.

    Attributes:
        uuids: Of all of their records, malformed ones too.
        records: Each once: of two versions of one record the later one is the one that counts.
        malformed: What could not be parsed, or not read.
        planned: What the records' rows should hold, where that can be said already.
        glimpse: The rows that hold their natural keys, where those were looked up already.
    """

    uuids: Sequence[str]
    records: Sequence[R]
    malformed: Sequence[Malformed]
    planned: Planned
    glimpse: Glimpse | None = None


class ReferenceReader(Generic[R]):
    """Reads records of one kind for one run.

    Args:
        kind: What they are.
        context: What the run works with.
    """

    def __init__(self, kind: Kind[R], context: FlowContext) -> None:
        self._kind = kind
        self._context = context
        self._parser = RecordParser(kind.model)

    def pages(self, pages: Sequence[Sequence[object]]) -> ReadBatch[R]:
        """Return what some pages hold."""
        raws = [raw for page in pages for raw in page]
        uuids = [uuid for raw in raws if (uuid := uuid_of(raw)) is not None]
        unreadable = self._complete(raws)
        return self._batch(uuids, self._parser.many(raws), unreadable)

    def single(self, raws: Sequence[object], unreadable: Sequence[Malformed] = ()) -> ReadBatch[R]:
        """Return records that were read one by one, and those that could not be."""
        return self._batch([], self._parser.many(raws), unreadable)

    def _batch(
        self, uuids: list[str], parsed: Parsed[R], unreadable: Sequence[Malformed]
    ) -> ReadBatch[R]:
        records = list({record.uuid: record for record in parsed.records}.values())
        return ReadBatch(
            uuids,
            records,
            [*parsed.malformed, *unreadable],
            plan(self._kind, self._context.togadesk, records),
        )

    def _complete(self, raws: list[object]) -> list[Malformed]:
        """Read, in place, the records of which the list has only a part where more is needed [A].

        Returns:
            The ones that cannot be read; they are taken out.
        """
        parts = [
            (uuid_of(raw) or "", raw)
            for raw in raws
            if isinstance(raw, dict) and "_updated" in raw and self._kind.is_stub(raw)
        ]
        answers = self._context.toga2.fetch_many(
            self._kind.resource, [uuid for uuid, _ in parts], depth=self._kind.depth
        )
        unreadable: list[Malformed] = []
        for (uuid, part), answer in zip(parts, answers, strict=True):
            raws.remove(part)
            if isinstance(answer, PipelineError):
                updated = updated_of(part)
                unreadable.append(Malformed(uuid, updated, str(answer), kind=answer.kind))
            else:
                # its place in the list is what the watermark goes by: it may have changed since
                raws.append({**answer, "_updated": part["_updated"]})
        return unreadable

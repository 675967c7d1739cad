"""What a flow did: the frozen result that it returns, and the tally that it keeps on the way.

What does not belong here: how an operator sees it (``defs``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Literal

from elite_pipeline.errors import Kind, PipelineError
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.planning import Plan

Action = Literal["created", "updated", "adopted", "unchanged", "inactive"]

#: How many changes and failures a result carries in detail; the counts are always whole.
MAX_CHANGES = 50
MAX_FAILURES = 200
MAX_LETTERS = 100


@dataclass(frozen=True, slots=True)
class Change:
    """One record that was written.

    Attributes:
        record: Its TOGA 2 uuid.
        label: What a person calls it: a name, an e-mail address, a subject.
        action: What was done.
        fields: Which columns were written, for an update.
    """

    record: str
    label: str
    action: Action
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """One record that could not be carried over, and why; the rest went on.

    Attributes:
        record: Its TOGA 2 uuid, or where it stood when it has none.
        kind: Which of the three kinds of failure it is (``spec/sync.md`` section 8).
        reason: One message for an operator, without secrets.
        updated: The record's own time, aware, when it can be read.
        of: What it is a part of, and with which it is tried again; the record itself, where it is whole.
        parked: No run tries it any more: it waits for a person.
    """

    record: str
    kind: Kind
    reason: str
    updated: datetime | None
    of: str = ""
    parked: bool = False

    @property
    def full_name(self) -> str:
        """The record, and what it is a part of."""
        return self.record if self.of in ("", self.record) else f"{self.record} of {self.of}"


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters that a flow of a client has after a run.

    Attributes:
        waiting: Tried again by runs to come.
        parked: Wait for a person.
        oldest: When the first of them first failed, aware, UTC; None: there are none.
        first: The oldest of them in detail.
    """

    waiting: int = 0
    parked: int = 0
    oldest: datetime | None = None
    first: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowResult:
    """What one run of one flow of one client did.

    Attributes:
        is_on: False when the client's registry has the flow switched off; nothing was done then.
        inactive: Records that TOGA 2 has switched off: kept where they are, not offered anew.
        vanished: Rows whose record TOGA 2 no longer has; only a full run can tell.
        failed: Records that failed in this run, each now a dead letter.
        waiting: Records that were left to their dead letters: those are not due yet, or parked.
        dead_letters: All that there are of this flow.
        details: Further counts, by what was counted.
        api_calls: Requests to TOGA 2, retries and watermark calls included.
        sql_reads, sql_writes: Statements sent to the helpdesk's database.
        watermark_before, watermark_after: The stored watermark, aware, UTC; None: not looked at.
        started_from: Where reading began, the overlap included; None: from the very beginning.
        seconds: Elapsed.
        changes, failures: The first of them in detail.
        remarks: What an operator should know about how this run went.
        plan: Of a dry run, what it would have done: nothing of it was, and counts, ``watermark_after``
            and dead letters are as they would be. None: it was no dry run.
    """

    client: str
    flow: str
    is_on: bool = True
    created: int = 0
    updated: int = 0
    adopted: int = 0
    unchanged: int = 0
    inactive: int = 0
    vanished: int = 0
    failed: int = 0
    waiting: int = 0
    dead_letters: Letters = Letters()
    details: Mapping[str, int] = field(default_factory=dict)
    api_calls: int = 0
    sql_reads: int = 0
    sql_writes: int = 0
    watermark_before: datetime | None = None
    watermark_after: datetime | None = None
    started_from: datetime | None = None
    seconds: float = 0.0
    changes: tuple[Change, ...] = ()
    failures: tuple[RecordFailure, ...] = ()
    remarks: tuple[str, ...] = ()
    plan: Plan | None = None


class Tally:
    """Counts of a run that is under way; its memory does not grow with what is counted."""

    def __init__(self) -> None:
        self.counts: dict[Action, int] = dict.fromkeys(
            ("created", "updated", "adopted", "unchanged", "inactive"), 0
        )
        self.details: dict[str, int] = {}
        self.failed = 0
        self.waiting = 0
        self.vanished = 0
        self.changes: list[Change] = []
        self.failures: list[RecordFailure] = []
        self.remarks: list[str] = []

    @property
    def handled(self) -> int:
        """Records looked at so far."""
        return sum(self.counts.values()) + self.failed + self.waiting

    def add(self, *changes: Change) -> None:
        """Count records, and keep each in detail when it was written and there is room."""
        for change in changes:
            self.counts[change.action] += 1
            if change.action not in {"unchanged", "inactive"} and len(self.changes) < MAX_CHANGES:
                self.changes.append(change)

    def add_unwritten(self, *, unchanged: int, inactive: int) -> None:
        """Count records that are as they were: active ones, and others."""
        self.counts["unchanged"] += unchanged
        self.counts["inactive"] += inactive

    def add_created(self, records: Iterable[tuple[str, str]], count: int) -> None:
        """Count records that were created, and keep the first in detail while there is room.

        Args:
            records: Uuid and label of each, as far as they are asked for.
            count: How many there are.
        """
        self.counts["created"] += count
        for uuid, label in islice(records, MAX_CHANGES - len(self.changes)):
            self.changes.append(Change(uuid, label, "created"))

    def add_details(self, details: Mapping[str, int]) -> None:
        """Add further counts."""
        for name, count in details.items():
            if count:
                self.details[name] = self.details.get(name, 0) + count

    def fail(self, failure: RecordFailure) -> None:
        """Count one failed record, and keep it in detail when there is room."""
        self.failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)

    def remark(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.remarks:
            self.remarks.append(text)


def failure_of(
    record: str, updated: datetime | None, error: Exception, of: str = ""
) -> RecordFailure:
    """Describe what happened to a record; an error that nobody foresaw is permanent, and says so."""
    if isinstance(error, PipelineError):
        return RecordFailure(record, error.kind, str(error), updated, of or record)
    return RecordFailure(
        record,
        "permanent",
        f"an unforeseen {type(error).__name__}; this is a defect of the pipeline, please report it",
        updated,
        of or record,
    )

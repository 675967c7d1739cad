"""What verify finds: a difference, its reason, and how the findings of a run are counted.

What does not belong here: keeping them (``sides``), finding them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why something is listed."""

    MISSING = "missing"
    DOUBLED = "doubled"
    DIFFERENT = "different"
    PRIVATE_SHOWN = "private shown public"
    BYTES_DIFFER = "file bytes differ"
    NOT_COMPARABLE = "not comparable"
    NOT_YET_DUE = "not yet due"
    DEAD_LETTER = "dead letter"
    VANISHED = "vanished"


#: Reasons by which the two sides differ; the others are listed and are no difference by themselves.
DIFFERENCES = (
    Reason.PRIVATE_SHOWN,
    Reason.MISSING,
    Reason.DOUBLED,
    Reason.DIFFERENT,
    Reason.BYTES_DIFFER,
    Reason.NOT_COMPARABLE,
)
OTHERS = (Reason.NOT_YET_DUE, Reason.DEAD_LETTER, Reason.VANISHED)

#: What a reason means, for people.
MEANINGS: Mapping[Reason, str] = {
    Reason.MISSING: "one side has it and the other does not, and no run to come would carry it",
    Reason.DOUBLED: "one record stands twice on the other side",
    Reason.DIFFERENT: "both sides have it, and it does not say the same",
    Reason.PRIVATE_SHOWN: "internal in TOGA 2, and customers can see it in the helpdesk",
    Reason.BYTES_DIFFER: "same name and size on both sides, other bytes",
    Reason.NOT_COMPARABLE: "it cannot be read, so nothing can be said",
    Reason.NOT_YET_DUE: "it differs, and the next run carries it",
    Reason.DEAD_LETTER: "it differs, and a dead letter says why it could not be carried",
    Reason.VANISHED: "TOGA 2 no longer has it; the helpdesk's row stays, as it should",
}


#: What to do about a reason, for people.
NEXT_STEPS: Mapping[Reason, str] = {
    Reason.PRIVATE_SHOWN: "take it out of the replies in the helpdesk at once, then run with full",
    Reason.MISSING: "run the flow with full, then verify again; what stays is in docs/verify.md",
    Reason.DOUBLED: "remove the one that is too much by hand; no run does",
    Reason.DIFFERENT: "run the flow with full, then verify again; what stays is in docs/verify.md",
    Reason.BYTES_DIFFER: "remove the wrong one by hand and run with full; no run replaces bytes",
    Reason.NOT_COMPARABLE: "mend what the detail says, and verify again",
    Reason.NOT_YET_DUE: "nothing; the next run carries it",
    Reason.DEAD_LETTER: "see elite-pipeline dead-letters",
    Reason.VANISHED: "nothing; the row stays",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that verify lists.

    Attributes:
        flow: The flow whose work it is.
        kind: What it is: ``ticket``, ``external note``, ``file``, ``contact`` and so on.
        reason: Why it is listed.
        record: Its TOGA 2 uuid; empty: none.
        row: Table and id in the helpdesk; empty: none.
        of: What it belongs to, in words: its ticket.
        fields: What of it differs.
        detail: One sentence: what is the matter.
        otherwise: What it would be listed as if it were due, or had no dead letter; None for the rest.
    """

    flow: str
    kind: str
    reason: Reason
    record: str = ""
    row: str = ""
    of: str = ""
    fields: tuple[str, ...] = ()
    detail: str = ""
    otherwise: Reason | None = None

    @property
    def is_difference(self) -> bool:
        """Whether the sides differ by it."""
        return self.reason in DIFFERENCES

    @property
    def name(self) -> str:
        """What to call it in a table."""
        return " = ".join(part for part in (self.record, self.row) if part) or "(unnamed)"

    def document(self) -> dict[str, Any]:
        """Return it as JSON may hold it."""
        return {**asdict(self), "fields": list(self.fields)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Finding":
        """Return what :meth:`document` was made of."""
        otherwise = document["otherwise"]
        return cls(
            **{
                **document,
                "reason": Reason(document["reason"]),
                "fields": tuple(document["fields"]),
                "otherwise": Reason(otherwise) if otherwise else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a kind each side has.

    Attributes:
        toga2, helpdesk: Records, and rows that stand for such or should be such.
    """

    kind: str
    toga2: int
    helpdesk: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it, without the single findings.

    Attributes:
        client: Whose sides were compared.
        flows: The flows that were looked at.
        since: Only what changed since was; None: everything.
        with_bytes: Whether the bytes of files were compared, and not name and size alone.
        counts: By kind.
        reasons: Flow -> reason -> how many findings.
        remarks: What an operator should know about how it went.
        files_compared: Files whose bytes were read on both sides.
        seconds: Elapsed.
        api_calls, sql_reads: What it took.
    """

    client: str
    flows: tuple[str, ...]
    since: datetime | None
    with_bytes: bool
    counts: tuple[Count, ...]
    reasons: Mapping[str, Mapping[Reason, int]]
    remarks: tuple[str, ...]
    files_compared: int
    seconds: float
    api_calls: int
    sql_reads: int

    def count(self, reason: Reason, flow: str | None = None) -> int:
        """Return how many findings have a reason, of one flow or of all."""
        flows = self.reasons if flow is None else [flow]
        return sum(self.reasons.get(one, {}).get(reason, 0) for one in flows)

    def differences(self, flow: str | None = None) -> int:
        """Return by how much the sides differ, in one flow's work or in all."""
        return sum(self.count(reason, flow) for reason in DIFFERENCES)

    @property
    def is_equal(self) -> bool:
        """Whether the sides agree, but for what is not yet due or a dead letter."""
        return self.differences() == 0

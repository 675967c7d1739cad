"""Compares both sides of one client; nothing is written anywhere.

What does not belong here: tickets (``tickets``), what makes a difference (``judging`` and its
neighbours), showing it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sync.category_trees import FLOW as CATEGORY_TREES
from elite_pipeline.sync.category_trees import TICKETS_FLOW as INCOMING
from elite_pipeline.sync.collecting import seldom_collected
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import FLOWS as ALL_FLOWS
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING
from elite_pipeline.sync.verify.category_tree import TreeJudge
from elite_pipeline.sync.verify.findings import Count, Finding, Reason, Verification
from elite_pipeline.sync.verify.reference_data import KINDS, ReferenceJudge, put_rows
from elite_pipeline.sync.verify.sides import Sides
from elite_pipeline.sync.verify.tickets import TicketVerifier

REFERENCE_FLOWS = (*KINDS, CATEGORY_TREES)
TICKET_FLOWS = (INCOMING, OUTGOING)
#: The flows whose work can be verified.
FLOWS = (*REFERENCE_FLOWS, *TICKET_FLOWS)

#: Kinds of reference data that tickets name.
_NAMED_BY_TICKETS = ("contacts", "units", "teams")


@dataclass(frozen=True, slots=True)
class Choices:
    """What is to be compared.

    Attributes:
        flows: Whose work, of :data:`FLOWS`.
        since: Only what changed since; aware. None: everything.
        with_bytes: Whether the bytes of files are read on both sides.
    """

    flows: tuple[str, ...] = FLOWS
    since: datetime | None = None
    with_bytes: bool = True

    def __post_init__(self) -> None:
        unknown = [flow for flow in self.flows if flow not in FLOWS]
        if unknown:
            raise ConfigurationError(
                f"There is nothing to verify of {unknown[0]!r}; there is of: {', '.join(FLOWS)}. "
                "Nothing was compared."
            )


class Report:
    """What came of it; valid as long as its context is open.

    Attributes:
        verification: The counts.
    """

    def __init__(self, verification: Verification, sides: Sides) -> None:
        self.verification = verification
        self._sides = sides

    def findings(
        self, *, flow: str | None = None, reason: Reason | None = None, most: int = -1
    ) -> Iterator[Finding]:
        """Yield findings, of one flow and reason or of all; -1: however many there are."""
        return self._sides.findings(flow=flow, reason=reason, most=most)


@contextmanager
def verify(context: FlowContext, choices: Choices | None = None) -> Iterator[Report]:
    """Compare both sides of one client, and yield what came of it.

    Memory does not grow with what there is to compare, nor with what differs: both are in a temporary
    file until the context is left.

    Args:
        context: The client's systems; nothing is written into any of them.
        choices: What to compare; by default all.

    Raises:
        SystemicError: Nothing of this client can work.
        TransientError: TOGA 2 or the database gave no answer, retries included.
    """
    choices = choices or Choices()
    with Sides(choices.flows) as sides:
        job = _Verify(context, sides, choices)
        with seldom_collected():
            job.run()
        yield Report(job.result(), sides)


class _Verify:
    def __init__(self, context: FlowContext, sides: Sides, choices: Choices) -> None:
        self._context = context
        self._sides = sides
        self._choices = choices
        self._counts: list[Count] = []
        self._remarks: list[str] = []
        self._files_compared = 0
        self._started = context.clock()
        self._calls = context.toga2.calls
        self._reads = context.togadesk.statements.reads
        switches = context.client.flows
        self._flows = tuple(flow for flow in FLOWS if getattr(switches, flow))
        self._chosen = tuple(flow for flow in self._flows if flow in choices.flows)

    def run(self) -> None:
        off = [flow for flow in self._choices.flows if flow not in self._flows]
        if off:
            self._remarks.append(
                f"switched off in the registry, and not compared: {', '.join(off)}"
            )
        if not self._chosen:
            return
        for flow in self._chosen:
            self._context.togadesk.require(ALL_FLOWS[flow].tables)
        # all of them are asked for: reading a table again and again would take longer than the rest
        self._context.togadesk.expect_many_lookups()
        has_tickets = any(flow in TICKET_FLOWS for flow in self._chosen)
        tree = self._judge_reference_data(has_tickets=has_tickets)
        if has_tickets:
            self._judge_tickets(tree)
        self._remark_letters()

    def _judge_reference_data(self, *, has_tickets: bool) -> TreeJudge | None:
        """Judge reference data; what only tickets ask for is looked at, and nothing said of it."""
        context, sides = self._context, self._sides
        for flow in KINDS:
            if flow in self._chosen or (has_tickets and flow in _NAMED_BY_TICKETS):
                put_rows(context, sides, flow)
        sides.index_records()
        options = Options(since=self._choices.since)
        for flow in KINDS:
            is_needed = has_tickets and flow == "contacts" and flow in self._flows
            if flow in self._chosen or is_needed:
                self._count(flow, ReferenceJudge(context, sides, options, flow).judge())
        if CATEGORY_TREES in self._chosen or (has_tickets and CATEGORY_TREES in self._flows):
            tree = TreeJudge(context, sides)
            self._count(CATEGORY_TREES, tree.judge())
            return tree
        return None

    def _judge_tickets(self, tree: TreeJudge | None) -> None:
        tickets = TicketVerifier(
            self._context,
            self._sides,
            since=self._choices.since,
            with_bytes=self._choices.with_bytes,
            tree=tree,
        )
        tickets.run()
        self._counts += tickets.counts
        self._remarks += tickets.remarks
        self._files_compared = tickets.files_compared

    def _count(self, flow: str, count: Count) -> None:
        if flow in self._chosen:
            self._counts.append(count)

    def _remark_letters(self) -> None:
        letters = self._context.ledger.dead_letters
        for flow in self._chosen:
            counts = letters.counts(flow)
            if counts.waiting or counts.parked:
                self._remarks.append(
                    f"{flow} has {counts.waiting} dead letters waiting and {counts.parked} parked; "
                    f"see: elite-pipeline dead-letters list --client {self._context.client.name} "
                    f"--flow {flow}"
                )

    def result(self) -> Verification:
        context = self._context
        return Verification(
            client=context.client.name,
            flows=self._chosen,
            since=self._choices.since,
            with_bytes=self._choices.with_bytes,
            counts=tuple(self._counts),
            reasons=self._sides.reasons(),
            remarks=tuple(self._remarks),
            files_compared=self._files_compared,
            seconds=context.clock() - self._started,
            api_calls=context.toga2.calls - self._calls,
            sql_reads=context.togadesk.statements.reads - self._reads,
        )

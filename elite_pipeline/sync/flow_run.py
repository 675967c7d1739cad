"""The bookkeeping of one run of one flow: where it starts, what it counts, where it ends.

What does not belong here: what a run works with (``context``), what becomes of what fails
(``run_letters``), how far a list has been handled (``watermarks``).
"""

from datetime import datetime, timedelta

from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.results import FlowResult, Tally
from elite_pipeline.sync.run_letters import RunLetters
from elite_pipeline.sync.watermarks import BEGINNING
from elite_pipeline.toga2 import wire


def memory_holds(remembered: str | None, stored: datetime) -> bool:
    """Tell whether what the ledger has seen of a flow still holds.

    Args:
        remembered: The watermark that its memory belongs to, as the ledger has it.
        stored: The watermark that is stored; an earlier one was set back by a person.
    """
    return remembered is not None and remembered <= wire.format_time(stored)


class FlowRun:
    """The bookkeeping of one run of one flow: where it starts, what it counts, where it ends.

    Args:
        context: What it works with.
        flow: Its name.
        watermark: The parameter that holds its watermark.
        options: How it was asked to read.
        lag: How far reading goes back behind the watermark; by default the client's towards TOGA 2.

    Attributes:
        tally: What it counts.
        letters: Its dead letters.
    """

    def __init__(
        self,
        context: FlowContext,
        *,
        flow: str,
        watermark: str,
        options: Options,
        lag: timedelta | None = None,
    ) -> None:
        self.context = context
        self.flow = flow
        self.options = options
        self.tally = Tally()
        self.letters = RunLetters(context, flow, self.tally, tries_all=options.full)
        self._watermark = watermark
        self._lag = context.lag if lag is None else lag
        self._started = context.clock()
        self._calls = context.toga2.calls
        self._reads = context.togadesk.statements.reads
        self._writes = context.togadesk.statements.writes
        self._before: datetime | None = None
        self._after: datetime | None = None
        self._started_from: datetime | None = None

    def start(self) -> datetime | None:
        """Return the instant behind which to read, the overlap included; None: read everything."""
        if self.options.full or self.options.shows_watermark:
            # for the result alone
            self._stored()
        if self.options.full:
            return None
        origin = max(self.options.since or self._stored(), BEGINNING)
        self._started_from = origin - self._lag
        return self._started_from

    @property
    def origin(self) -> datetime | None:
        """The watermark that the run started from, without the overlap; None: from the beginning."""
        return self._started_from + self._lag if self._started_from else None

    def remembers(self) -> bool:
        """Tell whether what the ledger has seen of this flow holds for this run.

        It does not when the run was told to start before the watermark that the memory belongs to, nor
        when the stored watermark is earlier than that: a person has set it back, to have everything
        behind it written again. Then it is forgotten.
        """
        if self.options.full:
            return False
        if self.options.since is not None:
            # behind its watermark the memory is whole, whoever says where to start
            remembered = self.context.ledger.watermark(self.flow)
            return remembered is not None and wire.format_time(self.options.since) >= remembered
        known, stored = self.context.ledger.watermark(self.flow), self._stored()
        if memory_holds(known, stored):
            return True
        self.context.ledger.forget(self.flow)
        self.context.ledger.set_watermark(self.flow, wire.format_time(stored))
        if known is None and stored > BEGINNING:
            self.tally.remark(
                "the ledger knew nothing of this flow; if it was lost, a run with 'full' fills in "
                "what earlier runs had left waiting"
            )
        return False

    def remember_all(self) -> None:
        """After a run that read everything: what the ledger has seen holds for the runs to come."""
        if self.options.full and self.context.ledger.watermark(self.flow) is None:
            self.context.ledger.set_watermark(self.flow, wire.format_time(self._stored()))

    @property
    def advanced_to(self) -> datetime | None:
        """The watermark that this run has stored; None: it has stored none."""
        return self._after

    def advance(self, reached: datetime | None) -> None:
        """Store the watermark that was reached, if it is past the one stored."""
        if reached is None or (self.options.since is not None and reached <= self.options.since):
            return
        stored = self._stored()
        if self.options.since is not None and self.options.since > stored:
            # what lies between the two was not read by this run
            self.tally.remark(
                f"started after the stored watermark ({stored:%Y-%m-%d %H:%M:%S} UTC), "
                "which is therefore left where it was"
            )
            return
        if reached <= stored:
            return
        self._after = self.context.watermarks.advance(self._watermark, reached)
        if self._after < stored:
            self.tally.remark(
                "the watermark was set back during the run, and stays where it was set"
            )
        elif self.context.ledger.watermark(self.flow) is not None:
            self.context.ledger.set_watermark(self.flow, wire.format_time(self._after))

    def result(self) -> FlowResult:
        """Return what the run did."""
        tally, context = self.tally, self.context
        return FlowResult(
            client=context.client.name,
            flow=self.flow,
            created=tally.counts["created"],
            updated=tally.counts["updated"],
            adopted=tally.counts["adopted"],
            unchanged=tally.counts["unchanged"],
            inactive=tally.counts["inactive"],
            vanished=tally.vanished,
            failed=tally.failed,
            details=dict(tally.details),
            api_calls=context.toga2.calls - self._calls,
            sql_reads=context.togadesk.statements.reads - self._reads,
            sql_writes=context.togadesk.statements.writes - self._writes,
            watermark_before=self._before,
            watermark_after=self._after or self._before,
            started_from=self._started_from,
            seconds=context.clock() - self._started,
            changes=tuple(tally.changes),
            failures=tuple(tally.failures),
            waiting=tally.waiting,
            dead_letters=self.letters.summary(),
            remarks=tuple(tally.remarks),
        )

    def _stored(self) -> datetime:
        if self._before is None:
            self._before = self.context.watermarks.get(self._watermark)
        return self._after or self._before

"""What a flow works with, all of it from outside: the systems, the ledger, and where to report."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.ledger import Ledger
from elite_pipeline.sync.results import FlowResult, RecordFailure, Tally
from elite_pipeline.sync.watermarks import BEGINNING, Watermarks
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import TogadeskStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a run was asked to read.

    Attributes:
        since: Start from this watermark instead of the stored one; aware.
        full: Ignore every watermark and compare all there is.
        shows_watermark: Look at the stored watermark also where ``since`` makes it needless, for the
            result to show it: one call more, shared by all flows of a run.
    """

    since: datetime | None = None
    full: bool = False
    shows_watermark: bool = False

    def __post_init__(self) -> None:
        if self.full and self.since is not None:
            raise ConfigurationError(
                "'since' and 'full' exclude each other: choose a watermark to start from, "
                "or compare everything."
            )
        if self.since is not None and self.since.tzinfo is None:
            raise ConfigurationError("'since' needs a time zone: e.g. 2026-06-10 00:00:00 in UTC.")


def parse_since(text: str | None) -> datetime | None:
    """Return a watermark that a person chose, as an aware instant; without an offset it is UTC.

    Raises:
        ConfigurationError: It is not a time.
    """
    if text is None or not text.strip():
        return None
    try:
        given = datetime.fromisoformat(text.strip())
        moment = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"since: {text[:40]!r} is not a time. Write it as '2026-06-10 00:00:00' (UTC) or with an "
            "offset, as '2026-06-10T00:00:00-05:00'. Nothing was done."
        ) from None
    # nothing is older than the default watermark, and the overlap must not leave the calendar
    return max(moment, BEGINNING)


def _ignore_progress(_: str) -> None:
    pass


def _ignore_failure(_flow: str, _failure: RecordFailure, _error: Exception) -> None:
    pass


@dataclass(slots=True)
class FlowContext:
    """One client's systems, as the flows of one run share them.

    Attributes:
        progress: Told, now and then, in a sentence how far a long run has got.
        report: Told of every record that failed: flow, failure, and the error itself.
        clock: Seconds, monotonic.
    """

    client: Client
    toga2: Toga2Client
    togadesk: TogadeskStore
    ledger: Ledger
    watermarks: Watermarks
    progress: Callable[[str], None] = _ignore_progress
    report: Callable[[str, RecordFailure, Exception], None] = _ignore_failure
    clock: Callable[[], float] = field(default=time.perf_counter)

    @property
    def lag(self) -> timedelta:
        """How far reading goes back behind a watermark."""
        return timedelta(seconds=self.client.toga2.lag_seconds)


class FlowRun:
    """The bookkeeping of one run of one flow: where it starts, what it counts, where it ends.

    Args:
        context: What it works with.
        flow: Its name.
        watermark: The parameter that holds its watermark.
        options: How it was asked to read.
    """

    def __init__(
        self, context: FlowContext, *, flow: str, watermark: str, options: Options
    ) -> None:
        self.context = context
        self.flow = flow
        self.options = options
        self.tally = Tally()
        self._watermark = watermark
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
        self._started_from = origin - self.context.lag
        return self._started_from

    @property
    def origin(self) -> datetime | None:
        """The watermark that the run started from, without the overlap; None: from the beginning."""
        return self._started_from + self.context.lag if self._started_from else None

    def remembers(self) -> bool:
        """Tell whether what the ledger has seen of this flow holds for this run.

        It does not when the run was told where to start, nor when the stored watermark is earlier
        than the one that the memory belongs to: a person has set it back, to have everything behind
        it written again. Then it is forgotten.
        """
        if self.options.full or self.options.since is not None:
            return False
        known, stored = self.context.ledger.watermark(self.flow), self._stored()
        if known is not None and known <= wire.format_time(stored):
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

    def fail(self, failure: RecordFailure, error: Exception) -> None:
        """Count a failed record and report it."""
        self.tally.fail(failure)
        try:
            self.context.report(self.flow, failure, error)
        except Exception:
            # where failures are reported must not become one itself
            logger.exception("a failure could not be reported")

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
            remarks=tuple(tally.remarks),
        )

    def _stored(self) -> datetime:
        if self._before is None:
            self._before = self.context.watermarks.get(self._watermark)
        return self._after or self._before

"""What a flow works with, all of it from outside: the systems, the ledger, and where to report."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError, PermanentError
from elite_pipeline.ledger import DeadLetter, Failed, Ledger
from elite_pipeline.sync.results import (
    MAX_LETTERS,
    FlowResult,
    Letters,
    RecordFailure,
    Tally,
    failure_of,
)
from elite_pipeline.sync.watermarks import BEGINNING, Watermarks
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import NAMELESS
from elite_pipeline.togadesk import TogadeskStore, Uploads

logger = logging.getLogger(__name__)

#: So many failures of a run are remembered, so that none is tried twice by it.
MOST_REMEMBERED = 50_000


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


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def _ignore_progress(_: str) -> None:
    pass


def _ignore_flow(_: str) -> None:
    pass


def _no_remarks() -> Sequence[str]:
    return ()


def _ignore_failure(_flow: str, _failure: RecordFailure, _error: Exception) -> None:
    pass


@dataclass(slots=True)
class FlowContext:
    """One client's systems, as the flows of one run share them.

    Attributes:
        find_uploads: Gives the helpdesk's folder of files; asked by the flows that need it.
        progress: Told, now and then, in a sentence how far a long run has got.
        report: Told of a record that failed, when that is news (the first time, and when it is parked):
            flow, failure, and the error itself.
        began: Told of every flow that begins, by its name.
        remarks: Asked at a flow's end for what an operator should know of what goes on beside it.
        clock: Seconds, monotonic.
        now: The time of day, aware: when dead letters are due. No watermark goes by it.
    """

    client: Client
    toga2: Toga2Client
    togadesk: TogadeskStore
    find_uploads: Callable[[], Uploads]
    ledger: Ledger
    watermarks: Watermarks
    progress: Callable[[str], None] = _ignore_progress
    report: Callable[[str, RecordFailure, Exception], None] = _ignore_failure
    began: Callable[[str], None] = _ignore_flow
    remarks: Callable[[], Sequence[str]] = _no_remarks
    clock: Callable[[], float] = field(default=time.perf_counter)
    now: Callable[[], datetime] = field(default=_wall_clock)

    @property
    def uploads(self) -> Uploads:
        """The helpdesk's folder of files.

        Raises:
            ConfigurationError: No setting says where it is.
        """
        return self.find_uploads()

    @property
    def lag(self) -> timedelta:
        """How far reading goes back behind a watermark."""
        return timedelta(seconds=self.client.toga2.lag_seconds)


@dataclass(frozen=True, slots=True)
class Stumble:
    """A record that failed.

    Attributes:
        entity: What is to be tried again as a whole.
        record: What exactly failed: the entity itself, or something of it.
        error: Why.
        updated: The newest time of what failed, as its source gave it, aware; None: unknown. What has
            not changed since is left to the dead letter.
        unretriable: Nothing says what to try again.
    """

    entity: str
    record: str
    error: Exception
    updated: datetime | None
    unretriable: bool = False


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
        self._now = context.now()
        self._has_letters: bool | None = None
        self._tried: set[str] = set()

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

    # Dead letters (sync.md 8)

    def due_entities(self) -> Iterator[list[str]]:
        """Yield what failed before and is due to be tried again, some at a time."""
        if not self._knows_letters():
            return
        for page in self.context.ledger.dead_letters.due_pages(self.flow, self._now):
            nameless = [entity for entity in page if NAMELESS in entity]
            if nameless:
                self._park(nameless)
            yield [entity for entity in page if NAMELESS not in entity]

    def letters(self, entities: Collection[str]) -> Mapping[str, Sequence[DeadLetter]]:
        """Return the dead letters of those entities that have any."""
        if not entities or not self._knows_letters():
            return {}
        return self.context.ledger.dead_letters.among(self.flow, entities)

    def _park(self, nameless: Sequence[str]) -> None:
        """Let wait for a person again what a person wanted tried again, and nothing says what it is."""
        stumbles = [
            Stumble(entity, letter.record, PermanentError(letter.error), None, unretriable=True)
            for entity, letters in self.letters(nameless).items()
            for letter in letters
        ]
        self.settle(stumbles, [])

    def is_due(self, letter: DeadLetter) -> bool:
        """Tell whether a dead letter may be tried now; a run that reads everything tries all once."""
        if letter.entity in self._tried:
            return False
        if self.options.full:
            return True
        return letter.next_attempt is not None and letter.next_attempt <= self._now

    def held(self, moments: Mapping[str, datetime]) -> set[str]:
        """Return the entities that are left to their dead letters: not due, and no newer than those.

        Args:
            moments: Entity -> its newest time as the source gives it now.
        """
        return {
            entity
            for entity, letters in self.letters(moments).items()
            if any(
                letter.entity in self._tried
                or (
                    not self.is_due(letter)
                    and letter.updated is not None
                    and moments[entity] <= letter.updated
                )
                for letter in letters
            )
        }

    def settle(
        self,
        stumbles: Sequence[Stumble],
        handled: Collection[str],
        untried: Collection[tuple[str, str]] = (),
    ) -> None:
        """Write down what failed, and drop the dead letters of what came through.

        Only then may the watermark pass.

        Args:
            stumbles: What failed.
            handled: All entities that were tried as a whole.
            untried: Entity and record of what was left to its dead letter.
        """
        letters = self.context.ledger.dead_letters
        failures = {(one.entity, one.record): (one, self._failure_of(one)) for one in stumbles}
        if stumbles:
            recorded = letters.record(
                [
                    Failed(
                        self.flow,
                        one.entity,
                        one.record,
                        "transient" if failure.kind == "transient" else "permanent",
                        failure.reason,
                        one.updated,
                        one.unretriable,
                    )
                    for one, failure in failures.values()
                ],
                self._now,
            )
            self._has_letters = True
            for one in recorded:
                if len(self._tried) < MOST_REMEMBERED:
                    self._tried.add(one.letter.entity)
                stumble, failure = failures[one.failed.entity, one.failed.record]
                self.tally.fail(failure)
                if one.is_news:
                    self._report(replace(failure, parked=one.letter.parked), stumble.error)
        self.tally.waiting += len(untried)
        if self._knows_letters() and handled:
            letters.resolve(self.flow, handled, [*failures, *untried])

    def _failure_of(self, one: Stumble) -> RecordFailure:
        failure = failure_of(one.record, one.updated, one.error, one.entity)
        return replace(failure, reason=self.context.toga2.redact(failure.reason))

    def _knows_letters(self) -> bool:
        if self._has_letters is None:
            self._has_letters = self.context.ledger.dead_letters.has_any(self.flow)
        return self._has_letters

    def _report(self, failure: RecordFailure, error: Exception) -> None:
        try:
            self.context.report(self.flow, failure, error)
        except Exception:
            # where failures are reported must not become one itself
            logger.exception("a failure could not be reported")

    def result(self) -> FlowResult:
        """Return what the run did."""
        tally, context = self.tally, self.context
        letters = context.ledger.dead_letters
        counts = letters.counts(self.flow) if self._knows_letters() else None
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
            dead_letters=Letters(
                counts.waiting,
                counts.parked,
                counts.oldest,
                tuple(letters.listed(self.flow, MAX_LETTERS)),
            )
            if counts is not None
            else Letters(),
            remarks=tuple(tally.remarks),
        )

    def _stored(self) -> datetime:
        if self._before is None:
            self._before = self.context.watermarks.get(self._watermark)
        return self._after or self._before

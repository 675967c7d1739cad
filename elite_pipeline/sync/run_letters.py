"""A flow's dead letters, as one run of it meets them (``spec/sync.md`` section 8).

What failed before and is due is tried again; what fails is written down before the watermark may pass
it; what comes through is dropped.

What does not belong here: how letters are kept and when they are due next (``ledger.dead_letters``), what
a person does with them (``dead_letter_commands``).
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import DeadLetter, Failed
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.results import MAX_LETTERS, Letters, RecordFailure, Tally, failure_of
from elite_pipeline.toga2.models import NAMELESS

logger = logging.getLogger(__name__)

#: So many failures of a run are remembered, so that none is tried twice by it.
MOST_REMEMBERED = 50_000


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


class RunLetters:
    """The dead letters of one flow, during one run of it.

    Args:
        context: What the run works with.
        flow: The flow's name.
        tally: Where failures, and what waits, are counted.
        tries_all: Whether every record is tried once, due or not.
    """

    def __init__(self, context: FlowContext, flow: str, tally: Tally, *, tries_all: bool) -> None:
        self._context = context
        self._flow = flow
        self._tally = tally
        self._tries_all = tries_all
        self._now = context.now()
        self._has_any: bool | None = None
        self._tried: set[str] = set()

    def due_entities(self) -> Iterator[list[str]]:
        """Yield what failed before and is due to be tried again, some at a time."""
        if not self.is_any_known():
            return
        for page in self._context.ledger.dead_letters.due_pages(self._flow, self._now):
            nameless = [entity for entity in page if NAMELESS in entity]
            if nameless:
                self._park(nameless)
            yield [entity for entity in page if NAMELESS not in entity]

    def among(self, entities: Collection[str]) -> Mapping[str, Sequence[DeadLetter]]:
        """Return the dead letters of those entities that have any."""
        if not entities or not self.is_any_known():
            return {}
        return self._context.ledger.dead_letters.among(self._flow, entities)

    def is_due(self, letter: DeadLetter) -> bool:
        """Tell whether a dead letter may be tried now; a run that reads everything tries all once."""
        if letter.entity in self._tried:
            return False
        if self._tries_all:
            return True
        return letter.next_attempt is not None and letter.next_attempt <= self._now

    def held(self, moments: Mapping[str, datetime]) -> set[str]:
        """Return the entities that are left to their dead letters: not due, and no newer than those.

        Args:
            moments: Entity -> its newest time as the source gives it now.
        """
        return {
            entity
            for entity, letters in self.among(moments).items()
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
        letters = self._context.ledger.dead_letters
        failures = {(one.entity, one.record): (one, self._failure_of(one)) for one in stumbles}
        if stumbles:
            recorded = letters.record(
                [
                    Failed(
                        self._flow,
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
            self._has_any = True
            for one in recorded:
                if len(self._tried) < MOST_REMEMBERED:
                    self._tried.add(one.letter.entity)
                stumble, failure = failures[one.failed.entity, one.failed.record]
                self._tally.fail(failure)
                if one.is_news:
                    self._report(replace(failure, parked=one.letter.parked), stumble.error)
        self._tally.waiting += len(untried)
        if self.is_any_known() and handled:
            letters.resolve(self._flow, handled, [*failures, *untried])

    def summary(self) -> Letters:
        """Return what is left at the end of the run: how many, since when, and the first of them."""
        if not self.is_any_known():
            return Letters()
        letters = self._context.ledger.dead_letters
        counts = letters.counts(self._flow)
        return Letters(
            counts.waiting,
            counts.parked,
            counts.oldest,
            tuple(letters.listed(self._flow, MAX_LETTERS)),
        )

    def _park(self, nameless: Sequence[str]) -> None:
        """Let wait for a person again what a person wanted tried again, and nothing says what it is."""
        stumbles = [
            Stumble(entity, letter.record, PermanentError(letter.error), None, unretriable=True)
            for entity, letters in self.among(nameless).items()
            for letter in letters
        ]
        self.settle(stumbles, [])

    def _failure_of(self, one: Stumble) -> RecordFailure:
        failure = failure_of(one.record, one.updated, one.error, one.entity)
        return replace(failure, reason=self._context.toga2.redact(failure.reason))

    def is_any_known(self) -> bool:
        """Tell whether the flow has any dead letters: where it has none, nothing need be asked."""
        if self._has_any is None:
            self._has_any = self._context.ledger.dead_letters.has_any(self._flow)
        return self._has_any

    def _report(self, failure: RecordFailure, error: Exception) -> None:
        try:
            self._context.report(self._flow, failure, error)
        except Exception:
            # where failures are reported must not become one itself
            logger.exception("a failure could not be reported")

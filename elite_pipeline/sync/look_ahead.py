"""Rows that are looked up while the batches before theirs are still being written.

A batch of reference data reads the rows that hold its natural keys, decides, and writes. The reading
can go on beside the writing of the batches before, as long as none of them wrote what was read: that
is kept account of here, and what cannot be believed any more is read once more in its turn.

What does not belong here: what is decided from the rows (``reference_batch``).
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from elite_pipeline.sync.reference_batch import Outcome, Planned, find_holders
from elite_pipeline.sync.reference_kinds import Kind, R
from elite_pipeline.togadesk import TogadeskStore
from elite_pipeline.togadesk.reference_index import key

#: People work in the helpdesk meanwhile: what was seen longer ago, in seconds, is read again.
MOST_SECONDS = 1.0
#: More than there are batches between one that is read and the one that is written.
_REMEMBERED = 8
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen ahead of a batch's turn.

    Attributes:
        rows: As :func:`find_holders` returns them.
        keys: The natural keys that were looked up.
        after: How many batches were wholly written when it was taken.
        taken: When, by the look-ahead's clock.
    """

    rows: list[Sequence[Any]]
    keys: Collection[object]
    after: int
    taken: float


class LookAhead(Generic[R]):
    """Takes glimpses in the thread that reads, and judges them in the one that writes.

    Only for kinds whose natural key is unique in the whole table: a row of the same key that comes
    to be after the glimpse is refused by the database, and then everything is read again.
    """

    def __init__(
        self, kind: Kind[R], store: TogadeskStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kind = kind
        self._store = store
        self._clock = clock
        self._done = 0
        self._written: deque[_Written] = deque(maxlen=_REMEMBERED)

    def glimpse(self, records: Sequence[R], planned: Planned) -> Glimpse | None:
        """Look up the rows of a batch; None: that is left to its turn."""
        kind, after, taken = self._kind, self._done, self._clock()
        plans = [planned.get(record.uuid) for record in records]
        keys = [plan[kind.key] for plan in plans if isinstance(plan, dict)]
        if not keys or not kind.key_is_unique or None in plans:
            return None
        # whatever goes wrong is met again, and reported, in the batch's turn
        with suppress(Exception):
            rows = self._store.run_beside(
                partial(find_holders, kind, self._store.client_id, keys=keys)
            )
            return Glimpse(rows, keys, after, taken)
        return None

    def rows(self, glimpse: Glimpse | None) -> list[Sequence[Any]] | None:
        """Return what was seen, or None where it is old, or a batch written since may have changed it."""
        if glimpse is None or self._clock() - glimpse.taken > MOST_SECONDS:
            return None
        since = [written for written in self._written if written.number > glimpse.after]
        if self._done - glimpse.after > len(since):
            return None
        if not all(written.is_plain for written in since):
            return None
        if any(written.keys or written.references for written in since):
            # not before: a run that finds nothing changed never compares them
            keys = {*map(self._kind.key_of, glimpse.keys)}
            references = {key(row[2]) for row in glimpse.rows if row[2] is not None}
            for written in since:
                if not (
                    written.keys.isdisjoint(keys) and written.references.isdisjoint(references)
                ):
                    return None
        return glimpse.rows

    def wrote(
        self,
        records: Sequence[R],
        planned: Planned,
        outcomes: Sequence[Outcome[R]],
        *,
        at_once: bool,
    ) -> None:
        """Take a batch into account that has been written, whatever became of its records.

        Args:
            records: All of the batch's.
            planned: What their rows should hold.
            outcomes: Of those that were not stopped by an error.
            at_once: It was written whole, not in parts after a failure.
        """
        self._done += 1
        is_whole = at_once and len(outcomes) == len(records)
        is_plain = is_whole and all(outcome.is_plain for outcome in outcomes)
        written = [outcome.record.uuid for outcome in outcomes if _is_written(outcome)]
        plans = [planned.get(uuid) for uuid in written]
        self._written.append(
            _Written(
                self._done,
                is_plain and None not in plans,
                frozenset(map(key, written)),
                frozenset(
                    self._kind.key_of(plan[self._kind.key])
                    for plan in plans
                    if isinstance(plan, dict)
                ),
            )
        )

    def wrote_new(self, uuids: Sequence[str], keys: Iterable[object]) -> None:
        """Take a batch into account that was written by ``write_new``.

        Args:
            uuids: Its records.
            keys: Their natural keys.
        """
        self._done += 1
        references, held = frozenset(map(key, uuids)), frozenset(map(self._kind.key_of, keys))
        self._written.append(_Written(self._done, is_plain=True, references=references, keys=held))

    def wrote_nothing(self) -> None:
        """Take a batch into account of which nothing was to be written."""
        self._done += 1
        self._written.append(_Written(self._done, is_plain=True, references=_NONE, keys=_NONE))


@dataclass(frozen=True, slots=True)
class _Written:
    """What a batch wrote: references and natural keys; when it is not plain, who knows what else."""

    number: int
    is_plain: bool
    references: frozenset[str]
    keys: frozenset[str]


def _is_written(outcome: Outcome[R]) -> bool:
    return outcome.change is None or outcome.change.action not in {"unchanged", "inactive"}

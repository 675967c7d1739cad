"""Rows that are looked up while the batches before theirs are still being written.

A batch of reference data reads the rows that hold its natural keys, decides, and writes. The reading
can go on beside the writing of the batches before, as long as none of them wrote what was read: that
is kept account of here, and what cannot be believed any more is read once more in its turn.

What does not belong here: what is decided from the rows (``reference_batch``).
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen ahead of a batch's turn.

    Attributes:
        rows: As :func:`find_holders` returns them.
        keys: The natural keys that were looked up, in the form in which two are compared.
        after: How many batches were wholly written when it was taken.
        taken: When, by the look-ahead's clock.
    """

    rows: list[Sequence[Any]]
    keys: frozenset[str]
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
            return Glimpse(rows, frozenset(map(kind.key_of, keys)), after, taken)
        return None

    def rows(self, glimpse: Glimpse | None) -> list[Sequence[Any]] | None:
        """Return what was seen, or None where it is old, or a batch written since may have changed it."""
        if glimpse is None or self._clock() - glimpse.taken > MOST_SECONDS:
            return None
        since = [written for written in self._written if written.number > glimpse.after]
        if self._done - glimpse.after > len(since):
            return None
        for written in since:
            if not written.is_plain or not written.keys.isdisjoint(glimpse.keys):
                return None
            if written.references and any(
                row[2] is not None and key(row[2]) in written.references for row in glimpse.rows
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
        by_uuid = {outcome.record.uuid: outcome for outcome in outcomes}
        is_whole = at_once and len(by_uuid) == len(records)
        is_plain = is_whole and all(outcome.is_plain for outcome in outcomes)
        written = [uuid for uuid, outcome in by_uuid.items() if _is_written(outcome)]
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


@dataclass(frozen=True, slots=True)
class _Written:
    """What a batch wrote: references and natural keys; when it is not plain, who knows what else."""

    number: int
    is_plain: bool
    references: frozenset[str]
    keys: frozenset[str]


def _is_written(outcome: Outcome[R]) -> bool:
    return outcome.change is None or outcome.change.action not in {"unchanged", "inactive"}

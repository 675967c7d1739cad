"""Rows that are looked up while the batches before theirs are still being written.

A batch of reference data reads the rows that hold its natural keys, decides, and writes. The reading
can go on beside the writing of the batches before, as long as none of them wrote what was read: that
is kept account of here, and what cannot be believed any more is read once more in its turn.

What does not belong here: what is decided from the rows (``reference_batch``).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from elite_pipeline.errors import PipelineError
from elite_pipeline.sync.reference_batch import Outcome, Planned, find_holders
from elite_pipeline.sync.reference_kinds import Kind, R
from elite_pipeline.togadesk import TogadeskStore

#: More than there are batches between one that is read and the one that is written.
_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen ahead of a batch's turn.

    Attributes:
        rows: As :func:`find_holders` returns them.
        keys: The natural keys that were looked up, in the form in which two are compared.
        after: How many batches were wholly written when it was taken.
    """

    rows: list[Sequence[Any]]
    keys: frozenset[str]
    after: int


class LookAhead(Generic[R]):
    """Takes glimpses in the thread that reads, and judges them in the one that writes."""

    def __init__(self, kind: Kind[R], store: TogadeskStore) -> None:
        self._kind = kind
        self._store = store
        self._done = 0
        self._written: deque[tuple[int, frozenset[str], frozenset[str]]] = deque(maxlen=_REMEMBERED)

    def glimpse(self, planned: Planned) -> Glimpse | None:
        """Look up the rows of a batch; None: there is nothing to look for yet, or no answer."""
        kind, after = self._kind, self._done
        keys = [plan[kind.key] for plan in planned.values() if isinstance(plan, dict)]
        if not keys:
            return None
        try:
            rows = self._store.run_beside(
                partial(find_holders, kind, self._store.client_id, keys=keys)
            )
        except PipelineError:
            # met again, and reported, in the batch's turn
            return None
        return Glimpse(rows, frozenset(map(kind.key_of, keys)), after)

    def rows(self, glimpse: Glimpse | None) -> list[Sequence[Any]] | None:
        """Return what was seen, or None where a batch written since may have changed it."""
        if glimpse is None or self._done - glimpse.after > len(self._written):
            return None
        for number, uuids, keys in self._written:
            if number <= glimpse.after:
                continue
            if not keys.isdisjoint(glimpse.keys):
                return None
            if uuids and any(row[2] in uuids for row in glimpse.rows):
                return None
        return glimpse.rows

    def wrote(self, records: Iterable[R], planned: Planned, outcomes: Iterable[Outcome[R]]) -> None:
        """Take a batch into account that has been written, whatever became of its records."""
        unwritten = {
            outcome.record.uuid
            for outcome in outcomes
            if outcome.change is not None and outcome.change.action in {"unchanged", "inactive"}
        }
        uuids = frozenset(record.uuid for record in records if record.uuid not in unwritten)
        plans = [planned.get(uuid) for uuid in uuids]
        keys = frozenset(
            self._kind.key_of(plan[self._kind.key]) for plan in plans if isinstance(plan, dict)
        )
        self._written.append((self._done + 1, uuids, keys))
        self._done += 1

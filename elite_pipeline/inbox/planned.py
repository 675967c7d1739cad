"""The inbox in a dry run: rows are read as they are, and what would become of them is planned.

What does not belong here: the rows (``store``), and what is done with a plan (``planning``).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from elite_pipeline.inbox.rows import Row
from elite_pipeline.inbox.store import Inbox, over
from elite_pipeline.inbox.tables import DONE
from elite_pipeline.inbox.tables import worker_jobs as table
from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.planned import OnlyReading
from elite_pipeline.planning import EffectKind, Planner

SYSTEM: Final = "pipeline"
_CHANGE = EffectKind(SYSTEM, table.name, "change")
_CHUNK = 500
_SHOWN = ("status", "attempts", "error", "dtRetryAfter")


class PlannedInbox(Inbox):
    """The twin of an inbox, on the same connections.

    Args:
        real: Whose twin it is.
        planner: Told of what would be written.
    """

    def __init__(self, real: Inbox, planner: Planner) -> None:
        self.__dict__.update(vars(real))
        self._database = self._reading = OnlyReading(self._database)
        self._planner = planner

    def latest_id(self) -> int:
        """Return the newest row's id; 0: there is none, or no inbox yet."""
        return super().latest_id() if self._reading.has(table) else 0

    def take(self, action: str, up_to: int, now: datetime) -> Iterator[Row]:
        """Yield an action's rows that are due; none where there is no inbox yet."""
        if self._reading.has(table):
            yield from super().take(action, up_to, now)

    def settle(self, action: str, error_begins: str, now: datetime) -> None:
        """Plan to finish an action's rows that had failed for a reason which is over."""
        del now
        if self._reading.has(table):
            self._plan(over(action, error_begins), {"status": DONE})

    def _change(self, ids: Iterable[int], values: Mapping[str, Any]) -> None:
        new = {name: values[name] for name in _SHOWN if name in values}
        for chunk in chunked(sorted(set(ids)), _CHUNK):
            self._plan(table.c.id.in_(chunk), new)

    def _plan(self, chosen: sa.ColumnElement[bool], new: Mapping[str, Any]) -> None:
        query = sa.select(table.c.id, *(table.c[name] for name in _SHOWN)).where(chosen)
        with self._database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.id)).mappings().all()
        for row in rows:
            then = dict(new)
            if isinstance(then.get("attempts"), sa.ColumnElement):
                then["attempts"] = (row["attempts"] or 0) + 1
            changed = {name: value for name, value in then.items() if row[name] != value}
            old = {name: row[name] for name in changed}
            self._planner.add(_CHANGE, row["id"], partial(dict, changed), partial(dict, old))

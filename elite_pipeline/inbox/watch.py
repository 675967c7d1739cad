"""What a look into the inbox finds: what is due, and whether somebody has moved the cursor back.

Follows ``spec/sync.md`` section 7. The cursor is the last row seen, and a hint: what is due is found by
the rows' ``status``. Its one effect is that moving it back replays: the rows behind it that are finished
are opened again, a slice at each look, until it stands again where it had come to.

What does not belong here: who looks and what is done about it (``defs``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.inbox.rows import Due
from elite_pipeline.inbox.store import Inbox
from elite_pipeline.inbox.tables import PENDING

#: Rows that one look opens again at most.
SLICE = 5_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found.

    Attributes:
        cursor: The last row seen.
        latest: The newest row: what is newer counts for the next look.
        due: What can be worked on, by action.
        reopened: Finished rows that are to be worked on once more.
    """

    cursor: int
    latest: int
    due: Sequence[Due]
    reopened: int


def parse_cursor(text: str | None) -> int | None:
    """Return the row that a cursor names; None: there is no cursor yet.

    Raises:
        ConfigurationError: It is no row's id.
    """
    if text is None or not text.strip():
        return None
    given = text.strip()
    if not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise ConfigurationError(
            f"The cursor {given[:40]!r} is not the id of a row of WorkerJobs. Set it to the id behind "
            "which webhooks are to be replayed, for example 0 for all; nothing was moved."
        )
    return int(given)


def look(inbox: Inbox, cursor: int | None, actions: Collection[str], now: datetime) -> Seen:
    """Look into the inbox.

    Args:
        inbox: The inbox.
        cursor: Where the last look has come to; None: it is the first one.
        actions: Whose rows are ours; the others belong to somebody else.
        now: What failed is due when its time has come; aware.

    Raises:
        TransientError, SystemicError: As the inbox says.
    """
    latest, furthest = inbox.latest_id(), inbox.furthest()
    reopened = 0
    if cursor is not None and furthest is not None and cursor < furthest:
        arrivals = inbox.after(cursor, SLICE)
        again = [
            one.id
            for one in arrivals
            if one.id <= furthest and one.action in actions and one.status != PENDING
        ]
        inbox.reopen(again)
        reopened = len(again)
        is_through = len(arrivals) < SLICE or arrivals[-1].id >= furthest
        cursor = latest if is_through else arrivals[-1].id
    else:
        # one that is ahead of everything would never be passed
        cursor = latest
    if furthest is None or cursor > furthest:
        inbox.set_furthest(cursor)
    due = [one for one in inbox.due(now, latest) if one.action in actions]
    return Seen(cursor, latest, due, reopened)

"""What an account may be asked a minute, by its plan (``spec/freshservice.md``, paging and limits).

What does not belong here: keeping to it (``ledger.rate_budget``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: What a call is counted as, beside all calls; the other calls that are made here are counted as no kind.
LIST_TICKETS = "list_tickets"
VIEW_TICKET = "view_ticket"

#: Seconds that a limit is for.
WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls a minute.

    Attributes:
        overall: Of all kinds together.
        kinds: Of one kind -> how many.
    """

    overall: int
    kinds: Mapping[str, int]


def _limits(overall: int, lists: int, views: int) -> Limits:
    return Limits(overall, MappingProxyType({LIST_TICKETS: lists, VIEW_TICKET: views}))


#: Plan -> what it allows [D].
PLANS: Mapping[str, Limits] = MappingProxyType(
    {
        "starter": _limits(100, 40, 50),
        "growth": _limits(200, 70, 80),
        "pro": _limits(400, 120, 140),
        "enterprise": _limits(500, 140, 160),
    }
)


def limits_of(plan: str, calls_per_minute: int | None) -> Limits:
    """Return what one account's calls are held to.

    Args:
        plan: One of :data:`PLANS`.
        calls_per_minute: In place of the plan's overall limit; None: the plan's.
    """
    known = PLANS[plan]
    return known if calls_per_minute is None else Limits(calls_per_minute, known.kinds)

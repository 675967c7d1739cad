"""Status and priority, between the two systems.

The registry maps TOGA 2's values to the helpdesk's, several to one; here is the way back.
"""

from collections.abc import Mapping

#: Helpdesk status -> TOGA 2 status: what the helpdesk calls more finely says the same.
FINER_STATUSES: Mapping[str, str] = {"Reopened": "OPEN"}


def says_the_same(what: str, helpdesk: str, toga2: str) -> bool:
    """Tell whether a finer status of the helpdesk's says what TOGA 2 says."""
    return what == "status" and FINER_STATUSES.get(helpdesk) == toga2


def back(
    what: str,
    value: str,
    *,
    mapping: Mapping[str, str],
    own: Mapping[str, str],
    current: str | None = None,
) -> str | None:
    """Return TOGA 2's value for one of the helpdesk's; None: it has no counterpart.

    Of several that stand for it the one that TOGA 2 has already is as good as any; else the one that is
    called like it, then the client's own, then the first.

    Args:
        what: ``status`` or ``priority``.
        value: The helpdesk's.
        mapping: TOGA 2's value -> the helpdesk's, the client's own over the defaults.
        own: The client's own part of it.
        current: What TOGA 2 has now.
    """
    wanted = value.strip().casefold()
    fitting = [ours for ours, theirs in mapping.items() if theirs.casefold() == wanted]
    if not fitting and what == "status":
        finer = {name.casefold(): ours for name, ours in FINER_STATUSES.items()}
        return finer.get(wanted)
    if current in fitting:
        return current
    alike = [ours for ours in fitting if ours.replace("_", " ").casefold() == wanted]
    return next(iter([*alike, *[ours for ours in fitting if ours in own], *fitting]), None)

"""Naive local times where the clocks are put back (``spec/sync.md`` section 10, rule 12).

What does not belong here: the zone itself (``store``).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

#: No clock is put back by more, so what is written later than this is also later by the clock.
LONGEST_REPEAT = timedelta(hours=3)

#: No two changes of a clock lie within one step.
_STEP = timedelta(minutes=15)
_SECOND = timedelta(seconds=1)
#: Two that write at once may be numbered the other way round; that is no clock that was put back.
_AT_ONCE = timedelta(seconds=2)


def earliest_local(to_local: Callable[[datetime], datetime], instant: datetime) -> datetime:
    """Return the smallest local time of any instant from ``instant`` on.

    Args:
        to_local: Turns an aware instant into a naive local time in whole seconds.
        instant: Aware.
    """
    earliest = to_local(instant)
    start = instant.astimezone(UTC).replace(microsecond=0)
    end = start + LONGEST_REPEAT
    while start < end:
        after = start + _STEP
        if to_local(after) - to_local(start) < _STEP:
            earliest = min(earliest, to_local(_change(to_local, start, after)))
        start = after
    return earliest


def _change(
    to_local: Callable[[datetime], datetime], before: datetime, after: datetime
) -> datetime:
    """Return the first instant after the clocks were put back, between two whole seconds."""
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if to_local(middle) - to_local(before) < middle - before:
            after = middle
        else:
            before = middle
    return after


def instants_as_written(
    from_local: Callable[[datetime, int], datetime], times: Iterable[datetime | None]
) -> list[datetime | None]:
    """Return the instants of local times that are given in the order in which they were written.

    Only of a time that the clocks pass twice is there anything to tell: it is of the first pass, until
    one goes back behind one that was written before it. From there on it is the second pass.

    Args:
        from_local: Gives the instant of a naive local time, with the ``fold`` that tells two apart.
        times: Of one table, by its ids: only these are in the order of writing.
    """
    latest: datetime | None = None
    instants: list[datetime | None] = []
    for local in times:
        instant = None
        if local is not None:
            instant, second = from_local(local, 0), from_local(local, 1)
            # where an hour is left out the second is the earlier one, and nothing comes twice
            if latest is not None and instant < latest - _AT_ONCE and second > instant:
                instant = second
            latest = max(instant, latest or instant)
        instants.append(instant)
    return instants

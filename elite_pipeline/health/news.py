"""Which findings are worth being written down again: what changed, and now and then what did not.

Every look finds all of them anew, and each that is kept costs rows in Dagster's database. So what
stays as it is is repeated seldom; but a materialization makes Dagster forget, for its partition, what
checks said before it. So what fails is repeated after runs of its flow, and what passes as often as the
number of clients allows.

What does not belong here: where it is written down (``defs``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from elite_pipeline.health.findings import Finding

#: How often a finding is repeated that fails, or passes as before; and the least between two of which
#: only a number differs.
_FAILING = timedelta(minutes=15)
_PASSING = timedelta(hours=12)
_LEAST = timedelta(minutes=5)
#: A run's materialization is written down this long after the end of its flow, at most.
AFTER_A_RUN = timedelta(minutes=1)
#: Passes after runs that are written down a day, about: of fewer clients each one sooner.
_PASSES_A_DAY = 40_000
#: Findings that one look writes down at most; the others are news for the next one.
MOST = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What was last written down of a check of a flow of a client.

    Attributes:
        at: When, in seconds since 1970.
    """

    passed: bool
    is_severe: bool
    gauge: float
    at: int

    @classmethod
    def of(cls, finding: Finding, now: int) -> Self:
        """Return what is known of a finding that is written down now."""
        return cls(finding.passed, finding.is_severe, finding.gauge, now)


def passes_every(findings: int) -> timedelta:
    """Return how often a pass is repeated after runs, where there are so many findings."""
    return max(AFTER_A_RUN, timedelta(days=1) * findings / _PASSES_A_DAY)


def is_news(finding: Finding, told: Told | None, now: int, passes: timedelta = AFTER_A_RUN) -> bool:
    """Tell whether a finding is worth being written down.

    Args:
        finding: What was found.
        told: What was last written down of it; None: nothing.
        now: Seconds since 1970.
        passes: How often one that passes is repeated after runs of its flow.
    """
    if told is None:
        return finding.is_watched
    if finding.passed != told.passed:
        return True
    if not finding.is_watched:
        return False
    if finding.is_severe != told.is_severe and not finding.passed:
        return True
    return timedelta(seconds=now - told.at) >= _pause(finding, told, passes)


def _pause(finding: Finding, told: Told, passes: timedelta) -> timedelta:
    """Return how long to wait with repeating a finding that passes, or fails, as before."""
    after_a_run = _LEAST if not finding.passed else passes
    usual = _PASSING if finding.passed else _FAILING
    pauses = [usual]
    if finding.gauge != told.gauge:
        pauses.append(_LEAST)
    ran = finding.ran_at.timestamp() if finding.ran_at is not None else None
    if ran is not None and ran + AFTER_A_RUN.total_seconds() >= told.at:
        pauses.append(after_a_run)
    return min(pauses)


def is_repeated(news: Iterable[Finding], told: Mapping[tuple[str, str, str], Told]) -> bool:
    """Tell whether all of this only says again that a check passes."""
    return all(
        one.passed and (before := told.get(key_of(one))) is not None and before.passed
        for one in news
    )


def begins_to_fail(finding: Finding, told: Told | None) -> bool:
    """Tell whether a finding fails that did not when it was last written down."""
    return not finding.passed and (told is None or told.passed)


def news_of(
    findings: Iterable[Finding],
    told: Mapping[tuple[str, str, str], Told],
    now: int,
    passes: timedelta = AFTER_A_RUN,
) -> list[Finding]:
    """Return what is to be written down, in order.

    Whatever is written down last of a check of a flow is what the page shows for all clients: so that is
    a client for which it fails, where there is one.

    Args:
        findings: All of them.
        told: Client, flow and check -> what was last written down.
        now: Seconds since 1970.
        passes: As in :func:`is_news`.
    """
    by_check: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_check.setdefault((finding.flow, finding.check), []).append(finding)
    news: list[Finding] = []
    for group in by_check.values():
        new = [one for one in group if is_news(one, told.get(key_of(one)), now, passes)]
        if len(news) + len(new) >= MOST:
            # a group is written down as a whole, or by the next look
            new = [] if news else new[: MOST - 1]
        if new:
            news += _worst_last(new, group)
    return news


def key_of(finding: Finding) -> tuple[str, str, str]:
    """Return what tells findings apart."""
    return finding.client, finding.flow, finding.check


def _worst_last(new: Sequence[Finding], group: Sequence[Finding]) -> list[Finding]:
    failing = [one for one in group if not one.passed]
    if not failing:
        return list(new)
    worst = max(failing, key=lambda one: (one.is_severe, one in new))
    return [*(one for one in new if one is not worst), worst]

"""Which findings are worth being written down again: what changed, and now and then what did not.

Every look finds all of them anew, and each that is kept costs two rows in Dagster's database for ever. So
what stays as it is is repeated seldom; what fails, often enough to be plotted.

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


def is_news(finding: Finding, told: Told | None, now: int) -> bool:
    """Tell whether a finding is worth being written down.

    Args:
        finding: What was found.
        told: What was last written down of it; None: nothing.
        now: Seconds since 1970.
    """
    if told is None:
        return finding.is_watched
    if finding.passed != told.passed:
        return True
    if not finding.is_watched:
        return False
    age = timedelta(seconds=now - told.at)
    if finding.is_severe != told.is_severe and not finding.passed:
        return True
    if finding.gauge != told.gauge and age >= _LEAST:
        return True
    return age >= (_PASSING if finding.passed else _FAILING)


def begins_to_fail(finding: Finding, told: Told | None) -> bool:
    """Tell whether a finding fails that did not when it was last written down."""
    return not finding.passed and (told is None or told.passed)


def news_of(
    findings: Iterable[Finding], told: Mapping[tuple[str, str, str], Told], now: int
) -> list[Finding]:
    """Return what is to be written down, in order.

    Whatever is written down last of a check of a flow is what the page shows for all clients: so that is
    a client for which it fails, where there is one.

    Args:
        findings: All of them.
        told: Client, flow and check -> what was last written down.
        now: Seconds since 1970.
    """
    by_check: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_check.setdefault((finding.flow, finding.check), []).append(finding)
    news: list[Finding] = []
    for group in by_check.values():
        new = [one for one in group if is_news(one, told.get(key_of(one)), now)]
        if not new or len(news) + len(new) >= MOST:
            # a group is written down as a whole, or by the next look
            new = new[: MOST - len(news)] if not news else []
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

"""Asset checks: dead letters turn an asset's page yellow, client by client.

The result comes with the materialization that it is about, so nothing is read for it. What does not
belong here: which record failed and why, in full (``metadata``).
"""

import warnings
from typing import TYPE_CHECKING

import dagster as dg

from elite_pipeline.defs.markdown import literal

if TYPE_CHECKING:
    from elite_pipeline.sync.results import FlowResult

NO_DEAD_LETTERS = "no_dead_letters"

#: Reasons that the description gives; the table *dead letters* of the materialization has more.
_MAX_REASONS = 3


def no_dead_letters(
    asset: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetCheckSpec:
    """Return the check that every record of an asset was carried over.

    It has the asset's partitions: one client's good run must not hide what failed for another.
    """
    with warnings.catch_warnings():
        # Dagster still calls a check's own partitions a preview. Without them the page shows the run
        # that came last, of whatever client.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            NO_DEAD_LETTERS,
            asset=asset,
            description=(
                "Every record of the client was carried over: there are no dead letters, neither such as "
                "later runs try again nor such as wait for a person."
            ),
            partitions_def=partitions,
        )


def no_dead_letters_result(result: "FlowResult") -> dg.AssetCheckResult:
    """Return how that check came out; it warns, and never holds anything up."""
    return dg.AssetCheckResult(
        check_name=NO_DEAD_LETTERS,
        passed=not _dead(result),
        # of a check that passed as well: the page goes by the last run's to tell whether a client
        # that failed is a warning or an error
        severity=dg.AssetCheckSeverity.WARN,
        description=_description(result),
        metadata={
            "failed": result.failed,
            "waiting": result.dead_letters.waiting,
            "parked": result.dead_letters.parked,
        },
    )


def _dead(result: "FlowResult") -> int:
    return result.dead_letters.waiting + result.dead_letters.parked


def _description(result: "FlowResult") -> str:
    if not result.is_on:
        return f"{result.flow} is switched off for {result.client}; nothing was done."
    letters = result.dead_letters
    if not _dead(result):
        return f"{result.client}: no dead letters."
    # the page makes Markdown of it: single line breaks would run all of it together
    parts = [
        f"{result.client}: dead letters: {letters.waiting} waiting for a later run, {letters.parked} "
        "parked, for a person to look at"
        + (f"; the oldest since {letters.oldest:%Y-%m-%d %H:%M:%S} UTC." if letters.oldest else ".")
    ]
    reasons = [
        f"{letter.record} of {letter.entity} ({letter.kind}): {letter.error}"
        if letter.record != letter.entity
        else f"{letter.record} ({letter.kind}): {letter.error}"
        for letter in letters.first[:_MAX_REASONS]
    ]
    if _dead(result) > _MAX_REASONS:
        reasons.append(f"and {_dead(result) - _MAX_REASONS} more")
    parts.append("\n".join(f"- {literal(reason)}" for reason in reasons))
    parts.append(
        "See them with: "
        f"`elite-pipeline dead-letters list --client {result.client} --flow {result.flow}`"
    )
    return "\n\n".join(parts)

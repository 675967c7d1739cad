"""Asset checks: failed records turn an asset's page yellow, client by client.

The result comes with the materialization that it is about, so nothing is read for it. What does not
belong here: which record failed and why, in full (``metadata``).
"""

import warnings
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from elite_pipeline.sync.results import FlowResult

NO_FAILED_RECORDS = "no_failed_records"

#: Reasons that the description gives; the table *failures* of the materialization has more.
_MAX_REASONS = 3


def no_failed_records(
    asset: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetCheckSpec:
    """Return the check that every record of an asset's last run was carried over.

    It has the asset's partitions: one client's good run must not hide what failed for another.
    """
    with warnings.catch_warnings():
        # Dagster still calls a check's own partitions a preview. Without them the page shows the run
        # that came last, of whatever client.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            NO_FAILED_RECORDS,
            asset=asset,
            description="Every record of the client's last run was carried over.",
            partitions_def=partitions,
        )


def no_failed_records_result(result: "FlowResult") -> dg.AssetCheckResult:
    """Return how that check came out; it warns, and never holds anything up."""
    return dg.AssetCheckResult(
        check_name=NO_FAILED_RECORDS,
        passed=result.failed == 0,
        # of a check that passed as well: the page goes by the last run's to tell whether a client
        # that failed is a warning or an error
        severity=dg.AssetCheckSeverity.WARN,
        description=_description(result),
        metadata={"failed": result.failed},
    )


def _description(result: "FlowResult") -> str:
    if not result.is_on:
        return f"{result.flow} is switched off for {result.client}; nothing was done."
    if not result.failed:
        return f"{result.client}: no record failed."
    records = "1 record" if result.failed == 1 else f"{result.failed} records"
    lines = [f"{result.client}: {records} failed; the next run tries again."]
    lines += [
        f"{failure.record} ({failure.kind}): {failure.reason}"
        for failure in result.failures[:_MAX_REASONS]
    ]
    if result.failed > _MAX_REASONS:
        lines.append(f"and {result.failed - _MAX_REASONS} more")
    return "\n".join(lines)

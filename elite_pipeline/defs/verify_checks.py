"""``verify`` on the page: a job that compares both sides of one client, and a check on each asset.

Comparing takes as long as reading both sides whole, so it is no part of a sync: the job ``verify`` does
it when a person asks for it, and what came of it are the asset checks called ``verify``. Dagster's page
cannot execute the check of a partitioned asset by itself ("not yet supported" in 1.13), and takes all
checks along when assets are materialized from it: there the check shows once more what the last
comparison said, and since when.

What does not belong here: comparing (``sync.verify``).
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from pydantic import Field, field_validator

from elite_pipeline.defs.assets import reference_data, ticket_deltas
from elite_pipeline.defs.markdown import literal
from elite_pipeline.defs.resources import ClientSystems
from elite_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from elite_pipeline.sync.verify.run import Report

VERIFY = "verify"

#: Flow -> the asset whose work it is.
ASSETS: Mapping[str, dg.AssetKey] = {
    "contacts": reference_data.CONTACTS,
    "units": reference_data.UNITS,
    "teams": reference_data.TEAMS,
    "predefined_replies": reference_data.PREDEFINED_REPLIES,
    "category_trees": reference_data.CATEGORY_TREES,
    "toga2_to_togadesk": ticket_deltas.TOGADESK_TICKET_DELTAS,
    "togadesk_to_toga2": ticket_deltas.TOGA2_TICKET_DELTAS,
}
CHECKS = tuple(dg.AssetCheckKey(asset, VERIFY) for asset in ASSETS.values())

#: Findings that a description names, and that the table of a check holds.
_MAX_NAMED = 3
_MAX_ROWS = 100
#: Earlier results of a check among which the client's last one is looked for.
_MAX_EARLIER = 200


class VerifyConfig(dg.Config):
    """What is compared. Left alone: everything, with the bytes of all files."""

    since: str | None = Field(
        default=None,
        description=(
            "Only what changed since, for example '2026-06-10 00:00:00' (UTC). Left alone: everything."
        ),
    )
    with_bytes: bool = Field(
        default=True,
        description=(
            "Read every file on both sides and compare the bytes. Off: files are compared by name and "
            "size alone, which takes one request less for each of them."
        ),
    )

    @field_validator("with_bytes", mode="before")
    @classmethod
    def _null_is_the_default(cls, with_bytes: object) -> object:
        # the launchpad allows it
        return True if with_bytes is None else with_bytes


def verify_checks(partitions: dg.PartitionsDefinition[str]) -> dg.AssetChecksDefinition:
    """Return the checks, one for each asset that can be compared."""
    with warnings.catch_warnings():
        # Dagster still calls a check's own partitions a preview (see ``checks``)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                VERIFY,
                asset=asset,
                description=(
                    "Both sides agree on what this asset carries, record by record and file by file, as "
                    "the job 'verify' last found. Launch that job for the client to compare again."
                ),
                partitions_def=partitions,
            )
            for asset in ASSETS.values()
        ]

    @dg.multi_asset_check(name="verify_shown_again", specs=specs, can_subset=True)
    def verify_shown_again(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[dg.AssetCheckResult]:
        for key in context.selected_asset_check_keys:
            last = _last_evaluation(context.instance, key, context.partition_key)
            # nothing was ever compared: then nothing is said
            if last is not None:
                yield _once_more(*last)

    return verify_shown_again


def verify_job(partitions: dg.PartitionsDefinition[str]) -> dg.JobDefinition:
    """Return the job that compares both sides of one client."""

    @dg.job(
        name=VERIFY,
        partitions_def=partitions,
        description=(
            "Compares TOGA 2 and TOGaDesk of one client, record by record and file by file, and writes "
            "nothing. What came of it is the check 'verify' of each asset."
        ),
    )
    def verify() -> None:
        compare_both_sides()

    return verify


@dg.op(
    description="Compares both sides of one client; the result is each asset's check 'verify'.",
    # what it yields are results of checks, of which a job knows nothing beforehand
    out={},
)
def compare_both_sides(
    context: dg.OpExecutionContext,
    config: VerifyConfig,
    systems: dg.ResourceParam[ClientSystems],
) -> Iterator[dg.AssetCheckEvaluation]:
    """Compare, and yield what came of it for each asset."""
    # here: processes that only load the definitions never need the engine
    from elite_pipeline.choices import ChoiceError, read_options  # noqa: PLC0415 - see above
    from elite_pipeline.sync.verify.run import Choices  # noqa: PLC0415 - see above

    client = context.partition_key
    try:
        since = read_options(config.since, full=False).since
    except ChoiceError as error:
        raise dg.Failure(
            description=str(error), metadata={"client": client}, allow_retries=False
        ) from None
    choices = Choices(since=since, with_bytes=config.with_bytes)
    with systems.reporting(VERIFY, client):
        try:
            with systems.verified(client, choices, context.log.info) as report:
                for remark in report.verification.remarks:
                    context.log.info("%s: %s", client, remark)
                for flow, asset in ASSETS.items():
                    evaluation = _evaluation(report, flow, asset)
                    say = context.log.info if evaluation.passed else context.log.warning
                    say("%s", _description(report, flow))
                    yield evaluation
        except PipelineError as error:
            raise dg.Failure(
                description=str(error),
                metadata={"client": client, "kind of failure": error.kind},
                allow_retries=error.kind == "transient",
            ) from None


def _evaluation(report: "Report", flow: str, asset: dg.AssetKey) -> dg.AssetCheckEvaluation:
    from elite_pipeline.sync.verify.findings import Reason  # noqa: PLC0415 - see above

    verification = report.verification
    counts = {reason.value: verification.count(reason, flow) for reason in Reason}
    metadata: dict[str, dg.MetadataValue] = {
        "differences": dg.MetadataValue.int(verification.differences(flow)),
        **{reason: dg.MetadataValue.int(count) for reason, count in counts.items()},
        "compared": dg.MetadataValue.text(_compared(report)),
        "seconds": dg.MetadataValue.float(round(verification.seconds, 3)),
    }
    if any(counts.values()):
        metadata["findings"] = _table(report, flow)
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=VERIFY,
        passed=verification.differences(flow) == 0,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.WARN,
        description=literal(_description(report, flow)),
        partition=verification.client,
    )


def _compared(report: "Report") -> str:
    verification = report.verification
    since = verification.since
    what = "everything" if since is None else f"what changed since {since:%Y-%m-%d %H:%M:%S} UTC"
    return what if verification.with_bytes else f"{what}; files by name and size alone"


def _description(report: "Report", flow: str) -> str:
    from elite_pipeline.sync.verify.findings import (  # noqa: PLC0415 - see above
        DIFFERENCES,
        NEXT_STEPS,
        OTHERS,
    )

    verification = report.verification
    client = verification.client
    if flow not in verification.flows:
        return f"{client}: {flow} is switched off in the registry; nothing was compared."
    said = [
        f"{count} {reason.value}"
        for reason in (*DIFFERENCES, *OTHERS)
        if (count := verification.count(reason, flow))
    ]
    count = verification.differences(flow)
    head = f"{client}: {flow}: " + (f"{count} differences" if count else "both sides agree")
    lines = [f"{head} ({', '.join(said)})." if said else f"{head}."]
    if not count:
        return lines[0]
    reasons = [reason for reason in DIFFERENCES if verification.count(reason, flow)]
    for reason in reasons:
        lines += [
            f"{reason.value}: {finding.kind} {finding.name}: {finding.detail}"
            for finding in report.findings(flow=flow, reason=reason, most=_MAX_NAMED)
        ]
        lines.append(f"What to do: {NEXT_STEPS[reason]}.")
    lines.append(f"See all with: elite-pipeline verify --client {client} --flow {flow}")
    return "\n".join(lines)


def _table(report: "Report", flow: str) -> dg.TableMetadataValue:
    names = ("reason", "what", "record", "row", "of", "detail")
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                dict(
                    zip(
                        names,
                        (one.reason.value, one.kind, one.record, one.row, one.of, one.detail),
                        strict=True,
                    )
                )
            )
            for one in report.findings(flow=flow, most=_MAX_ROWS)
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in names]),
    )


# Shown once more


def _last_evaluation(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, client: str
) -> tuple[dg.AssetCheckEvaluation, float] | None:
    """Return what the last comparison of a client said, and when; None: there was none."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        key,
        limit=_MAX_EARLIER,
        status={
            AssetCheckExecutionRecordStatus.SUCCEEDED,
            AssetCheckExecutionRecordStatus.FAILED,
        },
    )
    for record in history:
        evaluation = record.evaluation
        if isinstance(evaluation, dg.AssetCheckEvaluation) and evaluation.partition == client:
            return evaluation, record.create_timestamp
    return None


def _once_more(last: dg.AssetCheckEvaluation, when: float) -> dg.AssetCheckResult:
    metadata = dict(last.metadata)
    metadata.setdefault("compared at", dg.MetadataValue.timestamp(when))
    return dg.AssetCheckResult(
        asset_key=last.asset_key,
        check_name=last.check_name,
        passed=last.passed,
        severity=last.severity,
        description=f"As the job 'verify' last found; this run has not compared.\n\n{last.description}"
        if not (last.description or "").startswith("As the job")
        else last.description,
        metadata=metadata,
    )

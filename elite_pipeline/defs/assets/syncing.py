"""The one body that every sync asset has: run a flow, show its result.

A failed record is shown, logged and fails the asset's check, and the run goes on. A flow that stops
fails its step with one message; only what may heal by itself is worth a retry.

A dry run observes its asset and does not materialize it: neither its freshness nor its checks nor its
latest materialization may say that something was carried.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import dagster as dg

from elite_pipeline.defs.checks import no_dead_letters_result
from elite_pipeline.defs.config import SyncConfig
from elite_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from elite_pipeline.defs.resources import ClientSystems

    SyncResult = dg.MaterializeResult[None]
else:
    # Dagster reads an asset's annotation, and with a check beside it knows the bare class alone
    SyncResult = dg.MaterializeResult

#: Failed records named in the run's log; all of them are counted, and most are in the metadata.
_MAX_LOGGED = 20


def sync_partition(
    context: dg.AssetExecutionContext, config: SyncConfig, systems: "ClientSystems", *, flow: str
) -> SyncResult:
    """Run ``flow`` for the client that is the run's partition.

    Raises:
        dagster.Failure: The config is mistyped or the flow stopped; its description is the one
            message to read.
    """
    client = context.partition_key
    with systems.reporting(flow, client):
        return _sync(context, config, systems, flow, client)


def _sync(
    context: dg.AssetExecutionContext,
    config: SyncConfig,
    systems: "ClientSystems",
    flow: str,
    client: str,
) -> SyncResult:
    # here: processes that only load the definitions never need the engine
    from elite_pipeline.choices import ChoiceError, doubt, read_options  # noqa: PLC0415 - see above
    from elite_pipeline.defs.metadata import result_metadata  # noqa: PLC0415 - see above

    try:
        options = config.further(
            read_options(config.since, full=config.full, dry_run=config.dry_run)
        )
    except ChoiceError as error:
        # no failure of a system, and so of none of the three kinds
        raise dg.Failure(
            description=str(error),
            metadata={"client": client, "flow": flow},
            allow_retries=False,
        ) from None
    if (doubtful := doubt(options, datetime.now(UTC))) is not None:
        context.log.warning("%s: %s: %s", client, flow, doubtful)
    try:
        result = systems.sync(flow, client, options, context.log.info)
    except PipelineError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"client": client, "flow": flow, "kind of failure": error.kind},
            allow_retries=error.kind == "transient",
        ) from None
    for failure in result.failures[:_MAX_LOGGED]:
        context.log.warning(
            "%s: %s: %s failed (%s): %s",
            client,
            flow,
            failure.full_name,
            failure.kind,
            failure.reason,
        )
    if result.failed > _MAX_LOGGED:
        context.log.warning(
            "%s: %s: %d more records failed", client, flow, result.failed - _MAX_LOGGED
        )
    for remark in result.remarks:
        context.log.info("%s: %s: %s", client, flow, remark)
    if not result.is_on:
        context.log.info("%s: %s is switched off in the registry; nothing was done", client, flow)
    if options.dry_run:
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                description=f"Dry run of {flow} for {client}: nothing was written anywhere.",
                partition=client,
                metadata=result_metadata(result),
            )
        )
        # Dagster takes what an asset's body yields as well as what it returns
        return cast("SyncResult", _unmarked_outputs(context.assets_def))
    return dg.MaterializeResult(
        metadata=result_metadata(result), check_results=[no_dead_letters_result(result)]
    )


def _unmarked_outputs(
    asset: dg.AssetsDefinition,
) -> "Iterator[dg.MaterializeResult[None] | dg.Output[None]]":
    """Yield the outputs by which the steps behind this one are run, and no events of the asset.

    An output that is not given at all would have those steps skipped. Neither a materialization nor the
    result of a check comes with them.
    """
    # what Dagster itself marks the outputs with whose events the body has logged
    from dagster._core.definitions.source_asset import (  # noqa: PLC0415 - a dry run alone needs it
        SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION,
    )

    yield dg.MaterializeResult(metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})
    for check in asset.check_specs_by_output_name:
        yield dg.Output(None, check)

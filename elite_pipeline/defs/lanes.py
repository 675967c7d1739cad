"""Lanes: by which tags runs are told apart, kept apart and put in order, whoever starts them.

``dagster.yaml`` limits what runs at once by these tags, and by Dagster's own. None of this is needed for
two runs of one client and flow never to overlap: a lock in the data sees to that (``sync.flows``,
``docs/decisions/0013``). Here it is decided who waits for whom, so that nobody waits for long.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import dagster as dg
from dagster import DagsterRunStatus

from elite_pipeline.clients import Registry

CLIENT_TAG = "elite_pipeline/client"
#: One run at once for each of its values.
LANE_TAG = "elite_pipeline/lane"
#: On runs that may take hours: a few at once, and behind all others.
LONG_TAG = "elite_pipeline/long"
#: On runs that a sensor asks for: why.
REASON_TAG = "elite_pipeline/reason"

#: Set by Dagster on every run of a partition.
PARTITION_TAG = "dagster/partition"
#: Set by Dagster on every run that a sensor asked for.
SENSOR_TAG = "dagster/sensor_name"
PRIORITY_TAG = "dagster/priority"
#: People wait for what a webhook told.
WEBHOOKS_FIRST: Mapping[str, str] = {PRIORITY_TAG: "10"}
LONG: Mapping[str, str] = {LONG_TAG: "true", PRIORITY_TAG: "-10"}

#: The pool of all assets but Freshservice's (``dagster.yaml``): what is left over is for webhooks.
BULK_POOL = "bulk"

#: What Dagster calls the job of a run of chosen assets.
ASSETS_JOB = "__ASSET_JOB"

#: A run in one of these states is still going to do the work, or is doing it.
UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
#: A client's runs that are looked at: more are never under way at once.
_MOST_UNDER_WAY = 50
#: The same of all clients together.
_MOST_OF_ALL = 1_000


def clients_with_freshservice(registry: Registry) -> frozenset[str]:
    """Return the clients whose tickets come from Freshservice too; of a broken entry nobody knows."""
    return frozenset(
        name for name, client in registry.clients.items() if client.flows.freshservice_to_toga2
    )


def lane_tags(client: str, job: str) -> Mapping[str, str]:
    """Return the tags by which runs of one client and job can be told, and kept apart."""
    return {CLIENT_TAG: client, LANE_TAG: f"{client}/{job}"}


def run_under_way(
    instance: dg.DagsterInstance, client: str, job_names: Collection[str]
) -> str | None:
    """Return the id of a client's run of one of these jobs that is queued or going on."""
    records = instance.get_run_records(
        dg.RunsFilter(tags={PARTITION_TAG: client}, statuses=UNDER_WAY), limit=_MOST_UNDER_WAY
    )
    return next(
        (one.dagster_run.run_id for one in records if one.dagster_run.job_name in job_names), None
    )


def runs_under_way(
    instance: dg.DagsterInstance, job_names: Collection[str], assets: Iterable[dg.AssetKey]
) -> dict[str, str]:
    """Return client -> the id of a run that is queued or going on and may do the work of these assets.

    Args:
        instance: Whose runs.
        job_names: Jobs that do.
        assets: A run of chosen assets counts if one of these is among them.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY), limit=_MOST_OF_ALL)
    wanted = frozenset(assets)
    return {
        run.tags[PARTITION_TAG]: run.run_id
        for run in reversed(runs)
        if PARTITION_TAG in run.tags
        and (
            run.job_name in job_names
            or (run.job_name == ASSETS_JOB and _touches(run.asset_selection, wanted))
        )
    }


def _touches(chosen: Collection[dg.AssetKey] | None, wanted: Collection[dg.AssetKey]) -> bool:
    # a run that does not say which it chose may be of any
    return not chosen or any(key in wanted for key in chosen)


def failures_in_a_row(runs: Sequence[dg.DagsterRun]) -> int:
    """Return how many of the latest runs have failed, up to the last that did not."""
    for count, run in enumerate(runs):
        if run.status is not DagsterRunStatus.FAILURE:
            return count
    return len(runs)

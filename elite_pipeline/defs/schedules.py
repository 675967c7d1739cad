"""Schedules: every client on its own, so that one that is slow or broken holds up no other."""

import zlib
from collections.abc import Collection, Mapping

import dagster as dg
from dagster import DagsterRunStatus

from elite_pipeline.clients import Registry
from elite_pipeline.defs import jobs

CLIENT_TAG = "elite_pipeline/client"
LANE_TAG = "elite_pipeline/lane"

#: Set by Dagster on every run of a partition.
PARTITION_TAG = "dagster/partition"
#: What Dagster calls the job of a run of chosen assets.
ASSETS_JOB = "__ASSET_JOB"

#: A client's runs that are looked at: more are never under way at once.
_MOST_UNDER_WAY = 50
#: A run in one of these states is still going to do the work, or is doing it.
UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def client_schedules(registry: Registry, *, is_demo: bool) -> list[dg.ScheduleDefinition]:
    """Return each client's schedules: tickets often, reference data now and then, Freshservice's sweep.

    They are on by themselves in a running demo, and off elsewhere until an operator switches them on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if is_demo else dg.DefaultScheduleStatus.STOPPED
    swept = clients_with_freshservice(registry)
    schedules = []
    for client in registry.names:
        # spread over the hour, so that fifty clients do not ask TOGA 2 all in the same minute
        minute = zlib.crc32(client.encode()) % 60
        crons = {
            jobs.TICKETS.name: "* * * * *" if is_demo else "*/5 * * * *",
            jobs.REFERENCE_DATA.name: "*/5 * * * *" if is_demo else f"{minute} * * * *",
        }
        if client in swept:
            crons[jobs.FRESHSERVICE.name] = "*/2 * * * *" if is_demo else "*/10 * * * *"
        schedules += [_schedule(client, job, cron, status) for job, cron in crons.items()]
    return schedules


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


def _schedule(
    client: str, job: str, cron: str, status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    tags = lane_tags(client, job)

    @dg.schedule(
        name=f"{client.replace('-', '_')}_{job}",
        job_name=job,
        cron_schedule=cron,
        default_status=status,
        description=f"Runs {job} for {client}. Skips a turn while its last run is still under way.",
    )
    def client_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        # a run of everything, or one that somebody started by hand, may be doing the same
        rivals = {job, jobs.EVERYTHING.name, ASSETS_JOB}
        if (run_id := run_under_way(context.instance, client, rivals)) is not None:
            return dg.SkipReason(f"run {run_id[:8]} of {client} is still under way")
        return dg.RunRequest(partition_key=client, tags=dict(tags))

    return client_schedule

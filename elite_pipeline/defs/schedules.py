"""Schedules: every client on its own, so that one that is slow or broken holds up no other."""

import zlib
from collections.abc import Mapping

import dagster as dg
from dagster import DagsterRunStatus

from elite_pipeline.clients import Registry
from elite_pipeline.defs import jobs

CLIENT_TAG = "elite_pipeline/client"
LANE_TAG = "elite_pipeline/lane"

#: A run in one of these states is still going to do the work, or is doing it.
_UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def client_schedules(registry: Registry, *, is_demo: bool) -> list[dg.ScheduleDefinition]:
    """Return two schedules per client: tickets often, reference data now and then.

    They are on by themselves in a running demo, and off elsewhere until an operator switches them on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if is_demo else dg.DefaultScheduleStatus.STOPPED
    schedules = []
    for client in registry.names:
        # spread over the hour, so that fifty clients do not ask TOGA 2 all in the same minute
        minute = zlib.crc32(client.encode()) % 60
        crons = {
            jobs.TICKETS.name: "* * * * *" if is_demo else "*/5 * * * *",
            jobs.REFERENCE_DATA.name: "*/5 * * * *" if is_demo else f"{minute} * * * *",
        }
        schedules += [_schedule(client, job, cron, status) for job, cron in crons.items()]
    return schedules


def lane_tags(client: str, job: str) -> Mapping[str, str]:
    """Return the tags by which runs of one client and job can be told, and kept apart."""
    return {CLIENT_TAG: client, LANE_TAG: f"{client}/{job}"}


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
        under_way = context.instance.get_run_records(
            dg.RunsFilter(tags=dict(tags), statuses=_UNDER_WAY), limit=1
        )
        if under_way:
            run_id = under_way[0].dagster_run.run_id
            return dg.SkipReason(f"run {run_id[:8]} of {client} is still under way")
        return dg.RunRequest(partition_key=client, tags=dict(tags))

    return client_schedule

"""Schedules: every client on its own, so that one that is slow or broken holds up no other.

The sensors bring what changes within seconds. The schedules are what does not depend on anybody having
noticed: they find what was committed late under a watermark that has been seen, carry reference data,
which no sensor looks at, and compare it whole at night.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from elite_pipeline.clients import Registry
from elite_pipeline.defs import jobs
from elite_pipeline.defs.assets.reference_data import REFERENCE_DATA_ASSETS
from elite_pipeline.defs.lanes import (
    ASSETS_JOB,
    LONG,
    clients_with_freshservice,
    lane_tags,
    run_under_way,
)

#: Minutes between two runs of a client, and the hours of the night (UTC) that full compares are spread
#: over.
_EVERY = 15
_NIGHT_HOURS = 5


@dataclass(frozen=True, slots=True)
class _Plan:
    """A schedule that every client has.

    Attributes:
        suffix: Of its name, behind the client's.
        job: What it runs.
        cron: Of a client's number, which is its own and never changes.
        demo_cron: The same where a demo is running, whose people want to see something happen.
        full: Whether it compares everything.
        description: Of what it is for, for people.
    """

    suffix: str
    job: str
    cron: Callable[[int], str]
    demo_cron: str
    description: str
    full: bool = False


_FULL = _Plan(
    "reference_data_in_full",
    jobs.REFERENCE_DATA.name,
    # between midnight and five
    lambda number: f"{number % 60} {number // 60 % _NIGHT_HOURS} * * *",
    "0 3 * * *",
    "Compares all reference data of {client} once a night, and writes what differs: what somebody "
    "changed in the helpdesk's tables, what was committed late, what has vanished from TOGA 2 (counted, "
    "never deleted). Waits for a run that is under way.",
    full=True,
)
_PLANS = (
    _Plan(
        "tickets",
        jobs.TICKETS.name,
        lambda number: _every(_EVERY, number),
        "*/5 * * * *",
        "Runs tickets for {client} whether or not ticket_watermarks has noticed anything. Skips a turn "
        "while another run of it is under way.",
    ),
    _Plan(
        "reference_data",
        jobs.REFERENCE_DATA.name,
        lambda number: _every(_EVERY, number),
        "*/5 * * * *",
        "Carries what changed in {client}'s contacts, units, teams, predefined replies and categories. "
        "Skips a turn while another run of it is under way.",
    ),
    _FULL,
)
_SWEEP = _Plan(
    "freshservice",
    jobs.FRESHSERVICE.name,
    lambda number: _every(10, number),
    "*/2 * * * *",
    "Sweeps {client}'s Freshservice for what no webhook told. Skips a turn while another run of it is "
    "under way.",
)


def client_schedules(registry: Registry, *, is_demo: bool) -> list[dg.ScheduleDefinition]:
    """Return each client's schedules: tickets and reference data now and then, Freshservice's sweep.

    They are on by themselves in a running demo, and off elsewhere until an operator switches them on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if is_demo else dg.DefaultScheduleStatus.STOPPED
    swept = clients_with_freshservice(registry)
    return [
        _schedule(client, plan, status, is_demo=is_demo)
        for client in registry.names
        for plan in (*_PLANS, *((_SWEEP,) if client in swept else ()))
    ]


def _every(minutes: int, number: int) -> str:
    """Spread clients over the minutes, so that fifty do not ask TOGA 2 all in the same one."""
    return f"{number % minutes}-59/{minutes} * * * *"


def _schedule(
    client: str, plan: _Plan, status: dg.DefaultScheduleStatus, *, is_demo: bool
) -> dg.ScheduleDefinition:
    tags = {**lane_tags(client, plan.job), **(LONG if plan.full else {})}
    number = zlib.crc32(client.encode())

    @dg.schedule(
        name=f"{client.replace('-', '_')}_{plan.suffix}",
        job_name=plan.job,
        cron_schedule=plan.demo_cron if is_demo else plan.cron(number),
        default_status=status,
        description=plan.description.format(client=client),
    )
    def client_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        if plan.full:
            # once a night: it waits in the queue, and is not left out
            config = {key.to_python_identifier(): _FULL_CONFIG for key in REFERENCE_DATA_ASSETS}
            return dg.RunRequest(partition_key=client, run_config={"ops": config}, tags=tags)
        # a run of everything, or one that somebody started by hand, may be doing the same
        rivals = {plan.job, jobs.EVERYTHING.name, ASSETS_JOB}
        if (run_id := run_under_way(context.instance, client, rivals)) is not None:
            return dg.SkipReason(f"run {run_id[:8]} of {client} is still under way")
        return dg.RunRequest(partition_key=client, tags=tags)

    return client_schedule


_FULL_CONFIG = {"config": {"full": True}}

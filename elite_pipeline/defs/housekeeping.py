"""Housekeeping as a job and its schedule: old runs and rows go, every night.

What does not belong here: what goes and what stays (``old_runs`` for Dagster's storage,
``elite_pipeline.housekeeping`` for the project's own tables).
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.housekeeping import Ages, Swept

HOUSEKEEPING = "housekeeping"
#: Its one step; a job and an op may not share a name.
OP = "remove_what_is_old"
#: As in ``dagster.yaml``: one at a time.
LANE_TAG = "elite_pipeline/lane"

#: Once a night, when few are at work; in a demo, which seldom lives through one, every hour.
_NIGHTLY = "17 3 * * *"
_HOURLY = "17 * * * *"


class HousekeepingConfig(dg.Config):
    """What goes. Left alone, it is what the environment says (``.env.example``)."""

    run_days: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Remove finished runs, their logs and check results when they are older than this many "
            "days. Materializations stay, and so does the last run of each asset and client. Left alone: "
            "HOUSEKEEPING_RUN_DAYS, else 30."
        ),
    )
    webhook_days: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Remove webhooks (table WorkerJobs) that have been DONE for this many days; they cannot be "
            "replayed then. Left alone: HOUSEKEEPING_WEBHOOK_DAYS, else 90."
        ),
    )
    dead_webhook_days: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Remove webhooks that are DEAD and came more than this many days ago. Left alone: "
            "HOUSEKEEPING_DEAD_WEBHOOK_DAYS, else they stay for good."
        ),
    )
    call_days: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Remove calls from the call log (table Api) that are older than this many days. Left alone: "
            "HOUSEKEEPING_CALL_DAYS, else they stay for good."
        ),
    )
    minutes: int = Field(
        default=60,
        ge=1,
        description="Stop after this many minutes; the next housekeeping goes on where this one stopped.",
    )
    dry_run: bool = Field(
        default=False, description="Remove nothing, and say how much would be removed."
    )


def housekeeping_job(settings: Settings) -> dg.JobDefinition:
    """Return the job."""

    @dg.op(
        name=OP,
        description="Remove old runs, logs, webhooks and calls; keep what assets remember of them.",
    )
    def remove_what_is_old(context: dg.OpExecutionContext, config: HousekeepingConfig) -> None:
        # here: processes that only load the definitions never tidy up
        from elite_pipeline.errors import ConfigurationError  # noqa: PLC0415 - see above
        from elite_pipeline.housekeeping import ages, done_one_by_one  # noqa: PLC0415 - see above

        try:
            chosen = ages(
                settings,
                run_days=config.run_days,
                webhook_days=config.webhook_days,
                dead_webhook_days=config.dead_webhook_days,
                call_days=config.call_days,
            )
        except ConfigurationError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        tasks = all_tasks(
            context.instance, settings, chosen, dry_run=config.dry_run, minutes=config.minutes
        )
        done, failed = done_one_by_one(tasks, context.log.info)
        metadata: dict[str, dg.MetadataValue] = {
            swept.what: dg.MetadataValue.int(swept.removed) for swept in done
        }
        metadata["dry run"] = dg.MetadataValue.bool(config.dry_run)
        if failed:
            raise dg.Failure(
                description="\n".join(map(str, failed)), metadata=metadata, allow_retries=False
            )
        context.add_output_metadata(metadata)

    @dg.job(
        name=HOUSEKEEPING,
        description=(
            "Removes old runs with their logs, webhooks that are done and, where an age is set for them, "
            "calls from the call log. Materializations, dead letters and webhooks that wait stay."
        ),
        tags={LANE_TAG: HOUSEKEEPING},
    )
    def job() -> None:
        remove_what_is_old()

    return job


def housekeeping_schedule(*, is_demo: bool) -> dg.ScheduleDefinition:
    """Return its schedule: on by itself in a running demo, elsewhere when an operator switches it on."""
    return dg.ScheduleDefinition(
        name=HOUSEKEEPING,
        job_name=HOUSEKEEPING,
        cron_schedule=_HOURLY if is_demo else _NIGHTLY,
        execution_timezone="UTC",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if is_demo else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Removes old runs, logs, webhooks and calls, as the settings say.",
    )


def all_tasks(
    instance: dg.DagsterInstance | None,
    settings: Settings,
    ages: "Ages",
    *,
    dry_run: bool,
    minutes: float,
) -> "Iterator[Callable[[], Swept]]":
    """Yield all there is to do; without an instance, what there is beside Dagster."""
    from elite_pipeline.defs.old_runs import remove_old_runs  # noqa: PLC0415 - as above
    from elite_pipeline.housekeeping import own_rows  # noqa: PLC0415 - as above

    now = datetime.now(UTC)
    until = time.monotonic() + minutes * 60

    def is_time_up() -> bool:
        return time.monotonic() >= until

    # these first: they are few, and runs may take all the time there is
    yield from own_rows(settings, ages, now, dry_run=dry_run, is_time_up=is_time_up)
    if instance is not None:
        yield partial(
            remove_old_runs, instance, ages.run_days, now, dry_run=dry_run, is_time_up=is_time_up
        )

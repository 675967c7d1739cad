"""Runs that failed, to Sentry: those that could not tell of it themselves.

A run's process tells Sentry what stopped it, and puts a tag on its run (``resources``). One that was
killed, timed out, never started, or failed outside of our code has no such tag, and is told of by the
sensor ``run_failures``. A cause is told once: further runs of the same client and job that fail the same
way are told of again only when that has gone on for hours.

What does not belong here: records that fail, and checks (``health_checks``).
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from elite_pipeline.defs.failure_tags import ALERT_TAG, TOLD_TAG
from elite_pipeline.errors import SystemicError
from elite_pipeline.settings import Settings

RUN_FAILURES = "run_failures"

#: What Dagster calls them.
_PARTITION_TAG = "dagster/partition"
_ASSETS_JOB = "__ASSET_JOB"

#: Seconds between two looks; each tells of a few runs at most.
_INTERVAL = 10
#: A cause that goes on is told again after this long.
_AGAIN = timedelta(hours=6)
_MOST_CHARS = 200

_WHY: Mapping[str, str] = {
    "START_TIMEOUT": "it did not start in time",
    "JOB_INITIALIZATION_FAILURE": "it could not be set up",
    "RUN_WORKER_RESTART": "its process was lost while it ran, and started anew",
    "UNEXPECTED_TERMINATION": "its process was told to end while it ran",
    "STEP_FAILURE": "a step failed outside of this project's code",
    "RUN_EXCEPTION": "it failed outside of any step",
    "ENDED_FROM_OUTSIDE": "it was ended from outside",
}


class RunLostError(SystemicError):
    """A run failed, and its own process could not tell of it."""


def run_failures(settings: Settings, *, is_demo: bool) -> dg.SensorDefinition:
    """Return the sensor.

    It is on by itself in a running demo, and off elsewhere until an operator switches it on. What failed
    while it was off is not told afterwards.
    """

    @dg.run_failure_sensor(
        name=RUN_FAILURES,
        minimum_interval_seconds=_INTERVAL,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if is_demo else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            "Tells Sentry of runs that failed and could not tell of it themselves: killed, timed out, "
            "never started. One message for each cause. Starts no runs; needs SENTRY_DSN to tell anybody."
        ),
    )
    def sensor(context: dg.RunFailureSensorContext) -> None:
        # as it is now: the tag may have come after what the daemon has read
        run = context.instance.get_run_by_id(context.dagster_run.run_id) or context.dagster_run
        if TOLD_TAG in run.tags or ALERT_TAG in run.tags:
            return
        data = context.failure_event.event_specific_data
        error = getattr(data, "error", None)
        reason, kind = _reason(getattr(data, "failure_reason", None), error), _kind(error)
        client = run.tags.get(_PARTITION_TAG, "")
        cause = "/".join([client or "all", run.job_name, reason, kind])[:_MOST_CHARS]
        if _is_known(context.instance, cause):
            context.log.info("run %s failed for a cause that was told: %s", run.run_id[:8], cause)
            return
        told = _WHY[reason] + (f" ({kind})" if kind else "")
        if error is None:
            # Dagster's own words: nothing was raised that could quote anything
            told += f": {(context.failure_event.message or '').partition(chr(10))[0][:_MOST_CHARS]}"
        job = "chosen assets" if run.job_name == _ASSETS_JOB else run.job_name
        lost = RunLostError(
            f"{client or 'All clients'}: run {run.run_id[:8]} of {job} failed and could not tell of it "
            f"itself: {told.rstrip('.')}. Its log is on the page (Runs). What it had not done is done by "
            "the next run; if nothing starts one, the check watermark_lag will say so."
        )
        context.log.warning("%s", lost)
        from elite_pipeline.observability.sentry import open_sentry  # noqa: PLC0415 - few runs get here

        with closing(open_sentry(settings)) as report:
            report(
                lost,
                {
                    "client": client,
                    "job": run.job_name,
                    "run": run.run_id,
                    "reason": f"{reason} {kind}".rstrip(),
                    "kind": "systemic",
                    "state": "run lost",
                },
            )
        if report.reaches_somebody:
            context.instance.add_run_tags(run.run_id, {ALERT_TAG: cause})

    return sensor


def _reason(known: Any, error: Any) -> str:
    """Return which of the reasons it is, from what Dagster gives as one; it gives none for some."""
    reason = getattr(known, "value", None)
    if reason in _WHY:
        return str(reason)
    return "ENDED_FROM_OUTSIDE" if error is None else "RUN_EXCEPTION"


def _kind(error: Any) -> str:
    """Return the innermost error's class; its text may quote anything."""
    while getattr(error, "cause", None) is not None:
        error = error.cause
    return getattr(error, "cls_name", None) or ""


def _is_known(instance: dg.DagsterInstance, cause: str) -> bool:
    recent = dg.RunsFilter(tags={ALERT_TAG: cause}, updated_after=datetime.now(UTC) - _AGAIN)
    return bool(instance.get_runs(filters=recent, limit=1))

"""Health as the page shows it: asset checks, client by client, kept up to date by a sensor.

The sensor ``health`` looks into the pipeline's own database, a handful of statements for all clients, and
writes down what is news; no process is started for it (``docs/decisions/0012``). Each check can also be
executed on the page, and is when a person materializes its asset there.

What does not belong here: what is measured and what is said about it (``health``), how Dagster keeps it
(``health_results``), and the check that comes with a materialization (``checks``).
"""

import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.defs.health_results import (
    JOB,
    recall,
    remember,
    run_of_a_look,
    severity,
    write_down,
)
from elite_pipeline.defs.markdown import literal
from elite_pipeline.errors import PermanentError, PipelineError
from elite_pipeline.health.findings import DESCRIPTIONS, checks_of
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.health.findings import Finding
    from elite_pipeline.health.watch import Watch

HEALTH = JOB

#: Seconds between two looks.
_INTERVAL, _DEMO_INTERVAL = 60, 15


class CheckFailedError(PermanentError):
    """A check fails of which nobody has been told otherwise."""


def health_checks(
    settings: Settings, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    """Return the checks of all assets; one step executes those that are chosen."""
    with warnings.catch_warnings():
        # Dagster still calls a check's own partitions a preview; see checks
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                check, asset=asset, description=DESCRIPTIONS[check], partitions_def=partitions
            )
            for flow, asset in ASSETS.items()
            for check in checks_of(flow)
        ]

    @dg.multi_asset_check(
        name="health_checks",
        specs=specs,
        can_subset=True,
        description=(
            "Looks into the pipeline's own database. A run of a partition checks that client; one "
            "without checks all clients."
        ),
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        try:
            with closing(_watch(settings)) as watch:
                everything = _findings(settings, watch)
        except PipelineError as error:
            raise dg.Failure(str(error), allow_retries=error.kind == "transient") from None
        found = [one for one in everything if _key(one) in context.selected_asset_check_keys]
        if not context.has_partition_key:
            # a run without a partition has no results of partitions; the last one of a check is what the
            # page shows for all clients: one for which it fails, if there is any
            found.sort(key=lambda one: (not one.passed, one.is_severe))
            write_down(context.instance, context.run.run_id, found)
            failing = [one for one in found if not one.passed]
            context.log.info("%d checks, %d of them fail", len(found), len(failing))
            for finding in failing:
                context.log.warning("%s: %s", finding.check, finding.text)
            return
        for finding in found:
            if finding.client == context.partition_key:
                yield dg.AssetCheckResult(
                    asset_key=ASSETS[finding.flow],
                    check_name=finding.check,
                    passed=finding.passed,
                    severity=severity(finding),
                    description=literal(finding.text),
                    metadata=dict(finding.numbers),
                )

    return checks


def health_sensor(settings: Settings, *, is_demo: bool) -> dg.SensorDefinition:
    """Return the sensor that keeps the checks up to date.

    It is on by itself in a running demo, and off elsewhere until an operator switches it on.
    """

    @cache
    def watch() -> "Watch":
        # kept: each one that is new looks first whether all tables are there
        return _watch(settings)

    @dg.sensor(
        name=HEALTH,
        minimum_interval_seconds=_DEMO_INTERVAL if is_demo else _INTERVAL,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if is_demo else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            "Looks whether every flow of every client is well, and writes down on the pages of the "
            "assets what changed (docs/health.md). Starts no runs, and has no cursor to set."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from elite_pipeline.health.news import (  # noqa: PLC0415 - most processes never look
            AFTER_A_RUN,
            Told,
            begins_to_fail,
            is_repeated,
            key_of,
            news_of,
            passes_every,
        )

        found = _findings(settings, watch())
        now = int(time.time())
        memory = recall(context.instance, settings.registry)
        # a demo runs all the time, and has no years before it
        passes = AFTER_A_RUN if is_demo else passes_every(len(found))
        news = news_of(found, memory, now, passes)
        alarms = [one for one in news if begins_to_fail(one, memory.get(key_of(one)))]
        for finding in alarms:
            context.log.warning("%s: %s", finding.check, finding.text)
        _alert(settings, [one for one in alarms if not one.is_told])
        # not by the tick's result: what the daemon did not get to would be remembered as written down
        if news:
            run_id = run_of_a_look(context.instance, now, may_be_the_last=is_repeated(news, memory))
            write_down(context.instance, run_id, news)
            memory.update({key_of(finding): Told.of(finding, now) for finding in news})
            remember(context.instance, memory)
        failing = sum(not one.passed for one in found)
        return dg.SkipReason(
            f"{len(found)} checks, {failing} of them fail; {len(news)} were written down"
        )

    return sensor


def _watch(settings: Settings) -> "Watch":
    from elite_pipeline.health.watch import Watch  # noqa: PLC0415 - most processes never look

    return Watch(settings.pipeline_url)


def _findings(settings: Settings, watch: "Watch") -> "list[Finding]":
    """Find how everything is.

    Raises:
        TransientError, SystemicError: The pipeline's own database cannot be used.
    """
    from elite_pipeline.assembly import require_a_demo  # noqa: PLC0415 - most processes never look
    from elite_pipeline.health.look import findings  # noqa: PLC0415 - as above

    require_a_demo(settings)
    return list(findings(settings.registry, watch.look()))


def _alert(settings: Settings, failing: "Collection[Finding]") -> None:
    """Tell Sentry of checks that began to fail, and that nobody has told of where it happened."""
    if not failing:
        return
    from elite_pipeline.observability.sentry import open_sentry  # noqa: PLC0415 - most looks find nothing

    with closing(open_sentry(settings)) as report:
        for finding in failing:
            tags = {
                "client": finding.client,
                "flow": finding.flow,
                "check": finding.check,
                "kind": "error" if finding.is_severe else "warning",
                "state": "check failed",
            }
            report(CheckFailedError(finding.text), tags)


def _key(finding: "Finding") -> dg.AssetCheckKey:
    return dg.AssetCheckKey(ASSETS[finding.flow], finding.check)

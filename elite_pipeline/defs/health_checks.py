"""Health as the page shows it: asset checks, client by client, kept up to date by a sensor.

The sensor ``health`` looks into the pipeline's own database, a handful of statements for all clients, and
writes down what is news; no process is started for it (``docs/decisions/0012``). Each check can also be
executed on the page, and is when a person materializes its asset there.

What does not belong here: what is measured and what is said about it (``health``), and the check that
comes with a materialization (``checks``).
"""

import json
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg

from elite_pipeline.clients import Registry
from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.errors import PermanentError, PipelineError
from elite_pipeline.health.findings import DESCRIPTIONS, checks_of
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.health.findings import Finding
    from elite_pipeline.health.news import Told
    from elite_pipeline.health.watch import Watch

HEALTH = "health"

#: Seconds between two looks.
_INTERVAL, _DEMO_INTERVAL = 60, 15
#: Where Dagster keeps what was last written down, client by client.
_MEMORY = "elite_pipeline/health/"


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
            _write_down(context.instance, context.run.run_id, found)
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
                    severity=_severity(finding),
                    description=finding.text,
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
            Told,
            begins_to_fail,
            key_of,
            news_of,
        )

        found = _findings(settings, watch())
        now = int(time.time())
        memory = _recall(context.instance, settings.registry)
        news = news_of(found, memory, now)
        alarms = [one for one in news if begins_to_fail(one, memory.get(key_of(one)))]
        for finding in alarms:
            context.log.warning("%s: %s", finding.check, finding.text)
        _alert(settings, [one for one in alarms if not one.is_told])
        # not by the tick's result: what the daemon did not get to would be remembered as written down
        if news:
            _write_down(context.instance, _run_of_a_look(context.instance), news)
            memory.update({key_of(finding): Told.of(finding, now) for finding in news})
            _remember(context.instance, memory)
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


def _recall(instance: dg.DagsterInstance, registry: Registry) -> "dict[tuple[str, str, str], Told]":
    """Return what was last written down: client, flow and check -> how it was."""
    from elite_pipeline.health.news import Told  # noqa: PLC0415 - most processes never look

    kept = instance.daemon_cursor_storage.get_cursor_values(
        {_MEMORY + client for client in registry.names}
    )
    memory: dict[tuple[str, str, str], Told] = {}
    for key, text in kept.items():
        for name, values in json.loads(text).items():
            flow, check = name.split("/")
            memory[key.removeprefix(_MEMORY), flow, check] = Told(*values)
    return memory


def _remember(instance: dg.DagsterInstance, memory: "Mapping[tuple[str, str, str], Told]") -> None:
    kept: dict[str, dict[str, tuple[object, ...]]] = {}
    for (client, flow, check), told in memory.items():
        values = (told.passed, told.is_severe, told.gauge, told.at)
        kept.setdefault(_MEMORY + client, {})[f"{flow}/{check}"] = values
    instance.daemon_cursor_storage.set_cursor_values(
        {key: json.dumps(values, separators=(",", ":")) for key, values in kept.items()}
    )


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


def _run_of_a_look(instance: dg.DagsterInstance) -> str:
    """Make the record of a run that nothing executes, and return its id.

    Dagster keeps one result of a check, a run and a partition, and one alone of those without a run.
    """
    run = dg.DagsterRun(
        job_name=HEALTH,
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.SUCCESS,
        tags={
            "dagster/sensor_name": HEALTH,
            "elite_pipeline/process": "none: written by the sensor",
        },
    )
    return instance.add_run(run).run_id


def _write_down(instance: dg.DagsterInstance, run_id: str, findings: "Collection[Finding]") -> None:
    for finding in findings:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=ASSETS[finding.flow],
            check_name=finding.check,
            partition=finding.client,
            passed=finding.passed,
            severity=_severity(finding),
            description=finding.text,
            metadata=dict(finding.numbers),
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=HEALTH,
            event_specific_data=evaluation,
        )
        instance.report_dagster_event(event, run_id=run_id)


def _severity(finding: "Finding") -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if finding.is_severe else dg.AssetCheckSeverity.WARN

"""What the checks of health found, as Dagster keeps it: results of partitions, and what was last written.

What does not belong here: which findings are written down (``health.news``), and when
(``health_checks``).
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg

# what an ``AssetCheckEvaluation`` takes, and Dagster gives no other name to
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from elite_pipeline.clients import Registry
from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.defs.markdown import literal

if TYPE_CHECKING:
    from elite_pipeline.health.findings import Finding
    from elite_pipeline.health.news import Told

#: What the runs are called that nothing executes.
JOB = "health"

#: Where Dagster keeps what was last written down, client by client.
_MEMORY = "elite_pipeline/health/"
#: The same of the last run that nothing executed: its id, and when it was made.
_LAST_RUN = "elite_pipeline/health"
#: Seconds that passes are written down under the same one.
_RUN_LASTS = 24 * 3600


def recall(instance: dg.DagsterInstance, registry: Registry) -> "dict[tuple[str, str, str], Told]":
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


def remember(instance: dg.DagsterInstance, memory: "Mapping[tuple[str, str, str], Told]") -> None:
    """Keep what :func:`recall` returns."""
    kept: dict[str, dict[str, tuple[object, ...]]] = {}
    for (client, flow, check), told in memory.items():
        values = (told.passed, told.is_severe, told.gauge, told.at)
        kept.setdefault(_MEMORY + client, {})[f"{flow}/{check}"] = values
    instance.daemon_cursor_storage.set_cursor_values(
        {key: json.dumps(values, separators=(",", ":")) for key, values in kept.items()}
    )


def run_of_a_look(instance: dg.DagsterInstance, now: int, *, may_be_the_last: bool) -> str:
    """Return the id of a run that nothing executes, to write results down under.

    Dagster keeps one result of a check, a run and a partition, and one alone of those without a run.

    Args:
        instance: Where.
        now: Seconds since 1970.
        may_be_the_last: Whether the run of an earlier look will do: its results of the same check and
            partition are replaced then.
    """
    storage = instance.daemon_cursor_storage
    last_id, at = json.loads(storage.get_cursor_values({_LAST_RUN}).get(_LAST_RUN, '["", 0]'))
    if may_be_the_last and now - at < _RUN_LASTS and instance.has_run(last_id):
        return str(last_id)
    run = dg.DagsterRun(
        job_name=JOB,
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.SUCCESS,
        tags={
            "dagster/sensor_name": JOB,
            "elite_pipeline/process": "none: written by the sensor",
        },
    )
    instance.add_run(run)
    storage.set_cursor_values({_LAST_RUN: json.dumps([run.run_id, now])})
    return run.run_id


def write_down(instance: dg.DagsterInstance, run_id: str, findings: "Collection[Finding]") -> None:
    """Write findings down as results of a run, in order, each for the partition of its client.

    Args:
        instance: Where.
        run_id: Of the run.
        findings: At most one of a check, a flow and a client.
    """

    @cache
    def latest(flow: str, client: str) -> Target | None:
        return _latest(instance, flow, client)

    for finding in findings:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=ASSETS[finding.flow],
            check_name=finding.check,
            partition=finding.client,
            passed=finding.passed,
            severity=severity(finding),
            description=literal(finding.text),
            metadata=dict(finding.numbers),
            target_materialization_data=latest(finding.flow, finding.client),
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=JOB,
            event_specific_data=evaluation,
        )
        instance.report_dagster_event(event, run_id=run_id)


def _latest(instance: dg.DagsterInstance, flow: str, client: str) -> Target | None:
    """Return the materialization that a check is about: else the page takes its result for an old one."""
    fetched = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=ASSETS[flow], asset_partitions=[client]), limit=1
    )
    for record in fetched.records:
        return Target(
            storage_id=record.storage_id,
            run_id=record.run_id,
            timestamp=record.timestamp,
        )
    return None


def severity(finding: "Finding") -> dg.AssetCheckSeverity:
    """Return how bad it is where it fails."""
    return dg.AssetCheckSeverity.ERROR if finding.is_severe else dg.AssetCheckSeverity.WARN

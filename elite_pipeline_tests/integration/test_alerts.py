"""What Sentry hears of runs that could not tell of their failure themselves, and of no others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs.alerts import run_failures
from elite_pipeline.defs.failure_tags import ALERT_TAG, TOLD_TAG
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.sentry_collector import Collector

Tick = Callable[[], None]
Lost = Callable[..., str]

PRIVATE = "ada.lovelace@example.com"


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@pytest.fixture
def settings(
    helpdesk: Helpdesk, collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Settings:
    """Settings under which no TOGA 2 answers."""
    for name, text in {
        "ELITE_PIPELINE_CLIENTS": str(DEMO_REGISTRY),
        "TOGA2_BASE_URL": f"http://127.0.0.1:{free_port()}/v2",
        "TOGADESK_DATABASE_URL": helpdesk.url,
        "PIPELINE_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite'}",
        "SENTRY_DSN": collector.dsn,
    }.items():
        monkeypatch.setenv(name, text)
    return Settings()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(settings: Settings, instance: dg.DagsterInstance) -> Tick:
    """Evaluate the sensor as the daemon does; its first tick only sets its cursor."""
    cursor: list[str | None] = [None]

    def tick() -> None:
        sensor = run_failures(settings, is_demo=False)
        context = dg.build_sensor_context(instance=instance, cursor=cursor[0])
        evaluated: Any = sensor.evaluate_tick(context)
        assert [one.error for one in evaluated.dagster_run_reactions if one.error] == []
        cursor[0] = evaluated.cursor

    tick()
    return tick


@pytest.fixture
def lost(instance: dg.DagsterInstance) -> Lost:
    """Make a run that something outside of its process declares failed."""

    def lose(
        message: str = "Exceeded maximum runtime of 43200 seconds.", client: str = "elite"
    ) -> str:
        run = instance.add_run(
            dg.DagsterRun(
                job_name="tickets",
                run_id=str(uuid4()),
                status=dg.DagsterRunStatus.STARTED,
                tags={"dagster/partition": client},
            )
        )
        instance.report_run_failed(run, message)
        return run.run_id

    return lose


def test_a_run_that_was_ended_from_outside_is_told_with_client_job_and_reason(
    tick: Tick, lost: Lost, collector: Collector, instance: dg.DagsterInstance
) -> None:
    run_id = lost(f"Exceeded maximum runtime of 43200 seconds.\nlogs of the pod: {PRIVATE}")
    tick()
    tick()

    (event,) = collector.events
    assert event["tags"] == {
        "client": "elite",
        "job": "tickets",
        "run": run_id,
        "reason": "ENDED_FROM_OUTSIDE",
        "kind": "systemic",
        "state": "run lost",
    }
    assert event["fingerprint"] == ["elite", "tickets", "ENDED_FROM_OUTSIDE"]
    text = event["exception"]["values"][0]["value"]
    assert text.startswith(f"elite: run {run_id[:8]} of tickets failed")
    assert "Exceeded maximum runtime of 43200 seconds." in text
    assert PRIVATE not in collector.raw
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[ALERT_TAG] == "elite/tickets/ENDED_FROM_OUTSIDE/"


def test_a_cause_is_told_once_for_each_client(tick: Tick, lost: Lost, collector: Collector) -> None:
    for _ in range(3):
        lost()
    lost(client="wje")
    tick()
    lost()
    tick()

    assert [tags["client"] for tags in collector.tags()] == ["elite", "wje"]


def test_what_the_run_has_told_itself_is_not_told_again(
    tick: Tick, collector: Collector, instance: dg.DagsterInstance, settings: Settings
) -> None:
    job = build_definitions(settings).resolve_job_def("tickets")
    run = job.execute_in_process(partition_key="elite", instance=instance, raise_on_error=False)
    assert not run.success
    assert [tags["state"] for tags in collector.tags()] == ["run failed"]
    assert TOLD_TAG in instance.get_runs()[0].tags
    tick()
    assert len(collector.events) == 1


def test_a_mistyped_choice_alarms_nobody(
    tick: Tick, collector: Collector, instance: dg.DagsterInstance, settings: Settings
) -> None:
    job = build_definitions(settings).resolve_job_def("freshservice")
    config = {"ops": {"toga2__freshservice_ticket_deltas": {"config": {"since": "soon"}}}}
    run = job.execute_in_process(
        partition_key="elite", instance=instance, raise_on_error=False, run_config=config
    )
    assert not run.success
    tick()
    assert collector.events == []


def test_a_run_that_fails_outside_of_a_step_is_told_without_what_its_error_quotes(
    tick: Tick, collector: Collector, instance: dg.DagsterInstance
) -> None:
    @dg.resource
    def broken() -> None:
        raise ValueError(PRIVATE)

    @dg.op(required_resource_keys={"broken"})
    def needs_it() -> None:
        pass

    @dg.job(resource_defs={"broken": broken}, name="housekeeping")
    def job() -> None:
        needs_it()

    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    tick()

    (event,) = collector.events
    assert event["fingerprint"] == ["", "housekeeping", "RUN_EXCEPTION ValueError"]
    assert "(ValueError)" in event["exception"]["values"][0]["value"]
    assert PRIVATE not in collector.raw


def test_where_no_sentry_is_set_the_tick_says_what_it_would_have_told(
    instance: dg.DagsterInstance,
    lost: Lost,
    collector: Collector,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SENTRY_DSN")
    sensor = run_failures(Settings(), is_demo=False)
    context = dg.build_sensor_context(instance=instance)
    cursor: Any = sensor.evaluate_tick(context)
    run_id = lost()
    sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor.cursor))
    assert "of tickets failed and could not tell of it" in capsys.readouterr().err
    assert collector.raw == ""
    # and nothing says that anybody was told
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert ALERT_TAG not in run.tags

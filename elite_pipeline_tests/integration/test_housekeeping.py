"""Housekeeping of the project's own tables, by itself, as a command and as a job."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from elite_pipeline import housekeeping as module
from elite_pipeline.cli import cli
from elite_pipeline.defs.housekeeping import HousekeepingConfig, housekeeping_job
from elite_pipeline.errors import SystemicError
from elite_pipeline.housekeeping import Swept, ages, own_rows
from elite_pipeline.inbox import Inbox
from elite_pipeline.inbox.tables import worker_jobs
from elite_pipeline.observability.call_log_tables import api
from elite_pipeline.observability.call_log_tables import metadata as call_log_tables
from elite_pipeline.own_tables import bring_up_to_date, connect
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Opener

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
"""

Sweep = Callable[..., list[Swept]]


@pytest.fixture(params=["sqlite", pytest.param("mariadb-modern-strict", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'own.sqlite'}"
    return open_helpdesk(request.param).url


@pytest.fixture
def settings(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "clients.yaml").write_text(REGISTRY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("PIPELINE_DATABASE_URL", url)
    monkeypatch.setenv("CLIENT_LOGS_DATABASE_URL", url)
    return Settings()


@pytest.fixture
def engine(settings: Settings, url: str) -> Iterator[sa.Engine]:
    engine = connect(url, "PIPELINE_DATABASE_URL", timeout_seconds=30)
    bring_up_to_date(engine, call_log_tables.sorted_tables, "CLIENT_LOGS_DATABASE_URL")
    with closing(Inbox(url)) as inbox:
        inbox.latest_id()
    yield engine
    engine.dispose()


@pytest.fixture
def sweep(settings: Settings) -> Sweep:
    def tidy(*, dry_run: bool = False, is_time_up: Any = lambda: False, **days: int) -> list[Swept]:
        tasks = own_rows(
            settings, ages(settings, **days), NOW, dry_run=dry_run, is_time_up=is_time_up
        )
        return [task() for task in tasks]

    return tidy


def _ago(days: float) -> datetime:
    return (NOW - timedelta(days=days)).replace(tzinfo=None)


def add_webhooks(engine: sa.Engine, *rows: tuple[str, float, float | None]) -> None:
    """Add rows: status, days since they came, days since they were finished."""
    with engine.begin() as connection:
        for number, (status, came, finished) in enumerate(rows):
            connection.execute(
                sa.insert(worker_jobs).values(
                    uuid=f"{number:036}",
                    dtStamp=_ago(came),
                    action="elite/Webhook",
                    status=status,
                    dtFinished=None if finished is None else _ago(finished),
                )
            )


def add_calls(engine: sa.Engine, *days: float) -> None:
    with engine.begin() as connection:
        for number, age in enumerate(days):
            connection.execute(
                sa.insert(api).values(
                    uuid=f"{number:036}",
                    dtStamp=_ago(age),
                    direction="OUT",
                    method="GET",
                    hostname="h",
                    route="/r",
                )
            )


def uuids(engine: sa.Engine, table: sa.Table) -> list[int]:
    with engine.connect() as connection:
        return sorted(int(uuid) for uuid in connection.execute(sa.select(table.c.uuid)).scalars())


def test_only_what_is_done_and_old_goes(
    engine: sa.Engine, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 2)
    add_webhooks(
        engine,
        ("DONE", 400, 399),
        ("PENDING", 400, None),
        ("FAILED", 400, None),
        ("DEAD", 400, None),
        # came long ago and was done lately: it was replayed
        ("DONE", 400, 10),
        # somebody else's, who knows no dtFinished
        ("DONE", 300, None),
        ("DONE", 100, 91),
        ("DONE", 100, 89),
        ("DONE", 1, 1),
    )
    add_calls(engine, 400, 200, 20)
    everything = uuids(engine, worker_jobs), uuids(engine, api)

    would = sweep(dry_run=True)
    assert (uuids(engine, worker_jobs), uuids(engine, api)) == everything
    done = sweep()

    assert [swept.removed for swept in would] == [3, 0, 0]
    assert done == would
    assert uuids(engine, worker_jobs) == [1, 2, 3, 4, 7, 8]
    # the call log is its owner's, until somebody sets an age
    assert uuids(engine, api) == [0, 1, 2]

    assert [swept.removed for swept in sweep(dead_webhook_days=200, call_days=180)] == [0, 1, 2]
    assert uuids(engine, worker_jobs) == [1, 2, 4, 7, 8]
    assert uuids(engine, api) == [2]


def test_rows_that_came_out_of_order_are_found_within_a_slice(
    engine: sa.Engine, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 3)
    add_calls(engine, 179, 200, 200, 170, 190, 170, 10, 10, 10, 400)

    assert sweep(call_days=180)[-1].removed == 3
    # the last is behind a whole slice of young ones: there the walk ends
    assert uuids(engine, api) == [0, 3, 5, 6, 7, 8, 9]


def test_when_time_is_up_the_rest_stays_for_the_next_one(
    engine: sa.Engine, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 1)
    add_calls(engine, 400, 300, 200)
    turns = iter([False, True])

    swept = sweep(call_days=100, is_time_up=lambda: next(turns))[-1]

    assert (swept.removed, swept.is_complete) == (1, False)
    assert sweep(call_days=100)[-1].removed == 2


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, ["housekeeping", *words])


def test_command_says_what_went_and_what_stays(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # seen from today, all of it is old
    long_ago = 10_000
    add_webhooks(engine, ("DONE", long_ago, long_ago))
    add_calls(engine, long_ago)
    monkeypatch.setenv("HOUSEKEEPING_CALL_DAYS", "180")

    dry = invoke("--dry-run")
    assert dry.exit_code == 0
    assert "would go: webhooks that are DONE older than 90 days: 1" in dry.stdout
    assert "DAGSTER_HOME is not set" in dry.stderr
    report = json.loads(invoke("--json").stdout)

    assert {each["what"]: each["removed"] for each in report["done"]} == {
        "webhooks that are DONE": 1,
        "webhooks that are DEAD": 0,
        "calls in the call log": 1,
    }
    assert uuids(engine, worker_jobs) == uuids(engine, api) == []


def test_command_goes_on_behind_what_fails_and_tells(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIENT_LOGS_DATABASE_URL", f"sqlite:///{tmp_path}")
    monkeypatch.setenv("HOUSEKEEPING_CALL_DAYS", "180")

    result = invoke()

    assert result.exit_code == 1
    assert "webhooks that are DONE older than 90 days: 0" in result.stdout
    assert "systemic error: The database of CLIENT_LOGS_DATABASE_URL" in result.stderr
    assert "SELECT and DELETE" in result.stderr


def test_dead_webhooks_never_go_before_those_that_are_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSEKEEPING_DEAD_WEBHOOK_DAYS", "30")
    result = invoke()
    assert "Set HOUSEKEEPING_DEAD_WEBHOOK_DAYS to 90 or more" in str(result.exception)


def test_job_shows_what_it_removed_and_fails_with_what_failed(
    engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_webhooks(engine, ("DONE", 10_000, 10_000))
    with dg.DagsterInstance.ephemeral() as instance:
        job = housekeeping_job(settings)
        config = {"ops": {"remove_what_is_old": {"config": {"call_days": 3}}}}

        result = job.execute_in_process(instance=instance, run_config=config)

        (output,) = [
            event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"
        ]
        metadata = output.step_output_data.metadata
        assert metadata["webhooks that are DONE"].value == 1
        assert metadata["finished runs"].value == 0

        def fail(*_: object) -> Swept:
            raise SystemicError("The call log is away.")

        monkeypatch.setattr(module, "_calls", fail)
        failed = job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
        (event,) = [one for one in failed.all_events if one.event_type_value == "STEP_FAILURE"]
        told = event.step_failure_data.user_failure_data
        assert told is not None
        assert told.description == "The call log is away."


def test_every_config_field_is_optional_and_described(settings: Settings) -> None:
    for name, field in HousekeepingConfig.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name

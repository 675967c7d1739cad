"""The sensor over a real inbox: what it asks for, what it leaves waiting, and what its cursor does."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from elite_pipeline.defs.cursors import MistypedCursorError
from elite_pipeline.defs.lanes import lane_tags
from elite_pipeline.defs.webhook_sensor import ROWS_TAG, WEBHOOK_INBOX, webhook_inbox
from elite_pipeline.inbox import Inbox, Webhook
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.sensors import sensor_state
from elite_pipeline_tests.support.waiting import wait_until

CLIENT = """
  {name}:
    toga2: {{client_uuid: 00000000-0000-4000-8000-00000000000{number}}}
    togadesk: {{client_id: {number}, ticket_department_id: {number}}}
    custom_field_prefix: c_{name}
    flows: {{freshservice_to_toga2: {is_on}}}
    freshservice: {{base_url: "https://{name}.freshservice.com", webhook_action: {name}/Webhook}}
"""
Tick = Callable[..., dg.SensorResult]
OP = "toga2__freshservice_ticket_deltas"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    registry = tmp_path / "clients.yaml"
    clients = [("elite", 1, "true"), ("wje", 2, "true"), ("off", 3, "false")]
    registry.write_text(
        "clients:"
        + "".join(CLIENT.format(name=name, number=n, is_on=is_on) for name, n, is_on in clients),
        encoding="utf-8",
    )
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(registry))
    monkeypatch.setenv("PIPELINE_DATABASE_URL", f"sqlite:///{tmp_path / 'pipeline.sqlite'}")
    return Settings()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def inbox(settings: Settings) -> Iterator[Inbox]:
    with closing(Inbox(settings.pipeline_url)) as inbox:
        yield inbox


@pytest.fixture
def tick(settings: Settings, instance: dg.DagsterInstance) -> Tick:
    sensor = webhook_inbox(settings, is_demo=False, looks_on_seconds=0)

    def evaluate(cursor: str | None = None) -> dg.SensorResult:
        result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
        assert isinstance(result, dg.SensorResult)
        return result

    return evaluate


def hint(inbox: Inbox, client: str = "elite", ticket: int = 1) -> int:
    return inbox.add(f"{client}/Webhook", json.dumps({"ticket_id": ticket}), {})


def finish(inbox: Inbox, *rows: int) -> None:
    inbox.done(rows, datetime.now(UTC))


def run(instance: dg.DagsterInstance, status: DagsterRunStatus, client: str = "elite") -> Any:
    tags = {**lane_tags(client, "freshservice"), "dagster/partition": client}
    return create_run_for_test(instance, "freshservice", status=status, tags=tags)


def asked(result: dg.SensorResult) -> dict[str, dict[str, Any]]:
    return {
        str(request.partition_key): request.run_config["ops"][OP]["config"]
        for request in result.run_requests or []
    }


def test_nothing_waits(tick: Tick) -> None:
    result = tick()
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "no webhooks wait" in str(result.skip_reason.skip_message)


def test_one_run_for_each_client_however_many_rows(tick: Tick, inbox: Inbox) -> None:
    for _ in range(3):
        hint(inbox)
    last = hint(inbox, "wje")
    result = tick()
    config = {"sweep": False, "up_to_row": last}
    assert asked(result) == {"elite": config, "wje": config}
    assert result.cursor == str(last)
    tags = [request.tags for request in result.run_requests or []]
    assert [one[ROWS_TAG] for one in tags] == ["1 to 3: 3 rows", "4"]
    assert all(request.run_key is None for request in result.run_requests or [])


@pytest.fixture
def watching(settings: Settings) -> dg.SensorDefinition:
    """Return a sensor whose tick ends when it has found something."""
    return webhook_inbox(settings, is_demo=False, looks_on_seconds=60)


def test_row_that_comes_in_during_a_tick_is_taken_by_it(
    watching: dg.SensorDefinition, instance: dg.DagsterInstance, inbox: Inbox
) -> None:
    with ticking(watching, instance, inbox) as end:
        row = hint(inbox)
    assert asked(end.result()) == {"elite": {"sweep": False, "up_to_row": row}}
    assert end.result().cursor == str(row)


def test_cursor_that_a_person_sets_during_a_tick_counts(
    watching: dg.SensorDefinition, inbox: Inbox, tmp_path: Path
) -> None:
    rows = [hint(inbox) for _ in range(3)]
    finish(inbox, *rows)
    inbox.set_furthest(rows[-1])
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        state = sensor_state(WEBHOOK_INBOX, str(rows[-1]))
        instance.add_instigator_state(state)
        hint(inbox, "off")
        with ticking(watching, instance, inbox, cursor=str(rows[-1])) as end:
            instance.update_instigator_state(sensor_state(WEBHOOK_INBOX, str(rows[0])))
    assert [one.status for one in inbox.after(0, 3)] == ["DONE", "PENDING", "PENDING"]
    assert list(asked(end.result())) == ["elite"]


@contextmanager
def ticking(
    sensor: dg.SensorDefinition,
    instance: dg.DagsterInstance,
    inbox: Inbox,
    cursor: str | None = None,
) -> Iterator["Future[Any]"]:
    """Let a tick go on beside a ``with`` block, which begins when it has looked once."""
    before = inbox.furthest()
    with ThreadPoolExecutor() as pool:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        end = pool.submit(sensor, context)
        wait_until(lambda: end.done() or inbox.furthest() != before, "a look into the inbox")
        yield end


def test_rows_of_others_are_left_alone(tick: Tick, inbox: Inbox) -> None:
    hint(inbox, "off")
    inbox.add("Billing/Nightly", "{}", {})
    assert asked(tick()) == {}


def test_client_whose_run_is_going_waits_and_loses_nothing(
    tick: Tick, inbox: Inbox, instance: dg.DagsterInstance
) -> None:
    going = run(instance, DagsterRunStatus.STARTED)
    hint(inbox)
    hint(inbox, "wje")
    first = tick()
    assert list(asked(first)) == ["wje"]
    instance.delete_run(going.run_id)
    again = tick(first.cursor)
    assert "elite" in asked(again)


def test_failed_rows_come_back_when_due(tick: Tick, inbox: Inbox) -> None:
    row = hint(inbox)
    now = datetime.now(UTC)
    inbox.failed([row], "no answer", now.replace(year=now.year + 1), now)
    assert asked(tick()) == {}
    inbox.failed([row], "no answer", now, now)
    assert list(asked(tick(str(row)))) == ["elite"]


def test_cursor_moved_back_replays(tick: Tick, inbox: Inbox) -> None:
    rows = [hint(inbox) for _ in range(4)]
    cursor = tick().cursor
    finish(inbox, *rows)
    assert asked(tick(cursor)) == {}
    result = tick(str(rows[1]))
    assert [one.status for one in inbox.after(0, 10)] == ["DONE", "DONE", "PENDING", "PENDING"]
    assert list(asked(result)) == ["elite"]
    assert result.cursor == str(rows[-1])


def test_rows_finished_ahead_of_the_cursor_are_not_replayed(tick: Tick, inbox: Inbox) -> None:
    cursor = tick().cursor
    # by a run that somebody started by hand
    finish(inbox, hint(inbox))
    assert asked(tick(cursor)) == {}


@pytest.mark.parametrize("typed", ["tomorrow", "-1", "1.5", "{}"])
def test_mistyped_cursor_fails_the_tick_and_moves_nothing(
    tick: Tick, inbox: Inbox, typed: str
) -> None:
    finish(inbox, hint(inbox))
    with pytest.raises(MistypedCursorError, match="nothing was moved"):
        tick(typed)
    assert [one.status for one in inbox.after(0, 10)] == ["DONE"]


def test_cursor_ahead_of_everything_is_taken_back(tick: Tick, inbox: Inbox) -> None:
    row = hint(inbox)
    result = tick("999999999")
    assert result.cursor == str(row)
    assert list(asked(result)) == ["elite"]


def test_runs_that_fail_one_after_the_other_are_asked_for_less_often(
    tick: Tick, inbox: Inbox, instance: dg.DagsterInstance
) -> None:
    hint(inbox)
    failed = run(instance, DagsterRunStatus.STARTED)
    instance.report_run_failed(failed)
    result = tick()
    assert asked(result) == {}
    assert result.skip_reason is not None
    assert "its runs fail (1 in a row)" in str(result.skip_reason.skip_message)


def test_hundred_thousand_rows_are_one_run(tick: Tick, inbox: Inbox) -> None:
    payload = json.dumps({"ticket_id": 5})
    for _ in range(10):
        inbox.add_all([Webhook.of("elite/Webhook", payload, {}) for _ in range(10_000)])
    result = tick()
    assert asked(result) == {"elite": {"sweep": False, "up_to_row": 100_000}}

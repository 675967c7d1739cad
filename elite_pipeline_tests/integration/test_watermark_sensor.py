"""The sensor over real systems: what it asks for, what its cursor does, and whom it leaves alone."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from elite_pipeline.defs.cursors import MistypedCursorError
from elite_pipeline.defs.lanes import LONG_TAG, REASON_TAG, lane_tags
from elite_pipeline.defs.watermark_sensor import TICKET_WATERMARKS, ticket_watermarks
from elite_pipeline.demo import demo_credentials
from elite_pipeline.errors import TransientError
from elite_pipeline.ledger import Failed, FlowState, FlowStateReader, Ledger
from elite_pipeline.probe_assembly import Prober
from elite_pipeline.sandbox.serving.clock import utc_now
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.sensors import sensor_state
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.typing import Typist

REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {toga2_to_togadesk: true, togadesk_to_toga2: true}
  wje:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000002, integration_type: REPAIR_ORDERS}
    togadesk: {client_id: 2, ticket_department_id: 3, timezone: America/Chicago}
    custom_field_prefix: c_wje
    flows: {toga2_to_togadesk: true, togadesk_to_toga2: true}
  off:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000003}
    togadesk: {client_id: 3, ticket_department_id: 4}
    custom_field_prefix: c_off
  broken:
    toga2: {client_uuid: nonsense}
"""
IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"
OPS = {IN: "togadesk__ticket_deltas", OUT: "toga2__ticket_deltas"}

Tick = Callable[..., dg.SensorResult]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    """One kind of database is enough here: looks at all of them are in ``test_probe``."""
    return open_helpdesk("sqlite")


@pytest.fixture
def settings(
    systems: Systems, toga2: Toga2Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    registry = tmp_path / "clients.yaml"
    registry.write_text(REGISTRY, encoding="utf-8")
    for client in ("elite", "wje"):
        credentials = demo_credentials(client)
        monkeypatch.setenv(f"{client.upper()}_TOGA2_API_KEY", credentials.api_key)
        monkeypatch.setenv(f"{client.upper()}_TOGA2_API_SECRET", credentials.api_secret)
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(registry))
    monkeypatch.setenv("TOGA2_BASE_URL", toga2.base_url)
    monkeypatch.setenv("TOGADESK_DATABASE_URL", systems.helpdesk.url)
    monkeypatch.setenv("TOGADESK_UPLOADS_DIR", str(systems.uploads_dir))
    monkeypatch.setenv("PIPELINE_DATABASE_URL", systems.ledger_url)
    return Settings()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(settings: Settings, instance: dg.DagsterInstance) -> Tick:
    """Let the sensor tick as the daemon does: on the cursor that the tick before it left."""
    sensor = ticket_watermarks(settings, is_demo=False)
    kept: list[str | None] = [None]

    def evaluate(*typed: str | None) -> dg.SensorResult:
        cursor = typed[0] if typed else kept[0]
        result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
        assert isinstance(result, dg.SensorResult)
        kept[0] = result.cursor
        return result

    return evaluate


def asked(result: dg.SensorResult) -> dict[str, dict[str, str]]:
    """Return client -> direction -> since."""
    return {
        str(one.partition_key): {
            direction: one.run_config["ops"][op]["config"]["since"]
            for direction, op in OPS.items()
            if op in one.run_config.get("ops", {})
        }
        for one in result.run_requests or []
    }


def tags(result: dg.SensorResult) -> dict[str, str]:
    (request,) = result.run_requests or []
    return dict(request.tags)


def skipped(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


def cursor(result: dg.SensorResult) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(result.cursor or "{}")
    return found


def run(
    instance: dg.DagsterInstance,
    status: DagsterRunStatus,
    client: str = "elite",
    job: str = "tickets",
    **more: Any,
) -> dg.DagsterRun:
    given = {**lane_tags(client, job), "dagster/partition": client}
    given |= {"dagster/sensor_name": TICKET_WATERMARKS, **more.pop("tags", {})}
    made: dg.DagsterRun = create_run_for_test(instance, job, status=status, tags=given, **more)
    return made


def fail(instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    """Let the run that was asked for fail, long ago."""
    made = run(
        instance,
        DagsterRunStatus.STARTED,
        str(request.partition_key),
        run_config=request.run_config,
        tags=dict(request.tags),
    )
    instance.report_run_failed(made)


def sync(systems: Systems, client: str = "elite") -> None:
    for flow in (IN, OUT):
        systems.sync(flow, client)


def test_a_run_is_asked_for_only_where_something_changed(
    tick: Tick, systems: Systems, desk: Desk
) -> None:
    assert "nothing new on either side of 2 of 2 clients" in skipped(tick())

    desk.ticket()

    result = tick()
    assert asked(result) == {"elite": {}}
    (request,) = result.run_requests or []
    assert request.run_key is None
    assert "TOGA 2 has changes after 2000-01-01 00:00:00" in request.tags[REASON_TAG]
    assert request.tags["elite_pipeline/lane"] == "elite/tickets"
    sync(systems)
    assert asked(tick()) == {}


def test_both_sides_and_all_clients(tick: Tick, systems: Systems, desk: Desk) -> None:
    tick()
    desk.ticket()
    Typist(systems, "wje").ticket()

    result = tick()

    assert asked(result) == {"elite": {}, "wje": {}}
    assert set(cursor(result)) == {"elite", "wje"}
    assert set(cursor(result)["elite"]) == {IN, OUT}
    assert cursor(result)["wje"][OUT] == "2026-06-10 09:41:00"


def test_after_a_quiet_run_the_sensor_is_quiet(
    tick: Tick, systems: Systems, typist: Typist
) -> None:
    typist.ticket()
    assert asked(tick()) == {"elite": {}}
    sync(systems)
    # the ticket and the note that were just made in TOGA 2 are seen once
    tick()
    sync(systems)
    systems.toga2_store.clock = utc_now
    assert asked(tick()) == {}
    assert asked(tick()) == {}


def test_a_first_sync_counts_as_a_long_run_and_others_do_not(
    tick: Tick, systems: Systems, desk: Desk
) -> None:
    desk.ticket()
    assert LONG_TAG in tags(tick())
    sync(systems)
    systems.toga2_store.create(
        "elite", "tickets", {"subject": "New"}, created=utc_now() + timedelta(minutes=1)
    )
    assert LONG_TAG not in tags(tick())


def test_a_cursor_that_is_set_back_syncs_again_from_there(
    tick: Tick, systems: Systems, desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.ticket()
    tick()
    sync(systems)
    before = tick()
    assert asked(before) == {}
    edited = cursor(before)
    edited["elite"][IN] = "2026-06-01 00:00:00"

    result = tick(json.dumps(edited))

    assert asked(result) == {"elite": {IN: "2026-06-01 00:00:00"}}
    assert "set back from" in tags(result)[REASON_TAG]
    assert LONG_TAG in tags(result)
    # it was asked for, and is not asked for twice
    assert cursor(result)["elite"][IN] >= cursor(before)["elite"][IN]
    assert asked(tick()) == {}


def test_both_directions_can_be_set_back(tick: Tick, systems: Systems, desk: Desk) -> None:
    desk.ticket()
    sync(systems)
    tick()

    result = tick(json.dumps({"elite": {IN: "2026-06-01 00:00:00", OUT: "2020-01-01 00:00:00"}}))

    assert asked(result)["elite"] == {IN: "2026-06-01 00:00:00", OUT: "2020-01-01 00:00:00"}


def test_a_cursor_set_back_while_a_run_is_going_waits_for_its_turn(
    tick: Tick, systems: Systems, desk: Desk, instance: dg.DagsterInstance
) -> None:
    desk.ticket()
    sync(systems)
    tick()
    going = run(instance, DagsterRunStatus.STARTED)
    typed = {"elite": {IN: "2026-06-01 00:00:00"}}

    for _ in range(2):
        result = tick(json.dumps(typed))
        assert f"run {going.run_id[:8]} is still under way" in skipped(result)
        assert cursor(result)["elite"] == typed["elite"]

    instance.delete_run(going.run_id)
    assert asked(tick())["elite"] == {IN: "2026-06-01 00:00:00"}


@pytest.mark.parametrize(
    "typed",
    [
        "yesterday",
        '{"elit": {}}',
        '{"elite": {"toga2": "2026-06-01 00:00:00"}}',
        '{"elite": {"toga2_to_togadesk": "June"}}',
    ],
)
def test_a_mistyped_cursor_fails_the_tick_and_nothing_moves(
    tick: Tick, systems: Systems, desk: Desk, toga2: Toga2Sandbox, typed: str
) -> None:
    before = tick().cursor
    desk.ticket()
    toga2.reset_stats()

    with pytest.raises(MistypedCursorError, match="Nothing was moved"):
        tick(typed)

    assert toga2.requests == []
    assert asked(tick(before)) == {"elite": {}}


def test_an_emptied_cursor_goes_on_from_the_stored_watermarks(
    tick: Tick, systems: Systems, desk: Desk
) -> None:
    desk.ticket()
    sync(systems)
    tick()

    result = tick("")

    assert asked(result) == {}
    assert cursor(result)["elite"][IN] == "2026-06-10 08:01:00"


def test_a_client_that_left_the_registry_is_dropped_from_the_cursor(
    tick: Tick,
    settings: Settings,
    instance: dg.DagsterInstance,
    tmp_path: Path,
) -> None:
    written = tick().cursor
    (tmp_path / "clients.yaml").write_text(REGISTRY.replace("  wje:", "  other:"))
    sensor = ticket_watermarks(Settings(), is_demo=False)

    result = sensor(dg.build_sensor_context(instance=instance, cursor=written))

    assert isinstance(result, dg.SensorResult)
    assert set(cursor(result)) == {"elite"}


def test_one_client_that_cannot_be_looked_at_holds_up_no_other(
    tick: Tick, systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WJE_TOGA2_API_SECRET", "a-wrong-secret")
    desk.ticket()

    result = tick()

    assert asked(result) == {"elite": {}}
    assert "wje" not in cursor(result)
    said = skipped(tick())
    assert "wje: could not be looked at" in said
    assert "credentials are refused" in said
    assert "a-wrong-secret" not in said
    # mended, it goes on
    monkeypatch.setenv("WJE_TOGA2_API_SECRET", demo_credentials("wje").api_secret)
    assert "wje" in cursor(tick())


def test_a_missing_secret_is_named(tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WJE_TOGA2_API_KEY")
    assert "WJE_TOGA2_API_KEY" in skipped(tick())


def test_nobody_answers(tick: Tick, toga2: Toga2Sandbox) -> None:
    before = tick()
    toga2.stop()

    result = tick()

    assert "cannot be reached at 127.0.0.1" in skipped(result)
    assert result.cursor == before.cursor


def test_what_a_failed_run_was_asked_for_is_asked_for_again(
    tick: Tick,
    systems: Systems,
    desk: Desk,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk.ticket()
    sync(systems)
    tick()
    result = tick(json.dumps({"elite": {IN: "2026-06-01 00:00:00"}}))
    (request,) = result.run_requests or []
    fail(instance, request)

    assert "its runs fail (1 in a row); the next one is asked for at" in skipped(tick())

    monkeypatch.setattr("elite_pipeline.defs.watermark_sensor._FIRST_PAUSE", timedelta())
    again = tick()
    assert asked(again) == {"elite": {IN: "2026-06-01 00:00:00"}}
    assert "has failed" in tags(again)[REASON_TAG]
    assert LONG_TAG in tags(again)
    # a schedule's run that comes between does not bring what was chosen
    run(instance, DagsterRunStatus.SUCCESS, tags={"dagster/sensor_name": "another"})
    assert asked(tick()) == {"elite": {IN: "2026-06-01 00:00:00"}}
    # and once it has come through, nothing is owed
    run(instance, DagsterRunStatus.SUCCESS)
    assert asked(tick()) == {}


def test_a_run_that_a_person_has_ended_is_not_asked_for_again(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    tick()
    run(instance, DagsterRunStatus.CANCELED)
    assert asked(tick()) == {}


def test_dead_letters_that_are_due_are_worth_a_run(tick: Tick, systems: Systems) -> None:
    tick()
    ledger = Ledger(systems.ledger_url, "wje")
    failed = Failed(flow=OUT, entity="7", record="7", kind="transient", error="no answer")
    ledger.dead_letters.record([failed], datetime.now(UTC) - timedelta(days=1))
    ledger.close()

    result = tick()

    assert asked(result) == {"wje": {}}
    assert tags(result)[REASON_TAG] == "1 dead letter is due"


@pytest.mark.parametrize(
    ("job", "assets", "is_rival"),
    [
        ("tickets", None, True),
        ("everything", None, True),
        ("reference_data", None, False),
        ("__ASSET_JOB", {dg.AssetKey(["toga2", "ticket_deltas"])}, True),
        ("__ASSET_JOB", {dg.AssetKey(["togadesk", "contacts"])}, False),
    ],
)
def test_runs_that_do_the_same_are_waited_for_and_others_are_not(
    tick: Tick,
    desk: Desk,
    instance: dg.DagsterInstance,
    job: str,
    assets: set[dg.AssetKey] | None,
    is_rival: bool,
) -> None:
    desk.ticket()
    run(instance, DagsterRunStatus.STARTED, job=job, asset_selection=assets)
    assert (asked(tick()) == {}) == is_rival


def test_a_cursor_that_a_person_sets_during_a_tick_counts(
    settings: Settings,
    systems: Systems,
    desk: Desk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk.ticket()
    sync(systems)
    sensor = ticket_watermarks(settings, is_demo=False)
    typed = json.dumps({"elite": {IN: "2026-06-01 00:00:00"}})
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        first = sensor(dg.build_sensor_context(instance=instance, cursor=None))
        assert isinstance(first, dg.SensorResult)
        # the daemon has the tick's cursor, and then a person types another one while the next tick looks
        instance.add_instigator_state(sensor_state(TICKET_WATERMARKS, typed))
        result = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
    assert isinstance(result, dg.SensorResult)
    assert asked(result) == {"elite": {IN: "2026-06-01 00:00:00"}}


def test_calls_are_in_the_call_log(
    tick: Tick, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.sqlite"
    monkeypatch.setenv("CLIENT_LOGS_DATABASE_URL", f"sqlite:///{path}")
    prober = Prober(Settings())
    prober.look(["elite", "wje"], {}, {})
    prober.close()
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT source, responseCode, requestHeaders FROM Api").fetchall()
    assert len(rows) == 6
    assert {(source, code) for source, code, _ in rows} == {("ticket_watermarks", 200)}
    secret = demo_credentials("elite").api_secret
    assert not any(secret in headers for *_, headers in rows)


def test_a_look_that_gets_no_answer_is_given_up(settings: Settings, toga2: Toga2Sandbox) -> None:
    toga2.settings.latency_seconds = 1.0
    prober = Prober(settings)
    found = prober.look(["elite"], {}, {}, seconds=0.05)
    assert found == {"elite": "no answer within the 0.05 s that a tick has"}
    found = prober.look(["elite"], {}, {}, seconds=0.05)
    assert "still waits for an answer" in str(found["elite"])
    prober.close()


def states(settings: Settings) -> dict[tuple[str, str], FlowState]:
    with closing(FlowStateReader(settings.pipeline_url)) as reader:
        return reader.all()


def test_that_nothing_is_new_is_noted_for_the_checks(
    tick: Tick, systems: Systems, desk: Desk, settings: Settings
) -> None:
    desk.ticket()
    for client in ("elite", "wje"):
        systems.sync_all(client)
    before = utc_now().replace(microsecond=0)
    looked = tick(None)
    while looked.run_requests:
        # what the runs themselves have written is seen as a change once
        looked = tick()
    found = states(settings)
    for client in ("elite", "wje"):
        for flow in (IN, OUT):
            noted = found[client, flow].nothing_new_at
            assert noted is not None
            assert noted >= before
    assert {client for client, _ in found} == {"elite", "wje"}


def test_of_whom_something_is_new_or_unknown_nothing_is_noted(
    tick: Tick, systems: Systems, desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("elite", "wje"):
        systems.sync_all(client)
    desk.ticket()
    monkeypatch.delenv("WJE_TOGA2_API_KEY")
    assert "elite" in asked(tick(None))
    assert not [one for one in states(settings).values() if one.nothing_new_at is not None]


def test_a_ledger_that_cannot_be_written_fails_no_tick(
    tick: Tick, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("elite", "wje"):
        systems.sync_all(client)

    def refusing(*_: Any) -> None:
        raise TransientError("the ledger is away")

    monkeypatch.setattr(FlowStateReader, "nothing_new", refusing)
    while tick().run_requests:
        pass

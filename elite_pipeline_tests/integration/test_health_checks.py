"""Health on the page: looks into real ledgers and inboxes, written down in a real Dagster instance."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.defs.health_checks import health_sensor
from elite_pipeline.errors import SystemicError
from elite_pipeline.health.watch import Watch
from elite_pipeline.inbox import Inbox
from elite_pipeline.inbox.rows import Backlog
from elite_pipeline.ledger import Counts, DeadLetterOffice, Failed, Ledger, Outcome
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.sentry_collector import Collector

TICKETS, FRESHSERVICE = "toga2_to_togadesk", "freshservice_to_toga2"
ACTION = "Elite/Webhook"

REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {toga2_to_togadesk: true, freshservice_to_toga2: true}
    freshservice: {base_url: "https://elite.freshservice.com", webhook_action: Elite/Webhook}
    checks: {watermark_lag_minutes: 60, dead_letters_waiting: 1, inbox_age_minutes: 5, quiet_hours: 1}
  wje:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000002}
    togadesk: {client_id: 2, ticket_department_id: 2}
    custom_field_prefix: c_wje
    flows: {toga2_to_togadesk: true}
"""
QUIET = Outcome(is_quiet=True)


def ago(**length: float) -> datetime:
    return datetime.now(UTC) - timedelta(**length)


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    return empty_database(request.param, tmp_path, open_helpdesk)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class World:
    """A registry of two clients, their ledger, and an instance that knows what was written down."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance

    def ran(
        self, client: str, outcome: Outcome = QUIET, flow: str = TICKETS, **ago_: float
    ) -> None:
        with closing(Ledger(self.settings.pipeline_url, client)) as ledger:
            ledger.flow_states.came_through(flow, outcome, ago(**(ago_ or {"seconds": 1})))

    def failed(self, *records: str, parked: bool = False) -> None:
        with closing(Ledger(self.settings.pipeline_url, "elite")) as ledger:
            failures = [
                Failed(TICKETS, one, one, "permanent", "no", unretriable=parked) for one in records
            ]
            ledger.dead_letters.record(failures, ago(hours=1))

    def tick(self) -> str:
        sensor = health_sensor(self.settings, is_demo=False)
        context = dg.build_sensor_context(instance=self.instance)
        return str(sensor.evaluate_tick(context).skip_message)

    def history(self, check: str, client: str = "elite", flow: str = TICKETS) -> list[Any]:
        """Return what was written down of a check for one client, the newest coming first."""
        key = dg.AssetCheckKey(ASSETS[flow], check)
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        return [
            one.evaluation
            for one in records
            if one.partition == client and isinstance(one.evaluation, dg.AssetCheckEvaluation)
        ]

    def shown(self, check: str, client: str = "elite", flow: str = TICKETS) -> Any:
        """Return what was last written down of a check for one client."""
        return self.history(check, client, flow)[0]


@pytest.fixture
def world(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> World:
    registry = tmp_path / "clients.yaml"
    registry.write_text(REGISTRY, encoding="utf-8")
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(registry))
    monkeypatch.setenv("PIPELINE_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    monkeypatch.setenv("TOGADESK_DATABASE_URL", f"sqlite:///{tmp_path / 'never-opened.sqlite'}")
    return World(Settings(), instance)


def test_a_look_finds_what_flows_letters_and_webhooks_there_are(url: str) -> None:
    now = ago(seconds=0).replace(microsecond=0)
    with closing(Ledger(url, "elite")) as ledger, closing(Inbox(url)) as inbox:
        ledger.flow_states.came_through(TICKETS, QUIET, now)
        permanent = [Failed(TICKETS, one, one, "permanent", "no") for one in ("a", "b")]
        ledger.dead_letters.record(permanent, now - timedelta(hours=2))
        parked = Failed(TICKETS, "c", "c", "permanent", "no", unretriable=True)
        ledger.dead_letters.record([parked], now)
        ids = [inbox.add(ACTION, "{}", {}) for _ in range(4)]
        inbox.add("Other/Webhook", "{}", {})
        inbox.done(ids[:1], now)
        inbox.failed(ids[1:2], "no", now + timedelta(minutes=1), now)
        inbox.dead(ids[2:3], "no", now)

        later = now + timedelta(minutes=10)
        with closing(Watch(url, lambda: later)) as one, closing(Watch(url, lambda: now)) as other:
            look, before = one.look(), other.look()

    assert set(look.states) == {("elite", TICKETS)}
    assert look.letters == {("elite", TICKETS): Counts(2, 1, now - timedelta(hours=2))}
    assert set(look.inbox) == {ACTION, "Other/Webhook"}
    backlog = look.inbox[ACTION]
    assert (backlog.rows, backlog.dead) == (2, 1)
    assert backlog.since is not None
    assert backlog.since < now + timedelta(minutes=1)
    # what is to be tried again later is nothing that anybody could work on now
    assert before.inbox[ACTION].rows == 1
    with closing(Inbox(url)) as inbox:
        inbox.done(ids[3:], now)
        assert inbox.backlogs(later)[ACTION] == Backlog(1, now + timedelta(minutes=1), 1)


def test_a_look_makes_no_database(world: World, tmp_path: Path) -> None:
    assert "fail" in world.tick()
    assert not (tmp_path / "ledger.sqlite").exists()


def test_a_client_that_stands_still_fails_its_own_check_and_no_other(world: World) -> None:
    world.ran("elite", hours=2)
    world.ran("wje")
    world.tick()

    elite, wje = world.shown("watermark_lag"), world.shown("watermark_lag", "wje")
    assert (elite.passed, elite.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "at most 1 hour are allowed" in elite.description
    assert "elite-pipeline sync elite toga2_to_togadesk" in elite.description
    assert elite.metadata["lag (minutes)"].value >= 120
    assert wje.passed
    # the page shows what came last for the asset as a whole
    key = dg.AssetCheckKey(ASSETS[TICKETS], "watermark_lag")
    storage = world.instance.event_log_storage
    assert storage.get_asset_check_execution_history(key, limit=1)[0].partition == "elite"

    world.ran("elite")
    world.tick()
    assert world.shown("watermark_lag").passed


def test_dead_letters_fail_as_soon_as_there_are_too_many_and_pass_when_they_are_gone(
    world: World,
) -> None:
    world.ran("elite")
    world.failed("a")
    world.tick()
    assert world.shown("dead_letters").passed

    world.failed("b", "c", parked=True)
    world.tick()
    failed = world.shown("dead_letters")
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert {name: value.value for name, value in failed.metadata.items()}["parked"] == 2

    with closing(DeadLetterOffice(world.settings.pipeline_url)) as office:
        office.discard(list(office.find("")))
    world.tick()
    assert world.shown("dead_letters").passed


def test_webhooks_that_wait_too_long_fail_and_pass_when_they_are_done(world: World) -> None:
    world.ran("elite", flow=FRESHSERVICE)
    with closing(Inbox(world.settings.pipeline_url)) as inbox:
        row = inbox.add(ACTION, "{}", {})
        inbox.failed([row], "no", ago(minutes=6), ago(minutes=6))
        world.tick()
        failed = world.shown("inbox_age", flow=FRESHSERVICE)
        assert not failed.passed
        assert "webhook_inbox" in failed.description

        inbox.done([row], ago(seconds=0))
        world.tick()
    assert world.shown("inbox_age", flow=FRESHSERVICE).passed


def test_a_flow_without_rest_fails_and_passes_after_one_quiet_run(world: World) -> None:
    for hours in (4, 3, 2, 1):
        world.ran("elite", Outcome(is_quiet=False, created=1), hours=hours)
    world.tick()
    failed = world.shown("quiet_state")
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert failed.metadata["busy runs"].value == 4

    world.ran("elite")
    world.tick()
    assert world.shown("quiet_state").passed


def test_losses_of_the_call_log_fail_for_a_day(world: World) -> None:
    world.ran("elite", Outcome(is_quiet=True, log_lost=3))
    world.tick()
    assert not world.shown("call_log").passed
    assert world.shown("call_log").metadata["missing"].value == 3

    # as a day later: the same loss, longer ago
    with closing(Ledger(world.settings.pipeline_url, "elite")) as ledger:
        ledger.flow_states.log_lost(TICKETS, 3, ago(hours=25))
    world.tick()
    assert world.shown("call_log").passed


def test_what_does_not_change_is_not_written_down_again(world: World) -> None:
    world.ran("elite")
    first = world.tick()
    assert "0 were written down" not in first
    assert "0 were written down" in world.tick()
    assert len(world.history("watermark_lag")) == 1
    # nothing of flows that are off
    assert world.history("watermark_lag", flow="units") == []


def test_after_a_materialization_the_partition_shows_its_checks_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = dg.AssetCheckKey(ASSETS[TICKETS], "watermark_lag")
    storage = world.instance.event_log_storage

    def is_current() -> bool:
        (info,) = storage.get_asset_check_partition_info([key], partition_keys=["elite"])
        return info.is_current

    world.ran("elite")
    world.ran("wje")
    world.tick()
    assert is_current()
    made = dg.AssetMaterialization(ASSETS[TICKETS], partition="elite")
    world.instance.report_runless_asset_event(made)
    assert not is_current()
    world.ran("elite")
    later = time.time() + 600
    monkeypatch.setattr("elite_pipeline.defs.health_checks.time.time", lambda: later)
    world.tick()
    assert is_current()
    # said again, in place of what was said before, and not beside it
    assert len(world.history("watermark_lag")) == 1
    assert len(world.instance.get_runs(dg.RunsFilter(job_name="health"))) == 1


def test_sentry_is_told_once_of_a_check_that_fails_and_of_none_that_was_told(
    world: World, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRY_DSN", collector.dsn)
    world.settings = Settings()
    world.ran("elite", hours=2)
    world.ran("wje", hours=2)
    with closing(Ledger(world.settings.pipeline_url, "wje")) as ledger:
        # its run has told of what stopped it
        ledger.flow_states.stopped(TICKETS, "TOGA 2 is down", ago(minutes=1))
    world.tick()
    world.tick()

    (event,) = collector.events
    assert event["fingerprint"] == ["elite", TICKETS, "watermark_lag"]
    assert event["tags"]["state"] == "check failed"
    assert not world.shown("watermark_lag", "wje").passed


def test_checks_can_be_executed_for_all_clients_and_come_with_a_materialization_by_hand(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEY", "SECRET"):
        monkeypatch.setenv(f"ELITE_TOGA2_API_{name}", name)
    world.ran("elite", hours=2)
    world.ran("wje")
    job = build_definitions(world.settings).resolve_implicit_global_asset_job_def()
    keys = {dg.AssetCheckKey(ASSETS[TICKETS], "watermark_lag")}
    executed = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    assert executed.execute_in_process(instance=world.instance).success
    assert not world.shown("watermark_lag").passed
    assert world.shown("watermark_lag", "wje").passed
    assert world.history("dead_letters") == []

    # the flow itself is off, and does nothing
    by_hand = job.execute_in_process(
        partition_key="elite", asset_selection=[ASSETS["units"]], instance=world.instance
    )
    assert by_hand.success
    assert world.shown("watermark_lag", flow="units").passed
    assert "switched off" in world.shown("watermark_lag", flow="units").description


def test_a_ledger_that_cannot_be_used_is_one_message(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("PIPELINE_DATABASE_URL", f"sqlite:///{tmp_path / 'folder'}")
    world.settings = Settings()
    with pytest.raises(SystemicError, match="The pipeline's own database"):
        world.tick()


def test_assets_have_freshness_policies_as_wide_as_the_widest_client(world: World) -> None:
    graph = build_definitions(world.settings).resolve_asset_graph()
    policy = graph.get(ASSETS[TICKETS]).freshness_policy
    assert policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=60), warn_window=timedelta(minutes=30)
    )
    # no client has it on
    assert graph.get(ASSETS["units"]).freshness_policy is None

"""The assets in a real Dagster instance, against a real TOGA 2 and a real helpdesk database."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs import resources
from elite_pipeline.demo import demo_credentials
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {contacts: true, units: true, teams: true, predefined_replies: true,
            category_trees: true, toga2_to_togadesk: true, togadesk_to_toga2: true}
  wje:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000002}
    togadesk: {client_id: 2, ticket_department_id: 3}
    custom_field_prefix: c_wje
  broken:
    toga2: {client_uuid: nonsense}
    togadesk: {client_id: 3, ticket_department_id: 3}
    custom_field_prefix: c_broken
"""

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    """One kind of database is enough here: what is under test is what Dagster shows."""
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
def run(settings: Settings, instance: dg.DagsterInstance) -> Run:
    definitions = build_definitions(settings)

    def execute(job: str, client: str = "elite", **config: Any) -> dg.ExecuteInProcessResult:
        resolved = definitions.resolve_job_def(job)
        ops = {node.name: {"config": config} for node in resolved.nodes} if config else {}
        return resolved.execute_in_process(
            partition_key=client, instance=instance, run_config={"ops": ops}, raise_on_error=False
        )

    return execute


def metadata(
    result: dg.ExecuteInProcessResult, asset: str, system: str = "togadesk"
) -> dict[str, Any]:
    """Return what the page shows of an asset's materialization."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey([system, asset]):
            shown = event.step_materialization_data.materialization.metadata
            return {name: value.value for name, value in shown.items()}
    raise AssertionError(f"{asset} was not materialized")


def check(result: dg.ExecuteInProcessResult, asset: str) -> dg.AssetCheckEvaluation:
    """Return how an asset's check of failed records came out."""
    (found,) = [
        one
        for one in result.get_asset_check_evaluations()
        if one.asset_key == dg.AssetKey(["togadesk", asset])
    ]
    return found


def failure(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    """Return the first step that failed."""
    return next(event for event in result.all_events if event.is_step_failure)


def message(result: dg.ExecuteInProcessResult) -> str:
    """Return what the page shows first of a failed step."""
    error = failure(result).step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    return error.message


def test_everything_is_materialized_in_order_and_shows_what_it_did(
    run: Run, systems: Systems
) -> None:
    desk = Desk(systems)
    ada = desk.contact("ada@example.com")
    desk.note(desk.ticket(contact={"uuid": ada}))

    result = run("everything")

    assert result.success
    order = [
        "/".join(event.asset_key.path)
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    ]
    assert order[-2:] == ["togadesk/ticket_deltas", "toga2/ticket_deltas"]
    assert order.index("togadesk/contacts") < order.index("togadesk/units")
    shown = metadata(result, "ticket_deltas")
    assert (shown["created"], shown["failed"], shown["replies created"]) == (1, 0, 1)
    assert shown["watermark before"] == "the beginning"
    assert shown["watermark after"].endswith("UTC")
    assert shown["changes"].records[0].data["what"] == "Printer"
    assert {"updated", "unchanged", "API calls", "SQL writes", "seconds", "started from"} <= set(
        shown
    )
    # the page shows them in this order: no table pushes a figure out of sight
    assert list(shown)[-1] == "changes"
    assert list(shown).index("failed") < list(shown).index("API calls")
    assert desk.tickets("userid") == [(1,)]
    # what a flow never counts is no row of noughts on its page
    seldom = {"adopted", "inactive", "vanished"}
    assert seldom & set(shown) == {"vanished"}
    assert seldom & set(metadata(result, "ticket_deltas", "toga2")) == set()
    assert seldom <= set(metadata(result, "contacts"))


def test_watermarks_of_all_flows_of_a_run_are_read_in_one_call(
    run: Run, systems: Systems, toga2: Toga2Sandbox
) -> None:
    Desk(systems).ticket()
    run("everything")
    toga2.reset_stats()

    result = run("everything")

    assert result.success
    assert toga2.count(method="GET", route="/parameters") == 1
    assert toga2.count(method="PATCH") == 0


def test_failed_record_is_shown_with_its_reason_and_fails_nothing_else(
    run: Run, systems: Systems
) -> None:
    desk = Desk(systems)
    desk.contact("ada@example.com")
    nobody = systems.toga2_store.create(
        "elite", "contacts", {"firstName": "No", "lastName": "Mail"}, created=at(5)
    )["uuid"]

    result = run("reference_data")

    assert result.success
    shown = metadata(result, "contacts")
    assert (shown["created"], shown["failed"]) == (1, 1)
    assert shown["watermark after"] == "2026-06-10 08:05:00 UTC"
    found = check(result, "contacts")
    assert not found.passed
    assert (found.severity, found.blocking) == (dg.AssetCheckSeverity.WARN, False)
    assert found.partition == "elite"
    assert "dead letters: 1 waiting for a later run, 0 parked" in (found.description or "")
    assert f"{nobody} (permanent): " in (found.description or "")
    assert check(result, "teams").passed
    # once, not as a failure and as a dead letter
    assert list(shown)[-2:] == ["dead letters", "changes"]
    assert "failures" not in shown
    letter = shown["dead letters"].records[0].data
    assert (letter["record"], letter["of"], letter["attempts"]) == (nobody, "", "1")
    assert letter["this run"] == "failed"
    assert "no e-mail" in letter["reason"]
    assert (shown["dead letters waiting"], shown["dead letters parked"]) == (1, 0)


def test_what_failed_for_one_client_is_not_hidden_by_the_good_run_of_another(
    run: Run, systems: Systems, instance: dg.DagsterInstance
) -> None:
    systems.toga2_store.create("elite", "contacts", {"firstName": "No mail"}, created=at(5))

    failed = check(run("reference_data"), "contacts")
    run("reference_data", "wje")

    key = dg.AssetCheckKey(failed.asset_key, failed.check_name)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert {one.partition: one.status.value for one in history} == {
        "elite": "FAILED",
        "wje": "SUCCEEDED",
    }


def test_many_failed_records_are_counted_and_the_first_reasons_given(
    run: Run, systems: Systems
) -> None:
    for minute in range(5):
        systems.toga2_store.create("elite", "contacts", {"firstName": "No"}, created=at(minute))

    said = check(run("reference_data"), "contacts").description or ""

    assert "dead letters: 5 waiting for a later run" in said
    assert said.count("no e-mail") == 3
    assert "and 2 more" in said


def test_since_and_full_are_taken_from_the_run(run: Run, systems: Systems) -> None:
    desk = Desk(systems)
    desk.ticket("Old", 1)
    desk.ticket("New", 600)

    since = metadata(run("tickets", since="2026-06-10 12:00:00"), "ticket_deltas")
    full = metadata(run("tickets", full=True), "ticket_deltas")

    assert since["created"] == 1
    assert since["started from"] == "2026-06-10 11:58:00 UTC"
    # what lies before 'since' was not read, so the stored watermark may not pass it
    assert since["watermark after"] == "the beginning"
    assert any("left where it was" in line for line in since["remarks"].splitlines())
    assert (full["created"], full["unchanged"]) == (1, 1)
    assert full["started from"] == "the beginning"


def test_since_shows_the_stored_watermark_too(run: Run, systems: Systems) -> None:
    Desk(systems).contact("ada@example.com")
    stored = metadata(run("reference_data"), "contacts")["watermark after"]

    again = metadata(run("reference_data", since="2020-01-01"), "contacts")

    assert (again["watermark before"], again["watermark after"]) == (stored, stored)
    assert again["started from"] == "2019-12-31 23:58:00 UTC"


@pytest.mark.parametrize(
    ("config", "said"),
    [({"since": "yesterday"}, "is not a time"), ({"since": "2026-06-10", "full": True}, "exclude")],
)
def test_mistyped_config_is_one_message(run: Run, config: dict[str, Any], said: str) -> None:
    result = run("tickets", **config)

    assert not result.success
    assert said in message(result)
    assert message(result).rstrip().endswith("Nothing was done.")
    # a slip of the pen is none of the three kinds of failure
    told = failure(result).step_failure_data.user_failure_data
    assert told is not None
    assert "kind of failure" not in told.metadata


def test_since_in_the_future_is_doubted_in_the_log(run: Run, instance: dg.DagsterInstance) -> None:
    result = run("tickets", since="2999-01-01")

    assert result.success
    warnings = [
        entry.user_message
        for entry in instance.all_logs(result.run_id)
        if entry.level == logging.WARNING
    ]
    # one for each way that tickets go
    assert [warning.split(": since: ")[0] for warning in warnings] == [
        "elite: toga2_to_togadesk",
        "elite: togadesk_to_toga2",
    ]
    for warning in warnings:
        assert "since: 2999-01-01 00:00:00 UTC lies in the future" in warning


def test_wrong_sentry_address_is_one_message_of_the_step(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    wrong = settings.model_copy(update={"sentry_dsn": SecretStr("hunter2")})
    job = build_definitions(wrong).resolve_job_def("tickets")

    result = job.execute_in_process(partition_key="elite", instance=instance, raise_on_error=False)

    assert not result.success
    error = failure(result).step_failure_data.error
    assert error is not None
    assert (error.cls_name, error.cause) == ("Failure", None)
    assert "SENTRY_DSN: expected" in error.message
    assert "hunter2" not in error.to_string()


def test_flow_that_is_switched_off_does_nothing_and_says_so(run: Run, toga2: Toga2Sandbox) -> None:
    toga2.reset_stats()

    result = run("everything", "wje")

    assert result.success
    assert "switched off" in metadata(result, "contacts")["switched off"]
    assert toga2.requests == []


def test_client_whose_entry_is_broken_fails_by_name(run: Run) -> None:
    result = run("tickets", "broken")

    assert not result.success
    assert "client 'broken'" in message(result)
    assert "client_uuid" in message(result)
    assert "nonsense" not in message(result)


def test_refused_credentials_stop_the_run_with_one_message(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELITE_TOGA2_API_SECRET", "a-wrong-secret")

    result = run("reference_data")

    assert not result.success
    assert "credentials are refused" in message(result)
    assert "a-wrong-secret" not in message(result)


def test_missing_secret_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELITE_TOGA2_API_KEY")

    assert "ELITE_TOGA2_API_KEY" in message(run("tickets"))


def test_unreachable_toga2_is_named(run: Run, toga2: Toga2Sandbox) -> None:
    toga2.stop()

    assert "cannot be reached at 127.0.0.1" in message(run("tickets"))


def test_missing_table_is_named(run: Run, systems: Systems) -> None:
    Desk(systems).contact("ada@example.com")
    systems.helpdesk.execute("DROP TABLE people")

    text = message(run("reference_data"))

    assert "people" in text
    assert "table" in text


def test_missing_table_is_named_when_there_is_nothing_to_write(run: Run, systems: Systems) -> None:
    systems.helpdesk.execute("DROP TABLE tickets_history")

    assert "The table 'tickets_history' is missing" in message(run("tickets"))


def test_a_call_log_that_is_down_is_told_of_in_the_run_and_fails_nothing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    url = f"mysql+pymysql://joe:log-password@127.0.0.1:{free_port()}/ClientLogs"
    logged = settings.model_copy(update={"client_logs_database_url": SecretStr(url)})
    job = build_definitions(logged).resolve_job_def("reference_data")
    result = job.execute_in_process(partition_key="elite", instance=instance)
    assert result.success
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    (missing,) = [text for text in said if "missing in the call log" in text]
    assert "CLIENT_LOGS_DATABASE_URL" in missing
    assert "log-password" not in "".join(said)


def test_long_run_says_in_its_log_how_far_it_is(
    run: Run, systems: Systems, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # long enough to say something is every run here
    monkeypatch.setattr(resources, "PROGRESS_SECONDS", 0)
    desk = Desk(systems)
    desk.note(desk.ticket(contact={"uuid": desk.contact("ada@example.com")}))

    result = run("everything")

    said = [
        entry.user_message
        for entry in instance.all_logs(result.run_id)
        if entry.level == logging.INFO and "looked at" in entry.user_message
    ]
    assert "contacts: 1 records looked at" in said
    assert "tickets: 1 looked at" in said


class TestDryRun:
    def test_asset_is_observed_and_not_materialized(
        self, run: Run, systems: Systems, instance: dg.DagsterInstance
    ) -> None:
        """Neither its latest materialization nor its checks may say that something was carried."""
        desk = Desk(systems)
        desk.note(desk.ticket(contact={"uuid": desk.contact("ada@example.com")}))

        done = run("everything", dry_run=True)

        assert done.success
        assert not done.get_asset_materialization_events()
        assert not done.get_asset_check_evaluations()
        assert desk.count("people") == desk.count("tickets") == 0
        assert {request.method for request in systems.toga2.requests} == {"GET"}
        observed = observations(done)
        # also the steps behind one that has materialized nothing
        assert {"contacts", "ticket_deltas"} <= {key.path[-1] for key in observed}
        contacts = observed[dg.AssetKey(["togadesk", "contacts"])]
        assert contacts.partition == "elite"
        shown = contacts.metadata
        assert str(shown["dry run"].value).startswith("Nothing was written anywhere. A run would")
        assert shown["created (dry run)"].value == 1
        assert "created" not in shown
        assert shown["watermark would move to"].value == "2026-06-10 08:00:00 UTC"
        assert [row.data for row in table_of(shown, "would do")] == [
            {"system": "TOGA 2", "what": "parameters", "action": "create", "number": "1"},
            {"system": "TOGaDesk", "what": "people", "action": "create", "number": "1"},
        ]
        fields = {row.data["field"]: row.data for row in table_of(shown, "field by field")}
        assert fields["email"] == {
            "system": "TOGaDesk", "what": "people", "action": "create", "record": "new people 1",
            "field": "email", "now": "", "then": "ada@example.com",
        }  # fmt: skip
        for key in observed:
            assert instance.get_latest_materialization_event(key) is None

    def test_flow_that_is_switched_off_is_not_materialized_either(self, run: Run) -> None:
        done = run("everything", "wje", dry_run=True)
        assert done.success
        assert not done.get_asset_materialization_events()

    def test_real_run_afterwards_is_a_materialization(self, run: Run, systems: Systems) -> None:
        Desk(systems).contact("ada@example.com")
        run("everything", dry_run=True)
        done = run("everything")
        assert done.success
        assert done.get_asset_materialization_events()
        assert Desk(systems).count("people") == 1

    def test_failure_of_a_record_is_told_and_no_dead_letter(
        self, run: Run, systems: Systems, instance: dg.DagsterInstance
    ) -> None:
        systems.toga2_store.create("elite", "contacts", {"firstName": "No", "lastName": "Mail"})
        done = run("everything", dry_run=True)
        shown = observations(done)[dg.AssetKey(["togadesk", "contacts"])].metadata
        assert shown["failed (dry run)"].value == 1
        assert {row.data["what"] for row in table_of(shown, "would do")} >= {"dead letters"}
        with systems.open() as context:
            assert context.ledger.dead_letters.counts().waiting == 0


def observations(done: dg.ExecuteInProcessResult) -> dict[dg.AssetKey, dg.AssetObservation]:
    """Return what a run has observed, by asset."""
    observed = [
        event.asset_observation_data.asset_observation
        for event in done.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    ]
    return {one.asset_key: one for one in observed}


def table_of(shown: Any, name: str) -> Any:
    """Return the rows of a table of metadata."""
    assert isinstance(shown[name], dg.TableMetadataValue)
    return shown[name].records

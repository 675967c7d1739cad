"""What Sentry hears of whole runs, from the command line and from Dagster."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from elite_pipeline.definitions import build_definitions
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.sentry_collector import Collector
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import at

Sync = Callable[..., "subprocess.CompletedProcess[str]"]
Run = Callable[[str], dg.ExecuteInProcessResult]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@pytest.fixture
def settings(
    systems: Systems, toga2: Toga2Sandbox, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    for name, text in {
        "ELITE_PIPELINE_CLIENTS": str(DEMO_REGISTRY),
        "TOGA2_BASE_URL": toga2.base_url,
        "TOGADESK_DATABASE_URL": systems.helpdesk.url,
        "PIPELINE_DATABASE_URL": systems.ledger_url,
        "SENTRY_DSN": collector.dsn,
    }.items():
        monkeypatch.setenv(name, text)
    return Settings()


@pytest.fixture
def sync(settings: Settings, tmp_path: Path) -> Sync:
    def run(*flows: str, code: str = "") -> "subprocess.CompletedProcess[str]":
        program = (
            f"import sys; sys.argv = ['elite-pipeline', 'sync', 'elite', *{list(flows)!r}]\n"
            f"{code}\nfrom elite_pipeline.cli import main; main()"
        )
        return subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=dict(os.environ),
        )

    return run


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_definitions(settings)
        yield lambda job: definitions.resolve_job_def(job).execute_in_process(
            partition_key="elite", instance=instance, raise_on_error=False
        )


def contact_that_fails(systems: Systems) -> str:
    fields = {"firstName": "No", "lastName": "Mail"}
    record = systems.toga2_store.create("elite", "contacts", fields, created=at(1))
    return str(record["uuid"])


def test_short_command_loses_no_failed_record_and_tells_one_cause_once(
    sync: Sync, systems: Systems, collector: Collector
) -> None:
    records = {contact_that_fails(systems) for _ in range(20)}

    assert sync("contacts").returncode == 3

    first, rest = collector.events
    others = rest["extra"]["further records"].split(", ")
    assert {first["tags"]["record"], *others} == records
    assert len(others) == 19
    assert {(tags["client"], tags["flow"], tags["state"]) for tags in collector.tags()} == {
        ("elite", "contacts", "failed")
    }


def test_command_that_is_stopped_tells_it_once_and_says_one_message(
    sync: Sync, toga2: Toga2Sandbox, collector: Collector
) -> None:
    toga2.stop()

    done = sync()

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    (event,) = collector.events
    assert event["fingerprint"] == ["elite", "contacts", "UnreachableError"]
    assert event["tags"]["state"] == "run failed"


def test_defect_met_by_a_command_is_told_once_without_its_text(
    sync: Sync, collector: Collector
) -> None:
    code = (
        "from elite_pipeline.togadesk import TogadeskStore\n"
        "def broken(*_, **__): raise RuntimeError('quotes a body')\n"
        "TogadeskStore.require = broken"
    )

    assert "RuntimeError" in sync("contacts", code=code).stderr

    (event,) = collector.events
    assert event["fingerprint"] == ["elite", "contacts", "RuntimeError"]
    assert event["tags"]["kind"] == "unforeseen"
    assert "quotes a body" not in collector.raw


def test_command_says_the_same_when_sentry_is_dead(
    sync: Sync, toga2: Toga2Sandbox, collector: Collector
) -> None:
    toga2.stop()
    collector.answers.clear()

    done = sync("contacts")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert collector.events == []


def test_run_of_dagster_tells_failed_records_and_has_sent_them_when_it_ends(
    run: Run, systems: Systems, collector: Collector
) -> None:
    record = contact_that_fails(systems)

    assert run("reference_data").success

    (tags,) = collector.tags()
    assert (tags["flow"], tags["record"]) == ("contacts", record)


def test_run_of_dagster_that_stops_is_told_once(
    run: Run, systems: Systems, collector: Collector
) -> None:
    systems.helpdesk.execute("DROP TABLE tickets_history")

    assert not run("tickets").success

    (event,) = collector.events
    assert event["fingerprint"] == ["elite", "toga2_to_togadesk", "SchemaError"]
    assert event["tags"]["kind"] == "systemic"


@pytest.mark.parametrize("place", ["sync.flows.run_flow", "defs.metadata.result_metadata"])
def test_step_that_crashes_is_told_once(
    run: Run, collector: Collector, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("quotes a body")

    monkeypatch.setattr(f"elite_pipeline.{place}", broken)

    assert not run("tickets").success

    (event,) = collector.events
    assert event["fingerprint"] == ["elite", "toga2_to_togadesk", "RuntimeError"]
    assert event["tags"]["kind"] == "unforeseen"
    assert "quotes a body" not in collector.raw

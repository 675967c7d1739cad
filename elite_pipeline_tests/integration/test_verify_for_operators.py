"""``verify`` as operators meet it: the command line with its exit status, and the job with its checks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs.verify_checks import ASSETS, CHECKS
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.sandbox.toga2 import Status, Toga2Sandbox
from elite_pipeline.settings import Settings
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Run = Callable[..., dg.ExecuteInProcessResult]
TICKETS = ASSETS["toga2_to_togadesk"]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    """One kind of database is enough here: what is under test is what an operator sees."""
    return open_helpdesk("sqlite")


@pytest.fixture
def environ(systems: Systems, toga2: Toga2Sandbox) -> dict[str, str]:
    return {
        "ELITE_PIPELINE_CLIENTS": str(DEMO_REGISTRY),
        "TOGA2_BASE_URL": toga2.base_url,
        "TOGADESK_DATABASE_URL": systems.helpdesk.url,
        "TOGADESK_UPLOADS_DIR": str(systems.uploads_dir),
        "PIPELINE_DATABASE_URL": systems.ledger_url,
    }


@pytest.fixture
def command(environ: dict[str, str], tmp_path: Path) -> Command:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "elite_pipeline.cli", "verify", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **environ},
        )

    return run


@pytest.fixture
def in_step(systems: Systems) -> Desk:
    """Bring a ticket, a note and a file of TOGA 2 into the helpdesk."""
    desk = Desk(systems)
    note = desk.note(desk.ticket(contact={"uuid": desk.contact("ada@example.com")}))
    attach(desk, note, "plan.png", b"plan")
    for _ in range(2):
        systems.sync_all()
    return desk


def documents(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


class TestCommand:
    def test_sides_that_agree_are_status_0(self, command: Command, in_step: Desk) -> None:
        done = command("--client", "elite")
        assert done.returncode == 0, done.stderr
        assert "elite: both sides agree." in done.stdout
        assert "external notes" in done.stdout

    def test_a_difference_is_status_3_and_says_what_to_do(
        self, command: Command, in_step: Desk
    ) -> None:
        in_step.systems.helpdesk.execute("UPDATE tickets SET subject = 'Plotter [bold]\x1b[2J'")
        done = command("--client", "elite")
        assert done.returncode == 3
        assert "different (1)" in done.stdout
        assert "Plotter [bold]" in done.stdout
        assert "\x1b[2J" not in done.stdout
        assert "What to do: run the flow with full" in done.stdout
        assert "elite: 1 difference." in done.stdout

    def test_json_is_one_document_a_line_and_the_last_sums_up(
        self, command: Command, in_step: Desk
    ) -> None:
        (path,) = in_step.systems.uploads_dir.iterdir()
        path.write_bytes(b"plam")
        done = command("--client", "elite", "--json")
        finding, summary = documents(done)
        assert done.returncode == 3
        assert (finding["type"], finding["reason"]) == ("finding", "file bytes differ")
        assert (summary["type"], summary["equal"], summary["differences"]) == ("summary", False, 1)
        assert {"kind": "files", "toga2": 1, "helpdesk": 1} in summary["counts"]
        # by name and size alone the two are the same
        done = command("--client", "elite", "--json", "--no-bytes")
        (summary,) = documents(done)
        assert (done.returncode, summary["equal"], summary["with_bytes"]) == (0, True, False)

    def test_since_leaves_out_what_has_not_changed(self, command: Command, in_step: Desk) -> None:
        in_step.systems.helpdesk.execute("UPDATE tickets SET subject = 'Plotter'")
        assert command("--client", "elite", "--since", "2026-06-10 07:00:00").returncode == 3
        assert command("--client", "elite", "--since", "2026-07-10 07:00:00").returncode == 0

    def test_only_the_flow_that_is_named_is_compared(self, command: Command, in_step: Desk) -> None:
        in_step.systems.helpdesk.execute("UPDATE tickets SET subject = 'Plotter'")
        done = command("--client", "elite", "--flow", "contacts", "--json")
        (summary,) = documents(done)
        assert (done.returncode, summary["flows"]) == (0, ["contacts"])

    def test_what_cannot_be_asked_is_status_1(self, command: Command, in_step: Desk) -> None:
        in_step.systems.toga2.faults.add(Status(401), times=None)
        done = command("--client", "elite")
        assert done.returncode == 1
        assert done.stderr.startswith("systemic error: ")
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_mistyped_time_is_status_2(self, command: Command) -> None:
        done = command("--client", "elite", "--since", "yesterday")
        assert done.returncode == 2
        assert "is not a time" in done.stderr


@pytest.fixture
def run(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> Run:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    definitions = build_definitions(Settings())

    def execute(job: str, **chosen: Any) -> dg.ExecuteInProcessResult:
        resolved = (
            definitions.resolve_implicit_global_asset_job_def()
            if job == "materialize"
            else definitions.resolve_job_def(job)
        )
        return resolved.execute_in_process(
            partition_key="elite", instance=instance, raise_on_error=False, **chosen
        )

    return execute


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def evaluations(
    result: dg.ExecuteInProcessResult,
) -> dict[dg.AssetKey, dg.AssetCheckEvaluation]:
    return {
        one.asset_key: one
        for one in result.get_asset_check_evaluations()
        if one.check_name == "verify"
    }


class TestJob:
    def test_it_fails_the_check_of_the_asset_whose_work_it_is(
        self, run: Run, in_step: Desk
    ) -> None:
        in_step.systems.helpdesk.execute("UPDATE tickets SET subject = 'Plotter'")

        result = run("verify")

        assert result.success
        found = evaluations(result)
        assert set(found) == {check.asset_key for check in CHECKS}
        assert {key for key, one in found.items() if not one.passed} == {TICKETS}
        check = found[TICKETS]
        assert (check.severity, check.partition) == (dg.AssetCheckSeverity.WARN, "elite")
        assert check.description is not None
        assert "1 differences (1 different)" in check.description
        assert "What to do: run the flow with full" in check.description
        assert check.metadata["differences"].value == 1
        table = check.metadata["findings"]
        assert isinstance(table, dg.TableMetadataValue)
        assert [record.data["reason"] for record in table.records] == ["different"]

    def test_no_sync_compares(self, run: Run, in_step: Desk) -> None:
        for job in ("tickets", "reference_data"):
            result = run(job)
            assert result.success
            assert not evaluations(result)

    def test_materializing_from_the_page_shows_the_last_comparison_once_more(
        self, run: Run, in_step: Desk
    ) -> None:
        key = TICKETS
        # nothing was compared yet: nothing is said
        assert not evaluations(run("materialize", asset_selection=[key]))
        in_step.systems.helpdesk.execute("UPDATE tickets SET subject = 'Plotter'")
        run("verify")
        for _ in range(2):
            again = evaluations(run("materialize", asset_selection=[key]))[key]
            assert not again.passed
            assert again.description is not None
            assert again.description.startswith("As the job 'verify' last found")
            assert again.description.count("As the job") == 1
            assert "compared at" in again.metadata

    def test_a_client_that_cannot_be_asked_is_one_message(self, run: Run, in_step: Desk) -> None:
        in_step.systems.toga2.faults.add(Status(401), times=None)
        result = run("verify")
        assert not result.success
        (failure,) = result.get_step_failure_events()
        said = failure.step_failure_data.user_failure_data
        assert said is not None
        assert "TOGA 2" in str(said.description)

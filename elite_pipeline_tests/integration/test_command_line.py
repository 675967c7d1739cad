"""The command line as a child process: what an operator sees, and the exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from elite_pipeline.demo import DEMO_REGISTRY, demo_freshservice_key
from elite_pipeline.sandbox.freshservice import AccountSpec, FreshserviceSandbox, fill
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@pytest.fixture
def command(systems: Systems, toga2: Toga2Sandbox, tmp_path: Path) -> Command:
    """Run ``elite-pipeline`` in an empty folder, on the demo's registry and the test's systems."""
    environ = {
        **os.environ,
        "ELITE_PIPELINE_CLIENTS": str(DEMO_REGISTRY),
        "TOGA2_BASE_URL": toga2.base_url,
        "TOGADESK_DATABASE_URL": systems.helpdesk.url,
        "PIPELINE_DATABASE_URL": systems.ledger_url,
    }

    def run(*arguments: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "elite_pipeline.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={name: value for name, value in {**environ, **changed}.items() if value},
        )

    return run


def one_message(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a command that failed said: one line, and no traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_sync_prints_what_it_did(command: Command, systems: Systems) -> None:
    desk = Desk(systems)
    desk.note(desk.ticket())
    spec = AccountSpec("elite", demo_freshservice_key("elite"))
    with FreshserviceSandbox([spec]) as freshservice:
        account = freshservice.account()
        fill(account, requesters=2, agents=1, groups=1, paths=3)
        account.new_ticket("From Freshservice", age_seconds=60)

        done = command("sync", "elite", FRESHSERVICE_PORT=str(account.port))

    assert done.returncode == 0, done.stderr
    assert "toga2_to_togadesk" in done.stdout
    assert "freshservice_to_toga2" in done.stdout
    assert desk.count("tickets") == 1
    # last: what is away there holds up nothing else
    assert "From Freshservice" in {
        ticket["subject"] for ticket in systems.toga2_store.all("elite", "tickets")
    }


def test_failed_record_is_named_and_the_exit_status_tells(
    command: Command, systems: Systems
) -> None:
    nobody = systems.toga2_store.create(
        "elite", "contacts", {"firstName": "No", "lastName": "Mail"}, created=at(1)
    )["uuid"]

    done = command("sync", "elite", "contacts")

    assert done.returncode == 3
    assert f"{nobody} (permanent)" in done.stdout
    assert "Traceback" not in done.stderr


def test_since_starts_from_a_chosen_watermark(command: Command, systems: Systems) -> None:
    desk = Desk(systems)
    desk.ticket("Old", 1)
    desk.ticket("New", 600)

    command("sync", "elite", "toga2_to_togadesk", "--since", "2026-06-10 12:00:00")

    assert desk.tickets("subject") == [("New",)]


def test_dry_run_shows_what_it_would_do_and_does_nothing(
    command: Command, systems: Systems, toga2: Toga2Sandbox, tmp_path: Path
) -> None:
    """On the first day, with nothing of the pipeline's own there yet."""
    desk = Desk(systems)
    desk.note(desk.ticket("Printer [bold]\x1b[31m"))
    files = sorted(tmp_path.rglob("*"))

    done = command("sync", "elite", "contacts", "toga2_to_togadesk", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "Dry run: nothing was written anywhere" in done.stdout
    assert "contacts: would write nothing" in done.stdout
    assert "toga2_to_togadesk: would do" in done.stdout
    assert "new tickets 1" in done.stdout
    assert "Printer [bold]" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.rstrip().endswith("Nothing of this was done.")
    assert desk.count("tickets") == 0
    assert {request.method for request in toga2.requests} == {"GET"}
    made = {path.name for path in {*tmp_path.rglob("*")}.difference(files)}
    assert {name for name in made if not name.endswith((".lock", "-wal", "-shm"))} == set()


def test_dry_run_as_json_is_for_programs(command: Command, systems: Systems) -> None:
    Desk(systems).contact("ada@example.com")

    done = command("sync", "elite", "contacts", "--dry-run", "--json")

    (document,) = map(json.loads, done.stdout.splitlines())
    assert (document["flow"], document["dry_run"], document["created"]) == ("contacts", True, 1)
    assert {
        "system": "TOGaDesk", "what": "people", "action": "create", "number": 1,
    } in document["plan"]["counts"]  # fmt: skip
    (person,) = [one for one in document["plan"]["effects"] if one["what"] == "people"]
    assert {"name": "email", "old": None, "new": "ada@example.com"} in person["fields"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "since: 'yesterday' is not a time"),
        (("--since", "2026-06-10", "--full"), "exclude each other"),
    ],
)
def test_mistyped_argument_is_a_usage_error_and_nothing_is_done(
    command: Command, toga2: Toga2Sandbox, arguments: tuple[str, ...], said: str
) -> None:
    done = command("sync", "elite", *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.rstrip().endswith("Nothing was done.")
    assert "systemic" not in done.stderr
    assert toga2.requests == []


def test_since_in_the_future_is_doubted(command: Command) -> None:
    done = command("sync", "elite", "toga2_to_togadesk", "--since", "2999-01-01")

    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("WARNING: since: 2999-01-01 00:00:00 UTC lies in the future")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"TOGA2_BASE_URL": "ftp://example.com"}, "TOGA2_BASE_URL"),
        ({"TOGA2_BASE_URL": "http://127.0.0.1:1/v2"}, "cannot be reached at 127.0.0.1:1"),
        ({"TOGADESK_DATABASE_URL": "nonsense"}, "TOGADESK_DATABASE_URL"),
        ({"TOGADESK_DATABASE_URL": "sqlite:////nowhere/at/all.sqlite"}, "/nowhere/at/all.sqlite"),
        ({"PIPELINE_DATABASE_URL": "nonsense"}, "PIPELINE_DATABASE_URL"),
        ({"ELITE_PIPELINE_CLIENTS": "missing.yaml"}, "missing.yaml"),
        ({"ELITE_TOGA2_API_KEY": "only-half"}, "ELITE_TOGA2_API_SECRET not set"),
        (
            {"ELITE_TOGA2_API_KEY": "wrong-key", "ELITE_TOGA2_API_SECRET": "wrong-secret"},
            "check ELITE_TOGA2_API_KEY, ELITE_TOGA2_API_SECRET, and toga2.client_uuid of",
        ),
        ({"TOGA2_BASE_URL": "http://127.0.0.1:1/v2"}, "Check TOGA2_BASE_URL"),
        ({"TOGA2_BASE_URL": "", "TOGA2_PORT": "1"}, "`make demo` starts"),
        ({"SENTRY_DSN": "wrong-secret"}, "SENTRY_DSN: expected"),
        ({"TOGA2_PORT": "many", "TOGA2_BASE_URL": ""}, "TOGA2_PORT"),
    ],
)
def test_wrong_setting_is_one_message_that_names_it(
    command: Command, systems: Systems, changed: dict[str, str], said: str
) -> None:
    Desk(systems).ticket()

    text = one_message(command("sync", "elite", "toga2_to_togadesk", **changed))

    assert said in text
    assert "wrong-secret" not in text


def test_settings_that_a_real_registry_needs_are_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(DEMO_REGISTRY.read_text(encoding="utf-8"), "utf-8")

    text = one_message(
        command("sync", "elite", TOGADESK_DATABASE_URL="", ELITE_PIPELINE_CLIENTS="clients.yaml")
    )

    assert "ELITE_TOGA2_API_KEY and ELITE_TOGA2_API_SECRET not set" in text


@pytest.mark.parametrize(
    "kept", ["TOGA2_BASE_URL", "TOGADESK_DATABASE_URL", "PIPELINE_DATABASE_URL"]
)
def test_made_up_clients_never_meet_a_database_that_somebody_configured(
    command: Command, systems: Systems, kept: str
) -> None:
    Desk(systems).contact("ada@example.com")
    settings = ("TOGA2_BASE_URL", "TOGADESK_DATABASE_URL", "PIPELINE_DATABASE_URL")
    changed = {name: "" for name in settings if name != kept}

    text = one_message(command("sync", "elite", "contacts", ELITE_PIPELINE_CLIENTS="", **changed))

    assert kept in text
    assert "no clients.yaml" in text
    assert systems.helpdesk.rows("SELECT count(*) FROM people") == [(0,)]


def test_without_a_demo_nothing_is_left_behind(command: Command, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    nothing = ("ELITE_PIPELINE_CLIENTS", "TOGA2_BASE_URL", "TOGADESK_DATABASE_URL")

    text = one_message(
        command("sync", "elite", PIPELINE_DATABASE_URL="", **dict.fromkeys(nothing, ""))
    )

    assert text.startswith("configuration error: There is no demo yet: ")
    assert "`make demo` makes it" in text
    assert set(tmp_path.iterdir()) == before


def test_several_mistakes_in_an_entry_stand_on_a_line_each(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text("clients: {elite: {toga2: {colour: blue}}}", "utf-8")

    done = command("sync", "elite", ELITE_PIPELINE_CLIENTS="mine.yaml")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 4
    assert all("mine.yaml: client 'elite': " in line for line in done.stderr.splitlines())


def test_unknown_client_names_those_that_exist(command: Command) -> None:
    assert "it has: elite, wje" in one_message(command("sync", "nobody"))


def test_column_that_is_missing_is_named(command: Command, systems: Systems) -> None:
    Desk(systems).ticket()
    systems.helpdesk.execute("ALTER TABLE tickets DROP COLUMN groupid")

    text = one_message(command("sync", "elite", "toga2_to_togadesk"))

    assert "groupid" in text
    assert "tickets" in text


def test_indexes_are_shown_and_a_wrong_address_is_one_message(
    command: Command, tmp_path: Path
) -> None:
    shown = command("togadesk", "add-indexes")
    assert shown.returncode == 0, shown.stderr
    assert 'ON "tickets_replies" ("ticketid");' in shown.stdout

    elsewhere = command(
        "togadesk", "add-indexes", "--yes", TOGADESK_DATABASE_URL=f"sqlite:///{tmp_path}/other.db"
    )
    assert "is missing in" in one_message(elsewhere)

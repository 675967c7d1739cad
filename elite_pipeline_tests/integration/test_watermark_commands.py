"""``elite-pipeline watermark``, as an operator types it, and what the next run makes of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elite_pipeline import watermark_commands
from elite_pipeline.cli import cli
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.ledger import Failed, Ledger
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.flows import holding
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk

Command = Callable[..., Result]
IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@pytest.fixture
def command(
    systems: Systems, toga2: Toga2Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(DEMO_REGISTRY))
    monkeypatch.setenv("TOGA2_BASE_URL", toga2.base_url)
    monkeypatch.setenv("TOGADESK_DATABASE_URL", systems.helpdesk.url)
    monkeypatch.setenv("TOGADESK_UPLOADS_DIR", str(systems.uploads_dir))
    monkeypatch.setenv("PIPELINE_DATABASE_URL", systems.ledger_url)

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli, [*arguments], input=typed)

    return run


def stored(systems: Systems, name: str = watermarks.TICKETS) -> list[str]:
    return [
        parameter["value"]
        for parameter in systems.toga2_store.all("elite", "parameters")
        if parameter["name"] == name
    ]


def shown(command: Command) -> dict[str, dict[str, str | None]]:
    document: dict[str, dict[str, str | None]] = json.loads(
        command("watermark", "show", "--json").output
    )
    return document


def test_show_tells_every_flow_of_every_client(
    command: Command, systems: Systems, desk: Desk
) -> None:
    desk.ticket()
    systems.sync(IN)

    assert shown(command)["elite"][IN] == "2026-06-10 08:01:00"
    assert shown(command)["elite"]["contacts"] is None
    # what a client has switched off has no watermark
    assert "freshservice_to_toga2" not in shown(command)["wje"]
    table = command("watermark", "show", "elite").output
    assert watermarks.TICKETS in table
    assert "the beginning" in table


def test_show_names_a_client_that_cannot_be_asked(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WJE_TOGA2_API_KEY", "not-the-key")
    monkeypatch.setenv("WJE_TOGA2_API_SECRET", "not-the-secret")

    done = command("watermark", "show")

    assert done.exit_code == 1
    assert "wje: TOGA 2" in done.output
    assert "not-the-secret" not in done.output
    assert watermarks.TICKETS in done.output


def test_set_back_syncs_again_from_there(command: Command, systems: Systems, desk: Desk) -> None:
    desk.ticket("Old", 1)
    desk.ticket("New", 600)
    systems.sync(IN)
    systems.helpdesk.execute("DELETE FROM tickets")
    systems.helpdesk.execute("DELETE FROM tickets_replies")
    assert systems.sync(IN).created == 0

    done = command("watermark", "set", "elite", IN, "2026-06-10 12:00:00", typed="y\n")

    assert done.exit_code == 0, done.output
    assert f"elite, {IN} ({watermarks.TICKETS}): 2026-06-10 18:00:00 UTC" in done.output
    assert "It goes back by 6 h" in done.output
    assert stored(systems) == ["2026-06-10 12:00:00"]
    systems.sync(IN)
    assert desk.tickets("subject") == [("New",)]


def test_set_forward_warns_and_skips(command: Command, systems: Systems, desk: Desk) -> None:
    desk.ticket("Old", 1)
    ledger = Ledger(systems.ledger_url, "elite")
    failed = Failed(flow=IN, entity="7", record="7", kind="permanent", error="refused")
    ledger.dead_letters.record([failed], datetime.now(UTC))
    ledger.close()

    done = command("watermark", "set", "elite", IN, "2026-06-10 12:00:00-05:00", "--yes")

    assert done.exit_code == 0, done.output
    assert "WARNING" in done.output
    assert "SKIPPED" in done.output
    assert "Its dead letter is tried again" in done.output
    assert stored(systems) == ["2026-06-10 17:00:00"]
    systems.sync(IN)
    assert desk.tickets("subject") == []


def test_the_cutovers_command(command: Command, systems: Systems) -> None:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    assert command("watermark", "set", "elite", OUT, now, "--yes").exit_code == 0
    assert stored(systems, watermarks.TOGADESK_TICKETS) == [now]
    assert "nothing was done" in command("watermark", "set", "elite", OUT, now).output


def test_who_says_no_changes_nothing(command: Command, systems: Systems) -> None:
    done = command("watermark", "set", "elite", IN, "2026-06-10", typed="n\n")
    assert done.exit_code == 1
    assert stored(systems) == []


def test_a_watermark_that_is_no_time_is_mended(command: Command, systems: Systems) -> None:
    for value in ("yesterday", "2026-06-01 00:00:00"):
        systems.toga2_store.create(
            "elite", "parameters", {"name": watermarks.TICKETS, "value": value}
        )
    assert "not a time" in str(command("watermark", "show", "elite").output)

    done = command("watermark", "set", "elite", IN, "2026-06-10 00:00:00", "--yes")

    assert "holds something that is no time" in done.output
    # the earlier of two would count, so both are set
    assert stored(systems) == ["2026-06-10 00:00:00"] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("elite", "tickets", "2026-06-10"), "There is no flow 'tickets'. Flows: contacts"),
        (("elite", IN, "yesterday"), "'yesterday' is not a time"),
        (("elite", IN, ""), "TIME is empty"),
        (("elite", IN, "2999-01-01"), "lies in the future"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_asked(
    command: Command, toga2: Toga2Sandbox, arguments: tuple[str, ...], said: str
) -> None:
    done = command("watermark", "set", *arguments, "--yes")
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.rstrip().endswith("Nothing was done.")
    assert toga2.requests == []


def test_a_run_that_is_under_way_is_waited_for(
    command: Command, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark_commands, "LOCK_WAIT_SECONDS", 0.1)
    with systems.open() as context:
        context.who = "run 12345678 of Dagster, on there"
        with holding(context, IN, 0):
            done = command("watermark", "set", "elite", IN, "2026-06-10", "--yes")
    assert "run 12345678 of Dagster" in str(done.exception)
    assert stored(systems) == []


def test_a_run_from_the_command_line_since_a_watermark(
    command: Command, systems: Systems, desk: Desk
) -> None:
    desk.ticket("Old", 1)
    desk.ticket("New", 600)
    systems.sync(IN)
    before = stored(systems)
    systems.helpdesk.execute("DELETE FROM tickets")
    systems.helpdesk.execute("DELETE FROM tickets_replies")

    done = command("sync", "elite", IN, "--since", "2026-06-10 12:00:00")

    assert done.exit_code == 0, done.output
    assert desk.tickets("subject") == [("New",)]
    # it stays: the run did not get past it
    assert stored(systems) == before

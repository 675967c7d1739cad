"""``elite-pipeline doctor``: each check in order and spoilt, on real systems; nothing of it stays."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from elite_pipeline.cli import cli
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.clinics import Clinic
from elite_pipeline_tests.support.scripted_http import closed_port


def test_all_in_order(clinic: Clinic) -> None:
    looked = clinic.look()

    assert list(looked) == [None, "elite", "wje"]
    states = {
        (client, finding.check): finding.state
        for client, found in looked.items()
        for finding in found
    }
    assert set(states.values()) <= {"ok", "note"}, [
        finding
        for found in looked.values()
        for finding in found
        if finding.state not in ("ok", "note")
    ]
    good = {key for key, state in states.items() if state == "ok"}
    for check in (
        *("registry.file", "togadesk.database", "uploads.folder", "uploads.space"),
        *("pipeline.database", "pipeline.tables", "call_log.database", "call_log.tables"),
        *("sentry.dsn", "dagster.home"),
    ):
        assert (None, check) in good
    shared = (
        *(
            "registry.entry",
            "toga2.credentials",
            "toga2.answers",
            "toga2.clock",
            "toga2.watermarks",
        ),
        *("toga2.routes", "toga2.own_field", "togadesk.tables", "togadesk.rights"),
        *("togadesk.client", "togadesk.time_zone"),
    )
    for client in ("elite", "wje"):
        for check in shared:
            assert (client, check) in good
    for check in (
        "freshservice.key",
        "freshservice.answers",
        "freshservice.plan",
        "webhooks.secret",
    ):
        assert ("elite", check) in good
        assert ("wje", check) not in states


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        # what SQLite keeps beside a file that is open comes and goes
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_nothing_of_it_stays(clinic: Clinic) -> None:
    clinic.write_registry()
    clinic.elite["flows"]["freshservice_to_toga2"] = False
    clinic.look()
    before = _digest(clinic.folder)

    clinic.look()

    assert _digest(clinic.folder) == before
    assert {request.method for request in clinic.toga2.requests} == {"GET"}


def test_a_look_at_freshservice_is_one_call_of_its_budget(clinic: Clinic) -> None:
    account = clinic.freshservice.account("elite")

    clinic.look("elite")

    assert account.most_calls_in_60s() == 1
    with closing(sqlite3.connect(clinic.pipeline)) as connection:
        (slots,) = connection.execute("SELECT count(*) FROM sync_rate_slots").fetchone()
    assert slots == 1


def test_an_account_whose_calls_are_used_up_is_not_asked(clinic: Clinic) -> None:
    clinic.elite["freshservice"]["calls_per_minute"] = 1
    clinic.look("elite")

    ((state, text),) = clinic.of("freshservice.answers", "elite")

    assert (state, "look again in a minute" in text) == ("not_looked_at", True)
    assert clinic.freshservice.account("elite").most_calls_in_60s() == 1


def test_a_host_that_is_away_is_named_once(clinic: Clinic) -> None:
    with closed_port() as address:
        clinic.setenv(TOGA2_BASE_URL=f"{address}/v2")
        looked = clinic.look("elite")

    states = {finding.check: finding.state for finding in looked["elite"]}
    assert states["toga2.answers"] == "wrong"
    assert states["toga2.clock"] == states["toga2.routes"] == "not_looked_at"
    assert states["togadesk.tables"] == "ok"


@pytest.mark.parametrize(("minutes", "said"), [(10, "ahead of"), (-10, "behind")])
def test_a_clock_that_is_off_is_told_of(clinic: Clinic, minutes: int, said: str) -> None:
    clinic.later = timedelta(minutes=minutes)

    state, text = clinic.only("toga2.clock", "elite")

    assert state == "warning"
    # whole seconds, and the answer took its time
    assert re.search(rf" (59\d|60\d) s {said} TOGA 2's", text), text


def test_one_broken_client_spoils_no_other(clinic: Clinic) -> None:
    clinic.elite["toga2"] = {}

    looked = clinic.look()

    assert [finding.state for finding in looked["elite"]] == ["wrong"]
    assert "wrong" not in {finding.state for finding in looked["wje"]}


def test_without_a_registry_nothing_is_guessed(clinic: Clinic) -> None:
    clinic.setenv(ELITE_PIPELINE_CLIENTS="/nowhere/clients.yaml")

    looked = clinic.look()

    assert list(looked) == [None]
    states = {finding.check: finding.state for finding in looked[None]}
    assert states["registry.file"] == "wrong"
    assert states["togadesk.database"] == "not_looked_at"


def test_an_unknown_client_is_named(clinic: Clinic) -> None:
    state, text = clinic.only("registry.entry", "nobody")

    assert state == "wrong"
    assert "it has: elite, wje" in text


def test_without_a_demo_it_says_so(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = clinic.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ("ELITE_PIPELINE_CLIENTS", "TOGA2_BASE_URL", "TOGADESK_DATABASE_URL"):
        clinic.setenv(**{name: None})
    clinic.setenv(
        TOGADESK_UPLOADS_DIR=None, PIPELINE_DATABASE_URL=None, CLIENT_LOGS_DATABASE_URL=None,
        **dict.fromkeys(_credentials()),
    )  # fmt: skip

    assert any("There is no demo yet" in text for _, text in clinic.of("registry.file"))
    assert list(elsewhere.iterdir()) == []


def _credentials() -> list[str]:
    kinds = ("TOGA2_API_KEY", "TOGA2_API_SECRET", "FRESHSERVICE_API_KEY", "WEBHOOK_SECRET")
    return [f"{name}_{kind}" for name in ("ELITE", "WJE") for kind in kinds]


def test_the_command_shows_marks_and_its_status_tells(clinic: Clinic) -> None:
    clinic.write_registry()
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "  ✓ toga2.answers" in done.output
    assert done.output.splitlines()[0] == "all clients"
    assert "wrong" not in done.output.splitlines()[-1]

    clinic.setenv(WJE_TOGA2_API_KEY=None)
    done = CliRunner().invoke(cli, ["doctor", "--quiet"])
    assert done.exit_code == 1
    wrong = [line for line in done.output.splitlines() if line.startswith("  ✗")]
    assert len(wrong) == 1
    assert "WJE_TOGA2_API_KEY not set" in wrong[0]
    assert "elite" not in done.output.splitlines()


def test_programs_get_one_document(clinic: Clinic) -> None:
    clinic.write_registry()
    clinic.setenv(WJE_TOGA2_API_KEY=None)

    done = CliRunner().invoke(cli, ["doctor", "--client", "wje", "--json"])

    document = json.loads(done.stdout)
    assert done.exit_code == 1
    assert document["ok"] is False
    assert list(document["clients"]) == ["wje"]
    assert {"check", "state", "text"} == set(document["shared"][0])


def test_looks_at_clients_at_once(clinic: Clinic, toga2: Toga2Sandbox) -> None:
    toga2.settings.latency_seconds = 0.05

    clinic.look()

    assert toga2.max_in_flight > 1

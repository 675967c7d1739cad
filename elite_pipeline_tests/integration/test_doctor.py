"""``elite-pipeline doctor``: each check in order and spoilt, on real systems; nothing of it stays."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from elite_pipeline.cli import cli
from elite_pipeline.sandbox.serving.faults import Status
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.clinics import Clinic
from elite_pipeline_tests.support.scripted_http import closed_port

Spoil = Callable[[Clinic], None]


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


def _without(*names: str) -> Spoil:
    return lambda clinic: clinic.setenv(**dict.fromkeys(names))


def _with(**variables: str) -> Spoil:
    return lambda clinic: clinic.setenv(**variables)


def _fault(status: int, route: str) -> Spoil:
    def spoil(clinic: Clinic) -> None:
        clinic.toga2.faults.add(Status(status), route=route, times=None)

    return spoil


def _entry(section: str, **fields: object) -> Spoil:
    def spoil(clinic: Clinic) -> None:
        clinic.elite.setdefault(section, {}).update(fields)

    return spoil


def _desk(statement: str) -> Spoil:
    return lambda clinic: clinic.helpdesk.execute(statement)


def _own(name: str, statement: str) -> Spoil:
    return lambda clinic: clinic.sql(getattr(clinic, name), statement)


def _watermark(clinic: Clinic) -> None:
    name = "TOGADESK_LAST_TICKET_INTEGRATION_DATETIME"
    clinic.toga2.store.create("elite", "parameters", {"name": name, "value": "yesterday"})


def _future(clinic: Clinic) -> None:
    """Write replies as a helpdesk in UTC does, which is read as New York's."""
    clinic.helpdesk.execute("DELETE FROM config")
    clinic.elite["togadesk"]["timezone"] = "America/New_York"
    now = datetime.now(UTC)
    columns = {
        "id": 1, "ticket": 1, "departmentid": 1, "clientid": 1, "userid": 0, "adminid": 0,
        "assetid": 0, "email": "", "subject": "", "status": "", "priority": "",
        "timestamp": f"{now:%Y-%m-%d %H:%M:%S}", "notes": "", "ccs": "", "groupid": 0, "category": "",
    }  # fmt: skip
    clinic.helpdesk.execute(
        f"INSERT INTO tickets ({', '.join(columns)}) VALUES ({', '.join(map(repr, columns.values()))})"
    )
    clinic.helpdesk.execute(
        "INSERT INTO tickets_replies (ticketid, peopleid, message, timestamp)"
        f" VALUES (1, 0, '', '{now:%Y-%m-%d %H:%M:%S}')"
    )


def _secrets_file(clinic: Clinic) -> None:
    (clinic.folder / ".env").write_text("", "utf-8")
    (clinic.folder / ".env").chmod(0o644)


SPOILT: list[tuple[str, Spoil, str, str, str]] = [
    (
        "no secret",
        _without("ELITE_TOGA2_API_SECRET"),
        "toga2.credentials",
        "wrong",
        "ELITE_TOGA2_API_SECRET not set",
    ),
    (
        "no secret",
        _without("ELITE_TOGA2_API_SECRET"),
        "toga2.routes",
        "not_looked_at",
        "without credentials",
    ),
    (
        "example's secret",
        _with(ELITE_TOGA2_API_SECRET="replace-me"),
        "settings.secrets",
        "wrong",
        "ELITE_TOGA2_API_SECRET still is",
    ),
    (
        "wrong key",
        _with(ELITE_TOGA2_API_KEY="11111111-1111-4111-8111-111111111111"),
        "toga2.answers",
        "wrong",
        "check ELITE_TOGA2_API_KEY, ELITE_TOGA2_API_SECRET",
    ),
    (
        "wrong uuid",
        _entry("toga2", client_uuid="11111111-1111-4111-8111-111111111111"),
        "toga2.answers",
        "wrong",
        "toga2.client_uuid of client 'elite'",
    ),
    (
        "no address",
        _with(TOGA2_BASE_URL="ftp://example.com"),
        "toga2.answers",
        "wrong",
        "TOGA2_BASE_URL: expected",
    ),
    ("route refused", _fault(403, "/units"), "toga2.routes", "wrong", "/units: refused (403)"),
    (
        "route not there",
        _fault(404, "/ticket-notes"),
        "toga2.routes",
        "wrong",
        "/ticket-notes: TOGA 2 has no such route for this client (404): is TICKETS really",
    ),
    ("other's field", _entry("togadesk"), "toga2.own_field", "ok", "c_eliteConversationId"),
    (
        "mistyped watermark",
        _watermark,
        "toga2.watermarks",
        "wrong",
        "TOGADESK_LAST_TICKET_INTEGRATION_DATETIME",
    ),
    (
        "no address",
        _without("TOGADESK_DATABASE_URL"),
        "togadesk.database",
        "wrong",
        "TOGADESK_DATABASE_URL is not set",
    ),
    (
        "no file",
        _with(TOGADESK_DATABASE_URL="sqlite:////nowhere/desk.sqlite"),
        "togadesk.database",
        "wrong",
        "There is no file /nowhere/desk.sqlite",
    ),
    (
        "no file",
        _with(TOGADESK_DATABASE_URL="sqlite:////nowhere/desk.sqlite"),
        "togadesk.tables",
        "not_looked_at",
        "did not answer",
    ),
    ("no table", _desk("DROP TABLE comments"), "togadesk.tables", "wrong", "'comments' is missing"),
    (
        "no column",
        _desk("ALTER TABLE tickets DROP COLUMN groupid"),
        "togadesk.tables",
        "wrong",
        "'tickets.groupid' is missing",
    ),
    (
        "unknown client",
        _desk("DELETE FROM clients WHERE id = 1"),
        "togadesk.client",
        "wrong",
        "no client 1 (togadesk.client_id)",
    ),
    (
        "unknown department",
        _entry("togadesk", monitored_department_ids=[1, 77]),
        "togadesk.client",
        "wrong",
        "no ticket department 77",
    ),
    ("nobody is known", _desk("DROP TABLE clients"), "togadesk.client", "ok", "department 1, 2"),
    (
        "another zone",
        _entry("togadesk", timezone="America/Chicago"),
        "togadesk.time_zone",
        "wrong",
        "set togadesk.timezone: UTC",
    ),
    (
        "zone by another name",
        _entry("togadesk", timezone="Etc/UTC"),
        "togadesk.time_zone",
        "ok",
        "Etc/UTC",
    ),
    (
        "unknown zone",
        _desk("UPDATE config SET value = 'Mars/Olympus'"),
        "togadesk.time_zone",
        "warning",
        "'Mars/Olympus'",
    ),
    (
        "nobody says the zone",
        _desk("DROP TABLE config"),
        "togadesk.time_zone",
        "note",
        "UTC is believed",
    ),
    ("times in the future", _future, "togadesk.time_zone", "wrong", "h in the future"),
    (
        "no folder",
        lambda clinic: clinic.uploads.rmdir(),
        "uploads.folder",
        "wrong",
        "TOGADESK_UPLOADS_DIR",
    ),
    (
        "no setting",
        _without("TOGADESK_UPLOADS_DIR"),
        "uploads.folder",
        "wrong",
        "TOGADESK_UPLOADS_DIR is not set",
    ),
    (
        "no database",
        lambda clinic: clinic.pipeline.unlink(),
        "pipeline.database",
        "warning",
        "`elite-pipeline init-db` makes it",
    ),
    (
        "no folder for it",
        _with(PIPELINE_DATABASE_URL="sqlite:////proc/nowhere/p.sqlite"),
        "pipeline.database",
        "wrong",
        "may not write to /proc",
    ),
    (
        "no address",
        _with(PIPELINE_DATABASE_URL="nonsense"),
        "pipeline.database",
        "wrong",
        "PIPELINE_DATABASE_URL",
    ),
    (
        "old table",
        _own("pipeline", "ALTER TABLE sync_dead_letters DROP COLUMN updated"),
        "pipeline.tables",
        "wrong",
        "sync_dead_letters lacks updated: run `elite-pipeline init-db`",
    ),
    (
        "no inbox",
        _own("pipeline", 'DROP TABLE "WorkerJobs"'),
        "pipeline.tables",
        "wrong",
        "the table WorkerJobs is missing",
    ),
    ("no log", _without("CLIENT_LOGS_DATABASE_URL"), "call_log.database", "note", "not logged"),
    (
        "no table of the log",
        _own("call_log", 'DROP TABLE "Api"'),
        "call_log.tables",
        "wrong",
        "init-db",
    ),
    (
        "no address",
        _with(SENTRY_DSN="https://plantedsentrykey@/x"),
        "sentry.dsn",
        "wrong",
        "SENTRY_DSN: expected",
    ),
    ("no Sentry", _without("SENTRY_DSN"), "sentry.dsn", "note", "told nobody"),
    (
        "no key",
        _without("ELITE_FRESHSERVICE_API_KEY"),
        "freshservice.key",
        "wrong",
        "ELITE_FRESHSERVICE_API_KEY not set",
    ),
    (
        "no key",
        _without("ELITE_FRESHSERVICE_API_KEY"),
        "freshservice.plan",
        "not_looked_at",
        "without a key",
    ),
    (
        "wrong key",
        _with(ELITE_FRESHSERVICE_API_KEY="planted-wrong-key"),
        "freshservice.answers",
        "wrong",
        "check ELITE_FRESHSERVICE_API_KEY",
    ),
    (
        "greater plan",
        _entry("freshservice", plan="enterprise"),
        "freshservice.plan",
        "warning",
        "fewer than the plan enterprise",
    ),
    (
        "smaller plan",
        _entry("freshservice", plan="starter"),
        "freshservice.plan",
        "warning",
        "set freshservice.plan: pro",
    ),
    (
        "no webhook secret",
        _without("ELITE_WEBHOOK_SECRET"),
        "webhooks.secret",
        "wrong",
        "ELITE_WEBHOOK_SECRET not set",
    ),
    (
        "short webhook secret",
        _with(ELITE_WEBHOOK_SECRET="s3cr3t"),
        "webhooks.secret",
        "warning",
        "at least 16",
    ),
    ("no home", _without("DAGSTER_HOME"), "dagster.home", "warning", "DAGSTER_HOME is not set"),
    (
        "no folder",
        _with(DAGSTER_HOME="/nowhere/dagster"),
        "dagster.home",
        "wrong",
        "no folder /nowhere/dagster",
    ),
    (
        "no dagster.yaml",
        lambda clinic: (clinic.home / "dagster.yaml").unlink(),
        "dagster.home",
        "warning",
        "no dagster.yaml",
    ),
    ("open secrets", _secrets_file, "settings.file", "warning", "chmod 600"),
    (
        "broken entry",
        _entry("togadesk", colour="blue"),
        "registry.entry",
        "wrong",
        "togadesk.colour: unknown field",
    ),
    (
        "nothing on",
        lambda clinic: clinic.elite.update(flows={}),
        "registry.entry",
        "warning",
        "no flow is switched on",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "check", "state", "said"),
    [pytest.param(*case[1:], id=f"{case[2]}: {case[0]}") for case in SPOILT],
)
def test_what_is_spoilt_is_named(
    clinic: Clinic, spoil: Spoil, check: str, state: str, said: str
) -> None:
    spoil(clinic)

    found = clinic.of(check, "elite")

    assert any(one[0] == state and said in one[1] for one in found), found


def test_a_field_that_toga2_does_not_know_is_named(clinic: Clinic) -> None:
    clinic.elite["custom_field_prefix"] = "c_other"

    state, text = clinic.only("toga2.own_field", "elite")

    assert state == "wrong"
    assert "c_otherConversationId" in text
    assert "custom_field_prefix" in text


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
    assert f"600 s {said} TOGA 2's" in text or f"601 s {said}" in text or f"599 s {said}" in text


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

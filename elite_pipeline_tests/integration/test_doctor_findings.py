"""What ``elite-pipeline doctor`` says of each thing that is spoilt, on real systems."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from elite_pipeline.sandbox.serving.faults import Status
from elite_pipeline_tests.support.clinics import Clinic

Spoil = Callable[[Clinic], None]


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


#: What is wrong -> how to make it so, and what is then found: check, state, and part of the text. Those
#: of one round are spoilt together: a test of a whole installation takes a second.
Round = dict[str, tuple[Spoil, list[tuple[str, str, str]]]]

NOTHING_IS_SET: Round = {
    "no secret": (
        _without("ELITE_TOGA2_API_SECRET"),
        [
            ("toga2.credentials", "wrong", "ELITE_TOGA2_API_SECRET not set"),
            ("toga2.answers", "not_looked_at", "without credentials"),
            ("toga2.routes", "not_looked_at", "without credentials"),
        ],
    ),
    "no key": (
        _without("ELITE_FRESHSERVICE_API_KEY"),
        [
            ("freshservice.key", "wrong", "ELITE_FRESHSERVICE_API_KEY not set"),
            ("freshservice.plan", "not_looked_at", "without a key"),
        ],
    ),
    "no webhook secret": (
        _without("ELITE_WEBHOOK_SECRET"),
        [("webhooks.secret", "wrong", "ELITE_WEBHOOK_SECRET not set")],
    ),
    "no helpdesk": (
        _without("TOGADESK_DATABASE_URL"),
        [("togadesk.database", "wrong", "TOGADESK_DATABASE_URL is not set")],
    ),
    "no uploads": (
        _without("TOGADESK_UPLOADS_DIR"),
        [("uploads.folder", "wrong", "TOGADESK_UPLOADS_DIR is not set")],
    ),
    "no log": (
        _without("CLIENT_LOGS_DATABASE_URL"),
        [("call_log.database", "note", "not logged")],
    ),
    "no home": (
        _without("DAGSTER_HOME"),
        [("dagster.home", "warning", "DAGSTER_HOME is not set")],
    ),
    "no Sentry": (_without("SENTRY_DSN"), [("sentry.dsn", "note", "told nobody")]),
    "a pipeline database that is none": (
        _with(PIPELINE_DATABASE_URL="nonsense"),
        [("pipeline.database", "wrong", "PIPELINE_DATABASE_URL: expected")],
    ),
}
NOTHING_IS_THERE: Round = {
    "wrong key": (
        _with(ELITE_TOGA2_API_KEY="11111111-1111-4111-8111-111111111111"),
        [("toga2.answers", "wrong", "check ELITE_TOGA2_API_KEY, ELITE_TOGA2_API_SECRET")],
    ),
    "wrong key of Freshservice": (
        _with(ELITE_FRESHSERVICE_API_KEY="planted-wrong-key"),
        [
            ("freshservice.answers", "wrong", "check ELITE_FRESHSERVICE_API_KEY"),
            ("freshservice.plan", "not_looked_at", "did not answer"),
        ],
    ),
    "short webhook secret": (
        _with(ELITE_WEBHOOK_SECRET="s3cr3t"),
        [("webhooks.secret", "warning", "at least 16")],
    ),
    "no helpdesk": (
        _with(TOGADESK_DATABASE_URL="sqlite:////nowhere/desk.sqlite"),
        [
            ("togadesk.database", "wrong", "There is no file /nowhere/desk.sqlite"),
            ("togadesk.tables", "not_looked_at", "did not answer"),
        ],
    ),
    "no uploads": (
        lambda clinic: clinic.uploads.rmdir(),
        [("uploads.folder", "wrong", "TOGADESK_UPLOADS_DIR")],
    ),
    "no pipeline database": (
        lambda clinic: clinic.pipeline.unlink(),
        [
            ("pipeline.database", "warning", "`elite-pipeline init-db` makes it"),
            ("pipeline.tables", "not_looked_at", "is not there yet"),
        ],
    ),
    "no home": (
        _with(DAGSTER_HOME="/nowhere/dagster"),
        [("dagster.home", "wrong", "no folder /nowhere/dagster")],
    ),
    "a Sentry that is none": (
        _with(SENTRY_DSN="https://plantedsentrykey@/x"),
        [("sentry.dsn", "wrong", "SENTRY_DSN: expected")],
    ),
    "secrets that others can read": (_secrets_file, [("settings.file", "warning", "chmod 600")]),
}
THINGS_ARE_OLD: Round = {
    "route refused": (
        _fault(403, "/units"),
        [("toga2.routes", "wrong", "/units: refused (403)")],
    ),
    "route not there": (
        _fault(404, "/ticket-notes"),
        [
            (
                "toga2.routes",
                "wrong",
                "/ticket-notes: TOGA 2 has no such route for this client (404)",
            )
        ],
    ),
    "mistyped watermark": (
        _watermark,
        [("toga2.watermarks", "wrong", "TOGADESK_LAST_TICKET_INTEGRATION_DATETIME")],
    ),
    "no table": (
        _desk("DROP TABLE comments"),
        [("togadesk.tables", "wrong", "'comments' is missing")],
    ),
    "no column": (
        _desk("ALTER TABLE tickets DROP COLUMN groupid"),
        [("togadesk.tables", "wrong", "'tickets.groupid' is missing")],
    ),
    "unknown client": (
        _desk("DELETE FROM clients WHERE id = 1"),
        [("togadesk.client", "wrong", "no client 1 (togadesk.client_id)")],
    ),
    "another zone": (
        _entry("togadesk", timezone="America/Chicago"),
        [("togadesk.time_zone", "wrong", "set togadesk.timezone: UTC")],
    ),
    "greater plan": (
        _entry("freshservice", plan="enterprise"),
        [("freshservice.plan", "warning", "fewer than the plan enterprise")],
    ),
    "old table": (
        _own("pipeline", "ALTER TABLE sync_dead_letters DROP COLUMN updated"),
        [
            (
                "pipeline.tables",
                "wrong",
                "sync_dead_letters lacks updated: run `elite-pipeline init-db`",
            )
        ],
    ),
    "no table of the log": (
        _own("call_log", 'DROP TABLE "Api"'),
        [("call_log.tables", "wrong", "run `elite-pipeline init-db`")],
    ),
    "no dagster.yaml": (
        lambda clinic: (clinic.home / "dagster.yaml").unlink(),
        [("dagster.home", "warning", "no dagster.yaml")],
    ),
    "the example's secret": (
        _with(ELITE_WEBHOOK_SECRET="replace-me"),
        [("settings.secrets", "wrong", "ELITE_WEBHOOK_SECRET still is what the example says")],
    ),
}
THINGS_ARE_OTHERS: Round = {
    "other's field": (
        lambda clinic: clinic.elite.update(custom_field_prefix="c_other"),
        [("toga2.own_field", "wrong", "does not know c_otherConversationId on /ticket-notes")],
    ),
    "unknown department": (
        _entry("togadesk", monitored_department_ids=[1, 77]),
        [("togadesk.client", "wrong", "no ticket department 77")],
    ),
    "zone by another name": (
        _entry("togadesk", timezone="Etc/UTC"),
        [("togadesk.time_zone", "ok", "Etc/UTC")],
    ),
    "smaller plan": (
        _entry("freshservice", plan="starter"),
        [("freshservice.plan", "warning", "set freshservice.plan: pro")],
    ),
    "no inbox": (
        _own("pipeline", 'DROP TABLE "WorkerJobs"'),
        [("pipeline.tables", "wrong", "the table WorkerJobs is missing")],
    ),
    "another's table": (
        _own("call_log", 'ALTER TABLE "Api" RENAME COLUMN uuid TO other'),
        [("call_log.database", "wrong", "another table of that name")],
    ),
    "nothing on": (
        lambda clinic: clinic.registry["clients"]["wje"].update(flows={}),
        [
            ("registry.entry", "warning", "no flow is switched on"),
            ("toga2.routes", "note", "no flow is switched on"),
        ],
    ),
}
NOBODY_SAYS: Round = {
    "wrong uuid": (
        _entry("toga2", client_uuid="11111111-1111-4111-8111-111111111111"),
        [("toga2.answers", "wrong", "toga2.client_uuid of client 'elite'")],
    ),
    "unknown zone": (
        _desk("UPDATE config SET value = 'Mars/Olympus'"),
        [("togadesk.time_zone", "warning", "'Mars/Olympus'")],
    ),
    "departments alone are known": (
        _desk("DROP TABLE clients"),
        [("togadesk.client", "ok", "department 1, 2")],
    ),
    "no folder for a database": (
        lambda clinic: clinic.setenv(
            PIPELINE_DATABASE_URL=f"sqlite:///{clinic.home / 'dagster.yaml'}/p.sqlite"
        ),
        [("pipeline.database", "wrong", "this user may not write to")],
    ),
    "Freshservice is off": (
        _entry("flows", freshservice_to_toga2=False),
        [("freshservice.answers", "note", "switched off")],
    ),
}
NO_ADDRESS: Round = {
    "no address": (
        _with(TOGA2_BASE_URL="ftp://example.com"),
        [("toga2.answers", "wrong", "TOGA2_BASE_URL: expected")],
    ),
    "nobody says the zone": (
        _desk("DROP TABLE config"),
        [("togadesk.time_zone", "note", "UTC is believed")],
    ),
    "broken entry": (
        lambda clinic: clinic.registry["clients"]["wje"].update(colour="blue"),
        [
            ("registry.entry", "wrong", "colour: unknown field"),
            ("registry.file", "ok", "1 of them broken"),
        ],
    ),
}
IN_THE_FUTURE: Round = {
    "times in the future": (_future, [("togadesk.time_zone", "wrong", "h in the future")])
}


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(NOTHING_IS_SET, id="nothing is set"),
        pytest.param(NOTHING_IS_THERE, id="nothing is there"),
        pytest.param(THINGS_ARE_OLD, id="things are old"),
        pytest.param(THINGS_ARE_OTHERS, id="things are others'"),
        pytest.param(NOBODY_SAYS, id="nobody says"),
        pytest.param(NO_ADDRESS, id="no address"),
        pytest.param(IN_THE_FUTURE, id="in the future"),
    ],
)
def test_what_is_spoilt_is_named(clinic: Clinic, spoilt: Round) -> None:
    for spoil, _ in spoilt.values():
        spoil(clinic)

    found = [finding for findings in clinic.look().values() for finding in findings]

    missed = {
        name: [(one.state, one.text) for one in found if one.check == check]
        for name, (_, expected) in spoilt.items()
        for check, state, said in expected
        if not any(one.check == check and one.state == state and said in one.text for one in found)
    }
    assert not missed

"""What ``elite-pipeline doctor`` says of a server and of an account's rights there."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from elite_pipeline.assembly import open_client
from elite_pipeline.doctor.needs import RIGHTS, rights_of
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.flows import FLOWS, run_flow
from elite_pipeline_tests.support.clinics import Clinic, Opened
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.ledgers import empty_database
from elite_pipeline_tests.support.mariadb import Server

PASSWORD = "planted-database-password"
HELPDESK_FLOWS = [flow for flow in FLOWS if flow != "freshservice_to_toga2"]


@contextmanager
def account(helpdesk: Helpdesk) -> Iterator[str]:
    """Make an account without any right and return its name."""
    server = served(helpdesk)
    name = f"doctor_{secrets.token_hex(4)}"
    server.execute(f"CREATE USER '{name}' IDENTIFIED BY '{PASSWORD}'")
    try:
        yield name
    finally:
        server.execute(f"DROP USER '{name}'")


def served(helpdesk: Helpdesk) -> Server:
    assert helpdesk.server is not None
    return helpdesk.server


def url_of(helpdesk: Helpdesk, name: str) -> str:
    url = helpdesk.engine.url.set(username=name, password=PASSWORD)
    return url.render_as_string(hide_password=False)


def grant(helpdesk: Helpdesk, name: str) -> None:
    """Give an account what the flows of the helpdesk are said to need, and nothing else."""
    for table, rights in rights_of(HELPDESK_FLOWS).items():
        served(helpdesk).execute(
            f"GRANT {', '.join(rights)} ON `{helpdesk.engine.url.database}`.`{table}` TO '{name}'"
        )


def test_every_flow_says_what_it_needs_of_every_table() -> None:
    assert {flow: set(flow_.tables) for flow, flow_ in FLOWS.items()} == {
        flow: set(tables) for flow, tables in RIGHTS.items()
    }


@pytest.mark.server
def test_the_rights_that_are_asked_for_are_enough_and_one_that_lacks_is_named(
    open_clinic: Opened, open_helpdesk: Opener
) -> None:
    helpdesk = open_helpdesk("mariadb-legacy-lax")
    clinic = open_clinic(helpdesk)
    _something_of_everything(clinic)
    with account(helpdesk) as name:
        grant(helpdesk, name)
        clinic.setenv(TOGADESK_DATABASE_URL=url_of(helpdesk, name))

        looked = clinic.look("elite")

        states = {finding.check: finding.state for finding in looked["elite"]}
        assert states["togadesk.tables"] == states["togadesk.rights"] == "ok"
        notes = {finding.check: finding.text for finding in looked[None]}
        assert "MariaDB" in notes["togadesk.database"]
        assert "MyISAM" in notes["togadesk.storage"]
        assert "not strict" in notes["togadesk.sql_mode"]
        # it may not see whom the helpdesk knows, which is no mistake
        assert states["togadesk.client"] == states["togadesk.time_zone"] == "note"

        run(HELPDESK_FLOWS)
        _people_go_on(clinic)
        run(["toga2_to_togadesk", "togadesk_to_toga2"])
        for table in ("tickets_replies", "comments"):
            unsent = f"SELECT count(*) FROM {table} WHERE referenceId IS NULL"
            assert helpdesk.rows(unsent) == [(0,)], table

        database = helpdesk.engine.url.database
        for right, table in (("DELETE", "comments"), ("INSERT", "files"), ("UPDATE", "groups")):
            served(helpdesk).execute(f"REVOKE {right} ON `{database}`.`{table}` FROM '{name}'")
        ((state, text),) = clinic.of("togadesk.rights", "elite")
        assert state == "wrong"
        for lacking in ("DELETE on comments", "INSERT on files", "UPDATE on groups"):
            assert lacking in text


def run(flows: Sequence[str]) -> None:
    """Run flows as the command line does; nothing may fail."""
    settings = load_settings()
    with open_client(settings, settings.registry.get("elite")) as context:
        for flow in flows:
            result = run_flow(flow, context)
            assert result.failed == 0, (flow, result.failures)


def _people_go_on(clinic: Clinic) -> None:
    """Make a public note private and a private one public, and answer in the helpdesk."""
    for note in clinic.toga2.store.all("elite", "ticket-notes"):
        turned = {"isExternal": not note["isExternal"]}
        clinic.toga2.store.update("elite", "ticket-notes", note["uuid"], turned)
    ((ticket,),) = clinic.helpdesk.rows("SELECT id FROM tickets")
    written = "2026-06-10 08:00:00"
    clinic.helpdesk.execute(
        "INSERT INTO tickets_replies (ticketid, peopleid, message, timestamp)"
        f" VALUES ({ticket}, 0, 'A reply', '{written}')"
    )
    clinic.helpdesk.execute(
        "INSERT INTO comments (peopleid, clientid, projectid, ticketid, comment, timestamp)"
        f" VALUES (0, 1, 0, {ticket}, 'A comment', '{written}')"
    )


def _something_of_everything(clinic: Clinic) -> None:
    """Give TOGA 2 and the helpdesk something for every flow to carry."""
    store = clinic.toga2.store
    contact = store.create("elite", "contacts", {"firstName": "Ada", "email": "ada@example.com"})
    store.create(
        "elite", "units", {"name": "Unit", "tag": "T-1", "contact": {"uuid": contact["uuid"]}}
    )
    store.create("elite", "ticket-teams", {"name": "Team", "isActive": True})
    store.create("elite", "predefined-replies", {"name": "Hi", "content": "Hi", "isActive": True})
    store.create("elite", "ticket-categories", {"name": "Network", "isActive": True})
    ticket = store.create(
        "elite",
        "tickets",
        {"subject": "Printer", "description": "x", "status": "OPEN", "priority": "LOW"},
    )
    for is_external in (True, False):
        note = {"ticket": {"uuid": ticket["uuid"]}, "isExternal": is_external, "body": "Hello"}
        store.create("elite", "ticket-notes", note)


@pytest.mark.server
def test_who_is_refused_and_what_lacks_in_the_own_database_is_named(
    open_clinic: Opened, open_helpdesk: Opener
) -> None:
    helpdesk = open_helpdesk("mariadb-modern-strict")
    clinic = open_clinic(helpdesk)
    own = empty_database("mariadb-modern-strict", clinic.folder, open_helpdesk)
    clinic.setenv(PIPELINE_DATABASE_URL=own, CLIENT_LOGS_DATABASE_URL=own)
    assert "init-db" in clinic.only("pipeline.tables", "wje")[1]
    assert "strict" in clinic.only("togadesk.sql_mode", "wje")[1]

    refused = helpdesk.engine.url.set(username="nobody", password=PASSWORD)
    clinic.setenv(
        TOGADESK_DATABASE_URL=refused.render_as_string(hide_password=False),
        PIPELINE_DATABASE_URL=refused.render_as_string(hide_password=False),
    )
    clinic.monkeypatch.setenv("OTHER_API_KEY", PASSWORD)  # so that the look tells where it is shown

    assert "check user and password" in clinic.only("togadesk.database", "wje")[1]
    state, text = clinic.only("pipeline.database", "wje")
    assert (state, "PIPELINE_DATABASE_URL" in text) == ("wrong", True)

"""``elite-pipeline status``: one line for each flow of each client, put together from all that knows."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from elite_pipeline.assembly import open_client
from elite_pipeline.cli import cli
from elite_pipeline.flow_status import lag_of
from elite_pipeline.inbox import Inbox
from elite_pipeline.ledger import FlowState, FlowStateReader
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.flows import FLOWS, run_flow
from elite_pipeline_tests.support.clinics import Clinic
from elite_pipeline_tests.support.scripted_http import closed_port

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


def status(clinic: Clinic, *arguments: str) -> Result:
    clinic.write_registry()
    done = CliRunner().invoke(cli, ["status", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def document(clinic: Clinic, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(clinic, "--json", *arguments).stdout)
    return found


def line_of(done: Result, flow: str) -> list[str]:
    """Return the cells of a flow's first line, without the client's name."""
    (line, *_) = [line.split() for line in done.output.splitlines() if f" {flow} " in line]
    return line[line.index(flow) + 1 :]


def sync(clinic: Clinic, *flows: str) -> None:
    """Run flows as the command line does."""
    clinic.write_registry()
    settings = load_settings()
    with open_client(settings, settings.registry.get("elite")) as context:
        for flow in flows:
            run_flow(flow, context)


def contact(clinic: Clinic, email: str | None) -> None:
    fields = {"firstName": "Ada", "email": email} if email else {"firstName": "Nobody"}
    clinic.toga2.store.create("elite", "contacts", fields, created=NOW)


def test_a_table_of_flows(clinic: Clinic) -> None:
    contact(clinic, "ada@example.com")
    contact(clinic, None)
    sync(clinic, "contacts", "teams")
    clinic.elite["flows"]["units"] = False

    done = status(clinic)

    watermark = ["2026-06-10", "12:00:00"]
    cells = line_of(done, "contacts")
    assert cells[:2] == watermark
    # lag, waiting, dead
    assert cells[3:6] == ["s", "1", "0"]
    assert line_of(done, "units") == ["switched", "off"]
    assert line_of(done, "teams")[:2] == ["none", "yet"]
    assert "elite contacts: elite-pipeline dead-letters list --client elite --flow contacts" in (
        done.output
    )
    assert "wje" in done.output


def test_programs_get_one_document(clinic: Clinic) -> None:
    contact(clinic, "ada@example.com")
    sync(clinic, "contacts")

    found = document(clinic)

    assert list(found["clients"]) == ["elite", "wje"]
    flows = found["clients"]["elite"]["flows"]
    assert list(flows) == list(FLOWS)
    contacts = flows["contacts"]
    assert contacts["watermark"] == "2026-06-10T12:00:00+00:00"
    assert contacts["watermark_from"] == "toga2"
    assert contacts["lag_seconds"] is not None
    assert contacts["last_error"] is None
    assert flows["teams"]["last_run"] is None
    assert flows["teams"]["lag_seconds"] is None
    assert flows["freshservice_to_toga2"]["inbox"]["waiting"] == 0
    assert list(document(clinic, "--client", "wje")["clients"]) == ["wje"]


def test_without_toga2_the_watermarks_are_those_of_the_last_runs(clinic: Clinic) -> None:
    contact(clinic, "ada@example.com")
    sync(clinic, "contacts")
    with closed_port() as address:
        clinic.setenv(TOGA2_BASE_URL=f"{address}/v2")
        done = status(clinic)
        found = document(clinic)

    assert line_of(done, "contacts")[0] == "~2026-06-10"
    # once, for all clients
    assert done.output.count("cannot be reached") == 1
    assert found["clients"]["elite"]["flows"]["contacts"]["watermark_from"] == "last_run"
    assert "cannot be reached" in found["clients"]["wje"]["problem"]


def test_what_stopped_and_what_waits_is_told(clinic: Clinic) -> None:
    clinic.helpdesk.execute("DROP TABLE people")
    with pytest.raises(Exception, match="people"):
        sync(clinic, "contacts")
    with closing(Inbox(f"sqlite:///{clinic.pipeline}")) as inbox:
        ids = [inbox.add("Elite/Webhook", "{}", {}) for _ in range(3)]
        inbox.dead(ids[:1], "no ticket id", datetime.now(UTC))

    done = status(clinic)

    assert "elite contacts: stopped" in done.output
    assert "'people' is missing" in done.output
    assert "elite freshservice_to_toga2: 2 in the inbox of webhooks, the first for" in done.output
    assert "1 given up: elite-pipeline webhooks list --client elite --status DEAD" in done.output


def test_a_broken_entry_hides_no_other_client(clinic: Clinic) -> None:
    clinic.elite["toga2"] = {}

    done = status(clinic)

    assert "client 'elite': toga2.client_uuid: missing" in done.output
    assert line_of(done, "contacts")[:2] == ["none", "yet"]


def test_one_call_a_client_all_at_once_and_in_the_log(clinic: Clinic) -> None:
    clinic.toga2.settings.latency_seconds = 0.05

    status(clinic)

    assert clinic.toga2.count() == clinic.toga2.count(route="/parameters") == 2
    assert clinic.toga2.max_in_flight == 2
    with closing(sqlite3.connect(clinic.call_log)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM Api WHERE source = 'status'").fetchone()
    assert rows == 2


def test_an_unknown_client_is_one_message(clinic: Clinic) -> None:
    clinic.write_registry()
    done = CliRunner().invoke(cli, ["status", "--client", "nobody"])
    assert "it has: elite, wje" in str(done.exception)


def test_before_the_first_run_there_is_nothing_and_nothing_is_made(clinic: Clinic) -> None:
    clinic.pipeline.unlink()
    assert line_of(status(clinic), "contacts")[:2] == ["none", "yet"]
    assert not clinic.pipeline.exists()


def test_lag_is_the_age_of_what_may_be_missing(clinic: Clinic) -> None:
    sync(clinic, "contacts")
    clinic.write_registry()
    with closing(FlowStateReader(f"sqlite:///{clinic.pipeline}")) as reader:
        (state,) = reader.all().values()

    def lag(**known: Any) -> timedelta | None:
        changed = {name: getattr(state, name) for name in state.__slots__} | known
        return lag_of(FlowState(**changed), NOW)

    hour = timedelta(hours=1)
    assert lag_of(None, NOW) is None
    assert lag(last_run=None) is None
    assert lag(last_run=NOW - hour) == hour
    # somebody has looked since, and found nothing new
    assert lag(last_run=NOW - hour, nothing_new_at=NOW - hour / 2) == hour / 2
    assert lag(last_run=NOW + hour) == timedelta()

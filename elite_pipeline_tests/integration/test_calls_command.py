"""``elite-pipeline calls``: which calls touched a ticket."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from elite_pipeline.cli import cli
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.errors import SystemicError
from elite_pipeline.observability.call_log_tables import api
from elite_pipeline.toga2 import wire
from elite_pipeline_tests.support.call_logs import LogDatabase, logged_run
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk

TICKET = "00000000-0000-4000-8000-0000000000aa"
START = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)

Calls = Callable[..., Result]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@pytest.fixture
def calls(log: LogDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(DEMO_REGISTRY))
    monkeypatch.setenv("CLIENT_LOGS_DATABASE_URL", log.url)
    return lambda *arguments: CliRunner().invoke(cli, ["calls", *arguments])


def fill(log: LogDatabase, *rows: dict[str, Any]) -> None:
    log.make()
    plain = {
        "uuid": "u",
        "transactionId": "run-1",
        "direction": "OUT",
        "source": "elite/contacts",
        "executionTimeSeconds": 0.25,
        "method": "GET",
        "hostname": "h",
        "responseCode": 200,
    }
    texts = dict.fromkeys(("queryString", "requestPayload", "responsePayload"))
    moments = [START.replace(tzinfo=None) + timedelta(minutes=n) for n in range(len(rows))]
    with log.engine.begin() as connection:
        connection.execute(
            sa.insert(api),
            [
                {**plain, **texts, "route": f"/r{number}", "dtStamp": moment, **row}
                for number, (moment, row) in enumerate(zip(moments, rows, strict=True))
            ],
        )


def routes(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [word for word in result.stdout.split() if word.startswith("/")]


def test_calls_that_touched_a_ticket_are_found_newest_last(log: LogDatabase, calls: Calls) -> None:
    fill(
        log,
        {"route": f"/v2/tickets/{TICKET}"},
        {"queryString": f"where%5Bticket+%3D%5D={TICKET}"},
        {"route": "/other"},
        {"requestPayload": f'{{"ticket": {{"uuid": "{TICKET.upper()}"}}}}', "responseCode": None},
        {"responsePayload": f'{{"uuid": "{TICKET}"}}'},
        {"responsePayload": TICKET, "source": "wje/contacts"},
        {"responsePayload": TICKET, "source": "elite-two/contacts"},
    )
    found = calls("--client", "elite", "--ticket", TICKET)
    assert routes(found) == [
        f"/v2/tickets/{TICKET}",
        f"/r1?where%5Bticket+%3D%5D={TICKET}",
        "/r3",
        "/r4",
    ]
    lines = found.stdout.splitlines()
    assert lines[0] == (
        f"2026-06-10 12:00:00  200    0.250 s  GET   /v2/tickets/{TICKET}  "
        "(elite/contacts, run run-1)"
    )
    assert "    ?    0.250 s" in lines[2]


def test_calls_to_its_notes_and_their_files_are_found(log: LogDatabase, calls: Calls) -> None:
    note, other, file, read, link = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 6))
    made = {"data": {"ticketNotes": {"uuid": note}}}
    listed = {
        "data": {
            "tickets": [
                {"uuid": TICKET, "contact": {"uuid": link}, "ticketNotes": [{"uuid": read}]},
                {"uuid": other, "ticketNotes": [{"uuid": other}]},
            ]
        }
    }
    fill(
        log,
        {"route": "/v2/files", "method": "POST", "responsePayload": f'{{"uuid": "{file}"}}'},
        {"route": "/v2/files", "method": "POST", "responsePayload": f'{{"uuid": "{other}"}}'},
        {
            "route": "/v2/ticket-notes",
            "method": "POST",
            "requestPayload": json.dumps({"ticket": {"uuid": TICKET}, "body": "x"}),
            "responsePayload": json.dumps(made),
        },
        {
            "route": f"/v2/ticket-notes/{note}/ticket-note-files",
            "method": "POST",
            "requestPayload": json.dumps({"file": {"uuid": file.upper()}}),
        },
        {"route": f"/v2/ticket-notes/{other}/ticket-note-files", "method": "POST"},
        {"route": f"/v2/files/{file}"},
        {"route": f"/v2/contacts/{link}"},
        {"route": "/v2/tickets", "responsePayload": json.dumps(listed)},
        {"route": f"/v2/ticket-notes/{read}"},
        {"route": "/v2/x", "responsePayload": f'[cut: "{TICKET}"'},
        {"route": "/v2/y", "responsePayload": "[" * 100_000 + TICKET},
    )
    assert routes(calls("--client", "elite", "--ticket", TICKET.upper())) == [
        "/v2/files",
        "/v2/ticket-notes",
        f"/v2/ticket-notes/{note}/ticket-note-files",
        f"/v2/files/{file}",
        "/v2/tickets",
        f"/v2/ticket-notes/{read}",
        "/v2/x",
        "/v2/y",
    ]


def test_the_latest_are_shown_and_not_more_than_asked_for(log: LogDatabase, calls: Calls) -> None:
    fill(log, *({} for _ in range(9)))
    assert routes(calls("--client", "elite", "--limit", "2")) == ["/r7", "/r8"]


def test_programs_get_a_document_a_line(log: LogDatabase, calls: Calls) -> None:
    fill(log, {"route": "/v2/a"}, {"route": "/v2/b", "responseCode": None})

    documents = [
        json.loads(line) for line in calls("--client", "elite", "--json").stdout.splitlines()
    ]

    assert [one["address"] for one in documents] == ["/v2/a", "/v2/b"]
    assert documents[1]["status"] is None
    assert datetime.fromisoformat(documents[0]["sent"]).tzinfo is not None


def test_since_leaves_out_what_is_older(log: LogDatabase, calls: Calls) -> None:
    fill(log, *({} for _ in range(5)))
    for since in ("2026-06-10 12:03:00", "2026-06-10T07:03:00-05:00"):
        assert routes(calls("--client", "elite", "--since", since)) == ["/r3", "/r4"]


def test_a_real_run_can_be_asked_about(systems: Systems, log: LogDatabase, calls: Calls) -> None:
    log.make()
    desk = Desk(systems)
    ticket, other = desk.ticket(), desk.ticket()
    with logged_run(systems, log.url) as context:
        for uuid in (ticket, other):
            context.toga2.fetch(wire.TICKETS, uuid, depth=5)
    assert routes(calls("--client", "elite", "--ticket", ticket)) == [
        f"/v2/tickets/{ticket}?depth=5"
    ]


def test_nothing_found_is_said(log: LogDatabase, calls: Calls) -> None:
    log.make()
    done = calls("--client", "elite", "--ticket", TICKET)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No call was found.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--client", "elite", "--ticket", "T-1"), "'T-1' is not a valid UUID"),
        (("--client", "elite", "--since", "yesterday"), "since: 'yesterday' is not a time"),
        (("--client", "elite", "--limit", "0"), "--limit"),
        ((), "--client"),
    ],
)
def test_a_slip_is_a_usage_error(calls: Calls, arguments: tuple[str, ...], said: str) -> None:
    done = calls(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_an_unknown_client_is_named(calls: Calls) -> None:
    assert "it has: elite, wje" in str(calls("--client", "nobody").exception)


def test_without_a_log_there_is_one_message(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, log: LogDatabase
) -> None:
    without_table = calls("--client", "elite").exception
    assert isinstance(without_table, SystemicError)
    assert "`elite-pipeline init-db` makes the table" in str(without_table)
    monkeypatch.delenv("CLIENT_LOGS_DATABASE_URL")
    said = str(calls("--client", "elite").exception)
    assert said.startswith("There is no demo yet")
    monkeypatch.setenv("TOGADESK_DATABASE_URL", "sqlite:///somewhere.sqlite")
    said = str(calls("--client", "elite").exception)
    assert said.startswith("CLIENT_LOGS_DATABASE_URL is not set")
    assert not Path(".demo").exists()

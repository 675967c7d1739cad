"""``elite-pipeline webhooks list``, and the inbox in ``init-db``, as an operator types them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from elite_pipeline.cli import cli
from elite_pipeline.inbox import Inbox
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.receivers import environment

Command = Callable[..., Result]


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    kind: str = request.param
    return empty_database(kind, tmp_path, open_helpdesk)


@pytest.fixture
def command(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name, value in environment(tmp_path, url).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments)

    return run


@pytest.fixture
def inbox(url: str) -> Iterator[Inbox]:
    inbox = Inbox(url)
    yield inbox
    inbox.close()


def fill(inbox: Inbox) -> list[int]:
    """Add a row of each status, and one of an action that is no client's."""
    actions = ("Elite/Webhook", "Elite/Webhook", "Elite/Webhook", "Wje/Webhook", "Other/Webhook")
    ids = [inbox.add(action, "{}", {}) for action in actions]
    now = datetime.now(UTC)
    inbox.done(ids[:1], now)
    inbox.failed(ids[1:2], "Freshservice: 503", now + timedelta(hours=3, minutes=1), now)
    inbox.dead(ids[2:3], "no ticket id\x1b[31m in it", now)
    return ids


def test_what_is_not_done_is_listed_with_its_reasons(command: Command, inbox: Inbox) -> None:
    ids = fill(inbox)
    done = command("webhooks", "list")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines() if line.strip()[:1].isdigit()]
    assert [line[:3] for line in lines] == [
        [str(ids[4]), "?", "(Other/Webhook)"],
        [str(ids[3]), "wje", "PENDING"],
        [str(ids[2]), "elite", "DEAD"],
        [str(ids[1]), "elite", "FAILED"],
    ]
    assert "in 3 h" in done.output
    assert "no ticket id?[31m in it" in done.output


def test_client_and_status_narrow_the_list(command: Command, inbox: Inbox) -> None:
    ids = fill(inbox)

    def listed(*arguments: str) -> list[int]:
        done = command("webhooks", "list", "--json", *arguments)
        assert done.exit_code == 0, done.output
        return [json.loads(line)["id"] for line in done.output.splitlines()]

    assert listed("--client", "elite") == [ids[2], ids[1]]
    assert listed("--status", "done") == [ids[0]]
    assert listed("--status", "DEAD", "--status", "FAILED", "--client", "wje") == []
    assert listed("--all") == ids[::-1]
    assert listed("--all", "--limit", "2") == ids[:2:-1]
    said = command("webhooks", "list", "--status", "DEAD", "--client", "wje").output
    assert said == "No webhook of client 'wje' is DEAD.\n"


def test_slips_are_one_message(command: Command, inbox: Inbox) -> None:
    assert "not both" in command("webhooks", "list", "--all", "--status", "DEAD").output
    assert "there is no client 'nobody'" in str(
        command("webhooks", "list", "--client", "nobody").exception
    )
    said = str(command("webhooks", "list", "--client", "no-freshservice").exception)
    assert "has no freshservice section" in said


def test_looking_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.sqlite"
    for name, value in environment(tmp_path, f"sqlite:///{missing}").items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, ["webhooks", "list"])
    assert done.output == "No webhook is PENDING or FAILED or DEAD.\n"
    assert not missing.exists()


def test_init_db_makes_the_inbox_and_completes_somebody_elses(command: Command, url: str) -> None:
    engine = sa.create_engine(url)
    quote = engine.dialect.identifier_preparer.quote
    key = "INTEGER PRIMARY KEY" if "sqlite" in url else "BIGINT AUTO_INCREMENT PRIMARY KEY"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {quote('WorkerJobs')} (id {key}, uuid CHAR(36) NOT NULL, "
            f"{quote('dtStamp')} DATETIME NOT NULL, action VARCHAR(128) NOT NULL, payload TEXT, "
            "headers TEXT, status VARCHAR(16) NOT NULL)"
        )
    done = command("init-db")
    assert done.exit_code == 0, done.exception
    assert (
        "WorkerJobs: added attempts, dtRetryAfter, error, dtFinished, WorkerJobs_status"
        in done.output
    )
    assert "WorkerJobs: up to date" in command("init-db").output
    engine.dispose()
    inbox = Inbox(url)
    row_id = inbox.add("Elite/Webhook", "{}", {})
    assert inbox.counts("Elite/Webhook").waiting == row_id == 1
    inbox.close()

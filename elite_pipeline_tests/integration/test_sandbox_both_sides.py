"""``elite-pipeline sandbox type``: people of a client on both sides of a running demo."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.sandbox.cli import sandbox as command
from elite_pipeline.sandbox.registry import read_clients
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sandbox.togadesk import (
    HelpdeskClient,
    TypingPeople,
    create_database,
    seed_helpdesk,
)
from elite_pipeline.togadesk import connect

JOBS = {"elite": "ticket", "wje": "repair-order"}
CLIENT_IDS = {"elite": 1, "wje": 2}
DEPARTMENTS = {"elite": (1, 2), "wje": (3,)}

#: As good as without a pause.
PACE = ("--minutes", 0.001, "--per-minute", 40_000)


@pytest.fixture
def toga2(tmp_path: Path) -> Iterator[Toga2Sandbox]:
    with Toga2Sandbox(read_clients(DEMO_REGISTRY), path=tmp_path / "toga2.sqlite") as running:
        for client, job in JOBS.items():
            running.store.create(client, f"{job}s", {"subject": "Printer"})
        yield running


@pytest.fixture
def helpdesk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """The helpdesk of a demo, at the place where the command looks for it."""
    monkeypatch.setenv("DEMO_DIR", str(tmp_path))
    # the real one, which must not be touched
    monkeypatch.setenv("TOGADESK_DATABASE_URL", "mysql+pymysql://nobody@127.0.0.1:1/real")
    engine = connect(f"sqlite:///{tmp_path / 'togadesk.sqlite'}")
    create_database(engine, "modern")
    clients = [HelpdeskClient(CLIENT_IDS[name], name, DEPARTMENTS[name]) for name in JOBS]
    seed_helpdesk(engine, clients)
    for client in clients:
        TypingPeople(
            engine,
            client_id=client.client_id,
            departments=client.department_ids,
            timezone=ZoneInfo("UTC"),
        ).open_ticket()
    yield engine
    engine.dispose()


def run(toga2: Toga2Sandbox, client: str, *arguments: object) -> Result:
    words = ("type", "--clients-file", DEMO_REGISTRY, "--port", toga2.port, "--client", client)
    return CliRunner().invoke(command, [str(word) for word in (*words, *arguments)])


def rows(engine: sa.Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


@pytest.mark.parametrize("client", JOBS)
def test_people_type_on_both_sides(
    toga2: Toga2Sandbox, helpdesk: sa.Engine, client: str, tmp_path: Path
) -> None:
    before = rows(helpdesk, "SELECT id, clientid, subject FROM tickets ORDER BY id")

    result = run(toga2, client, *PACE, "--seed", 4)

    assert result.exit_code == 0, result.output
    *lines, last = result.output.splitlines()
    assert last == f"{client}: 40 things done; nobody types any more."
    here = [line for line in lines if line.startswith("helpdesk: ")]
    there = [line for line in lines if line.startswith("TOGA 2: ")]
    assert len(here) + len(there) == 40
    assert min(len(here), len(there)) > 10
    made = toga2.count(method="POST", route=f"/{JOBS[client]}-notes", status=201)
    assert made == sum("note" in line for line in there)
    after = rows(helpdesk, "SELECT id, clientid, subject FROM tickets ORDER BY id")
    assert after[: len(before)] == before
    opened = [client_id for _, client_id, _ in after[len(before) :]]
    assert opened == [CLIENT_IDS[client]] * sum("new ticket" in line for line in here)
    files = {file for (file,) in rows(helpdesk, "SELECT file FROM files")}
    assert files == {path.name for path in (tmp_path / "uploads").iterdir()}
    assert len(files) == sum("with a file" in line for line in here) > 0


def test_a_demo_that_is_not_there_is_not_made(
    toga2: Toga2Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_DIR", str(tmp_path / "none"))

    result = run(toga2, "elite", *PACE)

    assert result.exit_code == 1
    assert "make demo" in result.output
    assert not (tmp_path / "none").exists()


def test_what_cannot_go_on_is_one_message(toga2: Toga2Sandbox, helpdesk: sa.Engine) -> None:
    with helpdesk.begin() as connection:
        connection.execute(sa.text("DELETE FROM tickets"))

    # of a seed that lets somebody at the helpdesk answer before anybody opens a ticket
    result = run(toga2, "elite", *PACE, "--seed", 4)

    assert result.exit_code == 1
    assert "has no ticket in the departments 1, 2" in result.output
    assert "Traceback" not in result.output

"""The sandbox's helpdesk: production's shape, and rows as people made them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from elite_pipeline.sandbox.data.people import AGENTS, World
from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.togadesk import HelpdeskClient, create_database, seed_helpdesk
from elite_pipeline.sandbox.togadesk.cli import togadesk
from elite_pipeline.togadesk import tables
from elite_pipeline_tests.support.helpdesks import SERVER_PARAMS, Helpdesk, Opener

PERIOD = Timeline(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
WORLDS = [World(name, 1, "c_x", PERIOD) for name in ("elite", "wje")]
CLIENTS = [HelpdeskClient(1, "Elite", (1, 2)), HelpdeskClient(2, "WJE", (3,))]


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS, indirect=True)
def test_the_shape_is_that_of_production(helpdesk: Helpdesk) -> None:
    engine, charset = ("MyISAM", "utf8mb3") if helpdesk.shape == "legacy" else ("InnoDB", "utf8mb4")
    found = helpdesk.rows(
        "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    assert found == [(engine,)]
    columns = helpdesk.rows(
        "SELECT table_name, column_name, character_set_name, is_nullable, column_default, "
        "column_key FROM information_schema.columns WHERE table_schema = DATABASE()"
    )
    others = {(c[0], c[1]) for c in columns if c[2] not in {None, charset}}
    latin1 = {("tickets_pr", "name"), ("tickets_pr", "content")}
    assert others == (latin1 if helpdesk.shape == "legacy" else set())
    assert {c[1] for c in columns if c[3] == "YES"} == {"referenceId"}
    assert all(c[4] in {None, "NULL"} for c in columns)
    keys = {(c[0], c[1]): c[5] for c in columns if c[5] and c[1] != "id"}
    assert keys == {("people", "email"): "UNI", ("assets", "tag"): "UNI"}


def test_indexes_are_there_on_request(open_helpdesk: Opener) -> None:
    helpdesk = open_helpdesk("sqlite", indexes=True)
    names = {row[0] for row in helpdesk.rows("SELECT name FROM sqlite_master WHERE type='index'")}
    assert {"people_referenceId", "tickets_replies_ticketid"} <= names


def test_every_declared_table_is_there(helpdesk: Helpdesk) -> None:
    names = set(sa.inspect(helpdesk.engine).get_table_names())
    assert names >= {*tables.metadata.tables, "config", "clients", "roles", "tickets_departments"}


def test_seeding_twice_adds_nothing_and_changes_nothing(helpdesk: Helpdesk) -> None:
    assert seed_helpdesk(helpdesk.engine, CLIENTS) > 40
    helpdesk.execute("UPDATE people SET title = :a", "typed by a person")
    before = helpdesk.rows("SELECT * FROM people ORDER BY id")
    create_database(helpdesk.engine, helpdesk.shape)
    assert seed_helpdesk(helpdesk.engine, CLIENTS) == 0
    assert helpdesk.rows("SELECT * FROM people ORDER BY id") == before


def test_seeded_rows_are_believable(helpdesk: Helpdesk) -> None:
    seed_helpdesk(helpdesk.engine, CLIENTS)
    admins = helpdesk.rows("SELECT email, clientid FROM people WHERE type = 'admin'")
    agents = {agent.email for world in WORLDS for agent in map(world.agent, range(AGENTS))}
    assert {email for email, _ in admins} == agents
    assert {client for _, client in admins} == {0}
    contacts = {world.person(index).email for world in WORLDS for index in range(200)}
    users = {email for (email,) in helpdesk.rows("SELECT email FROM people WHERE type = 'user'")}
    assert len(users & contacts) == 6
    clients = helpdesk.rows("SELECT clientid, COUNT(*) FROM people WHERE type = 'user' GROUP BY 1")
    assert sorted(clients) == [(1, 6), (2, 6)]
    assert helpdesk.rows("SELECT value FROM config WHERE name = 'timezone'") == [("UTC",)]
    assert helpdesk.rows("SELECT id FROM tickets_departments ORDER BY id") == [(1,), (2,), (3,)]
    references = helpdesk.rows("SELECT COUNT(referenceId) FROM people")
    assert references == [(0,)]
    with helpdesk.store() as store:
        replies = store.run(lambda tx: tx.select("tickets_pr", ["name", "content"]))
        assert any("é" in row.name for row in replies)
        assets = store.run(lambda tx: tx.select("assets", ["purchase_date", "tag"]))
    assert {row.purchase_date for row in assets} == {None}


def test_the_same_seed_gives_the_same_rows(open_helpdesk: Opener) -> None:
    contents: list[object] = []
    for seed in (1, 1, 2):
        helpdesk = open_helpdesk("sqlite")
        seed_helpdesk(helpdesk.engine, CLIENTS, seed=seed)
        contents.append(helpdesk.rows("SELECT * FROM people"))
    assert contents[0] == contents[1] != contents[2]


def test_the_commands(tmp_path: Path) -> None:
    runner = CliRunner()
    url = f"sqlite:///{tmp_path}/desk.db"
    made = runner.invoke(togadesk, ["create", "--url", url, "--uploads", str(tmp_path / "up")])
    assert made.exit_code == 0, made.output
    assert (tmp_path / "up").is_dir()
    filled = runner.invoke(togadesk, ["seed", "--url", url, "--client", "5:Compass:7"])
    assert filled.exit_code == 0, filled.output
    assert "rows added" in filled.output
    with sa.create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT id, name FROM clients").all() == [(5, "Compass")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "--url", "oracle://u:s3cret@h/d"], "'oracle', which is not supported"),
        (["create", "--url", "sqlite:////no/such/folder/x.db"], "a folder that exists"),
        (["seed", "--url", "sqlite://", "--client", "Elite"], "is not like 1:Elite:1,2"),
        (["seed", "--url", "sqlite://"], "'config' is missing"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(togadesk, arguments)
    assert result.exit_code != 0
    assert says in result.output
    assert "s3cret" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("by_option", [True, False])
def test_a_wrong_address_is_named_as_it_was_given(by_option: bool) -> None:
    url = "oracle://u:s3cret@h/d"
    arguments = ["--url", url] if by_option else []
    environ = {"TOGADESK_DATABASE_URL": "sqlite://" if by_option else url}

    result = CliRunner().invoke(togadesk, ["create", *arguments], env=environ)

    assert result.exit_code == 1
    assert ("--url names" in result.output) is by_option
    assert ("TOGADESK_DATABASE_URL names" in result.output) is not by_option

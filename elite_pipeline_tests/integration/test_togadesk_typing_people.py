"""People at the sandbox's helpdesk write rows as its own application does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sandbox.togadesk import Activity, HelpdeskClient, TypingPeople, seed_helpdesk
from elite_pipeline.sandbox.togadesk.application import as_kept
from elite_pipeline.sandbox.togadesk.cli import togadesk
from elite_pipeline.togadesk import TextLimits
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk, Opener

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")


class Clock:
    """A minute passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


def people_of(helpdesk: Helpdesk, uploads: Path | None = None, *, seed: int = 1) -> TypingPeople:
    return TypingPeople(
        helpdesk.engine,
        client_id=1,
        departments=(1, 2),
        timezone=CHICAGO,
        uploads=uploads,
        seed=seed,
        clock=Clock(),
    )


@pytest.fixture
def people(helpdesk: Helpdesk, uploads: Path) -> TypingPeople:
    seed_helpdesk(helpdesk.engine, [HelpdeskClient(1, "Elite", (1, 2))])
    return people_of(helpdesk, uploads)


def test_it_types_as_much_as_it_is_told(
    helpdesk: Helpdesk, people: TypingPeople, uploads: Path
) -> None:
    typed = people.type(Activity(tickets=8, replies=7, comments=4, files=3))

    assert tuple(map(len, typed)) == (8, 15, 4, 3)
    for table, ids in zip(("tickets", "tickets_replies", "comments", "files"), typed, strict=True):
        assert [row[0] for row in helpdesk.rows(f"SELECT id FROM {table} ORDER BY id")] == [*ids]
    assert {row[0] for row in helpdesk.rows("SELECT departmentid FROM tickets")} <= {1, 2}
    for table in ("tickets", "tickets_replies", "comments"):
        assert helpdesk.rows(f"SELECT COUNT(referenceId) FROM {table}") == [(0,)]
    assert helpdesk.rows("SELECT COUNT(*) FROM tickets WHERE ticket BETWEEN 100000 AND 999999") == [
        (8,)
    ]
    assert helpdesk.rows("SELECT DISTINCT clientid FROM comments") == [(1,)]
    # who comes back the next day types something else, on what is there
    again = people_of(helpdesk, uploads).type(Activity(replies=2))
    assert len(again.replies) == 2


def test_a_ticket_is_a_row_and_its_description_the_first_reply(
    helpdesk: Helpdesk, people: TypingPeople
) -> None:
    ticket, description = people.open_ticket(subject="Printer", description="<p>It smokes.</p>")

    ((id_, status, when, user, email),) = helpdesk.rows(
        "SELECT id, status, timestamp, userid, email FROM tickets"
    )
    # 12:01 UTC, in Chicago's summer
    assert (id_, status, str(when)) == (ticket, "Open", "2026-07-01 07:01:00")
    assert helpdesk.rows(f"SELECT email, clientid FROM people WHERE id = {user}") == [(email, 1)]
    rows = helpdesk.rows("SELECT id, ticketid, peopleid, message, timestamp FROM tickets_replies")
    assert rows == [(description, ticket, user, "<p>It smokes.</p>", when)]


def test_replies_move_the_status_and_not_the_time(helpdesk: Helpdesk, people: TypingPeople) -> None:
    ticket, _ = people.open_ticket()
    before = helpdesk.rows("SELECT timestamp FROM tickets")

    def status() -> str:
        return str(helpdesk.rows("SELECT status FROM tickets")[0][0])

    people.reply(ticket, by_staff=False)
    assert status() == "Open"
    people.reply(ticket, by_staff=True)
    assert status() == "Answered"
    people.reply(ticket, by_staff=False)
    assert status() == "Reopened"
    people.application.set_status(ticket, "Closed")
    people.comment(ticket)
    assert status() == "Closed"
    reply = people.reply(ticket, by_staff=False)
    assert status() == "Reopened"
    assert helpdesk.rows("SELECT timestamp FROM tickets") == before
    ((author, requester),) = helpdesk.rows(
        "SELECT r.peopleid, t.userid FROM tickets_replies r JOIN tickets t ON t.id = r.ticketid "
        f"WHERE r.id = {reply}"
    )
    assert author == requester
    assert helpdesk.rows("SELECT p.type FROM comments c JOIN people p ON p.id = c.peopleid") == [
        ("admin",)
    ]


def test_a_file_is_called_as_it_is_on_the_disk(
    helpdesk: Helpdesk, people: TypingPeople, uploads: Path
) -> None:
    _, reply = people.open_ticket()
    first = people.upload(reply, name="image001.png", content=b"one")
    second = people.upload(reply, name="image001.png", content=b"other")
    people.upload(reply)

    rows = helpdesk.rows(
        "SELECT id, clientid, ticketreplyid, name, file, filetype, filesize FROM files ORDER BY id"
    )
    for row, content in zip(rows, (b"one", b"other"), strict=False):
        name = f"{row[0]}-image001.png"
        assert row[1:] == (1, reply, name, name, "image/png", len(content))
        assert (uploads / name).read_bytes() == content
    assert [row[0] for row in rows[:2]] == [first, second]
    assert (uploads / rows[2][4]).stat().st_size == rows[2][6] > 0


def test_what_a_column_does_not_hold_is_cut_off(helpdesk: Helpdesk, people: TypingPeople) -> None:
    people.open_ticket(subject="x" * 600, description="<p>frozen 😱 again</p>")

    ((subject,),) = helpdesk.rows("SELECT subject FROM tickets")
    ((message,),) = helpdesk.rows("SELECT message FROM tickets_replies")
    assert subject == "x" * 500
    assert message == ("<p>frozen " if helpdesk.shape == "legacy" else "<p>frozen 😱 again</p>")


def test_bytes_are_counted_where_bytes_count() -> None:
    limits = TextLimits("utf8mb3", max_chars=None, max_bytes=5)
    assert as_kept("äöü", limits) == "äö"


@pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)
def test_a_client_without_people_has_strangers(helpdesk: Helpdesk) -> None:
    people = people_of(helpdesk)
    ticket, _ = people.open_ticket()
    people.reply(ticket, by_staff=False)
    assert helpdesk.rows("SELECT DISTINCT peopleid FROM tickets_replies") == [(0,)]
    with pytest.raises(ConfigurationError, match="seed the helpdesk first"):
        people.comment(ticket)
    with pytest.raises(ConfigurationError, match="uploads folder"):
        people.upload(1)
    with pytest.raises(ConfigurationError, match="no ticket 99"):
        people.reply(99, by_staff=False)
    with pytest.raises(ConfigurationError, match="at least one department"):
        TypingPeople(helpdesk.engine, client_id=1, departments=(), timezone=CHICAGO)


def test_the_same_seed_types_the_same(open_helpdesk: Opener, uploads: Path) -> None:
    contents: list[object] = []
    for seed in (1, 1, 2):
        helpdesk = open_helpdesk("sqlite")
        seed_helpdesk(helpdesk.engine, [HelpdeskClient(1, "Elite", (1, 2))])
        people_of(helpdesk, uploads, seed=seed).type(Activity(3, 5, 2, 2))
        tables = ("tickets", "tickets_replies", "comments", "files")
        contents.append([helpdesk.rows(f"SELECT * FROM {table}") for table in tables])
    assert contents[0] == contents[1] != contents[2]


def type_(helpdesk: Helpdesk, *arguments: str) -> tuple[int, str]:
    given = ["type", "--url", helpdesk.url, "--client-id", "1", "--departments", "1,2"]
    result = CliRunner().invoke(togadesk, [*given, *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_the_command(helpdesk: Helpdesk, people: TypingPeople, uploads: Path) -> None:
    counts = ["--tickets", "2", "--replies", "3", "--comments", "1", "--files", "2"]
    code, output = type_(helpdesk, *counts, "--uploads", str(uploads), "--timezone", "Asia/Tokyo")
    assert (code, output) == (0, "Typed: 2 tickets, 3 replies, 1 comments, 2 files.\n")
    assert len(list(uploads.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--files", "1"], "--files needs --uploads"),
        (["--timezone", "Mars/Base"], "is no time zone"),
        (["--timezone", "../etc"], "is no time zone"),
        (["--departments", "one"], "is not like 1,2"),
        (["--replies", "-1"], "-1 is not in the range"),
        (["--replies", "1"], "has no ticket in the departments 1, 2"),
    ],
)
@pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)
def test_a_mistake_is_one_message(helpdesk: Helpdesk, arguments: list[str], says: str) -> None:
    code, output = type_(helpdesk, *arguments)
    assert code != 0
    assert says in output


def test_an_empty_database_is_one_message(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    given = ["type", "--url", url, "--client-id", "1", "--departments", "1", "--tickets", "1"]
    result = CliRunner().invoke(togadesk, given)
    assert result.exit_code == 1
    assert "is missing in" in result.output

"""``elite-pipeline dead-letters``, as an operator types it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from elite_pipeline.cli import cli
from elite_pipeline.ledger import DeadLetter, Failed, Ledger
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database

Command = Callable[..., Result]

PAST = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    kind: str = request.param
    return empty_database(kind, tmp_path, open_helpdesk)


@pytest.fixture
def command(url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("PIPELINE_DATABASE_URL", url)
    # no registry is needed to look at what failed
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", "missing.yaml")

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli, ["dead-letters", *arguments], input=typed)

    return run


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url, "elite")
    yield ledger
    ledger.close()


def fail(ledger: Ledger, entity: str, **changed: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "flow": "contacts",
        "entity": entity,
        "record": entity,
        "kind": "permanent",
        "error": "no e-mail address",
        **changed,
    }
    now = datetime.now(UTC) if changed.get("kind") == "transient" else PAST
    (recorded,) = ledger.dead_letters.record([Failed(**given)], now)
    return recorded.letter


def test_empty_list_says_so_and_is_no_error(command: Command, ledger: Ledger) -> None:
    ledger.dead_letters.listed()
    done = command("list")
    assert (done.exit_code, done.output) == (0, "No dead letters.\n")
    done = command("list", "--client", "gone", "--flow", "contacts", "--parked")
    assert done.output == "No parked dead letters of client 'gone' in flow 'contacts'.\n"
    assert command("list", "--json").output == ""
    assert command("retry", "--all").output == "No dead letters.\n"
    assert command("discard", "--all").output == "No dead letters.\n"


def test_before_the_first_run_nothing_is_made(command: Command, url: str) -> None:
    if not url.startswith("sqlite"):
        assert command("list").output == "No dead letters.\n"
        return
    for arguments in (("list",), ("list", "--json"), ("retry", "--all"), ("discard", "--all")):
        done = command(*arguments)
        assert done.exit_code == 0
        assert "--json" in arguments or f"no run has made {url} yet" in done.output
    assert command("show", "abcd").exit_code == 1
    assert not Path(url.removeprefix("sqlite:///")).exists()


def test_list_shows_a_line_for_each_with_what_a_person_decides_by(
    command: Command, ledger: Ledger
) -> None:
    waiting = fail(ledger, "c-1", kind="transient", error="TOGA 2 answered 503")
    parked = fail(ledger, "t-1", flow="tickets", record="note n-1", unretriable=True)

    done = command("list")

    assert done.exit_code == 0
    first, second = (line.split() for line in done.output.splitlines() if "elite " in line)
    assert first[:7] == [parked.id[:8], "elite", "tickets", "note", "n-1", "of", "t-1"]
    assert "parked no e-mail address" in " ".join(first)
    assert second[:5] == [waiting.id[:8], "elite", "contacts", "c-1", "transient"]
    assert second[5] == "1"
    assert " ".join(second).endswith("TOGA 2 answered 503")
    assert waiting.id[:8] not in command("list", "--parked").output
    assert waiting.id[:8] not in command("list", "--flow", "tickets").output
    assert command("list", "--client", "wje").output == "No dead letters of client 'wje'.\n"


def test_a_long_reason_takes_no_room_from_what_stands_before_it(
    command: Command, ledger: Ledger
) -> None:
    letter = fail(ledger, "ticket 296", flow="togadesk_to_toga2", record="status", error="no " * 99)

    lines = [line for line in command("list").output.splitlines() if letter.id[:8] in line]

    assert len(lines) == 1
    assert lines[0].split()[1:6] == ["elite", "togadesk_to_toga2", "status", "of", "ticket"]
    assert "…" in lines[0]


def test_list_for_programs_is_whole(command: Command, ledger: Ledger) -> None:
    letters = [fail(ledger, f"c-{number:03}", error="x" * 1500 + "é") for number in range(250)]

    shown = [json.loads(line) for line in command("list", "--json").output.splitlines()]

    assert [one["id"] for one in shown] == [letter.id for letter in letters]
    assert shown[0] == {
        "id": letters[0].id,
        "client": "elite",
        "flow": "contacts",
        "entity": "c-000",
        "record": "c-000",
        "kind": "permanent",
        "error": "x" * 1500 + "é",
        "attempts": 1,
        "parked": False,
        "first_failed": "2026-01-05T08:00:00+00:00",
        "last_failed": "2026-01-05T08:00:00+00:00",
        "next_attempt": "2026-01-05T08:01:00+00:00",
        "updated": None,
    }
    assert "50 more; narrow the list" in command("list").output


def test_what_was_written_elsewhere_does_not_steer_the_terminal(
    command: Command, ledger: Ledger
) -> None:
    letter = fail(ledger, "a\x1b[2Jb\u202e", error="[red]no[/red] \x1b]0;owned\x07\nsecond")

    for done in (command("list"), command("list", "--json"), command("show", letter.id)):
        assert done.exit_code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(done.output)
        assert "[red]no[/red]" in done.output


def test_programs_are_shown_one_as_the_list_has_it(command: Command, ledger: Ledger) -> None:
    letter = fail(ledger, "t-1", record="file 45")

    shown = json.loads(command("show", letter.id[:8], "--json").output)

    assert shown == json.loads(command("list", "--json").output)
    assert shown["record"] == "file 45"


def test_show_tells_all_and_what_to_do(command: Command, ledger: Ledger) -> None:
    letter = fail(ledger, "t-1", record="file 45", updated=PAST - timedelta(days=1))

    done = command("show", letter.id[:8].upper())

    assert done.exit_code == 0
    for text in (
        letter.id,
        "file 45",
        "t-1",
        "2026-01-04 08:00:00 UTC",
        "no e-mail address",
        "due",
    ):
        assert text in done.output
    assert f"dead-letters retry {letter.id[:8]}" in done.output
    assert "until somebody changes what the reason names" in done.output


def test_retry_makes_due_at_once_and_unparks(command: Command, ledger: Ledger) -> None:
    parked = fail(ledger, "c-1", unretriable=True)
    fail(ledger, "c-2", unretriable=True)
    fail(ledger, "t-1", flow="tickets", unretriable=True)

    done = command("retry", parked.id[:8], parked.id)

    assert done.exit_code == 0
    assert done.output.startswith("1 dead letter is due; the next run of its flow tries it")
    assert ledger.dead_letters.due("contacts", datetime.now(UTC)) == ["c-1"]
    assert command("retry", "--all", "--flow", "contacts").output.startswith(
        "2 dead letters are due"
    )
    assert ledger.dead_letters.counts().parked == 1


def test_discard_says_what_is_lost_and_asks(command: Command, ledger: Ledger) -> None:
    letter = fail(ledger, "c-1")
    fail(ledger, "c-2")

    done = command("discard", letter.id[:8], typed="n\n")
    assert done.exit_code == 1
    assert "no run tries it again" in done.output
    assert ledger.dead_letters.counts().waiting == 2

    done = command("discard", letter.id[:8], typed="y\n")
    assert done.exit_code == 0
    assert [one.entity for one in ledger.dead_letters.listed()] == ["c-2"]

    done = command("discard", "--all", "--client", "elite", "--yes")
    assert done.output.endswith("1 dead letter discarded.\n")
    assert ledger.dead_letters.listed() == []


def test_id_that_could_be_several_is_refused(command: Command, ledger: Ledger) -> None:
    letters = [fail(ledger, f"c-{number}") for number in range(1200)]
    by_prefix: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        by_prefix.setdefault(letter.id[:4], []).append(letter)
    prefix, alike = next(some for some in by_prefix.items() if len(some[1]) > 1)

    done = command("retry", prefix)

    assert done.exit_code == 1
    assert f"{len(alike)} dead letters begin with {prefix}" in done.output
    assert all(letter.id[:12] in done.output for letter in alike)
    assert command("show", alike[0].id[:12]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", "00000000"), 1, "There is no dead letter 00000000"),
        (("retry", "00000000"), 1, "There is no dead letter 00000000"),
        (("discard", "00000000", "--yes"), 1, "There is no dead letter 00000000"),
        (("show", "xyz"), 2, "'xyz' is no id"),
        (("show", "abc"), 2, "'abc' is no id"),
        (("retry",), 2, "Name the ids"),
        (("discard", "--client", "elite"), 2, "Name the ids"),
        (("retry", "abcd", "--all"), 2, "not both"),
        (("discard", "abcd", "--client", "elite"), 2, "--client and --flow go with --all"),
    ],
)
def test_slips_are_told_and_nothing_is_done(
    command: Command, ledger: Ledger, arguments: tuple[str, ...], status: int, said: str
) -> None:
    fail(ledger, "c-1", unretriable=True)

    done = command(*arguments)

    assert done.exit_code == status
    assert said in done.output
    assert "Nothing was done." in done.output
    assert ledger.dead_letters.counts().parked == 1


def test_database_that_fails_is_one_message_without_the_password(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "elite_pipeline.cli", "dead-letters", "list"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PIPELINE_DATABASE_URL": "mysql+pymysql://u:the-password@127.0.0.1:1/x"}
        | {"ELITE_PIPELINE_CLIENTS": "missing.yaml", "PYTHONPATH": ":".join(sys.path)},
    )

    assert done.returncode == 1
    assert done.stderr.startswith("systemic error: The pipeline's own database")
    assert len(done.stderr.splitlines()) == 1
    assert "the-password" not in done.stderr

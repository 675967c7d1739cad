"""How far long work has got, as it is shown on a terminal, in a log, and to programs."""

import io

import pytest
from rich.console import Console

from elite_pipeline import progress


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Let progress go to a terminal; return what it gets."""
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    return shown


def test_in_a_log_each_sentence_is_a_line_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress.shown_sentences() as tell:
        tell("contacts: 200 records looked at")
        tell("contacts: a name\nwith \x1b[31m control characters")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "contacts: 200 records looked at\ncontacts: a name with ?[31m control characters\n"
    )


def test_in_a_log_each_tenth_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown_parts("elite", 1_000) as advance:
        for _ in range(100):
            advance(10, "tickets")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "elite: 100 of 1,000 (tickets)"
    assert lines[-1] == "elite: 1,000 of 1,000 (tickets)"


def test_programs_are_shown_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        progress.shown_sentences(quiet=True) as tell,
        progress.shown_parts("x", 1, quiet=True) as on,
    ):
        tell("something")
        on(1, "something")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_latest_sentence_is_shown_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = on_terminal(monkeypatch)
    with progress.shown_sentences() as tell:
        tell("contacts: [bold]200[/bold] records looked at")
    # as it was written, and no markup
    assert "[bold]200[/bold] records" in shown.getvalue()
    # the last thing is that the line is taken away
    assert shown.getvalue().endswith("\x1b[2K")


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_terminal(monkeypatch)
    with progress.shown_parts("elite", 4) as advance:
        advance(3, "tickets")
    assert "elite: tickets" in shown.getvalue()
    assert "3/4" in shown.getvalue()


def test_work_without_parts_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown_parts("elite", 0) as advance:
        advance(0, "nothing")
    assert capsys.readouterr().err == "elite: 0 of 0 (nothing)\n"

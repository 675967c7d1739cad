"""How dead letters are worded for people and for programs.

What failed was written elsewhere, by whoever likes: here it becomes plain text that steers no terminal.
What does not belong here: the commands (``dead_letter_commands``).
"""

from collections.abc import Iterable
from datetime import datetime

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from elite_pipeline.ledger import DeadLetter
from elite_pipeline.terminal_texts import printable, span

#: Digits of an id that are shown; in a list of thousands they are hardly ever the same twice.
_ID_DIGITS = 8


def table(letters: Iterable[DeadLetter], now: datetime) -> Table:
    """Return a table, one line a letter where there is room.

    Args:
        letters: In the order in which they are shown.
        now: Aware; ages are counted to it.
    """
    shown = Table(box=SIMPLE)
    for header in ("id", "client", "flow", "record", "kind", "attempts", "age", "next attempt"):
        shown.add_column(header, no_wrap=header != "record", overflow="fold")
    # where room is short it is taken from columns that may wrap, and so from this one
    shown.add_column("reason")
    for letter in letters:
        cells = (
            letter.id[:_ID_DIGITS],
            letter.client,
            letter.flow,
            letter.record
            if letter.record == letter.entity
            else f"{letter.record} of {letter.entity}",
            letter.kind,
            str(letter.attempts),
            span(now - letter.first_failed),
            _next(letter, now),
        )
        # what was written elsewhere is text, and no markup and no control sequence
        reason = Text(printable(letter.error), no_wrap=True, overflow="ellipsis")
        shown.add_row(*(escape(printable(cell)) for cell in cells), reason)
    return shown


def details(letter: DeadLetter, now: datetime) -> str:
    """Return all that is known of a letter, and what to do about it."""
    lines = {
        "id": letter.id,
        "client": letter.client,
        "flow": letter.flow,
        "tried as a whole": letter.entity,
        "what failed": letter.record,
        "kind": letter.kind,
        "attempts": str(letter.attempts),
        "first failed": _moment(letter.first_failed, now),
        "last failed": _moment(letter.last_failed, now),
        "next attempt": _next(letter, now),
        "record changed": _moment(letter.updated, now) if letter.updated else "not known",
    }
    head = "\n".join(f"{name + ':':18}{printable(text)}" for name, text in lines.items())
    reason = "\n".join(printable(line) for line in letter.error.splitlines())
    return f"{head}\n\n{reason}\n\n{_advice(letter)}"


def document(letter: DeadLetter) -> dict[str, object]:
    """Return a letter as a JSON object; times are ISO 8601, UTC."""
    moments = {
        name: getattr(letter, name)
        for name in ("first_failed", "last_failed", "next_attempt", "updated")
    }
    return {
        "id": letter.id,
        "client": letter.client,
        "flow": letter.flow,
        "entity": letter.entity,
        "record": letter.record,
        "kind": letter.kind,
        "error": letter.error,
        "attempts": letter.attempts,
        "parked": letter.parked,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }


def _advice(letter: DeadLetter) -> str:
    short = letter.id[:_ID_DIGITS]
    cause = (
        "It may work by itself once the system that failed is well again."
        if letter.kind == "transient"
        else "It fails until somebody changes what the reason names."
    )
    after = (
        "No run tries it any more: when the cause is gone,"
        if letter.parked
        else "Runs try it again by themselves; when the cause is gone sooner,"
    )
    return (
        f"{cause} {after}\n"
        f"  elite-pipeline dead-letters retry {short}\n"
        "makes it due at once. If it is not wanted at all,\n"
        f"  elite-pipeline dead-letters discard {short}\n"
        "forgets it."
    )


def _next(letter: DeadLetter, now: datetime) -> str:
    if letter.next_attempt is None:
        return "parked"
    return "due" if letter.next_attempt <= now else f"in {span(letter.next_attempt - now)}"


def _moment(moment: datetime, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({span(now - moment)} ago)"

"""``elite-pipeline dead-letters …``: what failed, as a person sees it and deals with it.

``spec/sync.md`` section 8. The clients named here need not be in the registry: what one that has left
it has left behind can still be looked at and discarded.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.console import Console

from elite_pipeline.dead_letter_texts import details, document, table
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.ledger import DeadLetter, DeadLetterOffice
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.settings import load_settings

Command = TypeVar("Command", bound=Callable[..., Any])

#: Fewer digits than that are rather a slip than a choice.
_FEWEST_DIGITS = 4
#: Letters that the table shows; with --json they are all there.
_MOST_SHOWN = 200

_HEXADECIMAL = frozenset("0123456789abcdef")


@click.group(
    name="dead-letters",
    epilog=taught_group(
        ("See what failed, and why", "dead-letters list"),
        (
            "Try all of one client again, once the cause is gone",
            "dead-letters retry --all --client elite",
        ),
    ),
)
def dead_letters() -> None:
    """What failed and has not come through since: look at it, retry it, discard it.

    Runs try a dead letter again by themselves, with growing delays, until it is parked: then it waits
    for you.
    """


def _selecting(command: Command) -> Command:
    """Add the options that say which letters are meant."""
    client = click.option("--client", help="Only this client's, also one no longer registered.")
    flow = click.option("--flow", help="Only this flow's.")
    return client(flow(command))


@dead_letters.command(
    name="list",
    epilog=taught(
        ("See what failed, and why", "dead-letters list"),
        ("See what waits for a person, of one client", "dead-letters list --parked --client elite"),
        ("Let a program read all of it", "dead-letters list --json"),
    ),
)
@_selecting
@click.option("--parked", is_flag=True, help="Only those that no run tries any more.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON document a line, whole, for programs."
)
def list_letters(client: str | None, flow: str | None, parked: bool, as_json: bool) -> None:
    """List dead letters, those that failed first coming first."""
    selection = Selection(client, flow, parked)
    with _office() as office:
        count = office.count(selection) if office.is_there() else 0
        if as_json:
            for letter in office.listed(selection) if count else ():
                click.echo(json.dumps(document(letter)))
            return
        if not count:
            click.echo(_nothing(office, selection))
            return
        # what a program or a log reads is not folded to the width of a terminal that is not there
        console = Console() if sys.stdout.isatty() else Console(width=200)
        console.print(table(office.listed(selection, _MOST_SHOWN), datetime.now(UTC)))
        if count > _MOST_SHOWN:
            click.echo(f"{count - _MOST_SHOWN} more; narrow the list, or see all with --json.")
        click.echo("elite-pipeline dead-letters show ID tells more of one.")


@dead_letters.command(
    epilog=taught(
        ("Show one, by the first digits of its id", "dead-letters show 3d68cbe3"),
        ("Let a program read it", "dead-letters show 3d68cbe3 --json"),
    )
)
@click.argument("letter_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def show(letter_id: str, as_json: bool) -> None:
    """Show all that is known of one dead letter, and what to do about it."""
    with _office() as office:
        letter = _one(office, letter_id)
    click.echo(json.dumps(document(letter)) if as_json else details(letter, datetime.now(UTC)))


@dead_letters.command(
    epilog=taught(
        ("Try one again", "dead-letters retry 3d68cbe3"),
        (
            "Try all again that one flow of one client has",
            "dead-letters retry --all --client elite --flow toga2_to_togadesk",
        ),
    )
)
@click.argument("letter_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All, or all of --client and --flow.")
@_selecting
def retry(
    letter_ids: tuple[str, ...], everything: bool, client: str | None, flow: str | None
) -> None:
    """Make dead letters due at once, parked ones too, and count their attempts anew.

    The next run of the flow tries them; this command itself does not.
    """
    _check_choice(letter_ids, everything, client, flow)
    with _office() as office:
        what = Selection(client, flow) if everything else _each(office, letter_ids)
        count = office.retry(what, datetime.now(UTC)) if office.is_there() else 0
        if not count:
            click.echo(_nothing(office, what))
            return
    them = (
        "is due; the next run of its flow tries it"
        if count == 1
        else ("are due; the next runs of their flows try them")
    )
    click.echo(f"{_number(count)} {them} (elite-pipeline sync CLIENT FLOW, or the schedule).")


@dead_letters.command(
    epilog=taught(
        ("Forget one; it asks first", "dead-letters discard 3d68cbe3"),
        (
            "Forget all of a client that has left, without being asked",
            "dead-letters discard --all --client elite --yes",
        ),
    )
)
@click.argument("letter_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All, or all of --client and --flow.")
@_selecting
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard(
    letter_ids: tuple[str, ...],
    everything: bool,
    client: str | None,
    flow: str | None,
    yes: bool,
) -> None:
    """Forget dead letters: nothing tries any more what they stand for."""
    _check_choice(letter_ids, everything, client, flow)
    with _office() as office:
        what = Selection(client, flow) if everything else _each(office, letter_ids)
        if isinstance(what, Selection):
            count = office.count(what) if office.is_there() else 0
        else:
            count = len(what)
        if not count:
            click.echo(_nothing(office, what))
            return
        click.echo(
            f"{_number(count)} will be forgotten. What they stand for is then missing or out of date "
            "on the other side, and no run tries it again, until the record is next changed where it "
            "comes from, or a run with --full meets it. Nothing is deleted in TOGA 2 or in TOGaDesk."
        )
        if not yes:
            click.confirm("Discard?", abort=True)
        click.echo(f"{_number(office.discard(what))} discarded.")


@contextmanager
def _office() -> Iterator[DeadLetterOffice]:
    office = DeadLetterOffice(load_settings().pipeline_url)
    try:
        yield office
    finally:
        office.close()


def _check_choice(
    letter_ids: tuple[str, ...], everything: bool, client: str | None, flow: str | None
) -> None:
    if everything and letter_ids:
        raise click.UsageError("Name ids, or choose --all, not both. Nothing was done.")
    if not everything and not letter_ids:
        raise click.UsageError(
            "Name the ids that `elite-pipeline dead-letters list` shows, or choose --all. "
            "Nothing was done."
        )
    if letter_ids and (client is not None or flow is not None):
        raise click.UsageError("--client and --flow go with --all. Nothing was done.")


def _each(office: DeadLetterOffice, letter_ids: tuple[str, ...]) -> list[DeadLetter]:
    """Find all before anything is done to one; named twice is meant once."""
    found = {letter.id: letter for letter in (_one(office, text) for text in letter_ids)}
    return list(found.values())


def _one(office: DeadLetterOffice, text: str) -> DeadLetter:
    digits = text.strip().lower()
    if len(digits) < _FEWEST_DIGITS or not _HEXADECIMAL.issuperset(digits):
        raise click.UsageError(
            f"{text[:80]!r} is no id: expected at least {_FEWEST_DIGITS} of the digits that "
            "`elite-pipeline dead-letters list` shows. Nothing was done."
        )
    found = office.find(digits) if office.is_there() else []
    if not found:
        raise click.ClickException(
            f"There is no dead letter {digits}; it may have come through since. "
            "`elite-pipeline dead-letters list` shows what there is. Nothing was done."
        )
    if len(found) > 1:
        some = ", ".join(letter.id[: max(len(digits) + 4, 12)] for letter in found[:5])
        raise click.ClickException(
            f"{len(found)} dead letters begin with {digits}: {some}. Give more digits. "
            "Nothing was done."
        )
    return found[0]


def _nothing(office: DeadLetterOffice, what: Selection | list[DeadLetter]) -> str:
    if not office.is_there():
        return f"No dead letters: no run has made {office.place} yet."
    if isinstance(what, list):
        return "They have come through meanwhile; nothing was left to do."
    parts = [
        f"of client {what.client!r}" if what.client is not None else "",
        f"in flow {what.flow!r}" if what.flow is not None else "",
    ]
    which = " ".join(["parked" if what.parked else "", "dead letters", *parts]).split()
    return f"No {' '.join(which)}."


def _number(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count} dead letters"

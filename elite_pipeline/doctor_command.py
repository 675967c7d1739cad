"""``elite-pipeline doctor``: is everything set and reachable, and if not, what is to be done.

What does not belong here: looking (``doctor``).
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from elite_pipeline.doctor import Examined, Finding, State, examine
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.help_texts import taught
from elite_pipeline.settings import load_settings

#: How a finding is marked; the second one where a terminal cannot show the first.
_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "+"),
    "wrong": ("✗", "X"),
    "warning": ("!", "!"),
    "note": ("·", "-"),
    "not_looked_at": ("?", "?"),
}
_COLOURS: dict[State, str] = {"ok": "green", "wrong": "red", "warning": "yellow"}
_WIDTH = 22
_ALL_CLIENTS = "all clients"


@click.command(
    epilog=taught(
        ("Look at everything, for all clients", "doctor"),
        ("Look at what two clients need, and show only what is not in order",
         "doctor --client elite --client wje --quiet"),
        ("Let a program read it", "doctor --json"),
        statuses={0: "nothing has to be mended", 1: "something is wrong: each ✗ says what to do"},
    )
)  # fmt: skip
@click.option(
    "--client", "names", multiple=True, metavar="NAME", help="Only this client; may be repeated."
)
@click.option("--quiet", "-q", is_flag=True, help="Leave out what is in order.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def doctor(names: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Look at settings, credentials, tables, rights, folders, clocks and time zones.

    One line for each check: ✓ in order, ✗ wrong (and what to do), ! to be looked at, · good to know,
    ? not looked at, because something before it is wrong. First what all clients share, then each client.

    Nothing is changed. A file is written to the uploads folder under a hidden name, and removed again;
    rights on tables are found out without writing to them. Its calls are not in the call log, which it
    must not write to either. No secret is shown.
    """
    found = _examine(names)
    if as_json:
        seen = list(found)
        click.echo(json.dumps(_document(seen), ensure_ascii=False, indent=2))
    else:
        seen = []
        for one in found:
            seen.append(one)
            _show(one, quiet=quiet)
        click.echo(_summary(seen))
    if not all(one.is_well for one in seen):
        sys.exit(1)


def _examine(names: tuple[str, ...]) -> Iterator[Examined]:
    try:
        settings = load_settings()
    except ConfigurationError as error:
        yield Examined(None, (Finding("settings.environment", "wrong", str(error)),))
        return
    yield from examine(settings, names)


def _show(one: Examined, *, quiet: bool) -> None:
    shown = [
        finding for finding in one.findings if not quiet or finding.state not in ("ok", "note")
    ]
    if quiet and not shown:
        return
    click.secho(one.client or _ALL_CLIENTS, bold=True)
    for finding in shown:
        mark = click.style(_mark(finding.state), fg=_COLOURS.get(finding.state))
        click.echo(f"  {mark} {finding.check:{_WIDTH}} {finding.text}")


def _mark(state: State) -> str:
    nice, plain = _MARKS[state]
    try:
        nice.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return nice


def _summary(seen: Sequence[Examined]) -> str:
    counts = Counter(finding.state for one in seen for finding in one.findings)
    parts = [f"{counts['ok']} checks in order"]
    parts += [f"{counts['wrong']} wrong"] if counts["wrong"] else []
    parts += [f"{counts['warning']} to be looked at"] if counts["warning"] else []
    parts += [f"{counts['not_looked_at']} not looked at"] if counts["not_looked_at"] else []
    return f"{', '.join(parts)}."


def _document(seen: Sequence[Examined]) -> dict[str, object]:
    """Return what was found as a JSON object."""
    groups = {
        one.client: [
            {"check": finding.check, "state": finding.state, "text": finding.text}
            for finding in one.findings
        ]
        for one in seen
    }
    return {
        "ok": all(one.is_well for one in seen),
        "shared": groups.pop(None, []),
        "clients": groups,
    }

"""The command line as it is: every command by its path, and the page of the documents that shows them.

``python -m elite_pipeline_tests.support.command_tree`` writes the page anew.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

import click

from elite_pipeline.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
PROGRAM = "elite-pipeline"

_INTRODUCTION = """\
# The command line

All that an operator does without the Dagster page. This page is made from the commands' own help
(`elite-pipeline COMMAND --help`), and a test keeps the two alike.

- **Settings** come from the environment and from a file `.env` in the current folder (`.env.example`).
  `elite-pipeline doctor` says whether they are right.
- **Exit status**: 0 done, 1 it could not be done (one message on standard error says why and what to do),
  2 a slip in what was typed, and nothing was done. What else a command may end with is said there.
- **For programs**: `--json` prints one document, or one document a line where a command lists things.
  Times are ISO 8601 in UTC. How far a long command has got is told on standard error, and not at all with
  `--json`.
- **Secrets** are shown by no command, but for those of the sandbox, which guard made-up data.
"""


@dataclass(frozen=True)
class Taught:
    """A command, and how it is explained.

    Attributes:
        path: Its words, without the program's name.
        examples: What somebody wants, and the whole command for it.
        statuses: What its exit statuses say; empty for a group.
    """

    path: tuple[str, ...]
    command: click.Command
    examples: tuple[tuple[str, str], ...]
    statuses: dict[int, str]

    @property
    def name(self) -> str:
        return " ".join((PROGRAM, *self.path))

    @property
    def is_group(self) -> bool:
        return isinstance(self.command, click.Group)


def walk(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[Taught]:
    """Yield every command, groups before what is in them."""
    yield _taught(path, command)
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from walk(command.commands[name], (*path, name))


def _taught(path: tuple[str, ...], command: click.Command) -> Taught:
    lines = cleandoc(command.epilog or "").replace("\b\n", "").splitlines()
    examples: list[tuple[str, str]] = []
    statuses: dict[int, str] = {}
    for before, line in zip(["", *lines], lines, strict=False):
        if line.strip().startswith(f"{PROGRAM} "):
            examples.append((before.strip().removesuffix(":"), line.strip()))
        number, _, meaning = line.strip().partition("  ")
        if number.isdigit():
            statuses[int(number)] = meaning.strip()
    return Taught(path, command, tuple(examples), statuses)


def page() -> str:
    """Return the page that shows every command."""
    parts = [_INTRODUCTION]
    for purpose, names in cli.grouped().items():
        parts.append(f"## {purpose}\n")
        for name in names:
            parts += [_shown(one) for one in walk(cli.commands[name], (name,))]
    return "\n".join(parts)


def _shown(one: Taught) -> str:
    context = click.Context(one.command, info_name=one.name)
    parts = [f"{'#' * min(2 + len(one.path), 5)} `{one.name}`\n", f"{_prose(one.command)}\n"]
    arguments = [
        parameter.make_metavar(context)
        for parameter in one.command.params
        if isinstance(parameter, click.Argument)
    ]
    if arguments:
        parts.append(f"Usage: `{' '.join((one.name, '[OPTIONS]', *arguments))}`\n")
    records = [
        record
        for parameter in one.command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]
    if records and not one.is_group:
        parts.append("".join(f"- `{names}`: {_one_line(text)}\n" for names, text in records))
    if one.examples and not one.is_group:
        shown = "\n".join(f"# {wanted}\n{command}" for wanted, command in one.examples)
        parts.append(f"```sh\n{shown}\n```\n")
    special = {
        number: meaning for number, meaning in one.statuses.items() if meaning != _USUAL.get(number)
    }
    if special:
        said = "; ".join(f"{number} {meaning}" for number, meaning in special.items())
        parts.append(f"Exit status: {said}.\n")
    return "\n".join(parts)


def _prose(command: click.Command) -> str:
    return cleandoc(command.help or "").replace("\b\n", "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def arguments_of(example: str) -> list[str]:
    """Return the words of an example, without the program's name."""
    program, *words = shlex.split(example)
    assert program == PROGRAM
    return words


#: What every command may end with.
_USUAL = _taught((), next(one for name, one in cli.commands.items() if name == "calls")).statuses


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: written")  # noqa: T201 - it is run by hand

"""How far long work has got: a moving line where somebody watches, plain lines elsewhere.

On standard error, so that what a command says on standard output can be read by programs. What does not
belong here: finding out how far it has got.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from elite_pipeline.terminal_texts import printable

#: Of work whose end is known, plain lines tell of so many parts.
_PARTS = 10


@contextmanager
def shown_sentences(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show sentences on work whose end is not known, the latest one at a time where somebody watches.

    Args:
        quiet: Show nothing: a program reads.

    Yields:
        What takes the sentences.
    """
    console = Console(stderr=True)
    if quiet:
        yield _ignore
    elif not console.is_terminal:
        yield _tell
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("beginning …", total=None)

            def show(sentence: str) -> None:
                # what was written elsewhere is text, and no markup and no control sequence
                progress.update(task, description=escape(printable(sentence)))

            yield show


@contextmanager
def shown_parts(
    title: str, total: int, *, quiet: bool = False
) -> Iterator[Callable[[int, str], None]]:
    """Show how much of a known whole is done.

    Args:
        title: What is being done.
        total: How much there is to do.
        quiet: Show nothing: a program reads.

    Yields:
        What takes how much more is done now, and what is at hand.
    """
    console = Console(stderr=True)
    if quiet:
        yield _ignore_part
    elif not console.is_terminal:
        yield _Tenths(title, total)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
            task = progress.add_task(escape(title), total=total)

            def advance(number: int, at_hand: str) -> None:
                description = escape(printable(f"{title}: {at_hand}"))
                progress.update(task, advance=number, description=description)

            yield advance


class _Tenths:
    """Tells of each tenth that is done, in a line."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._told = 0

    def __call__(self, number: int, at_hand: str) -> None:
        self._done += number
        part = self._done * _PARTS // self._total if self._total else _PARTS
        if part > self._told:
            self._told = part
            _tell(f"{self._title}: {self._done:,} of {self._total:,} ({at_hand})")


def _tell(sentence: str) -> None:
    click.echo(printable(sentence), err=True)


def _ignore(_: str) -> None:
    pass


def _ignore_part(_: int, __: str) -> None:
    pass

"""Results: a measured figure beside its target, and the table that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        work: What was done.
        yardstick: What it is measured against.
        value: The figure; a ratio unless ``unit`` says what is counted.
        target: The most it may be; None: shown, not judged.
        spread: Lowest and highest figure of the single rounds.
        note: What else a reader should know.
    """

    work: str
    yardstick: str
    value: float
    target: float | None
    spread: tuple[float, float] | None = None
    unit: str = "times"
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        return "met" if self.value <= self.target else "MISSED"


def ratio(
    work: str,
    yardstick: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    target: float | None,
    note: str = "",
) -> Figure:
    """Compare the medians of two series that were measured in turns."""
    rounds = [one / other for one, other in zip(ours, theirs, strict=True)]
    value = median(ours) / median(theirs)
    return Figure(work, yardstick, value, target, (min(rounds), max(rounds)), note=note)


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table(show_lines=False, pad_edge=False)
    for title in ("work", "yardstick", "figure", "rounds", "target", "", "note"):
        table.add_column(title, justify="right" if title in {"figure", "target"} else "left")
    for figure in figures:
        table.add_row(
            figure.work,
            figure.yardstick,
            _number(figure.value, figure.unit),
            ""
            if figure.spread is None
            else " to ".join(f"{value:{_places(value)}}" for value in figure.spread),
            "" if figure.target is None else f"≤ {_number(figure.target, figure.unit)}",
            figure.verdict,
            figure.note,
        )
    console.print(table)


def _number(value: float, unit: str) -> str:
    return f"{value:{_places(value)}} x" if unit == "times" else f"{value:g} {unit}"


def _places(value: float) -> str:
    return ".2f" if value >= 0.1 else ".3f"

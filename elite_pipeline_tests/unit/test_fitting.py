"""Rows that are fitted together are what each of them is by itself."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from elite_pipeline.errors import PermanentError
from elite_pipeline.togadesk import FittedTogether, TextLimits, ValueDoesNotFitError, text

#: Columns of a table, each with other limits.
LIMITS = {
    "name": TextLimits("utf8mb3", 12, None),
    "title": TextLimits("latin1", 20, None),
    "notes": TextLimits("utf8mb4", None, 30),
}
TEXTS = [
    "", "plain", "twelve chars", "thirteen chars", "ä" * 12, "ä" * 20, "\N{GRINNING FACE}",
    "\N{GRINNING FACE}" * 8, "x" * 30, "x" * 31, "half \ud83d", "€uro", "ы",
]  # fmt: skip


class Columns:
    """Fits single texts as a store does, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def fit(self, table: str, column: str, value: str) -> str:
        self.asked += 1
        return text.fit(value, LIMITS[column], f"{table}.{column}")

    def fit_row(self, table: str, row: dict[str, str]) -> dict[str, object]:
        return {column: self.fit(table, column, value) for column, value in row.items()}

    def not_plain(self, table: str, column: str, texts: Sequence[str]) -> Sequence[int]:
        assert table == "people"
        most = LIMITS[column].ascii_chars
        return [
            place for place, value in enumerate(texts) if len(value) > most or not value.isascii()
        ]


def alone(row: dict[str, str]) -> dict[str, object] | str:
    try:
        return Columns().fit_row("people", dict(row))
    except ValueDoesNotFitError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(40))
def test_they_come_out_the_same(seed: int) -> None:
    rng = random.Random(seed)
    given = [{column: rng.choice(TEXTS) for column in LIMITS} for _ in range(30)]
    together = FittedTogether(Columns())
    rows = [together.fit_row("people", dict(row)) for row in given]
    failed: dict[int, Any] = together.finish()
    found = [str(failed[id(row)]) if id(row) in failed else row for row in rows]
    assert found == [alone(row) for row in given]
    assert all(isinstance(error, PermanentError) for error in failed.values())


def test_what_is_short_and_plain_is_not_looked_at_one_by_one() -> None:
    columns = Columns()
    together = FittedTogether(columns)
    for _ in range(100):
        together.fit_row("people", dict.fromkeys(LIMITS, "plain"))
    assert together.finish() == {}
    assert columns.asked == 0


def test_nothing_to_fit_is_nothing() -> None:
    assert FittedTogether(Columns()).finish() == {}


def test_a_single_text_is_fitted_at_once() -> None:
    assert FittedTogether(Columns()).fit("people", "name", "ä") == "ä"
    with pytest.raises(ValueDoesNotFitError):
        FittedTogether(Columns()).fit("people", "name", "thirteen chars")

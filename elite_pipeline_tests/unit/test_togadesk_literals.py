"""Values written as literals: what the driver would have written, value by value."""

from datetime import date, datetime
from enum import StrEnum

import pytest
from pymysql.converters import escape_item

from elite_pipeline.togadesk.literals import of_all

TEXTS = [
    "plain",
    "",
    "it's",
    'a "b"',
    "back\\slash",
    "nul \x00 sub \x1a",
    "\r\n\t",
    "100% %s",
    "é 漢 😀",
]
OTHERS = [
    None,
    True,
    False,
    7,
    -1,
    datetime.fromisoformat("2026-03-08 02:30:00"),
    date(2026, 3, 8),
    b"",
    b"it's",
]


class Action(StrEnum):
    KEEP = "it's"


def as_the_driver(values: list[object]) -> list[str]:
    return [str(escape_item(value, "utf8mb4")) for value in values]


@pytest.mark.parametrize(
    "values", [TEXTS, [*map(chr, range(256))], ["a", "b"], [1, 2], OTHERS, [*TEXTS, *OTHERS], []]
)
def test_literals_are_the_drivers_own(values: list[object]) -> None:
    assert of_all(values) == as_the_driver(values)
    assert [of_all([value])[0] for value in values] == as_the_driver(values)


def test_an_enumerations_text_is_its_value() -> None:
    assert of_all([Action.KEEP]) == ["'it\\'s'"]

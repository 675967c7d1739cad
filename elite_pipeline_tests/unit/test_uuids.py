"""Uuids in sixteen bytes each, many at once."""

import uuid

import pytest

from elite_pipeline.uuids import cut, packed_at_once

ONE, OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_they_are_the_bytes_that_each_of_them_is() -> None:
    given = [str(uuid.UUID(int=number**7)) for number in range(500)]
    packed = packed_at_once(given)
    assert packed is not None
    assert cut(packed) == [uuid.UUID(text).bytes for text in given]


def test_both_cases_are_the_same() -> None:
    assert packed_at_once([ONE.upper(), OTHER]) == packed_at_once([ONE, OTHER.upper()])


def test_none_is_nothing() -> None:
    assert packed_at_once([]) == b""
    assert cut(b"") == []


@pytest.mark.parametrize(
    "given",
    [
        [ONE.replace("-", "")],
        [ONE, ""],
        [ONE[:-1], f"{OTHER}0"],
        # as many dashes as there should be, in other places
        [ONE.replace("-", "0", 1), f"-{OTHER[1:]}"],
        [f"{ONE[:8]}0{ONE[9:12]}-{ONE[13:]}"],
        # white space that the conversion would pass over
        [f"{ONE[:-2]}  "],
        [f"{ONE[:-1]} ", f" {OTHER[1:]}"],
        [f"{ONE[:-1]}g"],
        [f"{ONE[:-1]}é"],
        ["00000000-0000-4000-8000-0000000000\N{ARABIC-INDIC DIGIT ONE}0"],
    ],
)
def test_any_other_spelling_is_not_taken(given: list[str]) -> None:
    assert packed_at_once([OTHER, *given]) is None

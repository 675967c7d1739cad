"""When a dead letter is due again, and in which form its names and reasons are kept."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from elite_pipeline.ledger.dead_letter import (
    LIMIT,
    Failed,
    delay,
    fitted,
    letter_id,
    letter_of,
    row_after,
    stored_error,
)
from elite_pipeline.ledger.tables import dead_letters

NOW = datetime(2026, 6, 10, 8, 0, 0, tzinfo=UTC)


def test_delay_doubles_up_to_six_hours() -> None:
    assert [delay(attempts) // timedelta(minutes=1) for attempts in (1, 2, 3, 9, 10, 10**9)] == [
        *(1, 2, 4, 256, 360, 360)
    ]


def test_letter_is_parked_at_the_limit_and_stays_parked() -> None:
    failed = Failed("tickets", "t-1", "note 1", "transient", "timed out")
    letter = None
    for attempt in range(1, LIMIT + 3):
        letter = letter_of(row_after("elite", failed, letter, NOW))
        assert (letter.attempts, letter.parked) == (attempt, attempt >= LIMIT)


@pytest.mark.parametrize("name", ["", "t-1", "note 6f", "漢" * 191, "🙂"])
def test_ordinary_name_is_kept_as_it_is(name: str) -> None:
    assert fitted(name) == name


@pytest.mark.parametrize("name", ["x" * 192, "blank ", "\ud83d", "a\0b", "🙂" * 500])
def test_other_names_are_kept_apart_and_always_alike(name: str) -> None:
    kept = fitted(name)
    assert kept == fitted(name) != fitted(name + "x")
    assert len(kept) <= 191
    assert fitted(kept) == kept
    kept.encode("utf-8")


def test_reason_is_cut_visibly() -> None:
    assert stored_error("x" * 2000) == "x" * 2000
    assert stored_error("x" * 2001) == "x" * 1999 + "…"


def test_id_depends_on_the_whole_name_and_on_nothing_else() -> None:
    assert letter_id("elite", "tickets", "t-1", "t-1") == letter_id(
        "elite", "tickets", "t-1", "t-1"
    )
    assert letter_id("a", "b", "c", "d") != letter_id("a", "bc", "", "d")
    assert len(letter_id("a", "\ud83d", "c", "d")) == 64


def test_key_fits_into_an_index_of_mysql() -> None:
    sizes = [
        column.type.length
        for column in dead_letters.primary_key
        if isinstance(column.type, sa.String)
    ]
    assert len(sizes) == 4
    assert all(size is not None and size * 4 <= 767 for size in sizes)
    assert sum(size * 4 for size in sizes if size) <= 3072
    assert "InnoDB" in str(sa.schema.CreateTable(dead_letters).compile(dialect=mysql.dialect()))

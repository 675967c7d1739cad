from datetime import UTC, datetime

import pytest
from sqlalchemy.dialects import mysql, sqlite

from elite_pipeline.togadesk import tables
from elite_pipeline.togadesk.bulk import (
    MOST_ROWS,
    RowReader,
    Statements,
    fixed_values,
    in_batches,
    in_chunks,
    literal,
)

MYSQL = Statements(mysql.dialect(paramstyle="format"))
SQLITE = Statements(sqlite.dialect())


def test_chunks_cover_everything_once() -> None:
    assert [list(part) for part in in_chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(in_chunks([])) == []


def test_batches_are_bounded_by_rows_and_by_bytes() -> None:
    small = ["(1)"] * (2 * MOST_ROWS + 1)
    assert list(in_batches(small, 10**9)) == [
        (0, MOST_ROWS),
        (MOST_ROWS, 2 * MOST_ROWS),
        (2 * MOST_ROWS, 2 * MOST_ROWS + 1),
    ]
    big = ["x" * 400] * 5
    assert list(in_batches(big, 900)) == [(0, 2), (2, 4), (4, 5)]
    assert list(in_batches([], 900)) == []


def test_a_row_that_is_too_big_goes_alone_and_whole() -> None:
    rows = ["a", "x" * 5_000, "y", "\N{GRINNING FACE}" * 250]
    assert list(in_batches(rows, 1_000)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_update_of_many_rows_is_one_statement_with_quoted_names() -> None:
    statement = MYSQL.update("groups", ("name", "clientid"), 7)
    rows = [("it's", 7, 1), ("100% \\", 7, 2)]
    assert statement.many(rows, statement.written(rows)) == (
        "UPDATE (SELECT 'it\\'s' AS v0, 7 AS v1, 1 AS row_id UNION ALL SELECT '100% \\\\', 7, 2) AS v "
        "STRAIGHT_JOIN `groups` ON `groups`.id = v.row_id AND `groups`.clientid = 7 "
        "SET `groups`.name = v.v0, `groups`.clientid = v.v1"
    )
    assert "`condition`" in MYSQL.update("assets", ("condition",), None).tail


@pytest.mark.parametrize(
    ("texts", "is_told"),
    [
        (["é" * 16_383, "x"], False),
        (["é" * 16_384, "x"], True),
        (["x", "é" * 16_384], True),
        ([None, "é" * 70_000], True),
        (["x" * 65_535, "é"], False),
        # as wide as it has to be already
        (["é" * 65_537, "é" * 65_535], False),
        (["é" * 65_536, "é" * 65_535], True),
    ],
)
def test_update_says_how_wide_a_long_text_s_column_is(
    texts: list[str | None], is_told: bool
) -> None:
    statement = MYSQL.update("tickets", ("subject", "userid"), None)
    values = [(text, 7, number) for number, text in enumerate(texts, start=1)]
    text = statement.many(values, statement.written(values))
    first = "NULL" if texts[0] is None else f"'{texts[0]}'"
    column = f"CAST({first} AS CHAR(65536))" if is_told else first
    assert text.startswith(f"UPDATE (SELECT {column} AS v0, 7 AS v1, 1 AS row_id UNION ALL SELECT ")
    assert text.count("CAST") == is_told


def test_an_insert_of_many_rows_is_one_statement() -> None:
    statement = MYSQL.insert("groups", ("name", "clientid"), (("referenceId", "NULL"),))
    rows = [("a", 7), ("b", 7)]
    assert statement.many(rows, statement.written(rows)) == (
        "INSERT INTO `groups` (name, clientid, `referenceId`) VALUES ('a', 7, NULL), ('b', 7, NULL)"
    )


def test_sqlite_gets_one_row_statements() -> None:
    assert SQLITE.update("people", ("name",), 7).one == (
        "UPDATE people SET name = ? WHERE people.id = ? AND people.clientid = 7"
    )


def test_an_insert_names_every_column() -> None:
    for name, table in tables.metadata.tables.items():
        fixed = fixed_values(table, (), {"extra": "0"}, 7)
        text = MYSQL.insert(name, (), fixed).one
        for column in table.c:
            assert column.name == "id" or column.name in text
        assert "extra" in text
    assert dict(fixed_values(tables.PEOPLE, ("name",), {}, 7))["clientid"] == "7"


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "NULL"), (3, "3"), ("it's", "'it''s'"), (b"", "''")]
)
def test_literals(value: object, expected: str) -> None:
    assert literal(value) == expected


def test_only_neutral_values_have_a_literal() -> None:
    with pytest.raises(TypeError, match="datetime"):
        literal(datetime.now(UTC))


def test_a_made_up_person_cannot_log_in() -> None:
    assert tables.neutral(tables.PEOPLE.c.password) not in {"", None}


def test_rows_must_give_the_same_columns() -> None:
    reader = RowReader(tables.PEOPLE, ["name", "email"], sqlite.dialect())
    assert reader.read([{"email": "e", "name": "n"}]) == [("n", "e")]
    with pytest.raises(ValueError, match="same columns"):
        reader.read([{"name": "n", "email": "e"}, {"name": "n"}])


def test_a_time_with_a_zone_is_refused() -> None:
    reader = RowReader(tables.TICKETS, ["timestamp"], mysql.dialect())
    naive = datetime.fromisoformat("2026-01-02 03:04:05.999999")
    assert reader.read([{"timestamp": naive}]) == [(naive.replace(microsecond=0),)]
    with pytest.raises(ValueError, match="no zone"):
        reader.read([{"timestamp": naive.replace(tzinfo=UTC)}])

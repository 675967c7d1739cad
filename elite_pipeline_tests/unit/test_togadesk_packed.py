"""Rows as one document: who can make one, what is asked, and what is done with half of one."""

from typing import Any

import pytest
from sqlalchemy.dialects import mysql, sqlite

from elite_pipeline.togadesk import TextLimits, tables
from elite_pipeline.togadesk.packed import PackedReader
from elite_pipeline.togadesk.schema import Schema, ServerColumn


def reader(version: tuple[int, ...], *, is_mariadb: bool = False) -> PackedReader:
    dialect: Any = mysql.dialect(paramstyle="format")
    dialect.server_version_info, dialect.is_mariadb = version, is_mariadb
    return PackedReader(dialect, schema("utf8mb3"))


def schema(charset: str) -> Schema:
    """A server that has every declared table, its texts in one charset."""
    limits = TextLimits(charset, 255, None)
    return Schema(
        [
            (table.name, ServerColumn(column.name, limits, indexed=False, neutral=None))
            for table in tables.metadata.tables.values()
            for column in table.c
        ],
        "here",
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (reader((10, 5, 0), is_mariadb=True), True),
        (reader((10, 4, 99), is_mariadb=True), False),
        (reader((8, 0, 36)), True),
        (reader((5, 7, 22)), True),
        (reader((5, 7, 21)), False),
        (PackedReader(sqlite.dialect(), schema("utf8mb4")), False),
    ],
)
def test_a_server_is_asked_for_what_it_can_do(made: PackedReader, expected: bool) -> None:
    assert made.can_read(tables.PEOPLE, ["id", "email"]) is expected


@pytest.mark.parametrize(
    ("table", "columns", "expected"),
    [
        (tables.TICKETS, ["id", "subject", "referenceId"], True),
        (tables.TICKETS, ["id", "timestamp"], False),
        (tables.TICKETS, ["id", "notes"], False),
        (tables.ASSETS, ["purchase_date"], False),
        (tables.PEOPLE, ["avatar"], False),
    ],
)
def test_long_texts_times_and_bytes_are_not_packed(
    table: Any, columns: list[str], expected: bool
) -> None:
    assert reader((8, 0, 36)).can_read(table, columns) is expected


def test_latin1_is_not_packed() -> None:
    dialect = mysql.dialect(paramstyle="format")
    dialect.server_version_info = (8, 0, 36)
    assert PackedReader(dialect, schema("utf8mb4")).can_read(tables.PEOPLE, ["name"])
    assert not PackedReader(dialect, schema("latin1")).can_read(tables.PEOPLE, ["name"])
    assert PackedReader(dialect, schema("latin1")).can_read(tables.PEOPLE, ["id"])


def test_the_query_names_what_is_wanted() -> None:
    where = {"clientid": 7, "referenceId": None}
    text = reader((8, 0, 36)).query("groups", ["id", "name"], where, ("name", ["it's", "b"]))
    assert text == (
        "SELECT COUNT(*), JSON_ARRAYAGG(JSON_ARRAY(id, name)) FROM `groups` "
        "WHERE clientid = 7 AND `referenceId` IS NULL AND name IN ('it\\'s', 'b')"
    )


def test_half_a_document_is_no_document() -> None:
    assert PackedReader.rows(2, '[[1, "a"], [2, null]]') == [[1, "a"], [2, None]]
    assert PackedReader.rows(0, None) == []
    for document in ('[[1, "a"], [2, "', '[[1, "a"]]', None, "", "{}"):
        assert PackedReader.rows(2, document) is None

import sqlite3

import pymysql
import pytest
import sqlalchemy as sa

from elite_pipeline.errors import (
    PermanentError,
    PipelineError,
    SystemicError,
    TransientError,
    UnreachableError,
)
from elite_pipeline.togadesk.failures import (
    DuplicateKeyError,
    SchemaError,
    TransientDatabaseError,
    translate,
)

URL = sa.make_url("mysql+pymysql://sync:s3cret@db.example:3307/desk")


def mysql_error(number: int, text: str, *, table: str | None = "people") -> PipelineError:
    driver = pymysql.err.OperationalError(number, text)
    error = sa.exc.OperationalError("SELECT 'a-hushed-one'", {"a": "value"}, driver)
    return translate(error, url=URL, table=table)


@pytest.mark.parametrize(
    ("number", "text", "kind", "says"),
    [
        (1213, "Deadlock found", TransientDatabaseError, "1213"),
        (2013, "Lost connection", TransientDatabaseError, "2013"),
        (0, "", TransientDatabaseError, "passing failure"),
        (2003, "Can't connect", UnreachableError, "check that the server runs"),
        (1045, "Access denied for user 'sync' (using password)", SystemicError, "user and password"),
        (1698, "Access denied", SystemicError, "user and password"),
        (1044, "Access denied", SystemicError, "grant it access"),
        (1049, "Unknown database", SystemicError, "create it"),
        (1142, "INSERT command denied", SystemicError, "grant SELECT"),
        (1146, "Table 'desk.people' doesn't exist", SchemaError, "table 'people' is missing"),
        (1054, "Unknown column 'referenceId' in 'field list'", SchemaError, "'people.referenceId'"),
        (1021, "Disk full", SystemicError, "administrator"),
        (1366, "Incorrect string value: 'a-hushed-one' for column `desk`.`people`.`name` at row 1",
         PermanentError, "column people.name does not hold"),
        (1406, "Data too long for column 'name' at row 1", PermanentError, "people.name is too"),
        (1048, "Column 'name' cannot be null", PermanentError, "people.name does not take"),
        (1364, "Field 'shoe' doesn't have a default value", PermanentError, "people.shoe must"),
        (1064, "You have an error near 'a-hushed-one'", PermanentError, "1064 PARSE_ERROR"),
    ],
)  # fmt: skip
def test_each_number_is_told_by_its_kind(
    number: int, text: str, kind: type[PipelineError], says: str
) -> None:
    error = mysql_error(number, text)
    assert isinstance(error, kind)
    assert says in str(error)
    assert "s3cret" not in str(error)
    assert "a-hushed-one" not in str(error)


@pytest.mark.parametrize("key", ["email", "people.email"])
def test_a_duplicate_names_table_and_key_and_not_the_value(key: str) -> None:
    error = mysql_error(1062, f"Duplicate entry 'a-hushed-one for key' for key '{key}'")
    assert isinstance(error, DuplicateKeyError)
    assert (error.table, error.key) == ("people", "email")
    assert "hushed" not in str(error)


def test_a_duplicate_without_a_known_key_is_one_too() -> None:
    error = mysql_error(1062, "something else", table=None)
    assert isinstance(error, DuplicateKeyError)
    assert (error.table, error.key) == (None, None)


def sqlite_failure(statement: str) -> PipelineError:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)")
    connection.execute("INSERT INTO people (email) VALUES ('a-hushed-one')")
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement)
    connection.close()
    error = sa.exc.DBAPIError(statement, {}, caught.value)
    return translate(error, url=sa.make_url("sqlite:///desk.db"), table="people")


@pytest.mark.parametrize(
    ("statement", "kind", "says"),
    [
        ("INSERT INTO people (email) VALUES ('a-hushed-one')", DuplicateKeyError, "people.email"),
        ("INSERT INTO people (id, email) VALUES (1, 'b')", DuplicateKeyError, "people.id"),
        ("INSERT INTO people (email) VALUES (NULL)", PermanentError, "SQLITE_CONSTRAINT_NOTNULL"),
        ("SELECT * FROM groups", SchemaError, "table 'groups' is missing"),
        ("SELECT name FROM people", SchemaError, "'people.name' is missing"),
        (
            "INSERT INTO people (name) VALUES ('a-hushed-one')",
            SchemaError,
            "'people.name' is missing",
        ),
        ("SELEC 'a-hushed-one'", PermanentError, "SQLITE_ERROR"),
    ],
)
def test_sqlite_failures_are_told_alike(
    statement: str, kind: type[PipelineError], says: str
) -> None:
    error = sqlite_failure(statement)
    assert type(error) is kind
    assert says in str(error)
    assert "a-hushed-one" not in str(error)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_BUSY_SNAPSHOT", TransientError),
        ("SQLITE_LOCKED", TransientError),
        ("SQLITE_READONLY_DBMOVED", SystemicError),
        ("SQLITE_FULL", SystemicError),
        ("SQLITE_IOERR_READ", SystemicError),
    ],
)
def test_sqlite_codes_go_by_their_primary_code(name: str, kind: type[PipelineError]) -> None:
    driver = sqlite3.OperationalError("text")
    driver.sqlite_errorname = name
    error = sa.exc.DBAPIError("SELECT 1", {}, driver)
    assert isinstance(translate(error, url=sa.make_url("sqlite://"), table=None), kind)

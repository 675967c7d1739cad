"""What went wrong in the database, in the project's own words.

Every error of a driver passes through ``translate``: the kind comes from the one table in
``elite_pipeline.errors``, the message names table and column where they are known, and carries
neither a value nor a password (a driver's own message quotes values, so it is never passed on).

What does not belong here: retrying (``store``).
"""

import re
import sqlite3
from typing import cast

import sqlalchemy as sa
from pymysql.constants import CR, ER

from elite_pipeline.errors import (
    Kind,
    PermanentError,
    PipelineError,
    SystemicError,
    TransientError,
    UnreachableError,
    database_error_kind,
)

SETTING = "TOGADESK_DATABASE_URL"


class TransientDatabaseError(TransientError):
    """A deadlock, a lock wait, a lost connection: the transaction may be run again."""


class SchemaError(SystemicError):
    """A table or a column that the sync needs is not in the database."""


class ValueDoesNotFitError(PermanentError):
    """A value cannot be stored in its column without losing something."""


class TextTooLongError(ValueDoesNotFitError):
    """A text is longer than its column."""


class DuplicateKeyError(PermanentError):
    """A row with this unique value is there already, perhaps since a moment ago.

    Attributes:
        table: The table that was written to, when known.
        key: The name of the unique key or column, when known.
    """

    def __init__(self, message: str, *, table: str | None, key: str | None) -> None:
        super().__init__(message)
        self.table = table
        self.key = key


_NAMES = {
    number: name
    for numbers in (CR, ER)
    for name, number in vars(numbers).items()
    if isinstance(number, int) and name.isupper()
}

#: SQLite has names instead of numbers; extended codes start with their primary code's name.
_SQLITE_KINDS: dict[str, Kind] = {
    "SQLITE_BUSY": "transient",
    "SQLITE_LOCKED": "transient",
    "SQLITE_INTERRUPT": "transient",
    "SQLITE_AUTH": "systemic",
    "SQLITE_CANTOPEN": "systemic",
    "SQLITE_CORRUPT": "systemic",
    "SQLITE_FULL": "systemic",
    "SQLITE_IOERR": "systemic",
    "SQLITE_NOTADB": "systemic",
    "SQLITE_PERM": "systemic",
    "SQLITE_READONLY": "systemic",
    "SQLITE_SCHEMA": "systemic",
}

_MYSQL_COLUMN = re.compile(r"(?:[Cc]olumn|Field) (?:`[^`]*`\.`[^`]*`\.)?[`'](?P<name>\w+)[`']")
_MYSQL_KEY = re.compile(r"for key '(?:\w+\.)?(?P<name>[^']+)'\s*$")
_MYSQL_TABLE = re.compile(r"Table '(?P<name>[^']+)' doesn't exist")
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: \w+\.(?P<name>\w+)")
_SQLITE_MISSING = re.compile(
    r"no such (?P<what>table|column): (?P<name>\S+)|has no column named (?P<column>\S+)"
)

_REASONS = {
    1048: "does not take an empty value",
    1264: "does not hold a number of this size",
    1265: "does not hold a value of this kind",
    1292: "does not hold a date or time like this one",
    1364: "must be given a value, and the sync does not know the column",
    1366: "does not hold a character or number of this kind",
    1406: "is too short for the value",
}


_REFUSED = "{place} refused {user}: check user and password in " + SETTING
_NO_RIGHT = "{user} lacks a right{about} in {place}: grant SELECT, INSERT, UPDATE and DELETE"

#: What to do about systemic failures; the place of the others is their administrator's business.
_ADVICE = {
    1044: "{user} may not use {place}: grant it access, or correct " + SETTING,
    1045: _REFUSED,
    1049: "the server has no such database, {place}: create it, or correct " + SETTING,
    1142: _NO_RIGHT,
    1143: _NO_RIGHT,
    1698: _REFUSED,
}


def number_of(error: sa.exc.DBAPIError) -> int | None:
    """Return the MySQL or MariaDB error number, if the driver gave one."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def describe(url: sa.URL) -> str:
    """Name a database for a message: never with its password or its options."""
    if url.get_backend_name() == "sqlite":
        return f"the TOGaDesk database {url.database or ':memory:'}"
    where = f"{url.host or 'localhost'}:{url.port or 3306}"
    return f"the TOGaDesk database {url.database!r} at {where}"


def translate(error: sa.exc.DBAPIError, *, url: sa.URL, table: str | None) -> PipelineError:
    """Return the project's error for a driver's error.

    Args:
        error: What SQLAlchemy raised.
        url: Where the database is; only named without its password.
        table: The table that the statement was about, when there is one.
    """
    if isinstance(error.orig, sqlite3.Error):
        return _from_sqlite(error.orig, url, table)
    return _from_mysql(error, url, table)


def _from_mysql(error: sa.exc.DBAPIError, url: sa.URL, table: str | None) -> PipelineError:
    number = number_of(error)
    text = str(error.orig.args[1]) if error.orig and len(error.orig.args) > 1 else ""
    label = f"error {number} {_NAMES.get(number or 0, '')}".rstrip()
    if number == ER.DUP_ENTRY:
        return _duplicate(table, _MYSQL_KEY.search(text))
    # A closed connection is reported with the number 0, or with none.
    kind = "transient" if error.connection_invalidated else database_error_kind(number)
    if number in {2002, 2003, 2005}:
        advice = (
            f"its certificate is not vouched for, or is another host's: correct ssl_ca or the host in "
            f"{SETTING}."
            if "CERTIFICATE_VERIFY_FAILED" in text
            else f"check that the server runs and that host and port in {SETTING} are right."
        )
        return UnreachableError(f"Cannot reach {describe(url)} ({label}): {advice}")
    if kind == "transient" or not number:
        return TransientDatabaseError(
            f"A passing failure of {describe(url)}{_about(table)} ({label})."
        )
    if kind == "systemic":
        return _systemic_mysql(number, label, text, url, table)
    column = _MYSQL_COLUMN.search(text)
    if column and number in _REASONS:
        place = f"{table}.{column['name']}" if table else column["name"]
        return PermanentError(f"The column {place} {_REASONS[number]} ({label}).")
    return PermanentError(
        f"{_capital(describe(url))} refused a statement{_about(table)} ({label})."
    )


def _systemic_mysql(
    number: int, label: str, text: str, url: sa.URL, table: str | None
) -> SystemicError:
    place = describe(url)
    user = f"the user {url.username!r}"
    if number == ER.NO_SUCH_TABLE:
        found = _MYSQL_TABLE.search(text)
        return SchemaError(missing_table(found["name"].split(".")[-1] if found else "?", place))
    if number == ER.BAD_FIELD_ERROR:
        found = _MYSQL_COLUMN.search(text)
        return SchemaError(missing_columns(table or "?", [found["name"]] if found else [], place))
    advice = _ADVICE.get(number, "{place} cannot be used{about}: its administrator has to look")
    message = advice.format(place=place, user=user, about=_about(table))
    return SystemicError(f"{_capital(message)} ({label}).")


def _from_sqlite(error: sqlite3.Error, url: sa.URL, table: str | None) -> PipelineError:
    name = str(getattr(error, "sqlite_errorname", "") or type(error).__name__)
    text = str(error)
    place = describe(url)
    if name in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
        return _duplicate(table, _SQLITE_UNIQUE.search(text))
    primary = "_".join(name.split("_")[:2])
    kind = _SQLITE_KINDS.get(primary, "permanent")
    if missing := _SQLITE_MISSING.search(text):
        if missing["what"] == "table":
            return SchemaError(missing_table(missing["name"], place))
        return SchemaError(
            missing_columns(table or "?", [missing["column"] or missing["name"]], place)
        )
    if kind == "transient":
        return TransientDatabaseError(
            f"A passing failure of {place}{_about(table)} ({name}): another process holds it."
        )
    if kind == "systemic":
        return SystemicError(
            f"{_capital(place)} cannot be used ({name}): check that {SETTING} names a file in a "
            "folder that exists and may be written to, and that the disk is not full."
        )
    return PermanentError(f"{_capital(place)} refused a statement{_about(table)} ({name}).")


def _duplicate(table: str | None, key: re.Match[str] | None) -> DuplicateKeyError:
    name = cast("str", key["name"]) if key else None
    what = f"{table or 'a table'}.{name}" if name else f"a unique key of {table or 'a table'}"
    return DuplicateKeyError(
        f"Another row has the same value in {what}, which must be unique.", table=table, key=name
    )


def missing_table(table: str, place: str) -> str:
    """Word the message for a table that is not there."""
    return (
        f"The table {table!r} is missing in {place}: check that {SETTING} names the helpdesk's "
        "database, and that this TOGaDesk has the table (docs/assumptions.md lists what is expected)."
    )


def missing_columns(table: str, columns: list[str], place: str) -> str:
    """Word the message for columns that are not there."""
    names = ", ".join(repr(f"{table}.{column}") for column in columns) or f"a column of {table!r}"
    verb = "is" if len(columns) < 2 else "are"
    return (
        f"{names} {verb} missing in {place}: upgrade TOGaDesk, or add what is missing (names and "
        "types: elite_pipeline/togadesk/tables.py)."
    )


def _about(table: str | None) -> str:
    return f" at the table {table!r}" if table else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""The helpdesk's tables that the sync touches, declared once (``spec/systems.md`` section 3).

Nearly every column in production is ``NOT NULL`` without a default, so every column carries a
*neutral value* here, and an insert names all of them. Column types and lengths are the documented
ones; what the real server has is read by ``schema``.

What does not belong here: creating the tables (the helpdesk does that), and anything about how they
are read and written.
"""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

TEXT_BYTES = 65_535
MEDIUMTEXT_BYTES = 16_777_215

#: An asset whose purchase date is not known; what the helpdesk itself writes.
UNKNOWN_DATE = "0000-00-00"

#: No password has this hash, and it is not empty: nobody can log in until somebody sets one.
NO_LOGIN_HASH = "!"

metadata = sa.MetaData()


class LocalDateTime(TypeDecorator[datetime]):
    """A naive ``datetime`` in the helpdesk's zone, in whole seconds.

    An aware value is refused: the driver would drop its zone without a word. MySQL rounds parts of
    a second, so they are dropped here and both databases hold the same.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Store on SQLite in the text form that MySQL prints, so that text compares as time."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(19))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a zone, drop the parts of a second."""
        if value is None:
            return None
        if value.tzinfo is not None:
            raise ValueError("The helpdesk's times have no zone: convert with to_local() first.")
        whole = value.replace(microsecond=0)
        return whole.isoformat(sep=" ") if dialect.name == "sqlite" else whole

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        """Read what is no time as unknown: MySQL's driver hands over ``0000-00-00`` as text."""
        del dialect
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                return None
        return value if isinstance(value, datetime) else None


class ZeroDate(TypeDecorator[date]):
    """A date whose unknown value is ``0000-00-00`` in the database and ``None`` in Python."""

    impl = sa.Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Hold it as text on SQLite, whose date type cannot read the zero date."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(10))
        return dialect.type_descriptor(sa.Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """Write ``None`` as the zero date."""
        del dialect
        return UNKNOWN_DATE if value is None else value.isoformat()

    def process_result_value(self, value: object, dialect: Dialect) -> date | None:
        """Read the zero date as ``None``."""
        del dialect
        if isinstance(value, str):
            return None if value == UNKNOWN_DATE else date.fromisoformat(value)
        return value if isinstance(value, date) else None


def _column(
    name: str,
    kind: TypeEngine[Any],
    neutral: object,
    *,
    null: bool = False,
    max_bytes: int | None = None,
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, info={"neutral": neutral, "max_bytes": max_bytes})


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _int(name: str, neutral: int = 0) -> sa.Column[Any]:
    return _column(name, sa.Integer(), neutral)


def _varchar(
    name: str, length: int, neutral: str | None = "", *, null: bool = False
) -> sa.Column[Any]:
    # The server compares without regard to case; SQLite has to be told.
    kind = sa.String(length).with_variant(sa.String(length, collation="NOCASE"), "sqlite")
    return _column(name, kind, neutral, null=null)


def _text(name: str) -> sa.Column[Any]:
    return _column(name, sa.Text(), "", max_bytes=TEXT_BYTES)


def _mediumtext(name: str) -> sa.Column[Any]:
    kind = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    return _column(name, kind, "", max_bytes=MEDIUMTEXT_BYTES)


def _mediumblob(name: str) -> sa.Column[Any]:
    kind = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    return _column(name, kind, b"")


def _timestamp() -> sa.Column[Any]:
    return _column("timestamp", LocalDateTime(), "1970-01-01 00:00:00")


def _reference() -> sa.Column[Any]:
    return _varchar("referenceId", 64, None, null=True)


def _table(name: str, *columns: sa.Column[Any], unique: str | None = None) -> sa.Table:
    rules = [sa.UniqueConstraint(unique, name=unique)] if unique else []
    # Ids are never given twice on SQLite either.
    return sa.Table(name, metadata, _id(), *columns, *rules, sqlite_autoincrement=True)


PEOPLE = _table(
    "people",
    _varchar("type", 10, "user"),
    _int("roleid", 2),
    _int("clientid"),
    _varchar("name", 128),
    _varchar("email", 128),
    _varchar("title", 128),
    _varchar("mobile", 100),
    _varchar("password", 128, NO_LOGIN_HASH),
    _varchar("theme", 64, "skin-blue"),
    _varchar("sidebar", 64, "opened"),
    _varchar("layout", 64),
    _text("notes"),
    _text("signature"),
    _varchar("sessionid", 255),
    _varchar("resetkey", 255),
    _int("autorefresh"),
    _varchar("lang", 2, "en"),
    _int("ticketsnotification"),
    _mediumblob("avatar"),
    _reference(),
    unique="email",
)

ASSETS = _table(
    "assets",
    _int("categoryid"),
    _int("adminid"),
    _int("clientid"),
    _int("userid"),
    _int("manufacturerid"),
    _int("modelid"),
    _int("supplierid"),
    _int("statusid"),
    _column("purchase_date", ZeroDate(), UNKNOWN_DATE),
    _int("warranty_months"),
    _varchar("tag", 255),
    _varchar("name", 255),
    _varchar("serial", 255),
    _text("notes"),
    _int("locationid"),
    _varchar("purchase_order", 255),
    _varchar("value", 255),
    _varchar("condition", 255),
    _varchar("removal_date", 100),
    _reference(),
    unique="tag",
)

ASSET_CATEGORIES = _table("assetcategories", _varchar("name", 255), _varchar("color", 7, "#3c8dbc"))
MANUFACTURERS = _table("manufacturers", _varchar("name", 255))
MODELS = _table("models", _varchar("name", 255))

GROUPS = _table("groups", _int("clientid"), _varchar("name", 255), _reference())

PREDEFINED_REPLIES = _table(
    "tickets_pr", _varchar("name", 255), _text("content"), _int("clientid"), _reference()
)

CUSTOM_FIELDS = _table(
    "tickets_customfields",
    _int("clientid"),
    _varchar("name", 255),
    _varchar("type", 32),
    _mediumtext("options"),
    _reference(),
)

TICKETS = _table(
    "tickets",
    _int("ticket"),
    _int("departmentid"),
    _int("clientid"),
    _int("userid"),
    _int("adminid"),
    _int("assetid"),
    _varchar("email", 128),
    _varchar("subject", 500),
    _varchar("status", 50),
    _varchar("priority", 50),
    _timestamp(),
    _text("notes"),
    _varchar("ccs", 255),
    _int("groupid"),
    _varchar("category", 500),
    _reference(),
)

REPLIES = _table(
    "tickets_replies",
    _int("ticketid"),
    _int("peopleid"),
    _text("message"),
    _timestamp(),
    _reference(),
)

COMMENTS = _table(
    "comments",
    _int("peopleid"),
    _int("clientid"),
    _int("projectid"),
    _int("ticketid"),
    _text("comment"),
    _timestamp(),
    _reference(),
)

HISTORY = _table(
    "tickets_history",
    _int("ticketid"),
    _int("peopleid"),
    _varchar("description", 500),
    _timestamp(),
)

FILES = _table(
    "files",
    _int("clientid"),
    _int("projectid"),
    _int("assetid"),
    _int("ticketreplyid"),
    _varchar("name", 255),
    _varchar("file", 255),
    _varchar("filetype", 255),
    _int("filesize"),
)


def table(name: str) -> sa.Table:
    """Return a declared table by name; ``KeyError`` when there is none."""
    return metadata.tables[name]


def neutral(column: sa.Column[Any]) -> object:
    """Return the value that a column gets when a row does not give one."""
    return column.info["neutral"]


def max_bytes(column: sa.Column[Any]) -> int | None:
    """Return the documented limit of a TEXT or MEDIUMTEXT column, None for every other kind."""
    limit: int | None = column.info.get("max_bytes")
    return limit


def is_client_scoped(declared: sa.Table) -> bool:
    """Return whether the rows of a table belong to the one client that they name.

    A comment or a file belongs to the client of its ticket, as a reply does; what the helpdesk's own
    pages write into their ``clientid`` may be 0.
    """
    return "clientid" in declared.c and declared.name not in {"comments", "files"}

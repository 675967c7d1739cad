"""The tables, in the two shapes in which installations are found (``spec/systems.md`` section 3).

``legacy`` is MyISAM with three-byte UTF-8 and two latin1 columns, ``modern`` is InnoDB with
four-byte UTF-8. Both are ``NOT NULL`` without defaults and indexed on the primary keys and the two
unique columns alone. SQLite has one shape.

The tables that the sync touches come from the declarations that it uses; the few that it does not
touch, and that a helpdesk has, are here.
"""

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from elite_pipeline.togadesk import tables

Shape = Literal["legacy", "modern"]

#: What the application set up long ago and nobody converted.
_LATIN1 = {("tickets_pr", "name"), ("tickets_pr", "content")}

_OPTIONS: dict[Shape, dict[str, str]] = {
    "legacy": {"engine": "MyISAM", "charset": "utf8mb3", "collate": "utf8mb3_general_ci"},
    "modern": {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_unicode_ci"},
}

_metadata = sa.MetaData()

CONFIG = sa.Table(
    "config",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("value", sa.String(255), nullable=False),
)
CLIENTS = sa.Table(
    "clients",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("asset_tag_prefix", sa.String(10), nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
)
DEPARTMENTS = sa.Table(
    "tickets_departments",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("email", sa.String(128), nullable=False),
)
ROLES = sa.Table(
    "roles",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("type", sa.String(10), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("perms", sa.Text, nullable=False),
)


def create_database(engine: sa.Engine, shape: Shape, *, indexes: bool = False) -> None:
    """Create the tables that are not there yet.

    Args:
        engine: An empty database, or one that this function made.
        shape: Which kind of installation to look like; SQLite has one shape.
        indexes: Also index ``referenceId`` and the columns that join replies and comments to
            tickets, which production does not.
    """
    metadata = sa.MetaData()
    for declared in (*tables.metadata.sorted_tables, *_metadata.sorted_tables):
        _copy(declared, metadata, shape if engine.dialect.name != "sqlite" else None)
    if indexes:
        for table in metadata.sorted_tables:
            for column in ("referenceId", "ticketid"):
                if column in table.c:
                    sa.Index(f"{table.name}_{column}", table.c[column])
    metadata.create_all(engine)


def _copy(declared: sa.Table, metadata: sa.MetaData, shape: Shape | None) -> None:
    columns = [_column(column, declared.name, shape) for column in declared.c]
    uniques = [
        sa.UniqueConstraint(*(column.name for column in rule.columns), name=rule.name)
        for rule in declared.constraints
        if isinstance(rule, sa.UniqueConstraint)
    ]
    options: dict[str, Any] = {"sqlite_autoincrement": True}
    if shape is not None:
        options = {
            f"{dialect}_{option}": value
            for dialect in ("mysql", "mariadb")
            for option, value in _OPTIONS[shape].items()
        }
    sa.Table(declared.name, metadata, *columns, *uniques, **options)


def _column(column: sa.Column[Any], table: str, shape: Shape | None) -> sa.Column[Any]:
    kind = column.type
    if shape == "legacy" and (table, column.name) in _LATIN1:
        kind = (
            mysql.TEXT(charset="latin1")
            if isinstance(kind, sa.Text)
            else mysql.VARCHAR(getattr(kind, "length", None), charset="latin1")
        )
    return sa.Column(column.name, kind, primary_key=column.primary_key, nullable=column.nullable)

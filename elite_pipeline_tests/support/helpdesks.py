"""Helpdesk databases for the tests: every kind of installation, fresh for each test."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from elite_pipeline.sandbox.togadesk.database import Shape, create_database
from elite_pipeline.togadesk import TogadeskStore, connect
from elite_pipeline_tests.support.mariadb import LAX, STRICT, Server, Servers

KINDS = ("sqlite", "mariadb-legacy-strict", "mariadb-legacy-lax", "mariadb-modern-strict")

#: For ``@pytest.mark.parametrize("helpdesk", …, indirect=True)``.
ALL_PARAMS = [
    pytest.param(kind, id=kind, marks=[] if kind == "sqlite" else [pytest.mark.server])
    for kind in KINDS
]
SERVER_PARAMS = ALL_PARAMS[1:]

#: Dialect, shape and indexes -> the statements that make such a database.
_STATEMENTS: dict[tuple[str, Shape, bool], list[str]] = {}


@dataclass(frozen=True)
class Helpdesk:
    """A helpdesk's database with its tables and no rows.

    Attributes:
        kind: One of ``KINDS``.
        engine: As the pipeline makes it; its sessions set their own SQL mode.
        url: For a setting, with password.
        shape: ``legacy`` or ``modern``; SQLite counts as ``modern``.
        strict: Whether the server's own mode is strict.
        server: Where the database is, None for SQLite.
    """

    kind: str
    engine: sa.Engine
    url: str
    shape: Shape
    strict: bool
    server: Server | None

    def store(self, client_id: int = 1, **options: Any) -> TogadeskStore:
        """Make a store of one client."""
        given = {"timezone": ZoneInfo("UTC"), **options}
        return TogadeskStore(self.engine, client_id=client_id, **given)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read with plain SQL, beside the store."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def execute(self, statement: str, *values: Any) -> None:
        """Write with plain SQL, beside the store; ``:a``, ``:b``, … stand for the values."""
        names = dict(zip("abcdefghijklm", values, strict=False))
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), names)


def _open(
    kind: str, stack: ExitStack, folder: Path, servers: Servers | None, *, indexes: bool = False
) -> Helpdesk:
    """Make a fresh database of some kind; ``stack`` removes it."""
    shape: Shape = "legacy" if "legacy" in kind else "modern"
    server: Server | None = None
    if servers is None:
        url = sa.URL.create("sqlite", database=str(folder / f"togadesk-{secrets.token_hex(4)}.db"))
    else:
        server = servers.get(LAX if kind.endswith("lax") else STRICT)
        url = stack.enter_context(server.database())
    text = url.render_as_string(hide_password=False)
    engine = connect(text)
    stack.callback(engine.dispose)
    _make_tables(engine, shape, indexes=indexes)
    return Helpdesk(kind, engine, text, shape, not kind.endswith("lax"), server)


def _make_tables(engine: sa.Engine, shape: Shape, *, indexes: bool) -> None:
    """Make the tables; from the second time on without asking what the statements are."""
    key = (engine.dialect.name, shape, indexes)
    if (known := _STATEMENTS.get(key)) is not None:
        with engine.begin() as connection:
            for statement in known:
                connection.exec_driver_sql(statement)
        return
    made: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.strip().startswith("CREATE"):
            made.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    create_database(engine, shape, indexes=indexes)
    sa.event.remove(engine, "before_cursor_execute", note)
    _STATEMENTS[key] = made


class Opener(Protocol):
    """Makes a fresh helpdesk of a kind."""

    def __call__(self, kind: str, *, indexes: bool = False) -> Helpdesk:
        """Make it; ``indexes`` as in ``create_database``."""


@pytest.fixture
def open_helpdesk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Make fresh helpdesks by kind; they are gone after the test."""
    with ExitStack() as stack:

        def open_(kind: str, *, indexes: bool = False) -> Helpdesk:
            servers = None if kind == "sqlite" else request.getfixturevalue("mysql_servers")
            return _open(kind, stack, tmp_path, servers, indexes=indexes)

        yield open_


@pytest.fixture(params=ALL_PARAMS)
def helpdesk(request: pytest.FixtureRequest, open_helpdesk: Opener) -> Helpdesk:
    """Make a fresh helpdesk, once of every kind."""
    kind: str = request.param
    return open_helpdesk(kind)

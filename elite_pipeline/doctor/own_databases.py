"""The project's own databases: reachable, their tables there and up to date, and writable."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from elite_pipeline.doctor.findings import Notes
from elite_pipeline.errors import SystemicError
from elite_pipeline.inbox import tables as inbox_tables
from elite_pipeline.ledger import tables as ledger_tables
from elite_pipeline.observability import call_log_tables
from elite_pipeline.own_tables import connect, shown, what_lacks
from elite_pipeline.settings import Settings
from elite_pipeline.sqlite_files import check_writable, file_of, open_existing
from elite_pipeline.table_rights import Right, lacking_rights

#: Seconds to wait for a connection, and for an answer.
_TIMEOUT = 5
_ALL: tuple[Right, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")
_MEND = "run `elite-pipeline init-db`, which makes and completes them"


def look_at_pipeline_database(notes: Notes, settings: Settings) -> bool:
    """Look at what the pipeline keeps for itself, the inbox of webhooks included.

    Returns:
        Whether all of its tables are there.
    """
    tables = [*ledger_tables.metadata.sorted_tables, *inbox_tables.metadata.sorted_tables]
    return _look("pipeline", notes, settings.pipeline_url, "PIPELINE_DATABASE_URL", tables, _ALL)


def look_at_call_log(notes: Notes, settings: Settings) -> None:
    """Look at where calls are logged."""
    url = settings.client_logs_url
    if url is None:
        notes.note("call_log.database", "CLIENT_LOGS_DATABASE_URL is not set: calls are not logged")
        return
    tables = call_log_tables.metadata.sorted_tables
    _look("call_log", notes, url, "CLIENT_LOGS_DATABASE_URL", tables, ("INSERT",))


def _look(
    subject: str,
    notes: Notes,
    url: str,
    setting: str,
    tables: Sequence[sa.Table],
    rights: tuple[Right, ...],
) -> bool:
    check = f"{subject}.database"
    with notes.guard(check), _opened(notes, check, url, setting) as (place, connection):
        if connection is None:
            notes.not_looked_at(f"{subject}.tables", f"{place} is not there yet")
            return False
        lacking = what_lacks(connection, tables, setting)
        missing = [table for table in tables if f"the table {table.name} is missing" in lacking]
        denied = [
            f"{', '.join(refused)} on {table.name}"
            for table in tables
            if table not in missing
            and (refused := lacking_rights(connection, table.name, _a_column(table), rights))
        ]
        if connection.dialect.name == "sqlite":
            check_writable(connection)
        notes.ok(check, f"{place} answers ({setting})")
        if lacking:
            notes.wrong(f"{subject}.tables", f"{place}: {'; '.join(lacking)}: {_MEND}")
        else:
            notes.ok(f"{subject}.tables", f"{_counted(tables)} there and up to date")
        if denied:
            notes.wrong(
                f"{subject}.rights",
                f"{place}: the user {connection.engine.url.username!r} lacks {'; '.join(denied)}: "
                "grant that",
            )
        return not lacking and not denied
    return False


def _a_column(table: sa.Table) -> str:
    return next(iter(table.columns)).name


def _counted(tables: Sequence[sa.Table]) -> str:
    return f"its table {tables[0].name} is" if len(tables) == 1 else f"its {len(tables)} tables are"


@contextmanager
def _opened(
    notes: Notes, check: str, url: str, setting: str
) -> Iterator[tuple[str, sa.Connection | None]]:
    """Open a database as it is; no connection: it is a file that a run has yet to make.

    Raises:
        ConfigurationError: The address cannot be used.
        SystemicError: The database cannot be.
    """
    path = _file(url)
    if path is None:
        engine = connect(url, setting, timeout_seconds=_TIMEOUT)
        place = shown(engine)
    else:
        place = f"sqlite:///{path}"
        if not path.is_file():
            _say_missing(notes, check, path, setting)
            yield place, None
            return
        engine = open_existing(path, timeout_seconds=_TIMEOUT)
    try:
        with engine.connect() as connection:
            yield place, connection
    except sa.exc.DBAPIError as error:
        raise SystemicError(
            f"{setting}: {place} failed: {error.orig}: check the address, that the server runs, and "
            "that its user may use that database"
        ) from None
    finally:
        engine.dispose()


def _file(url: str) -> Path | None:
    try:
        return file_of(sa.make_url(url))
    except (sa.exc.ArgumentError, ValueError):
        return None


def _say_missing(notes: Notes, check: str, path: Path, setting: str) -> None:
    """Say of a file that is not there whether a run could make it."""
    folder = path.parent
    while not folder.exists():
        # the folder is made as well
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        notes.wrong(
            check,
            f"{path} ({setting}) is not there, and cannot be made: this user may not write to "
            f"{folder}; give it the right to, or name another file",
        )
        return
    notes.warning(
        check,
        f"{path} ({setting}) is not there yet: `elite-pipeline init-db` makes it, and so does the first "
        "run",
    )

"""The connection to ``PIPELINE_DATABASE_URL``, and what its failures mean.

What does not belong here: what is kept there (``tables``), and what is done with it.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from elite_pipeline import locks
from elite_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SystemicError,
    TransientError,
    database_error_kind,
)
from elite_pipeline.ledger.tables import metadata
from elite_pipeline.only_reading import only_reading

#: What the driver of a server waits for.
_TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout")


class LedgerDatabase:
    """The database of the pipeline's own tables; they are made when they are missing.

    Nothing is connected to before the first transaction.

    Args:
        url: SQLAlchemy URL.
        tables: What is made when it is missing, indexes included.
        timeout_seconds: How long to wait for a lock of SQLite's, or for a server's answer; None: half
            a minute, or for ever.

    Raises:
        ConfigurationError: It is not one; the message does not repeat it.
    """

    def __init__(
        self, url: str, *, tables: sa.MetaData = metadata, timeout_seconds: int | None = None
    ) -> None:
        self._tables = tables
        try:
            parsed = sa.make_url(url)
            options: dict[str, Any] = {"connect_args": {"timeout": timeout_seconds or 30}}
            if parsed.get_backend_name() != "sqlite":
                # else deleting what is not there locks the gap, and runs side by side end in deadlocks
                options = {"isolation_level": "READ COMMITTED"}
                if timeout_seconds is not None:
                    options["connect_args"] = dict.fromkeys(_TIMEOUTS, timeout_seconds)
            self._engine = sa.create_engine(parsed, pool_pre_ping=True, **options)
        except (sa.exc.ArgumentError, ImportError):
            # no address at all, or one of a database whose driver is not here
            raise ConfigurationError(
                "PIPELINE_DATABASE_URL: expected an SQLAlchemy URL such as "
                "sqlite:////var/lib/elite_pipeline.sqlite or mysql+pymysql://user:password@host/db."
            ) from None
        if parsed.get_backend_name() != "sqlite" and "@" in (parsed.database or ""):
            raise ConfigurationError(
                "PIPELINE_DATABASE_URL has an @ behind its host: write @, / and : in a user's name or "
                "password as %40, %2F and %3A."
            )
        self.place = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._is_ready = False

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def is_there(self) -> bool:
        """Tell whether there is a database to look into; a server's always counts as there.

        Looking into a SQLite file that does not exist would make it.
        """
        name = self._engine.url.database
        if not self.is_sqlite or not name or name == ":memory:" or name.startswith("file:"):
            return True
        return Path(name).exists()

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Run a transaction: committed at the end of the block, rolled back when that raises.

        Raises:
            TransientError: A deadlock, a lost connection: the same may work in a moment.
            SystemicError: Anything else that the database refuses.
        """
        return self._begun()

    @contextmanager
    def _begun(self) -> Iterator[sa.Connection]:
        try:
            if not self._is_ready:
                # not create_all, which looks first: several runs may start on an empty database
                with self._engine.begin() as connection:
                    there = _tables_there(connection)
                    for table in self._tables.sorted_tables:
                        if table.name not in there:
                            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
                        _make_indexes(connection, table)
                self._is_ready = True
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._translated(error) from error

    def begin_writing(self) -> AbstractContextManager[sa.Connection]:
        """Run a transaction that reads before it writes; as :meth:`begin` otherwise.

        A server locks what is read ``FOR UPDATE``; SQLite has no such thing, and would let another
        process write between the two.
        """
        return self._begun_writing()

    @contextmanager
    def _begun_writing(self) -> Iterator[sa.Connection]:
        with self.begin() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def begin_reading(self) -> Iterator[sa.Connection]:
        """Run a transaction in which nothing is written and no table is made; raises as :meth:`begin`.

        Whether there is a database, and which tables it has, is for the caller to find out.
        """
        try:
            with self._engine.begin() as connection, only_reading(connection):
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._translated(error) from error

    def lock(self, name: str, wait_seconds: float) -> AbstractContextManager[locks.StillHeld]:
        """Hold a lock of this name, against every process that uses the same database.

        It is given back by itself when the process dies. What it gives raises TransientError once it is
        known to be lost.

        Raises:
            LockHeldError: It was not free within ``wait_seconds``.
            SystemicError: The database cannot be used.
        """
        keeper = locks.Keeper(
            self._engine,
            place=f"the pipeline's own database ({self.place})",
            setting="PIPELINE_DATABASE_URL",
            translate=self._translated,
        )
        return locks.hold(keeper, name, wait_seconds, time.sleep)

    def _translated(self, error: sa.exc.DBAPIError) -> PipelineError:
        arguments = error.orig.args if error.orig is not None else ()
        number = arguments[0] if arguments and isinstance(arguments[0], int) else None
        is_passing = error.connection_invalidated or database_error_kind(number) == "transient"
        if is_passing or _is_held(error.orig):
            return TransientError(
                f"A passing failure of the pipeline's own database ({self.place}): "
                f"{number or 'another process holds it'}."
            )
        # the driver's own words, without the statement and its values
        failed = f"The pipeline's own database ({self.place}) failed: "
        advice = "Check PIPELINE_DATABASE_URL, and that its user may create tables there."
        return SystemicError(
            f"{failed}{error.orig}. {advice}",
            unquoted=f"{failed}{number or type(error.orig).__name__}. {advice}",
        )


def _is_held(error: BaseException | None) -> bool:
    """Tell whether a SQLite file was held by another process for longer than is waited."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname.startswith(
        ("SQLITE_BUSY", "SQLITE_LOCKED")
    )


#: The names of all tables, and whether a table has an index: SQLAlchemy's own inspection would read all
#: that there is to know about a table, in every process that starts.
_TABLES = {
    True: "SELECT name FROM sqlite_master WHERE type = 'table'",
    False: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
}
_INDEX = {
    True: "SELECT 1 FROM sqlite_master WHERE type = 'index' AND tbl_name = :of AND name = :name",
    False: (
        "SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() "
        "AND table_name = :of AND index_name = :name LIMIT 1"
    ),
}


def _tables_there(connection: sa.Connection) -> set[str]:
    statement = _TABLES[connection.dialect.name == "sqlite"]
    return set(connection.execute(sa.text(statement)).scalars())


def _make_indexes(connection: sa.Connection, table: sa.Table) -> None:
    """Make the indexes of a table that it lacks; somebody else may be making them too."""
    if not table.indexes:
        return
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if _has_index(connection, index):
            continue
        try:
            connection.execute(sa.schema.CreateIndex(index))
        except sa.exc.DBAPIError:
            if not _has_index(connection, index):
                raise


def _has_index(connection: sa.Connection, index: sa.Index) -> bool:
    statement = sa.text(_INDEX[connection.dialect.name == "sqlite"])
    given = {"of": str(index.table), "name": str(index.name)}
    return connection.execute(statement, given).first() is not None

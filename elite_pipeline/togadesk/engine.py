"""The connection to the helpdesk's database, with everything set that a default would get wrong.

What belongs here: URL, driver options, session settings. What does not: statements.
"""

import sqlite3
import time
from typing import Any

import pymysql
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.togadesk.failures import SETTING

#: Seconds. Reading is long: a lookup on a big table without an index is a scan.
CONNECT_TIMEOUT = 10
READ_TIMEOUT = 180
WRITE_TIMEOUT = 60
BUSY_TIMEOUT = 30
#: After so many seconds a connection that nobody used is asked whether it still lives.
IDLE_SECONDS = 1.0

#: Whatever the server's own mode is: what does not fit is an error and never cut, and a purchase
#: date may be 0000-00-00.
SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

#: More than a thousand rows of short columns take; a server sends no more than its packet size.
DOCUMENT_BYTES = 16 << 20

_EXAMPLE = "mysql+pymysql://user:password@host:3306/database or sqlite:///path/to/file.db"
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
}


def create(url: str, *, read_timeout: int | None = READ_TIMEOUT) -> sa.Engine:
    """Return an engine for the helpdesk's database; nothing is connected yet.

    Args:
        url: ``sqlite:///…``, ``mysql+pymysql://…`` or ``mariadb+pymysql://…`` (``mysql://`` and
            ``mariadb://`` mean the same).
        read_timeout: Seconds to wait for an answer of a server; None: for ever.

    Raises:
        ConfigurationError: The URL cannot be used. The message does not repeat it, as it may hold a
            password.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"{SETTING} is not a database URL; it looks like {_EXAMPLE}."
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigurationError(
            f"{SETTING} names the database driver {parsed.drivername!r}, which is not supported; "
            f"it looks like {_EXAMPLE}."
        )
    parsed = parsed.set(drivername=driver)
    return _sqlite(parsed) if driver == "sqlite" else _mysql(parsed, read_timeout)


def _mysql(url: sa.URL, read_timeout: int | None) -> sa.Engine:
    if not url.database:
        raise ConfigurationError(f"{SETTING} names no database; it looks like {_EXAMPLE}.")
    if "@" in url.database:
        # what is taken for the database is most likely the end of a password
        raise ConfigurationError(
            f"{SETTING} has an @ behind its host: write @, / and : in a user's name or password as "
            "%40, %2F and %3A."
        )
    options: dict[str, Any] = {
        "charset": "utf8mb4",
        "sql_mode": SQL_MODE,
        # the length: of a document that holds many rows (``packed``)
        "init_command": f"SET time_zone = '+00:00', group_concat_max_len = {DOCUMENT_BYTES}",
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": read_timeout,
        "write_timeout": WRITE_TIMEOUT,
    }
    engine = sa.create_engine(
        # What was set in the URL must not undo what is set here.
        url.difference_update_query(list(options)),
        connect_args=options,
        hide_parameters=True,
    )
    _check_idle_connections(engine)
    return engine


def _check_idle_connections(engine: sa.Engine) -> None:
    """Ask a connection whether it still lives, but only when it has not been used for a while.

    A transaction a batch, many a second, would else spend as long on asking as on a short read.
    """
    seen = "elite_pipeline.seen"

    def checked_in(connection: object, entry: ConnectionPoolEntry) -> None:
        del connection
        entry.info[seen] = time.monotonic()

    def checked_out(connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: object) -> None:
        del proxy
        idle = time.monotonic() - entry.info.get(seen, time.monotonic())
        if idle <= IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except pymysql.MySQLError as error:
            # the pool makes a new one
            raise sa.exc.DisconnectionError from error

    sa.event.listen(engine, "checkin", checked_in)
    sa.event.listen(engine, "checkout", checked_out)


def _sqlite(url: sa.URL) -> sa.Engine:
    in_memory = url.database in {None, "", ":memory:"}
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
        hide_parameters=True,
        # One connection is one in-memory database: all share it.
        **({"poolclass": StaticPool} if in_memory else {}),
    )

    def prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        del entry
        # The driver would begin transactions by its own rules; "begin" below does it instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    def begin(connection: sa.Connection) -> None:
        # The lock is taken at once: a transaction that has read cannot wait for it any more.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", begin)
    return engine

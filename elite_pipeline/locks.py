"""Locks by name between processes, lost by themselves when their holder dies.

On MySQL and MariaDB the server holds them for a connection; on SQLite the operating system holds a
file beside the database; for a database in memory they are locks of this process.

A server's lock is also lost with its connection while the holder lives on: when the server starts again,
or something between the two drops what looks idle. So the connection is used now and then, and whoever
holds the lock can ask whether it still does (``docs/decisions/0013``).

What does not belong here: what is locked and why (``sync``), and what a database's errors mean
(``togadesk.failures``, ``ledger.database``).
"""

import fcntl
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import pymysql
import sqlalchemy as sa

from elite_pipeline.errors import PipelineError, SystemicError, TransientError

PREFIX = "elite_pipeline."
_LONGEST = 64

#: Seconds between two attempts; a server waits by itself, but not longer than the driver does.
_POLL = 0.2
_SERVER_WAIT = 10.0

#: Seconds that a lock's idle connection may live: the server's maximum, a year.
_IDLE = 31_536_000

#: Seconds between two questions whether the lock is still held: less than what a firewall or a balancer
#: takes for idle (350 s at the least that is in use), and so often that a lost lock is noticed soon.
BEAT_SECONDS = 30.0

#: Seconds that an answer to it is waited for at the end.
_STOP_SECONDS = 10.0

#: Raises TransientError when the lock was lost.
StillHeld = Callable[[], None]

_logger = logging.getLogger(__name__)
_in_memory: WeakKeyDictionary[sa.Engine, dict[str, threading.Lock]] = WeakKeyDictionary()
_in_memory_guard = threading.Lock()


class LockHeldError(TransientError):
    """Somebody else holds the lock, and did so for as long as was waited."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """The database that keeps the locks.

    Attributes:
        engine: Its connections.
        place: What to call it, without a password.
        setting: The variable that names it.
        translate: Says what an error of its driver means.
    """

    engine: sa.Engine
    place: str
    setting: str
    translate: Callable[[sa.exc.DBAPIError], PipelineError]


def lock_name(database: str | None, name: str) -> str:
    """Return the server-wide name of a lock: its servers keep at most 64 characters."""
    full = f"{PREFIX}{database or ''}.{name}"
    if len(full) <= _LONGEST:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()
    return f"{PREFIX}{digest}"[:_LONGEST]


@contextmanager
def hold(
    keeper: Keeper, name: str, wait_seconds: float, sleep: Callable[[float], None]
) -> Iterator[StillHeld]:
    """Hold a lock for the length of a ``with`` block.

    Yields:
        What raises TransientError once the lock is known to be lost; it costs nothing to ask.

    Raises:
        LockHeldError: Somebody else held it for all of ``wait_seconds``.
    """
    engine = keeper.engine
    if engine.dialect.name != "sqlite":
        with _on_server(keeper, name, wait_seconds) as still_held:
            yield still_held
        return
    database = engine.url.database
    if database in {None, "", ":memory:"}:
        with _in_process(engine, name, wait_seconds):
            yield _held_while_alive
        return
    with _beside_file(keeper, Path(database or ""), name, wait_seconds, sleep):
        yield _held_while_alive


def _held_while_alive() -> None:
    """Nothing but the end of this process takes such a lock away."""


def _refused(name: str, wait_seconds: float) -> LockHeldError:
    return LockHeldError(
        f"The lock {name!r} is held by another run and was not free within {wait_seconds:g} s."
    )


@contextmanager
def _on_server(keeper: Keeper, name: str, wait_seconds: float) -> Iterator[StillHeld]:
    full = lock_name(keeper.engine.url.database, name)
    with _connect(keeper) as connection:
        try:
            connection.execute(sa.text(f"SET SESSION wait_timeout = {_IDLE}"))
            obtained = _ask(connection, full, wait_seconds)
        except sa.exc.DBAPIError as error:
            raise keeper.translate(error) from None
        if not obtained:
            connection.invalidate()
            raise _refused(name, wait_seconds)
        heart = _Heart(connection, name, full, keeper.place)
        try:
            yield heart.still_held
        finally:
            if heart.stop():
                _release(connection, full, keeper.place)
            else:
                connection.invalidate()


class _Heart:
    """Uses the connection that holds a lock: nobody takes it for idle then, and a loss is noticed.

    Nobody else may use the connection until it has stopped.
    """

    def __init__(self, connection: sa.Connection, name: str, full: str, place: str) -> None:
        self._connection = connection
        self._name, self._full, self._place = name, full, place
        self._is_lost = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lock {name}", daemon=True)
        self._thread.start()

    def still_held(self) -> None:
        """Raise TransientError when the lock was lost."""
        if self._is_lost:
            raise TransientError(
                f"The lock {self._name!r} was lost: the connection to {self._place} that held it was "
                "cut. Another run may have begun, so this one stops; what it has done is done, and the "
                "next run goes on from there."
            )

    def stop(self) -> bool:
        """Stop, and return whether the connection can be used again."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)
        return not self._thread.is_alive()

    def _beat(self) -> None:
        question = sa.text("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()")
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                is_held = self._connection.execute(question, {"name": self._full}).scalar() == 1
            except (sa.exc.SQLAlchemyError, pymysql.MySQLError, OSError):
                is_held = False
            if not is_held:
                self._is_lost = True
                _logger.warning("The lock %s in %s was lost.", self._full, self._place)
                return


def _connect(keeper: Keeper) -> sa.Connection:
    engine = keeper.engine
    try:
        try:
            return _autocommitting(engine)
        except pymysql.MySQLError:
            # raw, as it comes from setting the mode: a connection that had just died in the pool
            engine.dispose()
            return _autocommitting(engine)
    except sa.exc.DBAPIError as error:
        raise keeper.translate(error) from None
    except pymysql.MySQLError:
        raise TransientError(f"The connection to {keeper.place} was lost.") from None


def _autocommitting(engine: sa.Engine) -> sa.Connection:
    connection = engine.connect()
    try:
        return connection.execution_options(isolation_level="AUTOCOMMIT")
    except BaseException:
        connection.invalidate()
        raise


def _ask(connection: sa.Connection, full: str, wait_seconds: float) -> bool:
    left = wait_seconds
    while True:
        slice_ = max(min(left, _SERVER_WAIT), 0)
        answer = connection.execute(
            sa.text("SELECT GET_LOCK(:name, :wait)"), {"name": full, "wait": slice_}
        ).scalar()
        left -= slice_
        if answer == 1:
            return True
        if left <= 0:
            return False


def _release(connection: sa.Connection, full: str, place: str) -> None:
    """Give the lock back, and the connection up: it was set to stay idle for long."""
    try:
        connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": full})
    except sa.exc.SQLAlchemyError:
        _logger.warning("The connection that held the lock %s in %s was lost.", full, place)
    connection.invalidate()


@contextmanager
def _beside_file(
    keeper: Keeper, database: Path, name: str, wait_seconds: float, sleep: Callable[[float], None]
) -> Iterator[None]:
    slug = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    path = database.with_name(f"{database.name}.{slug}.{digest}.lock")
    # The file stays: one that is deleted while somebody waits for it locks nobody out.
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SystemicError(
            f"{keeper.place[:1].upper()}{keeper.place[1:]} cannot be used: {error.strerror} "
            f"({path.parent}). Check {keeper.setting}, and that its folder exists and can be written to."
        ) from None
    try:
        waited = 0.0
        while not _try_file(descriptor):
            if waited >= wait_seconds:
                raise _refused(name, wait_seconds)
            pause = min(_POLL, wait_seconds - waited)
            sleep(pause)
            waited += pause
        yield
    finally:
        os.close(descriptor)


def _try_file(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _in_process(engine: sa.Engine, name: str, wait_seconds: float) -> Iterator[None]:
    with _in_memory_guard:
        lock = _in_memory.setdefault(engine, {}).setdefault(name, threading.Lock())
    if not lock.acquire(timeout=max(wait_seconds, 0)):
        raise _refused(name, wait_seconds)
    try:
        yield
    finally:
        lock.release()

"""The SQLite file behind a sandbox, and connections that threads can share it by.

The file is in WAL mode: one process may fill it while another serves it. Which tables it has is the
matter of the sandbox that it is of.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BUSY_SECONDS: Final = 30.0


class Database:
    """One SQLite file and a connection to it per thread.

    Without a path the file is a temporary one, gone with :meth:`close`; it is not an in-memory
    database, because those make readers wait for writers.

    Args:
        path: Where the file is, or ``None`` for a temporary one.
        name: What a temporary one is called.
        tables: The statements that make its tables, where they are missing.
    """

    def __init__(self, path: Path | None, *, name: str, tables: str) -> None:
        self._folder = None if path else tempfile.TemporaryDirectory(prefix=f"{name}-sandbox-")
        self.path = path or Path(self._folder.name if self._folder else "") / f"{name}.sqlite"
        self._durable = path is not None
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._list_lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.connection().executescript(tables)

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection (autocommit; see :meth:`writing` for transactions)."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if self._durable else 'OFF'}")
            connection.execute("PRAGMA cache_size = -65536")
            # a load touches the same index pages again and again: copying them back to the file less
            # often (every 80 MB) quarters what is written
            connection.execute("PRAGMA wal_autocheckpoint = 20000")
            connection.execute("PRAGMA temp_store = MEMORY")
            self._local.connection = connection
            with self._list_lock:
                self._opened.append(connection)
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file's write lock for one transaction: committed at the end, or rolled back."""
        connection = self.connection()
        with self._write_lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection; a temporary file is removed."""
        with self._list_lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()
        if self._folder is not None:
            self._folder.cleanup()

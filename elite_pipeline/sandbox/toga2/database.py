"""The SQLite file behind the sandbox: its tables, and connections that threads can share a file by.

Built for a million records and for speed. A record's own fields are one JSON text (``own``), written
once and handed out as it is; what a list is filtered or ordered by lies beside it in columns:

* ``records`` has one row per record; its references to others are a JSON fragment of their own
  (``refs``: ``"contact":{"uuid":"…"},"unit":null``), so that a page at ``depth=1`` is an index range
  read and string joining, and a deeper one needs to parse the references only;
* ``lookups`` answers equality filters on custom fields, references and the fields marked ``indexed``;
* ``contents`` holds the bytes of files.

The file is in WAL mode: one process may fill it while another serves it.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS scopes (
    id INTEGER PRIMARY KEY, client TEXT NOT NULL, route TEXT NOT NULL, UNIQUE (client, route)
);
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, uuid TEXT NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL, parent TEXT, raw INTEGER NOT NULL DEFAULT 0, own TEXT NOT NULL,
    refs TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS records_uuid ON records (scope, uuid);
CREATE INDEX IF NOT EXISTS records_updated ON records (scope, updated, uuid);
CREATE INDEX IF NOT EXISTS records_parent ON records (scope, parent, created, uuid)
    WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS lookups (
    scope INTEGER NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (scope, field, value, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (record INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
"""

_BUSY_SECONDS: Final = 30.0


class Database:
    """One SQLite file and a connection to it per thread.

    Without a path the file is a temporary one, gone with :meth:`close`; it is not an in-memory
    database, because those make readers wait for writers.
    """

    def __init__(self, path: Path | None) -> None:
        self._folder = None if path else tempfile.TemporaryDirectory(prefix="toga2-sandbox-")
        self.path = path or Path(self._folder.name if self._folder else "") / "toga2.sqlite"
        self._durable = path is not None
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._list_lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.connection().executescript(_TABLES)

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

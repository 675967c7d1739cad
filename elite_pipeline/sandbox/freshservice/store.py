"""The records of a sandbox's Freshservice, in SQLite.

What belongs here: rows in and out. What a record means is ``account``'s, how it is spelled ``shapes``'.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from elite_pipeline.sandbox.serving.database import Database

Kind = Literal["ticket", "conversation", "attachment", "requester", "agent", "group", "categories"]

#: A record's own fields.
Document = dict[str, Any]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS records (
    account TEXT NOT NULL, kind TEXT NOT NULL, id INTEGER NOT NULL, parent INTEGER,
    created REAL NOT NULL, updated REAL NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (account, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_parent ON records (account, kind, parent, id)
    WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_updated ON records (account, kind, updated);
CREATE TABLE IF NOT EXISTS contents (
    account TEXT NOT NULL, id INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (account, id)
);
CREATE TABLE IF NOT EXISTS counters (
    account TEXT NOT NULL, kind TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (account, kind)
);
"""

#: Where ids begin, and how far apart they are. All but those of tickets lie above 2**31.
_FIRST_IDS: Final[dict[Kind, tuple[int, int]]] = {
    "ticket": (1, 1),
    "agent": (14_900_000_001, 7),
    "requester": (14_500_000_001, 7),
    "group": (15_900_000_001, 7),
    "conversation": (170_000_000_001, 3),
    "attachment": (180_000_000_001, 3),
    "categories": (1, 1),
}
_COLUMNS: Final = "id, parent, created, updated, document"


class Record(NamedTuple):
    """A record.

    Attributes:
        id: Its number, unique among its kind and account.
        parent: What it belongs to: the ticket of a conversation, the owner of an attachment.
        created: When it was made, in seconds since 1970 (UTC).
        updated: When it was last changed, likewise.
        document: Its own fields.
    """

    id: int
    parent: int | None
    created: float
    updated: float
    document: Document


class Store:
    """Holds the records of all accounts; safe to use from any thread.

    Args:
        path: The SQLite file, or ``None`` for a temporary one.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._database = Database(path, name="freshservice", tables=_TABLES)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._database.path

    def close(self) -> None:
        """Close the file; a temporary one is removed."""
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Hold the write lock for one transaction."""
        with self._database.writing() as connection:
            yield Writer(connection)

    def get(self, account: str, kind: Kind, record: int) -> Record | None:
        """Return one record."""
        found = self._select(
            f"SELECT {_COLUMNS} FROM records WHERE account = ? AND kind = ? AND id = ?",
            (account, kind, record),
        )
        return found[0] if found else None

    def children(self, account: str, kind: Kind, parent: int) -> list[Record]:
        """Return the records of a kind that belong to another, by id."""
        return self._select(
            f"SELECT {_COLUMNS} FROM records"
            " WHERE account = ? AND kind = ? AND parent = ? ORDER BY id",
            (account, kind, parent),
        )

    def all(self, account: str, kind: Kind, *, since: float | None = None) -> list[Record]:
        """Return the records of a kind, by id; only those updated at or after a time, if one is given."""
        return self._select(
            f"SELECT {_COLUMNS} FROM records"
            " WHERE account = ? AND kind = ? AND updated >= ? ORDER BY id",
            (account, kind, float("-inf") if since is None else since),
        )

    def youngest_tickets(self, account: str, count: int, *, but_of_status: int) -> list[int]:
        """Return the highest ids of tickets that are not gone and not of a status, in order."""
        rows = self._database.connection().execute(
            "SELECT id FROM records WHERE account = ? AND kind = 'ticket'"
            " AND NOT json_extract(document, '$.deleted') AND NOT json_extract(document, '$.spam')"
            " AND json_extract(document, '$.status') <> ? ORDER BY id DESC LIMIT ?",
            (account, but_of_status, count),
        )
        return [number for (number,) in rows][::-1]

    def ids(self, account: str, kind: Kind) -> list[int]:
        """Return the ids of the records of a kind, in order."""
        statement = "SELECT id FROM records WHERE account = ? AND kind = ? ORDER BY id"
        rows = self._database.connection().execute(statement, (account, kind))
        return [number for (number,) in rows]

    def content(self, account: str, attachment: int) -> bytes:
        """Return the bytes of an attachment.

        Raises:
            KeyError: There is no such attachment.
        """
        row = (
            self._database.connection()
            .execute(
                "SELECT bytes FROM contents WHERE account = ? AND id = ?", (account, attachment)
            )
            .fetchone()
        )
        if row is None:
            raise KeyError(attachment)
        return bytes(row[0])

    def _select(self, statement: str, values: tuple[Any, ...]) -> list[Record]:
        rows = self._database.connection().execute(statement, values)
        return [
            Record(number, parent, created, updated, json.loads(document))
            for number, parent, created, updated, document in rows
        ]


class Writer:
    """Writes records within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def next_id(self, account: str, kind: Kind) -> int:
        """Return a number that no record of the kind has had."""
        first, step = _FIRST_IDS[kind]
        row = self._connection.execute(
            "INSERT INTO counters (account, kind, last) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last = last + ? RETURNING last",
            (account, kind, first, step),
        ).fetchone()
        return int(row[0])

    def put(self, account: str, kind: Kind, record: Record) -> None:
        """Write a record, new or in the place of the one that has its id."""
        self._connection.execute(
            "INSERT OR REPLACE INTO records (account, kind, id, parent, created, updated, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (account, kind, *record[:4], json.dumps(record.document)),
        )

    def put_content(self, account: str, attachment: int, content: bytes) -> None:
        """Write the bytes of an attachment."""
        self._connection.execute(
            "INSERT OR REPLACE INTO contents (account, id, bytes) VALUES (?, ?, ?)",
            (account, attachment, content),
        )

    def remove(self, account: str, kind: Kind, record: int) -> None:
        """Take a record away for good."""
        self._connection.execute(
            "DELETE FROM records WHERE account = ? AND kind = ? AND id = ?", (account, kind, record)
        )

    def clear(self, account: str) -> None:
        """Take everything of an account away."""
        for table in ("records", "contents", "counters"):
            self._connection.execute(f"DELETE FROM {table} WHERE account = ?", (account,))

"""Both sides in the order of their own keys, in a temporary file: memory does not grow with them.

Of the helpdesk: every row with what it says it stands for, where it hangs and what its ids lead to. Of
TOGA 2: every record with what it hangs on. Nothing in here is found by the lookups that the sync uses.

What does not belong here: texts (the engine compares them), what a difference means (``judging``).
"""

import json
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from elite_pipeline.iteration import chunked
from elite_pipeline.sync.verify.findings import Finding, Reason
from elite_pipeline.togadesk import Row
from elite_pipeline.togadesk.reference_index import key

__all__ = [
    "COMMENTS", "REPLIES", "MessageHere", "Place", "Sides", "SoleMessage", "TicketHere", "key",
]  # fmt: skip

_CHUNK = 500
#: What the file may keep in memory, in kibibytes.
_CACHE_KIB = 8_192
#: Pages of the file: what is put in order is written in larger pieces.
_PAGE_BYTES = 32_768
_TAG = re.compile(r"note-[0-9a-z]{1,12}-", re.IGNORECASE)

#: Where a message stands.
Place = Literal["tickets_replies", "comments"]
REPLIES: Place = "tickets_replies"
COMMENTS: Place = "comments"

_SCHEMA = """
CREATE TABLE tickets_here (
    id INTEGER PRIMARY KEY, reference TEXT, department INTEGER, time TEXT,
    contact TEXT, unit TEXT, team TEXT, subject TEXT, status TEXT, priority TEXT, userid INTEGER,
    email TEXT, groupid INTEGER, category TEXT, assetid INTEGER);
CREATE TABLE messages_here (
    place TEXT, id INTEGER, reference TEXT, ticket INTEGER, person INTEGER, time TEXT, digest TEXT,
    PRIMARY KEY (place, id)) WITHOUT ROWID;
CREATE TABLE files_here (
    id INTEGER PRIMARY KEY, reply INTEGER, tag TEXT, name TEXT, file TEXT, type TEXT, size INTEGER);
CREATE TABLE records_here (kind TEXT, id INTEGER, reference TEXT);
CREATE TABLE tickets_there (uuid TEXT, own TEXT, updated REAL);
CREATE TABLE notes_there (uuid TEXT, ticket TEXT, own TEXT, external INTEGER);
CREATE TABLE records_there (kind TEXT, uuid TEXT);
CREATE TABLE due_here (ticket INTEGER PRIMARY KEY);
CREATE TABLE due_there (ticket TEXT PRIMARY KEY);
CREATE TABLE late_records (kind TEXT, uuid TEXT, PRIMARY KEY (kind, uuid)) WITHOUT ROWID;
CREATE TABLE findings (ticket TEXT, flow TEXT, reason TEXT, finding TEXT);
CREATE TABLE suspects (ticket TEXT PRIMARY KEY);
"""
_HERE_INDEXES = """
CREATE INDEX IF NOT EXISTS tickets_by_reference ON tickets_here (reference);
CREATE INDEX IF NOT EXISTS messages_by_reference ON messages_here (reference);
CREATE INDEX IF NOT EXISTS messages_by_ticket ON messages_here (ticket);
CREATE INDEX IF NOT EXISTS files_by_reply ON files_here (reply);
CREATE INDEX IF NOT EXISTS files_by_tag ON files_here (tag);
"""
_THERE_INDEXES = """
CREATE INDEX IF NOT EXISTS tickets_by_uuid ON tickets_there (uuid);
CREATE INDEX IF NOT EXISTS tickets_by_own ON tickets_there (own) WHERE own IS NOT NULL;
CREATE INDEX IF NOT EXISTS notes_by_uuid ON notes_there (uuid);
CREATE INDEX IF NOT EXISTS notes_by_own ON notes_there (own) WHERE own IS NOT NULL;
"""


class TicketHere(NamedTuple):
    """A ticket of the helpdesk.

    Attributes:
        time: As the helpdesk writes it, in text; None: it is no time.
        contact, unit, team: What the records that it names are called in TOGA 2; None: nothing, or it
            names none.
    """

    id: int
    reference: str | None
    department: int
    time: str | None
    contact: str | None
    unit: str | None
    team: str | None
    subject: str
    status: str
    priority: str
    userid: int
    email: str
    groupid: int
    category: str
    assetid: int

    @property
    def as_read(self) -> Row:
        """The row as a transaction would read it."""
        return Row(self._asdict(), referenceId=self.reference, departmentid=self.department)


class MessageHere(NamedTuple):
    """A reply or a comment of the helpdesk; ``place`` is its table, ``digest`` that of its text."""

    place: Place
    id: int
    reference: str | None
    ticket: int
    person: int
    time: str | None
    digest: str

    @property
    def row(self) -> str:
        """Table and id."""
        return f"{self.place} {self.id}"


#: Reference, place, ticket, person, digest, time and id of a message.
SoleMessage = tuple[str, str, int, int, str, str | None, int]


class Sides:
    """What both sides have. Use as a context; for one thread.

    Args:
        flows: Whose findings are kept; those of others are only looked at on the way.
    """

    def __init__(self, flows: Collection[str]) -> None:
        self._flows = frozenset(flows)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="elite_pipeline_")
        path = Path(self._folder.name) / "sides.sqlite"
        self._file = sqlite3.connect(path, isolation_level=None)
        # before anything is in it
        self._file.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        # nobody else opens it: no lock need be taken for every statement
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._file.executescript(_SCHEMA)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._folder.cleanup()

    # Filling: the helpdesk

    def put_tickets(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put tickets of the helpdesk, as they are walked, in place of what was known of them."""
        self._put(
            f"INSERT OR REPLACE INTO tickets_here VALUES (?{', ?' * 14})",
            [
                (id_, _named(reference), department, time, *map(_named, named), *rest)
                for id_, reference, department, time, *others in rows
                for named, rest in ((others[:3], others[3:]),)
            ],
        )

    def put_messages(self, place: Place, rows: Iterable[Sequence[Any]]) -> None:
        """Put replies or comments, as they are walked."""
        self._put(
            "INSERT OR REPLACE INTO messages_here VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(place, id_, _named(reference), *rest) for id_, reference, *rest in rows],
        )

    def put_files(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put files, as they are walked."""
        self._put(
            "INSERT OR REPLACE INTO files_here VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(id_, reply, _tag_of(reply, name), name, *rest) for id_, reply, name, *rest in rows],
        )

    def put_records_here(self, kind: str, rows: Iterable[tuple[int, str]]) -> None:
        """Put rows of reference data: id and reference."""
        self._put(
            "INSERT INTO records_here VALUES (?, ?, ?)",
            [(kind, id_, named) for id_, reference in rows if (named := _named(reference))],
        )

    def drop_here(self, table: str, ids: Collection[int], place: str | None = None) -> None:
        """Forget rows of the helpdesk that are gone, or are about to be put again."""
        where = "id = ?" if place is None else f"place = '{place}' AND id = ?"
        self._put(f"DELETE FROM {table} WHERE {where}", [(id_,) for id_ in ids])

    def index_here(self) -> None:
        """Sort what was put, once it is all there."""
        self._file.executescript(_HERE_INDEXES)

    # Filling: TOGA 2

    def put_tickets_there(self, rows: Iterable[tuple[str, str | None, float | None]]) -> None:
        """Put tickets of TOGA 2: uuid, own key, and when it was updated, in seconds of the epoch."""
        self._put(
            "INSERT INTO tickets_there VALUES (?, ?, ?)",
            [(key(uuid), own, updated) for uuid, own, updated in rows],
        )

    def put_notes_there(self, rows: Sequence[tuple[str, str, str | None, bool]]) -> None:
        """Put notes of TOGA 2: the keys of note and ticket, own key, whether it is external."""
        self._put("INSERT INTO notes_there VALUES (?, ?, ?, ?)", rows)

    def put_records_there(self, kind: str, uuids: Iterable[str]) -> None:
        """Put records of reference data."""
        self._put("INSERT INTO records_there VALUES (?, ?)", [(kind, key(uuid)) for uuid in uuids])

    def index_there(self) -> None:
        """Sort what was put, once it is all there."""
        self._file.executescript(_THERE_INDEXES)

    def index_records(self) -> None:
        """Sort reference data."""
        self._file.executescript(
            "CREATE INDEX IF NOT EXISTS records_here_by ON records_here (kind, reference);"
            "CREATE INDEX IF NOT EXISTS records_there_by ON records_there (kind, uuid);"
        )

    # Due

    def put_due_here(self, tickets: Iterable[int]) -> None:
        """Note tickets of the helpdesk that the next run of the way out looks at."""
        self._put("INSERT OR IGNORE INTO due_here VALUES (?)", [(id_,) for id_ in tickets])

    def put_due_there(self, uuids: Iterable[str]) -> None:
        """Note tickets of TOGA 2 that the next run of the way in writes."""
        self._put("INSERT OR IGNORE INTO due_there VALUES (?)", [(key(uuid),) for uuid in uuids])

    def put_late(self, kind: str, uuids: Iterable[str]) -> None:
        """Note records of reference data of which the helpdesk does not have the latest yet."""
        self._put(
            "INSERT OR IGNORE INTO late_records VALUES (?, ?)", [(kind, key(one)) for one in uuids]
        )

    def due_there(self, uuids: Collection[str]) -> set[str]:
        """Return which of some tickets of TOGA 2 are due; their keys."""
        return self._among("SELECT ticket FROM due_there WHERE ticket IN ({})", map(key, uuids))

    def due_here(self, ids: Collection[int]) -> set[int]:
        """Return which of some tickets of the helpdesk are due."""
        return self._among("SELECT ticket FROM due_here WHERE ticket IN ({})", ids)

    def late(self, kind: str, uuids: Collection[str]) -> set[str]:
        """Return which of some records are late; their keys."""
        return self._among(
            f"SELECT uuid FROM late_records WHERE kind = '{kind}' AND uuid IN ({{}})",
            map(key, uuids),
        )

    # Asking

    def listed(self, uuids: Collection[str]) -> set[str]:
        """Return which of some tickets TOGA 2 has listed; their keys."""
        return self._among("SELECT uuid FROM tickets_there WHERE uuid IN ({})", map(key, uuids))

    def updated_there(self, uuid: str) -> float | None:
        """Return when a ticket of TOGA 2 was updated, as the list said it first; None: it did not."""
        query = "SELECT updated FROM tickets_there WHERE uuid = ? ORDER BY rowid LIMIT 1"
        return next((row[0] for row in self.query(query, key(uuid))), None)

    def tickets_here(self, references: Collection[str]) -> dict[str, list[TicketHere]]:
        """Return the tickets that carry references, by their keys, each list by id."""
        found: dict[str, list[TicketHere]] = {}
        query = "SELECT * FROM tickets_here WHERE reference IN ({}) ORDER BY id"
        for row in self._rows(query, map(key, references)):
            found.setdefault(row[1], []).append(TicketHere._make(row))
        return found

    def tickets_by_id(self, ids: Collection[int]) -> dict[int, TicketHere]:
        """Return tickets by id."""
        query = "SELECT * FROM tickets_here WHERE id IN ({})"
        return {row[0]: TicketHere(*row) for row in self._rows(query, ids)}

    def messages_here(self, references: Collection[str]) -> dict[str, list[MessageHere]]:
        """Return the messages that carry references, by their keys, each list by place and id."""
        found: dict[str, list[MessageHere]] = {}
        query = "SELECT * FROM messages_here WHERE reference IN ({}) ORDER BY place, id"
        for row in self._rows(query, map(key, references)):
            found.setdefault(row[2], []).append(MessageHere._make(row))
        return found

    def sole_messages(self, keys: Sequence[str]) -> dict[str, SoleMessage]:
        """Return the messages that alone carry a reference, by their keys; as few values as compare."""
        query = (
            "SELECT reference, place, ticket, person, digest, time, id FROM messages_here "
            "WHERE reference IN ({})"
        )
        rows = list(self._rows(query, keys))
        found = {row[0]: row for row in rows}
        if len(found) < len(rows):
            times = Counter(row[0] for row in rows)
            found = {reference: row for reference, row in found.items() if times[reference] == 1}
        return found

    def messages_by_id(self, place: Place, ids: Collection[int]) -> dict[int, MessageHere]:
        """Return messages of a table by id."""
        query = f"SELECT * FROM messages_here WHERE place = '{place}' AND id IN ({{}})"
        return {row[1]: MessageHere(*row) for row in self._rows(query, ids)}

    def rows_of(self, kind: str, uuids: Collection[str]) -> dict[str, list[int]]:
        """Return the ids of the rows that say that they are records of a kind, by the records' keys."""
        found: dict[str, list[int]] = {}
        query = (
            f"SELECT reference, id FROM records_here WHERE kind = '{kind}' "
            "AND reference IN ({}) ORDER BY id"
        )
        for reference, id_ in self._rows(query, map(key, uuids)):
            found.setdefault(reference, []).append(id_)
        return found

    def is_mirrored(self, kind: str, uuid: str) -> bool:
        """Tell whether the helpdesk has a row for a record of reference data, by its key."""
        query = "SELECT count(*) FROM records_here WHERE kind = ? AND reference = ?"
        return self.one(query, kind, uuid) > 0

    def replies_with_files(self, replies: Iterable[int]) -> set[int]:
        """Return which of some replies have files."""
        return self._among("SELECT reply FROM files_here WHERE reply IN ({})", replies)

    def has_files_of_comments(self) -> bool:
        """Tell whether any file is kept for an internal note."""
        # the index answers it
        return self.one("SELECT EXISTS (SELECT 1 FROM files_here WHERE tag IS NOT NULL)") > 0

    def files_of_replies(self, replies: Collection[int]) -> dict[int, list[Row]]:
        """Return rows of ``files`` by their reply."""
        found: dict[int, list[Row]] = {}
        query = "SELECT * FROM files_here WHERE reply IN ({}) ORDER BY id"
        for row in self._rows(query, replies):
            found.setdefault(row[1], []).append(_file(row))
        return found

    def files_of_tags(self, tags: Collection[str]) -> dict[str, list[Row]]:
        """Return rows of ``files`` by the tag of their internal note, which their names lack then."""
        found: dict[str, list[Row]] = {}
        query = "SELECT * FROM files_here WHERE tag IN ({}) ORDER BY id"
        for row in self._rows(query, tags):
            file = _file(row)
            file["name"] = file["name"][len(row[2]) :]
            found.setdefault(row[2], []).append(file)
        return found

    def query(self, text: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a question; few of them in memory at a time."""
        # a cursor of its own: others ask meanwhile
        yield from self._file.cursor().execute(text, values)

    def one(self, text: str, *values: object) -> int:
        """Return the one number that a question has for an answer."""
        return int(self._file.execute(text, values).fetchone()[0] or 0)

    # Findings

    def add(self, findings: Iterable[Finding], ticket: str = "") -> None:
        """Keep findings, of a ticket of TOGA 2 or of none."""
        self._put(
            "INSERT INTO findings VALUES (?, ?, ?, ?)",
            [
                (ticket, one.flow, one.reason, json.dumps(one.document(), ensure_ascii=True))
                for one in findings
                if one.flow in self._flows
            ],
        )

    def suspect(self, ticket: str) -> None:
        """Note a ticket of which something is to be looked at again."""
        self._put("INSERT OR IGNORE INTO suspects VALUES (?)", [(ticket,)])

    def forget(self, tickets: Collection[str]) -> None:
        """Forget the findings of tickets: they are judged anew."""
        self._put("DELETE FROM findings WHERE ticket = ?", [(ticket,) for ticket in tickets])

    def suspects(self, most: int) -> list[str]:
        """Return the tickets that are to be looked at again."""
        rows = self._file.execute("SELECT ticket FROM suspects ORDER BY ticket LIMIT ?", (most,))
        return [row[0] for row in rows]

    def findings(
        self, *, flow: str | None = None, reason: Reason | None = None, most: int = -1
    ) -> Iterator[Finding]:
        """Yield findings in the order in which they were made."""
        query = (
            "SELECT finding FROM findings WHERE (?1 IS NULL OR flow = ?1) "
            "AND (?2 IS NULL OR reason = ?2) ORDER BY rowid LIMIT ?3"
        )
        for (text,) in self.query(query, flow, reason, most):
            yield Finding.from_document(json.loads(text))

    def reasons(self) -> dict[str, dict[Reason, int]]:
        """Return flow -> reason -> how many."""
        found: dict[str, dict[Reason, int]] = {}
        query = "SELECT flow, reason, count(*) FROM findings GROUP BY flow, reason"
        for flow, reason, count in self._file.execute(query):
            found.setdefault(flow, {})[Reason(reason)] = count
        return found

    # How

    def _put(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        self._file.execute("BEGIN")
        self._file.executemany(statement, rows)
        self._file.execute("COMMIT")

    def _rows(self, query: str, values: Iterable[object]) -> Iterator[tuple[Any, ...]]:
        for some in chunked(dict.fromkeys(values), _CHUNK):
            yield from self._file.execute(query.format(", ".join("?" * len(some))), some)

    def _among(self, query: str, values: Iterable[object]) -> set[Any]:
        return {row[0] for row in self._rows(query, values)}


def _named(reference: str | None) -> str | None:
    """Return a reference in the form in which two are compared; an empty one is none."""
    return key(reference) or None if reference else None


def _tag_of(reply: int, name: str) -> str | None:
    """Return the tag of the internal note that a file is kept for."""
    found = _TAG.match(name) if not reply else None
    return found[0].lower() if found is not None else None


def _file(row: Sequence[Any]) -> Row:
    id_, reply, _, name, file, kind, size = row
    return Row(id=id_, ticketreplyid=reply, name=name, file=file, filetype=kind, filesize=size)

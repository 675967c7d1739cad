"""TOGaDesk's own application, as far as it writes tickets (``spec/systems.md`` section 3).

A ticket is a row, and its description the first reply; a reply moves the ticket's status and leaves
its ``timestamp`` alone; times are naive, in the zone of ``config.timezone``; a file of the web form
is called by the name that it has on the disk, prefix included; ``referenceId`` is NULL. What a column
does not hold is cut off without a word, as on a server that is not strict.

What does not belong here: who types what (``typing_people``).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.togadesk import TextLimits, TogadeskStore, tables

_KINDS = {".png": "image/png", ".txt": "text/plain", ".pdf": "application/pdf"}

#: The highest code point that a charset holds, roughly; what is beyond ends a text.
_HIGHEST = {"utf8mb4": 0x10FFFF, "utf8mb3": 0xFFFF, "latin1": 0xFF, "ascii": 0x7F}


class Application:
    """What the pages of the helpdesk do when somebody sends a form.

    Args:
        engine: The helpdesk's database, from ``togadesk.connect``.
        client_id: The helpdesk's id of the client.
        timezone: ``config.timezone``.
        uploads: The uploads folder; needed for files alone.
        clock: Tells the time (aware).
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        client_id: int,
        timezone: ZoneInfo,
        uploads: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.client_id = client_id
        self._engine = engine
        self._uploads = uploads
        self._clock = clock
        self._store = TogadeskStore(engine, client_id=client_id, timezone=timezone)

    def open_ticket(self, row: Mapping[str, object], description: str) -> tuple[int, int]:
        """Make a ticket; return its id and that of the reply that is its description.

        Args:
            row: Its columns, but for client, status and time.
            description: HTML.
        """
        now = self._now()
        own = {"clientid": self.client_id, "status": "Open", "timestamp": now}
        ticket = self._insert("tickets", {**row, **own})
        return ticket, self._insert_reply(ticket, row["userid"], description, now)

    def reply(self, ticket: int, author: int, message: str, *, status: str | None) -> int:
        """Add a reply, set the ticket's status if one is given, and return the reply's id."""
        reply = self._insert_reply(ticket, author, message, self._now())
        if status is not None:
            self.set_status(ticket, status)
        return reply

    def comment(self, ticket: int, author: int, comment: str) -> int:
        """Add a comment; return its id."""
        row = {"peopleid": author, "ticketid": ticket, "comment": comment}
        own = {"clientid": self.client_id, "timestamp": self._now()}
        return self._insert("comments", {**row, **own})

    def set_status(self, ticket: int, status: str) -> None:
        """Change a ticket's status, and nothing else of it."""
        self._update("tickets", ticket, {"status": status})

    def upload(self, reply: int, name: str, content: bytes) -> int:
        """Take a file of the web form; return the id of its row.

        Args:
            reply: ``tickets_replies.id``.
            name: What the file is called on the disk of whoever sends it.
            content: Its bytes.

        Raises:
            ConfigurationError: There is no uploads folder.
        """
        if self._uploads is None:
            raise ConfigurationError("Files need the uploads folder that they are put into.")
        kind = _KINDS.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
        row = {"ticketreplyid": reply, "name": name, "filetype": kind, "filesize": len(content)}
        file = self._insert("files", {**row, "clientid": self.client_id})
        stored = f"{file}-{name}"
        self._uploads.mkdir(parents=True, exist_ok=True)
        (self._uploads / stored).write_bytes(content)
        self._update("files", file, {"name": stored, "file": stored})
        return file

    def _now(self) -> datetime:
        return self._store.to_local(self._clock())

    def _insert_reply(self, ticket: int, author: object, message: str, now: datetime) -> int:
        row = {"ticketid": ticket, "peopleid": author, "message": message, "timestamp": now}
        return self._insert("tickets_replies", row)

    def _insert(self, table: str, row: Mapping[str, object]) -> int:
        declared = tables.table(table)
        neutral = {c.name: tables.neutral(c) for c in declared.c if not c.primary_key}
        values = {**neutral, **self._kept(table, row)}
        with self._engine.begin() as connection:
            done = connection.execute(sa.insert(declared).values(values))
        (id_,) = done.inserted_primary_key or (0,)
        return int(id_)

    def _update(self, table: str, id_: int, row: Mapping[str, object]) -> None:
        declared = tables.table(table)
        values = self._kept(table, row)
        with self._engine.begin() as connection:
            connection.execute(sa.update(declared).where(declared.c.id == id_).values(values))

    def _kept(self, table: str, row: Mapping[str, object]) -> dict[str, object]:
        limits = self._store.limits
        return {
            name: as_kept(value, limits(table, name)) if isinstance(value, str) else value
            for name, value in row.items()
        }


def as_kept(text: str, limits: TextLimits) -> str:
    """Return what a server that is not strict keeps of a text."""
    highest = _HIGHEST[limits.charset]
    end = next((place for place, letter in enumerate(text) if ord(letter) > highest), len(text))
    kept = text[:end]
    if limits.max_chars is not None:
        kept = kept[: limits.max_chars]
    if limits.max_bytes is not None:
        kept = kept.encode()[: limits.max_bytes].decode(errors="ignore")
    return kept

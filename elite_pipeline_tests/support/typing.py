"""People at the helpdesk for tests: short to type, short to read what came of it in TOGA 2."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.serving.clock import utc_now
from elite_pipeline.sandbox.togadesk.application import Application
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at


@dataclass
class Typist:
    """One client's people, in the helpdesk (typed here) and in TOGA 2 (read here)."""

    systems: Systems
    client: str = "elite"
    minute: float = 100

    def now(self) -> datetime:
        """Return the time at which people type."""
        return at(self.minute)

    @property
    def desk(self) -> Desk:
        """The client's side of TOGA 2."""
        return Desk(self.systems, self.client)

    @property
    def application(self) -> Application:
        """The helpdesk's own pages."""
        entry = self.systems.clients[self.client]
        return Application(
            self.systems.helpdesk.engine,
            client_id=entry.togadesk.client_id,
            timezone=entry.timezone,
            uploads=self.systems.uploads_dir,
            clock=self.now,
        )

    def person(self, email: str = "bob@example.com", name: str = "Bob", **columns: Any) -> int:
        """Make a person of the helpdesk alone."""
        client_id = self.systems.clients[self.client].togadesk.client_id
        return self.insert("people", name=name, email=email, clientid=client_id, **columns)

    def insert(self, table: str, **row: Any) -> int:
        """Insert a row as the application would."""
        return self.application._insert(table, row)

    def ticket(
        self, subject: str = "Scanner", description: str = "<p>It hums</p>", **columns: Any
    ) -> tuple[int, int]:
        """Open a ticket; return its id and that of its description."""
        department = self.systems.clients[self.client].togadesk.ticket_department_id
        row = {"ticket": 123456, "departmentid": department, "subject": subject, "userid": 0}
        row |= {"priority": "Normal", "email": "", **columns}
        self.minute += 1
        return self.application.open_ticket(row, description)

    def reply(
        self, ticket: int, message: str = "<p>Hello</p>", author: int = 0, status: str | None = None
    ) -> int:
        """Reply to a ticket."""
        self.minute += 1
        return self.application.reply(ticket, author, message, status=status)

    def comment(self, ticket: int, comment: str = "<p>Between us</p>", author: int = 0) -> int:
        """Comment on a ticket."""
        self.minute += 1
        return self.application.comment(ticket, author, comment)

    def upload(self, reply: int, name: str = "image001.png", content: bytes = b"bytes") -> int:
        """Upload a file with a reply."""
        return self.application.upload(reply, name, content)

    def made(self) -> list[dict[str, Any]]:
        """Return all tickets of TOGA 2, as they were made."""
        return self.systems.toga2_store.all(self.client, self.desk.tickets_route)

    def notes(self) -> list[tuple[bool, str]]:
        """Return all notes of TOGA 2 as they were made: whether it is external, and its text."""
        return [(note["isExternal"], note["body"]) for note in self.raw_notes()]

    def raw_notes(self) -> list[dict[str, Any]]:
        """Return all notes of TOGA 2, as they were made."""
        return self.systems.toga2_store.all(self.client, self.desk.notes_route)

    def references(self, table: str) -> list[str | None]:
        """Return the references of a table's rows, by id."""
        rows = self.systems.helpdesk.rows(f"SELECT referenceId FROM {table} ORDER BY id")
        return [row[0] for row in rows]

    def send(self, **options: Any) -> Any:
        """Run the flow once."""
        return self.systems.sync("togadesk_to_toga2", self.client, **options)


@pytest.fixture
def typist(systems: Systems) -> Typist:
    """Type at the helpdesk of one client.

    TOGA 2's clock is behind, so that what is written now lies before the second in which the next list
    is read: what lies within it moves no watermark yet.
    """
    systems.toga2_store.clock = lambda: utc_now() - timedelta(minutes=5)
    return Typist(systems)

"""Tickets and notes for tests: short to make in TOGA 2, short to read back from the helpdesk.

Of a client whose integration type is ``REPAIR_ORDERS`` they are repair orders and theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.toga2.schema import JOB_KINDS, JobKind
from elite_pipeline_tests.support.systems import Systems

#: When a test's records begin; every minute after it is one step.
START = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return an instant some minutes after the start."""
    return START + timedelta(minutes=minutes)


@pytest.fixture(params=sorted(JOB_KINDS, reverse=True))
def integration_type(request: pytest.FixtureRequest, systems: Systems) -> str:
    """Make elite a client of each integration type."""
    systems.become(request.param)
    return str(request.param)


@dataclass
class Desk:
    """One client's tickets, in TOGA 2 (made here) and in the helpdesk (read here)."""

    systems: Systems
    client: str = "elite"

    @property
    def kind(self) -> JobKind:
        """What stands for the client's tickets in TOGA 2."""
        return JOB_KINDS[self.systems.clients[self.client].toga2.integration_type]

    @property
    def tickets_route(self) -> str:
        """The route of the client's tickets."""
        return self.kind.job.route

    @property
    def notes_route(self) -> str:
        """The route of the notes under them."""
        return self.kind.note.route

    def under(self, ticket: str) -> dict[str, Any]:
        """Return what a note says to hang on a ticket."""
        return {self.kind.note_parent: {"uuid": ticket}}

    def contact(self, email: str, *, first: str = "Ada", last: str = "Lovelace") -> str:
        """Make a contact and return its uuid."""
        return self._make(
            "contacts",
            {"firstName": first, "lastName": last, "email": email, "isActive": True},
            at(0),
        )

    def ticket(self, subject: str = "Printer", minute: float = 1, **fields: Any) -> str:
        """Make a ticket and return its uuid."""
        body = {
            "subject": subject,
            "description": f"<p>{subject} does not work</p>",
            "status": "OPEN",
            "priority": "NORMAL",
            **fields,
        }
        return self._make(self.tickets_route, body, at(minute))

    def note(
        self, ticket: str, body: str = "<p>Hello</p>", minute: float = 2, **fields: Any
    ) -> str:
        """Make a note, external unless told otherwise, and return its uuid."""
        document = {**self.under(ticket), "body": body, "isExternal": True, **fields}
        return self._make(self.notes_route, document, at(minute))

    def change(self, route: str, uuid: str, minute: float, **fields: Any) -> None:
        """Change a record of TOGA 2."""
        self.systems.toga2_store.update(self.client, route, uuid, fields, updated=at(minute))

    def replies(self) -> list[tuple[Any, ...]]:
        """Return all replies in the order of their ids: reference, person, message."""
        return self.systems.helpdesk.rows(
            "SELECT referenceId, peopleid, message FROM tickets_replies ORDER BY id"
        )

    def comments(self) -> list[tuple[Any, ...]]:
        """Return all comments in the order of their ids: reference, person, comment."""
        return self.systems.helpdesk.rows(
            "SELECT referenceId, peopleid, comment FROM comments ORDER BY id"
        )

    def tickets(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return columns of all tickets, by reference."""
        names = ", ".join(columns)
        return self.systems.helpdesk.rows(f"SELECT {names} FROM tickets ORDER BY referenceId")

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        quoted = "`groups`" if table == "groups" else table
        return int(self.systems.helpdesk.rows(f"SELECT count(*) FROM {quoted}")[0][0])

    def end_state(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return all that the sync writes for tickets, in a form that two runs can be compared by."""
        rows = self.systems.helpdesk.rows
        ticket = "(SELECT t.referenceId FROM tickets t WHERE t.id = x.ticketid)"
        return {
            "tickets": rows(
                "SELECT referenceId, ticket, clientid, departmentid, subject, status, priority, userid, "
                "email, groupid, category, assetid, timestamp FROM tickets ORDER BY referenceId, id"
            ),
            "replies": rows(
                f"SELECT {ticket}, referenceId, peopleid, message, timestamp FROM tickets_replies x "
                "ORDER BY referenceId, id"
            ),
            "comments": rows(
                f"SELECT {ticket}, referenceId, peopleid, comment, timestamp, clientid "
                "FROM comments x ORDER BY referenceId, id"
            ),
            "history": rows(
                f"SELECT {ticket}, peopleid, description, timestamp FROM tickets_history x "
                "ORDER BY description, id"
            ),
        }

    def _make(self, route: str, body: Mapping[str, Any], moment: datetime) -> str:
        made = self.systems.toga2_store.create(self.client, route, body, created=moment)
        return str(made["uuid"])


@pytest.fixture
def desk(systems: Systems) -> Desk:
    """Type on both sides of one client."""
    return Desk(systems)


@pytest.fixture(params=[True, False], ids=["list-expands", "list-does-not-expand"])
def expand_lists(request: pytest.FixtureRequest, systems: Systems) -> bool:
    """Run the test with lists that honour ``depth``, and with lists that do not."""
    systems.toga2.settings.expand_lists = request.param
    return bool(request.param)

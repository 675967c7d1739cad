"""A service desk on Freshservice, whose tickets are carried into TOGA 2."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.assembly import freshservice_client
from elite_pipeline.inbox import Inbox
from elite_pipeline.sandbox.freshservice import Account, FreshserviceSandbox
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.freshservice_side import FreshserviceSide
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.transport import Redactor
from elite_pipeline_tests.support.freshservice import running_freshservice
from elite_pipeline_tests.support.systems import QUICK, Systems

FLOW = "freshservice_to_toga2"
ACTION = "Elite/Webhook"
CLIENT = "elite"


@dataclass
class ServiceDesk:
    """The sandbox of Freshservice beside the other systems, and its webhooks.

    Attributes:
        listens: Whether what changes in Freshservice is told; else webhooks are lost.
    """

    systems: Systems
    sandbox: FreshserviceSandbox
    inbox: Inbox
    clock: "Hands"
    listens: bool = True
    told: list[int] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return self.sandbox.account(CLIENT)

    def hint(self, ticket: int | str, action: str = ACTION) -> int:
        """Store what a webhook about a ticket would store; a text is the whole payload."""
        payload = ticket if isinstance(ticket, str) else json.dumps({"ticket_id": ticket})
        return self.inbox.add(action, payload, {})

    @contextmanager
    def open(self) -> Iterator[FlowContext]:
        """Open what one run works with."""
        with self.systems.open(CLIENT) as context:
            client = self.systems.clients[CLIENT]
            entry = client.freshservice
            assert entry is not None
            account = self.account
            freshservice = freshservice_client(
                entry,
                api_url=account.api_url,
                api_key=account.api_key,
                pipeline_url=self.systems.ledger_url,
                redactor=Redactor([account.api_key]),
                retry=QUICK,
            )
            with closing(freshservice):
                context.find_freshservice = lambda: FreshserviceSide(
                    freshservice, self.inbox, ACTION, timedelta(seconds=entry.lag_seconds)
                )
                yield context

    def sync(self, **options: Any) -> FlowResult:
        """Run the flow once, as a run of its own; without a sweep unless one is asked for."""
        options.setdefault("sweeps", False)
        with self.open() as context:
            return run_flow(FLOW, context, Options(**options))

    def sweep(self, **options: Any) -> FlowResult:
        """Run the flow once with its sweep."""
        return self.sync(sweeps=True, **options)

    # What TOGA 2 has

    def all(self, route: str, depth: int = 5) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.systems.toga2_store.all(CLIENT, route, depth=depth)
        return found

    def tickets(self) -> list[dict[str, Any]]:
        return [one for one in self.all("tickets") if one.get("c_eliteTicketId")]

    def ticket(self, number: int) -> dict[str, Any]:
        (found,) = [one for one in self.tickets() if one["c_eliteTicketId"] == str(number)]
        return found

    def notes(self, number: int) -> list[dict[str, Any]]:
        """A ticket's notes in the order in which they were made, without those that carry files alone."""
        uuid = self.ticket(number)["uuid"]
        return [
            note
            for note in self.all("ticket-notes")
            if note["ticket"]["uuid"] == uuid
            and not str(note["c_eliteConversationId"]).startswith("freshservice:")
        ]

    def files_of(self, note: dict[str, Any]) -> list[tuple[str, bytes]]:
        """A note's files by name, with their bytes."""
        return sorted(
            (
                str(link["file"]["name"]),
                self.systems.toga2_store.content(CLIENT, link["file"]["uuid"]),
            )
            for link in note["ticketNoteFiles"]
        )

    def carrier(self, number: int) -> dict[str, Any]:
        """The note that carries a ticket's own files."""
        key = f"freshservice:files:{number}"
        notes: list[dict[str, Any]] = self.ticket(number)["ticketNotes"]
        (found,) = [note for note in notes if note["c_eliteConversationId"] == key]
        return found

    def state(self) -> dict[str, list[Any]]:
        """All that TOGA 2 has of it, without what differs from run to run."""
        return {
            "tickets": sorted(
                [
                    (
                        one["c_eliteTicketId"],
                        one["subject"],
                        one["status"],
                        one["priority"],
                        (one.get("contact") or {}).get("email"),
                        (one.get("ticketTeam") or {}).get("name"),
                        (one.get("ticketCategory") or {}).get("name"),
                        _unlinked(one.get("description")),
                    )
                    for one in self.tickets()
                ],
                key=repr,
            ),
            "notes": sorted(
                [
                    (
                        ticket["c_eliteTicketId"],
                        place,
                        note["c_eliteConversationId"],
                        note["isExternal"],
                        _unlinked(note["body"]),
                        [(name, len(content)) for name, content in self.files_of(note)],
                    )
                    for ticket in self.tickets()
                    for place, note in enumerate(self.notes(int(ticket["c_eliteTicketId"])))
                ],
                key=repr,
            ),
            "people": sorted(
                (one["email"], one.get("c_eliteUserId")) for one in self.keyed("contacts")
            ),
            "teams": sorted(str(one["c_eliteGroupId"]) for one in self.keyed("ticket-teams")),
            "categories": sorted(
                str(one["c_eliteCategoryId"]) for one in self.keyed("ticket-categories")
            ),
        }

    def keyed(self, route: str) -> list[dict[str, Any]]:
        """Records of TOGA 2 that carry an id of Freshservice's."""
        return [
            one
            for one in self.all(route, depth=1)
            if any(key.startswith("c_elite") and value for key, value in one.items())
        ]

    def keyed_twice(self) -> list[str]:
        """Ids of Freshservice's that more than one record of TOGA 2 carries."""
        routes = ("contacts", "ticket-teams", "ticket-categories", "tickets", "ticket-notes")
        return [
            f"{route} {key}"
            for route in routes
            for key, number in Counter(
                value
                for one in self.all(route, depth=1)
                for name, value in one.items()
                if name.startswith("c_elite") and value
            ).items()
            if number > 1
        ]

    def loose_files(self) -> list[str]:
        """Files of TOGA 2 that hang on no note."""
        hung = {
            link["file"]["uuid"]
            for note in self.all("ticket-notes")
            for link in note["ticketNoteFiles"]
        }
        return [one["uuid"] for one in self.all("files", depth=1) if one["uuid"] not in hung]

    def letters(self) -> list[tuple[str, str, bool]]:
        """The dead letters: record, kind, and whether it is parked."""
        with self.systems.open(CLIENT) as context:
            return [
                (letter.record, letter.kind, letter.parked)
                for letter in context.ledger.dead_letters.listed(FLOW, 100)
            ]

    def rows(self) -> list[str]:
        """The status of every row of the inbox."""
        return [one.status for one in self.inbox.after(0, 100_000)]


@dataclass
class Hands:
    """The hands of Freshservice's clock: real time, and as much later as was asked for."""

    later: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.later


def writes(desk: ServiceDesk) -> list[Any]:
    """Return the requests that wrote into TOGA 2."""
    return [one for one in desk.systems.toga2.requests if one.method != "GET"]


def assert_quiet(desk: ServiceDesk) -> None:
    """Telling of every ticket again changes nothing anywhere (sync.md 10.3, 10.10)."""
    before = desk.state()
    for ticket in desk.tickets():
        desk.hint(int(ticket["c_eliteTicketId"]))
    desk.systems.toga2.reset_stats()
    result = desk.sync()
    assert writes(desk) == []
    assert result.failed == 0
    assert desk.state() == before


def _unlinked(text: str | None) -> str:
    """A text without the addresses of stored files, which are other ones each time."""
    return re.sub(r"/files/[0-9a-f-]{36}", "/files/…", text or "")


@pytest.fixture
def service_desk(systems: Systems) -> Iterator[ServiceDesk]:
    clock = Hands()
    with (
        running_freshservice(CLIENT, plan="enterprise", clock=clock) as sandbox,
        closing(Inbox(systems.ledger_url)) as inbox,
    ):
        yield ServiceDesk(systems, sandbox, inbox, clock)

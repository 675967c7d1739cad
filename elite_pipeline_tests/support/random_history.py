"""A random history: people edit TOGA 2 while runs go wrong.

The same seed is the same history, but for which of several requests at once comes first. What has to
hold in the end is said by the test; here is only what happens, and a diary of it for the message of a
test that fails.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from elite_pipeline.errors import PipelineError
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.sandbox.toga2 import (
    CutBody,
    Drop,
    InvalidJson,
    MalformedRecord,
    RequestInfo,
    Shift,
    Status,
)
from elite_pipeline.toga2.calls import Calls
from elite_pipeline.togadesk.sending import Sender
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import START, Desk

TICKETS_FLOW = "toga2_to_togadesk"
#: Reference data: flow -> what it lists first.
ROUTE_OF = {
    "contacts": "contacts",
    "units": "units",
    "teams": "ticket-teams",
    "predefined_replies": "predefined-replies",
    "category_trees": "ticket-categories",
}
FLOWS = (*ROUTE_OF, TICKETS_FLOW)
FAULTS = (
    Status(500),
    Status(503, retry_after=0),
    Status(500, takes_effect=True),
    Drop(),
    Drop(takes_effect=True),
    CutBody(),
    InvalidJson(),
    MalformedRecord(),
    MalformedRecord(changes={"subject": {"not": "a text"}}),
    Shift(count=2),
)
#: Where a run is killed: each is the one place through which all of its kind goes.
KILLED_AT = ((Sender, "write_rows"), (LedgerDatabase, "begin"), (Calls, "page"))
#: Records may be committed so late behind their time, in seconds; the overlap is 120.
LATE = (0, 0, 0, 50, 100)


class Killed(BaseException):
    """Ends a run the way a killed process does: nothing catches it."""


class RandomHistory:
    """Edits and runs of some clients, by chance.

    Attributes:
        diary: What happened, for a person who has to find out why.
    """

    def __init__(self, systems: Systems, seed: int, clients: Sequence[str]) -> None:
        self.systems = systems
        self.clients = clients
        self.diary: list[str] = []
        self._dice = random.Random(seed)
        self._now = START
        self._count = 0
        self._desks = {client: Desk(systems, client) for client in clients}
        self._uuids: dict[str, dict[str, list[str]]] = {
            client: {
                route: [] for route in (*ROUTE_OF.values(), desk.tickets_route, desk.notes_route)
            }
            for client, desk in self._desks.items()
        }
        self._edits: dict[Callable[[str, datetime], None], int] = {
            self._add_contact: 2,
            self._add_unit: 2,
            self._add_team: 1,
            self._add_category: 1,
            self._add_predefined_reply: 1,
            self._add_ticket: 4,
            self._add_note: 6,
            self._toggle_privacy: 4,
            self._edit_note: 3,
            self._move_note: 2,
            self._edit_ticket: 4,
            self._rename: 1,
            self._edit_unit: 2,
        }
        systems.toga2_store.clock = lambda: self._now
        settings = systems.toga2.settings
        settings.expand_lists = self._chance(0.5)
        settings.notes_touch_ticket = self._chance(0.5)

    def unfold(self) -> None:
        """Let everything happen; the last faults are over when this returns."""
        for _ in range(self._dice.randint(40, 120)):
            if self._chance(0.7):
                self._wait(self._dice.choice([0, 1, 30, 400, 4000]))
                self._edit(late=self._dice.choice(LATE))
            else:
                self._run()

    def _wait(self, seconds: int) -> None:
        """Let time pass, for the people and for the dead letters alike."""
        self._now += timedelta(seconds=seconds)
        self.systems.later += timedelta(seconds=seconds)

    # Edits

    def _edit(self, late: int = 0) -> None:
        client = self._dice.choice(self.clients)
        edits, weights = list(self._edits), list(self._edits.values())
        (edit,) = self._dice.choices(edits, weights)
        self._count += 1
        self.diary.append(f"{self._now:%d %H:%M:%S} {client} {edit.__name__} {self._count}")
        edit(client, self._now - timedelta(seconds=late))

    def _add_contact(self, client: str, born: datetime) -> None:
        email = f"{client}{self._count}@example.com"
        self._add(client, "contacts", born, firstName=f"Person {self._count}", email=email)

    def _add_unit(self, client: str, born: datetime) -> None:
        self._add(
            client,
            "units",
            born,
            name=f"Unit {self._count}",
            tag=f"{client}-{self._count}",
            contact=self._any(client, "contacts"),
            item={"name": f"Model {self._count % 3}"},
        )

    def _add_team(self, client: str, born: datetime) -> None:
        self._add(client, "ticket-teams", born, name=f"Team {self._count}")

    def _add_category(self, client: str, born: datetime) -> None:
        self._add(client, "ticket-categories", born, name=f"Category {self._count}, x", parent=None)

    def _add_predefined_reply(self, client: str, born: datetime) -> None:
        self._add(client, "predefined-replies", born, name=f"Reply {self._count}", content="😀")

    def _add_ticket(self, client: str, born: datetime) -> None:
        self._add(
            client,
            self._desks[client].tickets_route,
            born,
            subject=f"Subject {self._count}",
            description=f"Description {self._count}",
            contact=self._any(client, "contacts"),
            unit=self._any(client, "units"),
            ticketTeam=self._any(client, "ticket-teams"),
            ticketCategory=self._any(client, "ticket-categories"),
        )

    def _add_note(self, client: str, _: datetime) -> None:
        desk = self._desks[client]
        if not self._uuids[client][desk.tickets_route]:
            return
        # by somebody who is known, or will be, or never will be
        author = self._dice.randint(1, self._count + 8)
        self._add(
            client,
            desk.notes_route,
            self._now,
            **desk.under(self._dice.choice(self._uuids[client][desk.tickets_route])),
            isExternal=self._chance(0.6),
            body=f"Body {self._count}",
            authorName=f"Person {author}",
            authorEmail=f"{client}{author}@example.com",
        )

    def _toggle_privacy(self, client: str, _: datetime) -> None:
        route = self._desks[client].notes_route
        note = self._any(client, route, always=True)
        if note is not None:
            current = self.systems.toga2_store.get(client, route, note["uuid"])
            self._change(client, route, note, isExternal=not current["isExternal"])

    def _edit_note(self, client: str, _: datetime) -> None:
        route = self._desks[client].notes_route
        note = self._any(client, route, always=True)
        self._change(client, route, note, body=f"Edited body {self._count}")

    def _move_note(self, client: str, _: datetime) -> None:
        desk = self._desks[client]
        note = self._any(client, desk.notes_route, always=True)
        ticket = self._any(client, desk.tickets_route, always=True)
        if ticket is not None:
            self._change(client, desk.notes_route, note, **desk.under(ticket["uuid"]))

    def _edit_ticket(self, client: str, _: datetime) -> None:
        changes: list[dict[str, Any]] = [
            {"subject": f"Edited subject {self._count}"},
            {"description": f"Edited description {self._count}"},
            {"status": self._dice.choice(["OPEN", "CLOSED", "PENDING"])},
            {"contact": self._any(client, "contacts")},
            {"unit": self._any(client, "units")},
            {"ticketTeam": self._any(client, "ticket-teams")},
            {"ticketCategory": self._any(client, "ticket-categories")},
        ]
        route = self._desks[client].tickets_route
        ticket = self._any(client, route, always=True)
        self._change(client, route, ticket, **self._dice.choice(changes))

    def _rename(self, client: str, _: datetime) -> None:
        route = self._dice.choice(["ticket-teams", "predefined-replies", "ticket-categories"])
        record = self._any(client, route, always=True)
        self._change(client, route, record, name=f"Renamed {self._count}")

    def _edit_unit(self, client: str, _: datetime) -> None:
        changes: list[dict[str, Any]] = [
            {"name": f"Renamed unit {self._count}"},
            {"tag": f"{client}-again-{self._count}"},
            {"contact": self._any(client, "contacts")},
        ]
        unit = self._any(client, "units", always=True)
        self._change(client, "units", unit, **self._dice.choice(changes))

    def _add(self, client: str, route: str, born: datetime, **fields: Any) -> None:
        made = self.systems.toga2_store.create(client, route, fields, created=born)
        self._uuids[client][route].append(str(made["uuid"]))

    def _change(
        self, client: str, route: str, record: dict[str, str] | None, **fields: Any
    ) -> None:
        if record is not None:
            store = self.systems.toga2_store
            store.update(client, route, record["uuid"], fields, updated=self._now)

    def _any(self, client: str, route: str, *, always: bool = False) -> dict[str, str] | None:
        """Return a relation to one of the client's records, or none."""
        uuids = self._uuids[client][route]
        if not uuids or not (always or self._chance(0.8)):
            return None
        return {"uuid": self._dice.choice(uuids)}

    # Runs

    def _run(self) -> None:
        """Run a flow, with whatever goes wrong with it."""
        dice = self._dice
        client = dice.choice(self.clients)
        flow = dice.choice((*FLOWS, *[TICKETS_FLOW] * 3))
        options: dict[str, Any] = {}
        if self._chance(0.1):
            options = {"full": True}
        elif self._chance(0.1):
            options = {"since": self._now - timedelta(seconds=dice.randint(0, 9000))}
        with ExitStack() as troubles:
            if self._chance(0.3):
                troubles.enter_context(self._killer())
            if self._chance(0.4):
                troubles.enter_context(self._faults(client, flow))
            if self._chance(0.5):
                troubles.enter_context(self._edits_meanwhile())
            try:
                self.systems.sync(flow, client, **options)
                ended = "came through"
            except (Killed, PipelineError) as error:
                ended = f"ended with {error!r:.80}"
        self.diary.append(f"{client} {flow} {options or ''} {ended}")

    @contextmanager
    def _killer(self) -> Iterator[None]:
        """Kill the run at a write, at a look into the ledger, or at a page."""
        owner, name = self._dice.choice(KILLED_AT)
        original = getattr(owner, name)
        left = self._dice.randint(0, 6)

        def dying(*arguments: object, **named: object) -> object:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return original(*arguments, **named)

        with patch.object(owner, name, dying):
            yield

    @contextmanager
    def _faults(self, client: str, flow: str) -> Iterator[None]:
        plan = self.systems.toga2.faults
        listed = ROUTE_OF.get(flow, self._desks[client].tickets_route)
        plan.add(
            self._dice.choice(FAULTS),
            route=self._dice.choice([None, f"/{listed}"]),
            times=self._dice.randint(1, 6),
            probability=0.6,
            seed=self._dice.randint(0, 9999),
        )
        try:
            yield
        finally:
            plan.clear()

    @contextmanager
    def _edits_meanwhile(self) -> Iterator[None]:
        """Let people edit while the run reads."""
        one_at_a_time = threading.Lock()

        def on_request(info: RequestInfo) -> None:
            with one_at_a_time:
                if not info.route.startswith("/parameters") and self._chance(0.3):
                    self._wait(self._dice.choice([0, 0, 1, 2]))
                    self._edit()

        self.systems.toga2.on_request = on_request
        try:
            yield
        finally:
            self.systems.toga2.on_request = None

    def _chance(self, probability: float) -> bool:
        return self._dice.random() < probability

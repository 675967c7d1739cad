"""A random history on both sides: people type in TOGA 2 and in the helpdesk while runs go wrong.

Every text carries a marker of its own (``m17.``), and whoever types keeps account of what must become of
it: that account (``Account``) follows from the edits alone, whatever runs came between them. What goes
wrong with a run is in ``two_way_faults``, what has to hold in the end in ``two_way_state``.
"""

import base64
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from elite_pipeline.errors import PipelineError
from elite_pipeline.sandbox.togadesk.application import Application
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import START, Desk
from elite_pipeline_tests.support.two_way_faults import Faults, Killed

INWARDS, OUTWARDS = "toga2_to_togadesk", "togadesk_to_toga2"
REFERENCE_FLOWS = ("contacts", "units", "teams")
FLOWS = (*REFERENCE_FLOWS, INWARDS, OUTWARDS)

#: A status of the helpdesk that TOGA 2 has no counterpart for.
ODD_STATUS = "On the moon"
_MARKER = re.compile(r"m\d+\.")
_TEXTS = (
    "",
    " \U0001f600",
    "\r\nand more",
    " \u05e9\u05dc\u05d5\u05dd",
    " &lt;b&gt;",
    " <b>bold</b>",
)
_BEGINNINGS = ("", "", "", "<p><strong>To whom it may concern:</strong></p>")
_NAMES = (
    "image001.png", "image001.png", "plan.pdf", "../../etc/passwd", "shell.php", "\u202egnp.exe",
    "x" * 400 + ".png", "x" * 240 + ".png", "smile \U0001f600.txt", "1-image001.png", " ",
)  # fmt: skip
_BYTES = (b"", b"same", b"same", b"other")
_STATUSES = ("NEW", "OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED")
_PEOPLE_OF_HELPDESK = 4


def marker_of(text: object) -> str | None:
    """Return the marker in a text."""
    found = _MARKER.search(text) if isinstance(text, str) else None
    return found[0] if found else None


@dataclass
class Account:
    """What must become of one message.

    Attributes:
        client: Whose it is.
        ticket: The marker of the description of its ticket; its own: it is a description.
        is_public: Whether customers may see it.
        text: As it was last written, without what the sync may put around it.
        born_here: Whether it was typed in the helpdesk.
        author: ``peopleid``, of one that was.
        files: Name and bytes of each.
        lost_files: How many of them have no bytes any more.
    """

    client: str
    ticket: str
    is_public: bool
    text: str
    born_here: bool
    author: int = 0
    files: list[tuple[str, bytes]] = field(default_factory=list)
    lost_files: int = 0


class TwoWayHistory:
    """Edits and runs of both clients, by chance; the same seed is nearly the same history.

    Attributes:
        diary: What happened, for a person who has to find out why.
        accounts: Marker -> what must become of the message.
        typed: Marker of what was typed in the helpdesk -> marker of the ticket it was typed at, and when.
        silent: Markers of tickets whose status was changed in the helpdesk without anything that
            carries it.
        odd: Markers of tickets whose status has no counterpart.
        relations_unsure: Markers of tickets that were opened in the helpdesk.
        may_lose: Whether files lose their bytes in this history, or their names.
    """

    def __init__(self, systems: Systems, seed: int) -> None:
        self.systems = systems
        self.diary: list[str] = []
        self.accounts: dict[str, Account] = {}
        self.silent: set[str] = set()
        self.odd: set[str] = set()
        self.typed: dict[str, tuple[str, datetime]] = {}
        self.relations_unsure: set[str] = set()
        self._dice = random.Random(seed)
        self._now = START
        self._count = 0
        self._desks = {client: Desk(systems, client) for client in ("elite", "wje")}
        self._faults = Faults(systems, self._dice)
        self._people: dict[str, list[int]] = {c: self._hire(c) for c in self._desks}
        self._edits: dict[Callable[[str], None], int] = {
            self._add_contact: 1,
            self._add_unit: 1,
            self._add_team: 1,
            self._add_ticket: 3,
            self._add_note: 5,
            self._attach: 3,
            self._flip: 3,
            self._edit_note: 2,
            self._move_note: 2,
            self._edit_ticket: 3,
            self._open_ticket: 4,
            self._reply: 6,
            self._comment: 4,
            self._set_status: 1,
            self._lose_bytes: 1,
        }
        systems.toga2_store.clock = lambda: self._now
        settings = systems.toga2.settings
        settings.expand_lists = self._chance(0.5)
        settings.notes_touch_ticket = self._chance(0.5)
        self._may_be_silent, self._may_be_odd = self._chance(0.3), self._chance(0.2)
        self.may_lose = self._may_lose_bytes = self._chance(0.2)
        self._lost: list[tuple[Path, bytes, Account]] = []

    def unfold(self, least: int = 30, most: int = 90) -> None:
        """Let everything happen; the last faults are over when this returns."""
        for _ in range(self._dice.randint(least, most)):
            if self._chance(0.68):
                self._now += timedelta(seconds=self._dice.choice([0, 1, 30, 400, 4000]))
                self._edit()
            else:
                self._run()

    # Runs

    def _run(self) -> None:
        client = self._dice.choice(list(self._desks))
        flow = self._dice.choice((*FLOWS, INWARDS, OUTWARDS, INWARDS, OUTWARDS))
        options: dict[str, Any] = {"full": True} if self._chance(0.1) else {}
        if self._chance(0.2):
            self.systems.later += timedelta(days=2)
        with self._faults.some(self._edit_meanwhile) as what:
            try:
                self.systems.sync(flow, client, **options)
                ended = "came through"
            except (Killed, PipelineError) as error:
                ended = f"ended with {error!r:.90}"
        self.diary.append(f"    {client} {flow} {options or ''} [{what}] {ended}")

    def _edit_meanwhile(self) -> None:
        self._now += timedelta(seconds=self._dice.choice([0, 0, 1, 2]))
        self._edit(meanwhile=True)

    # Edits

    def _edit(self, *, meanwhile: bool = False) -> None:
        client = self._dice.choice(list(self._desks))
        edits, weights = list(self._edits), list(self._edits.values())
        (edit,) = self._dice.choices(edits, weights)
        if meanwhile and edit == self._lose_bytes:
            return
        self._count += 1
        self.diary.append(
            f"{self._now:%d %H:%M:%S} {client} {edit.__name__} {self._count}{' meanwhile' * meanwhile}"
        )
        edit(client)

    def _hire(self, client: str) -> list[int]:
        """Return who writes in the helpdesk: people TOGA 2 does not know, one of the staff, a rule."""
        app = self._application(client)
        users = [
            app._insert("people", {"name": f"{client} {n}", "email": f"{client}-own{n}@example.com",
                                   "clientid": app.client_id, "type": "user"})
            for n in range(2)
        ]  # fmt: skip
        staff = app._insert(
            "people", {"name": "Staff", "email": f"staff-{client}@example.com", "type": "admin"}
        )
        return [*users, staff, 0, -1]

    def _application(self, client: str) -> Application:
        entry = self.systems.clients[client]
        return Application(
            self.systems.helpdesk.engine,
            client_id=entry.togadesk.client_id,
            timezone=entry.timezone,
            uploads=self.systems.uploads_dir,
            clock=lambda: self._now,
        )

    def _marker(self) -> str:
        return f"m{self._count}."

    def _text(self) -> str:
        dice = self._dice
        return f"{dice.choice(_BEGINNINGS)}<p>{self._marker()}{dice.choice(_TEXTS)}</p>"

    def _file(self) -> tuple[str, bytes]:
        # of another size each: name and size are what a file is recognised by
        own = f"bytes {self._count} {'.' * self._count}".encode()
        content = self._dice.choice((*_BYTES, *[own] * 4))
        return self._dice.choice(_NAMES), content

    # In TOGA 2

    def _add_contact(self, client: str) -> None:
        email = f"{client}{self._count}@example.com"
        self._create(client, "contacts", firstName=f"Person {self._count}", email=email)

    def _add_unit(self, client: str) -> None:
        self._create(
            client, "units", name=f"Unit {self._count}", tag=f"{client}-{self._count}",
            item={"name": f"Model {self._count % 3}"},
        )  # fmt: skip

    def _add_team(self, client: str) -> None:
        self._create(client, "ticket-teams", name=f"Team {self._count}")

    def _add_ticket(self, client: str) -> None:
        text, marker = self._text(), self._marker()
        self._create(
            client,
            self._desks[client].tickets_route,
            subject=f"Subject {self._count}",
            description=text,
            status=self._dice.choice(_STATUSES),
            contact=self._any(client, "contacts"),
            unit=self._any(client, "units"),
            ticketTeam=self._any(client, "ticket-teams"),
        )
        self.accounts[marker] = Account(client, marker, True, text, born_here=False)

    def _add_note(self, client: str) -> None:
        desk = self._desks[client]
        tickets = self._tickets(client)
        if not tickets:
            return
        ticket, of = self._dice.choice(tickets)
        text, is_public = self._text(), self._chance(0.6)
        author = self._dice.randint(1, self._count + 8)
        uuid = self._create(
            client,
            desk.notes_route,
            **desk.under(ticket),
            isExternal=is_public,
            body=text,
            authorName=f"Person {author}",
            authorEmail=f"{client}{author}@example.com",
        )
        account = Account(client, of, is_public, text, born_here=False)
        self.accounts[self._marker()] = account
        while self._chance(0.3):
            self._hang(client, uuid, account)

    def _attach(self, client: str) -> None:
        if (note := self._note(client)) is not None:
            self._hang(client, note["uuid"], self.accounts[str(marker_of(note["body"]))])

    def _hang(self, client: str, note: str, account: Account) -> None:
        name, content = self._file()
        data = base64.b64encode(content).decode()
        uuid = self._create(client, "files", name=name, contentType="image/png", data=data)
        link = self._desks[client].kind
        self._create(
            client, link.link.route, **{link.link_parent: {"uuid": note}, "file": {"uuid": uuid}}
        )
        account.files.append((name, content))

    def _flip(self, client: str) -> None:
        if (note := self._note(client)) is not None:
            account = self.accounts[str(marker_of(note["body"]))]
            account.is_public = not note["isExternal"]
            self._change(client, note, isExternal=account.is_public)

    def _edit_note(self, client: str) -> None:
        if (note := self._note(client)) is not None:
            marker = str(marker_of(note["body"]))
            text = f"<p>{marker} edited {self._count}</p>"
            self.accounts[marker].text = text
            self._change(client, note, body=text)

    def _move_note(self, client: str) -> None:
        note, tickets = self._note(client), self._tickets(client)
        if note is not None and tickets:
            ticket, of = self._dice.choice(tickets)
            self.accounts[str(marker_of(note["body"]))].ticket = of
            self._change(client, note, **self._desks[client].under(ticket))

    def _edit_ticket(self, client: str) -> None:
        route = self._desks[client].tickets_route
        tickets = self._tickets(client)
        if not tickets:
            return
        uuid, marker = self._dice.choice(tickets)
        text = f"<p>{marker} edited {self._count}</p>"
        changes: list[dict[str, Any]] = [
            {"subject": f"Edited subject {self._count}"},
            {"description": text},
            {"status": self._dice.choice(_STATUSES)},
            {"contact": self._any(client, "contacts")},
            {"unit": self._any(client, "units")},
            {"ticketTeam": self._any(client, "ticket-teams")},
        ]
        change = self._dice.choice(changes)
        if "description" in change:
            self.accounts[marker].text = text
        self.systems.toga2_store.update(client, route, uuid, change, updated=self._now)

    # In the helpdesk

    def _open_ticket(self, client: str) -> None:
        text, marker = self._text(), self._marker()
        entry = self.systems.clients[client].togadesk
        author = max(self._dice.choice(self._known(client)), 0)
        row = {
            "ticket": 123456,
            "departmentid": entry.ticket_department_id,
            "userid": author,
            "subject": f"Subject {self._count}",
            "priority": "Normal",
            "groupid": self._any_row(client, "groups"),
            "assetid": self._any_row(client, "assets"),
        }
        account = Account(client, marker, True, "", born_here=True, author=author)
        _, reply = self._application(client).open_ticket(row, text)
        self.relations_unsure.add(marker)
        self._typed(marker, account, "tickets_replies", "message", reply)

    def _reply(self, client: str) -> None:
        ticket = self._row(client)
        if ticket is None:
            return
        id_, of = ticket
        status = self._dice.choice([None, "Answered", "Closed", "Reopened", "In Progress"])
        if self._may_be_odd and self._chance(0.1):
            status = ODD_STATUS
            self.odd.add(of)
        author = self._dice.choice(self._known(client))
        reply = self._application(client).reply(id_, author, self._text(), status=status)
        account = Account(client, of, True, "", born_here=True, author=author)
        self._typed(self._marker(), account, "tickets_replies", "message", reply)

    def _comment(self, client: str) -> None:
        if (ticket := self._row(client)) is None:
            return
        id_, of = ticket
        author = self._dice.choice(self._known(client))
        comment = self._application(client).comment(id_, author, self._text())
        account = Account(client, of, False, "", born_here=True, author=author)
        self._typed(self._marker(), account, "comments", "comment", comment)

    def _typed(self, marker: str, account: Account, table: str, column: str, id_: int) -> None:
        """Keep account of what was typed: as the helpdesk keeps it, which may be less."""
        ((account.text,),) = self.systems.helpdesk.rows(
            f"SELECT {column} FROM {table} WHERE id = {id_}"
        )
        self.accounts[marker] = account
        self.typed[marker] = account.ticket, self._now
        while table == "tickets_replies" and self._chance(0.3):
            name, content = self._file()
            # a web form's file has a name that the disk takes
            name = name.replace("/", "_").strip()[:180] or "unnamed"
            file = self._application(account.client).upload(id_, name, content)
            account.files.append((name, content))
            ((stored,),) = self.systems.helpdesk.rows(f"SELECT file FROM files WHERE id = {file}")
            if not (self.systems.uploads_dir / stored).exists():
                # the column does not hold its name: the helpdesk itself finds it no more
                account.lost_files += 1
                self.may_lose = True

    def _set_status(self, client: str) -> None:
        ticket = self._row(client)
        if self._may_be_silent and ticket is not None:
            self._application(client).set_status(ticket[0], self._dice.choice(["Open", "Closed"]))
            self.silent.add(ticket[1])

    def _lose_bytes(self, client: str) -> None:
        """Take the bytes of a file away that was typed here and may not have been sent."""
        if not self._may_lose_bytes:
            return
        client_id = self.systems.clients[client].togadesk.client_id
        rows = self.systems.helpdesk.rows(
            "SELECT f.file, r.message FROM files f JOIN tickets_replies r ON r.id = f.ticketreplyid "
            f"WHERE f.clientid = {client_id} AND r.referenceId IS NULL AND f.file <> '' ORDER BY f.id"
        )
        if not rows:
            return
        stored, text = self._dice.choice(rows)
        path = self.systems.uploads_dir / stored
        if path.exists():
            account = self.accounts[str(marker_of(text))]
            self._lost.append((path, path.read_bytes(), account))
            path.unlink()
            account.lost_files += 1

    def find_bytes(self) -> None:
        """Put back, by chance, what files have lost: each has to arrive then, wherever its note is."""
        if self._chance(0.5):
            for path, content, account in self._lost:
                path.write_bytes(content)
                account.lost_files -= 1
            self.diary.append(f"-- {len(self._lost)} files have their bytes again")
            self._lost.clear()
            self.may_lose = any(account.lost_files for account in self.accounts.values())

    # What there is

    def _tickets(self, client: str) -> list[tuple[str, str]]:
        """Return uuid and marker of the tickets in TOGA 2."""
        all_ = self.systems.toga2_store.all(client, self._desks[client].tickets_route)
        return [(str(one["uuid"]), str(marker_of(one["description"]))) for one in all_]

    def _note(self, client: str) -> dict[str, Any] | None:
        """Return a note with a marker."""
        notes = self.systems.toga2_store.all(client, self._desks[client].notes_route)
        marked = [note for note in notes if marker_of(note["body"])]
        return self._dice.choice(marked) if marked else None

    def _row(self, client: str) -> tuple[int, str] | None:
        """Return id and marker of one of the tickets in the helpdesk."""
        client_id = self.systems.clients[client].togadesk.client_id
        rows = self.systems.helpdesk.rows(
            "SELECT r.ticketid, r.message FROM tickets_replies r JOIN "
            "(SELECT min(r.id) AS first FROM tickets_replies r JOIN tickets t ON t.id = r.ticketid "
            f"WHERE t.clientid = {client_id} GROUP BY r.ticketid) x ON x.first = r.id ORDER BY r.ticketid"
        )
        described = [
            (int(id_), marker)
            for id_, text in rows
            if (marker := marker_of(text)) and self.accounts[marker].ticket == marker
        ]
        return self._dice.choice(described) if described else None

    def _known(self, client: str) -> list[int]:
        client_id = self.systems.clients[client].togadesk.client_id
        synced = self.systems.helpdesk.rows(
            f"SELECT id FROM people WHERE clientid = {client_id} AND referenceId IS NOT NULL ORDER BY id"
        )
        other = next(people for name, people in self._people.items() if name != client)
        # somebody of another client is nobody here
        return [
            *self._people[client],
            other[0],
            *(int(row[0]) for row in synced[:_PEOPLE_OF_HELPDESK]),
        ]

    def _any_row(self, client: str, table: str) -> int:
        client_id = self.systems.clients[client].togadesk.client_id
        rows = self.systems.helpdesk.rows(
            f"SELECT id FROM `{table}` WHERE clientid = {client_id} ORDER BY id"
        )
        return int(self._dice.choice(rows)[0]) if rows and self._chance(0.6) else 0

    def _any(self, client: str, route: str) -> dict[str, str] | None:
        there = self.systems.toga2_store.all(client, route)
        if not there or not self._chance(0.7):
            return None
        return {"uuid": str(self._dice.choice(there)["uuid"])}

    def _create(self, client: str, route: str, **fields: Any) -> str:
        store = self.systems.toga2_store
        return str(store.create(client, route, fields, created=self._now)["uuid"])

    def _change(self, client: str, note: dict[str, Any], **fields: Any) -> None:
        route = self._desks[client].notes_route
        self.systems.toga2_store.update(client, route, note["uuid"], fields, updated=self._now)

    def _chance(self, probability: float) -> bool:
        return self._dice.random() < probability

    @property
    def now(self) -> datetime:
        """The time at which people type."""
        return self._now

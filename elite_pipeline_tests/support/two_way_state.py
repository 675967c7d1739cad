"""What has to hold on both sides in the end (``spec/sync.md`` section 10), whatever came before.

Everything is compared with the history's account, which follows from the edits alone: so the end is the
same whatever the interleaving (10.9). Where both sides changed a status, the rule is that it travels with
what the helpdesk has to send; otherwise TOGA 2's holds.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from elite_pipeline.ledger import Ledger
from elite_pipeline.sync.long_texts import is_full_text
from elite_pipeline.sync.outgoing_messages import FILES_TEXT
from elite_pipeline.sync.signatures import RULE_NAME, signature
from elite_pipeline.sync.ticket_states import says_the_same
from elite_pipeline.sync.wanted_files import private_line, private_tag
from elite_pipeline.togadesk import file_names
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.two_way_history import Account, TwoWayHistory, marker_of

Files = Counter[tuple[str, bytes]]


@dataclass
class Found:
    """A message as one side has it.

    Attributes:
        uuid: What TOGA 2 calls it, as this side knows it.
        ticket: Marker of its ticket.
        key: In the order of time.
    """

    uuid: str | None
    ticket: str | None
    is_public: bool
    text: str
    author: tuple[Any, ...]
    key: tuple[Any, ...]
    files: Files = field(default_factory=Counter)


class TwoWayState:
    """Both sides of one client, read."""

    def __init__(self, systems: Systems, history: TwoWayHistory, client: str) -> None:
        self.systems = systems
        self.client = client
        self._entry = systems.clients[client]
        self._client_id = self._entry.togadesk.client_id
        self._desk = Desk(systems, client)
        self._accounts = {m: one for m, one in history.accounts.items() if one.client == client}
        self._history = history
        self._store = systems.helpdesk.store(self._client_id, timezone=self._entry.timezone)
        self._problems: list[str] = []

    def check(self) -> None:
        """Compare both sides with the account.

        Raises:
            AssertionError: Something does not hold; it says all that does not.
        """
        there, here = dict(self._there()), dict(self._here())
        for marker, account in self._accounts.items():
            for side, found in (("TOGA 2", there), ("the helpdesk", here)):
                if marker not in found:
                    self._say(marker, f"lost from {side}: {account}")
                else:
                    self._check_message(marker, account, found[marker], side)
            if marker in there and marker in here:
                self._check_pair(marker, account, there[marker], here[marker])
        for marker in {*there, *here} - set(self._accounts):
            self._say(marker, "belongs elsewhere")
        self._check_order(there)
        self._check_tickets(there)
        self._check_nothing_else(here)
        assert not self._problems, "\n".join([*self._problems, *self.letters()])

    def _say(self, marker: str, what: str) -> None:
        self._problems.append(f"{self.client} {marker} {what}")

    # What there is

    def _there(self) -> Iterator[tuple[str, Found]]:
        store, kind = self.systems.toga2_store, self._desk.kind
        tickets = store.all(self.client, self._desk.tickets_route)
        marker_by_uuid = {one["uuid"]: marker_of(one["description"]) for one in tickets}
        found: list[tuple[str, Found]] = []
        by_uuid: dict[str, Found] = {}
        for one in tickets:
            by_uuid[one["uuid"]] = message = Found(
                one["uuid"], marker_of(one["description"]), True, one["description"], (), ()
            )
            found.append((str(marker_of(one["description"])), message))
        children = kind.note.children
        assert children is not None
        for number, note in enumerate(store.all(self.client, self._desk.notes_route, depth=5)):
            ticket = note[kind.note_parent]["uuid"]
            files = Counter(
                (
                    self._shown(link["file"]["name"]),
                    store.content(self.client, link["file"]["uuid"]),
                )
                for link in note[children.name]
            )
            if note["body"] == FILES_TEXT:
                by_uuid[ticket].files += files
                continue
            author = (note["authorName"], note["authorEmail"])
            message = Found(
                note["uuid"], marker_by_uuid[ticket], note["isExternal"], note["body"], author,
                (note["_created"], number), files,
            )  # fmt: skip
            found.append((str(marker_of(note["body"])), message))
        yield from self._unique(found, "TOGA 2")

    def _here(self) -> Iterator[tuple[str, Found]]:
        rows = self.systems.helpdesk.rows
        found: list[tuple[str, Found]] = []
        described = {
            row[0]: marker_of(row[1])
            for row in rows(
                "SELECT t.id, r.message FROM tickets t JOIN tickets_replies r ON r.ticketid = t.id "
                f"WHERE t.clientid = {self._client_id} ORDER BY r.id"
            )
            if (marker := marker_of(row[1])) is not None
            and (account := self._accounts.get(marker)) is not None
            and account.ticket == marker
        }
        for is_public, table, column in (
            (True, "tickets_replies", "message"),
            (False, "comments", "comment"),
        ):
            for id_, uuid, ticket, text, author, written in rows(
                f"SELECT x.id, x.referenceId, x.ticketid, x.{column}, x.peopleid, x.timestamp "
                f"FROM {table} x "
                f"JOIN tickets t ON t.id = x.ticketid WHERE t.clientid = {self._client_id}"
            ):
                files = self._files_here(id_ if is_public else None, str(uuid))
                message = Found(
                    uuid, described.get(ticket), is_public, text, (author,), (str(written),), files
                )
                found.append((str(marker_of(text)), message))
        yield from self._unique(found, "the helpdesk")

    def _unique(self, found: list[tuple[str, Found]], side: str) -> Iterator[tuple[str, Found]]:
        for marker, count in Counter(marker for marker, _ in found).items():
            if count > 1:
                self._say(marker, f"is {count} times in {side}")
        yield from found

    def _files_here(self, reply: int | None, note: str) -> Files:
        where = f"ticketreplyid = {reply}"
        tag = ""
        if reply is None:
            tag = private_tag(note)
            where = f"ticketreplyid = 0 AND clientid = {self._client_id} AND name LIKE '{tag}%'"
        files: Files = Counter()
        for id_, name, stored, size in self.systems.helpdesk.rows(
            f"SELECT id, name, file, filesize FROM files WHERE {where}".replace("%", "%%")
            if self.systems.helpdesk.server
            else f"SELECT id, name, file, filesize FROM files WHERE {where}"
        ):
            shown = self._shown(file_names.real_name(id_, name[len(tag) :], stored))
            path = self.systems.uploads_dir / stored if stored else None
            if is_full_text(shown):
                continue
            if path is None or not path.is_file():
                files[shown, b"(missing)"] += 1
                continue
            content = path.read_bytes()
            if len(content) != size:
                self._say(f"file {id_}", f"says {size} bytes and has {len(content)}")
            files[shown, content] += 1
        return files

    def _shown(self, name: str) -> str:
        return file_names.shown_name(name, self._store.limits("files", "name"))

    # What has to hold

    def _check_message(self, marker: str, account: Account, found: Found, side: str) -> None:
        if found.is_public != account.is_public:
            self._say(marker, f"is public in {side}: {found.is_public}, and must not be")
        if found.ticket != account.ticket:
            self._say(marker, f"is under {found.ticket} in {side} instead of {account.ticket}")
        is_long = any(len(name) > 150 for name, _ in account.files)
        expected: Files = Counter((self._shown(name), content) for name, content in account.files)
        actual = found.files
        if is_long:
            # a name may be cut where it is shown with the tag of a private note
            expected = Counter({("", c): 0 for _, c in expected})
            for _, content in account.files:
                expected["", content] += 1
            actual = Counter()
            for (_, content), count in found.files.items():
                actual["", content] += count
        if account.lost_files:
            if sum((actual - expected).values()) > account.lost_files:
                self._say(marker, f"has more files in {side} than it should: {actual - expected}")
            if sum((expected - actual).values()) > account.lost_files:
                self._say(marker, f"lacks files in {side}: {expected - actual}")
        elif +actual != +expected:
            self._say(
                marker,
                f"files in {side}: lacks {expected - actual}, "
                f"has too many {actual - expected}; {account}",
            )
        if self._fit(account.text) not in found.text and account.text not in found.text:
            self._say(marker, f"{side} says {found.text!r} instead of {account.text!r}")

    def _fit(self, text: str) -> str:
        return self._store.fit("tickets_replies", "message", text)

    def _check_pair(self, marker: str, account: Account, there: Found, here: Found) -> None:
        if here.uuid != there.uuid:
            self._say(marker, f"is {there.uuid} and the helpdesk calls it {here.uuid}")
        if account.ticket == marker:
            if account.born_here and here.text != self._fit(account.text):
                self._say(marker, f"became {here.text!r} instead of {account.text!r}")
            return
        text = self._fit(account.text)
        if account.born_here:
            if self._rows_author(account.author) != there.author:
                self._say(marker, f"by {there.author} instead of person {account.author}")
            if here.author != (account.author,):
                self._say(marker, f"is by {here.author} now instead of person {account.author}")
        else:
            name, email = there.author
            known = self.systems.helpdesk.rows(
                f"SELECT id FROM people WHERE clientid = {self._client_id} AND email = '{email}'"
            )
            if here.author != (known[0] if known else (0,)):
                self._say(marker, f"is by person {here.author}, not {known} {email}")
            text = ("" if known else signature(name, email)) + text
        if not account.is_public and there.files:
            text += private_line(str(there.uuid))
        if here.text != self._fit(text):
            self._say(marker, f"reads {here.text!r} instead of {text!r}")

    def _rows_author(self, author: int) -> tuple[Any, ...]:
        if author == -1:
            return (RULE_NAME, None)
        rows = self.systems.helpdesk.rows(
            f"SELECT name, email FROM people WHERE id = {author} "
            f"AND (clientid = {self._client_id} OR type = 'admin')"
        )
        return rows[0] if rows else (None, None)

    def _check_order(self, there: dict[str, Found]) -> None:
        """What was typed in the helpdesk is in TOGA 2 in the order in which it was typed (10.7)."""
        by_ticket: dict[str, list[tuple[datetime, tuple[Any, ...], str]]] = {}
        for marker, found in there.items():
            account = self._accounts.get(marker)
            if account is not None and account.born_here and account.ticket != marker:
                ticket, when = self._history.typed[marker]
                # of two of one second either may be first
                by_ticket.setdefault(ticket, []).append((when, found.key, marker))
        if self._history.may_lose:
            # what is refused for good does not hold up what stands behind it
            return
        for ticket, typed in by_ticket.items():
            keys = [key for _, key, _ in sorted(typed)]
            if keys != sorted(keys):
                self._say(ticket, f"is out of order: {sorted(typed)}")

    def _check_tickets(self, there: dict[str, Found]) -> None:
        tickets = self.systems.toga2_store.all(self.client, self._desk.tickets_route)
        rows = {
            row[0]: row[1:]
            for row in self.systems.helpdesk.rows(
                "SELECT t.referenceId, t.subject, t.status, p.referenceId, a.referenceId, g.referenceId "
                "FROM tickets t LEFT JOIN people p ON p.id = t.userid "
                "LEFT JOIN assets a ON a.id = t.assetid "
                f"LEFT JOIN `groups` g ON g.id = t.groupid WHERE t.clientid = {self._client_id}"
            )
        }
        count = self.systems.helpdesk.rows(
            f"SELECT count(*) FROM tickets WHERE clientid = {self._client_id}"
        )[0][0]
        if not len(rows) == len(tickets) == count:
            self._say("tickets", f"{len(tickets)} there, {count} here, {len(rows)} matched")
        for ticket in tickets:
            marker = str(marker_of(ticket["description"]))
            if ticket["uuid"] not in rows:
                self._say(marker, "no ticket of that reference")
                continue
            subject, status, *relations = rows[ticket["uuid"]]
            if subject != ticket["subject"]:
                self._say(marker, f"is called {subject!r} instead of {ticket['subject']!r}")
            for name, uuid in zip(("contact", "unit", "ticketTeam"), relations, strict=True):
                wanted = ticket[name]["uuid"] if ticket[name] else None
                if uuid != wanted and marker not in self._history.relations_unsure:
                    self._say(marker, f"{name} is {uuid} instead of {wanted}")
            expected = self._entry.status_map[ticket["status"]]
            is_unsure = marker in self._history.silent | self._history.odd
            if (
                not is_unsure
                and status != expected
                and not says_the_same("status", status, ticket["status"])
            ):
                self._say(marker, f"is {status} and {ticket['status']} there")

    def _check_nothing_else(self, here: dict[str, Found]) -> None:
        """Nothing hangs on nothing, and what is private is under no reply (10.6)."""
        rows = self.systems.helpdesk.rows
        for table in ("tickets_replies", "comments"):
            lost = rows(
                f"SELECT x.id FROM {table} x LEFT JOIN tickets t ON t.id = x.ticketid WHERE t.id IS NULL"
            )
            if lost:
                self._say(table, f"without a ticket: {lost}")
        public = {
            content
            for message in here.values()
            if message.is_public
            for (_, content) in message.files
        }
        for marker, account in self._accounts.items():
            for name, content in account.files:
                if not account.is_public and content.startswith(b"bytes") and content in public:
                    self._say(marker, f"its private file {name[:20]!r} is under a reply")

    def letters(self) -> list[str]:
        """Return the client's dead letters: what failed, and why."""
        ledger = Ledger(self.systems.ledger_url, self.client)
        try:
            return [f"{one.flow} {one.record}: {one.error}" for one in ledger.dead_letters.listed()]
        finally:
            ledger.close()

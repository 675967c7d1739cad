"""What a ticket and its notes look like as rows of the helpdesk.

Follows ``spec/sync.md`` section 4. Pure but for asking the store what fits into a column: what is found
in the helpdesk beforehand comes in as :class:`References`.
"""

import html
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.category_paths import encode_path
from elite_pipeline.toga2.models import CategoryPath, Person, Ticket, TicketNote
from elite_pipeline.togadesk import Row, TogadeskStore, ValueDoesNotFitError

#: Owned columns of ``tickets``: kept up to date; the rest is the helpdesk's own.
OWNED = (
    "subject", "status", "priority", "userid", "email", "groupid", "category", "assetid",
)  # fmt: skip
#: What a subject that had to be shortened ends in.
CUT_MARK = " […]"
#: Helpdesk status -> TOGA 2 status: what the helpdesk calls more finely says the same.
_BACK = {"Reopened": "OPEN"}


@dataclass(slots=True)
class References:
    """What tickets refer to, as found in the helpdesk; everything is ids.

    Attributes:
        people, assets, groups: TOGA 2 uuid -> id.
        authors: E-mail address, lower-case -> id of a person of this client, or of an administrator.
        choices: The category paths that the client's field offers.
        category_paths: Category uuid -> the path under which the field offers it.
    """

    people: Mapping[str, int] = field(default_factory=dict)
    assets: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    authors: Mapping[str, int] = field(default_factory=dict)
    choices: frozenset[str] = frozenset()
    category_paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One row of ``tickets_replies`` or ``comments``.

    Attributes:
        uuid: Its ``referenceId``: the note's, or the ticket's for its description.
        is_public: Whether it belongs to ``tickets_replies``.
        is_description: The first row of a ticket, which is its description.
        author_id: ``peopleid``; 0 for nobody the helpdesk knows, then the text names the author.
        text: HTML, fitted to its column.
        written: Aware; when it was written.
        updated: Aware; which version of it this is.
    """

    uuid: str
    is_public: bool
    is_description: bool
    author_id: int
    text: str
    written: datetime
    updated: datetime


class TicketRows:
    """Makes rows for one client's tickets.

    Attributes:
        waiting: What the tickets refer to and is not in the helpdesk yet.
    """

    def __init__(self, client: Client, store: TogadeskStore, references: References) -> None:
        self._client = client
        self._store = store
        self._references = references
        self.waiting: list[Waiting] = []

    def owned(self, ticket: Ticket, current: Row | None) -> dict[str, object]:
        """Return the owned columns of a ticket's row.

        Args:
            ticket: As TOGA 2 has it.
            current: Its row, if there is one.

        Raises:
            PermanentError: A status or priority has no counterpart; the message says where to add it.
        """
        contact, unit, team = ticket.contact, ticket.unit, ticket.team
        return {
            "subject": self._subject(ticket)[0],
            "status": self._mapped(
                "status",
                ticket.status,
                self._client.status_map,
                current.status if current else "Open",
            ),
            "priority": self._mapped(
                "priority",
                ticket.priority,
                self._client.priority_map,
                current.priority if current else "Normal",
            ),
            "userid": self._found(
                ticket, "contact", contact.uuid if contact else None, self._references.people
            ),
            "email": self._email(contact),
            "groupid": self._found(
                ticket, "team", team.uuid if team else None, self._references.groups
            ),
            "category": self._category(ticket),
            "assetid": self._found(
                ticket, "unit", unit.uuid if unit else None, self._references.assets
            ),
        }

    def new(self, ticket: Ticket, owned: Mapping[str, object]) -> dict[str, object]:
        """Return the row of a ticket that the helpdesk does not have yet."""
        return {
            **owned,
            "referenceId": ticket.uuid,
            "ticket": display_number(ticket.uuid),
            "departmentid": self._client.togadesk.ticket_department_id,
            "timestamp": self._store.to_local(ticket.created),
        }

    def description(self, ticket: Ticket) -> Message:
        """Return the ticket's description: the first row of its replies.

        It carries the ticket's own uuid, so that it is never taken for a reply to send back.

        Raises:
            PermanentError: It does not fit.
        """
        text = ticket.description or ""
        subject, is_whole = self._subject(ticket)
        if not is_whole:
            text = f"<p><strong>{html.escape(ticket.subject or subject)}</strong></p>{text}"
        author = self._references.people.get(ticket.contact.uuid, 0) if ticket.contact else 0
        if not author and ticket.contact is not None:
            text = _signed(_person_name(ticket.contact), ticket.contact.email) + text
        return Message(
            uuid=ticket.uuid,
            is_public=True,
            is_description=True,
            author_id=author,
            text=self._fit_body("tickets_replies", "message", text),
            written=ticket.created,
            updated=ticket.updated,
        )

    def note(self, ticket: str, note: TicketNote) -> Message:
        """Return a note: external ones are replies, internal ones comments.

        Args:
            ticket: The uuid of its ticket.
            note: As TOGA 2 has it.

        Raises:
            PermanentError: It does not fit.
        """
        email = (note.author_email or "").strip().lower()
        author = self._references.authors.get(email, 0) if email else 0
        text = note.body or ""
        if not author:
            text = _signed(note.author_name, note.author_email) + text
            if email:
                self.waiting.append(Waiting(ticket, "author", email))
        table, column = (
            ("tickets_replies", "message") if note.is_external else ("comments", "comment")
        )
        return Message(
            uuid=note.uuid,
            is_public=note.is_external,
            is_description=False,
            author_id=author,
            text=self._fit_body(table, column, text),
            written=note.created,
            updated=note.updated,
        )

    def _subject(self, ticket: Ticket) -> tuple[str, bool]:
        """Return the subject as it fits, and whether that is all of it."""
        subject = ticket.subject or ""
        try:
            return self._store.fit("tickets", "subject", subject), True
        except ValueDoesNotFitError:
            pass
        fits, too_long = 0, len(subject)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            try:
                self._store.fit("tickets", "subject", subject[:middle] + CUT_MARK)
                fits = middle
            except ValueDoesNotFitError:
                too_long = middle
        return self._store.fit("tickets", "subject", subject[:fits] + CUT_MARK), False

    def _mapped(
        self, what: str, value: str | None, mapping: Mapping[str, str], current: str
    ) -> str:
        if not value:
            return current
        if value not in mapping:
            raise PermanentError(
                f"its {what} {value!r} has no counterpart in the helpdesk; add it to the client's "
                f"toga2.{what}_map in the registry"
            )
        # a status that says the same to TOGA 2 is left as the helpdesk's people have put it
        if what == "status" and _BACK.get(current) == value:
            return current
        return self._store.fit("tickets", what, mapping[value])

    def _found(self, ticket: Ticket, kind: str, uuid: str | None, ids: Mapping[str, int]) -> int:
        if uuid is None:
            return 0
        if uuid not in ids:
            self.waiting.append(Waiting(ticket.uuid, kind, uuid))
        return ids.get(uuid, 0)

    def _email(self, contact: Person | None) -> str:
        email = (contact.email or "").strip().lower() if contact is not None else ""
        try:
            return self._store.fit("tickets", "email", email)
        except ValueDoesNotFitError:
            # half an address would be somebody else's
            return ""

    def _category(self, ticket: Ticket) -> str:
        """Return the category's path where the helpdesk's field offers this category under it.

        The same path may be offered for another category whose rename has not arrived yet.
        """
        if ticket.category is None:
            return ""
        names = _path_names(ticket.category)
        path = encode_path(names) if names else ""
        is_current = self._references.category_paths.get(ticket.category.uuid) == path
        if path and is_current and path in self._references.choices:
            return self._store.fit("tickets", "category", path)
        self.waiting.append(Waiting(ticket.uuid, "category", ticket.category.uuid))
        return ""

    def _fit_body(self, table: str, column: str, text: str) -> str:
        try:
            return self._store.fit(table, column, text)
        except ValueDoesNotFitError as error:
            raise PermanentError(
                f"its text cannot be stored whole, and is not cut: {error}"
            ) from error


def display_number(uuid: str) -> int:
    """Return the six-digit number that people see, the same for a ticket whoever makes its row."""
    return 100_000 + zlib.crc32(uuid.encode()) % 900_000


def author_email(note: TicketNote) -> str:
    """Return the address by which a note's author is looked up; empty: there is none."""
    return (note.author_email or "").strip().lower()


def _path_names(category: CategoryPath) -> list[str] | None:
    """Return a category's names, root first; None when a parent was not expanded or loops."""
    names: list[str] = []
    node: CategoryPath | None = category
    while node is not None:
        if node.name is None or len(names) > 16:
            return None
        names.append(node.name)
        node = node.parent
    return names[::-1]


def _person_name(person: Person) -> str:
    return " ".join(part for part in (person.first_name, person.last_name) if part)


def _signed(name: str | None, email: str | None) -> str:
    """Return a line that names an author whom the helpdesk does not know; it is text, never markup."""
    name, email = (name or "").strip(), (email or "").strip()
    who = f"{name} <{email}>" if name and email else name or email
    return f"<p><strong>{html.escape(who)}:</strong></p>" if who else ""

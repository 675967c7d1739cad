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
from elite_pipeline.sync.long_texts import beginning_of, full_text, full_text_mark
from elite_pipeline.sync.own_keys import OwnKey
from elite_pipeline.sync.signatures import (
    RULE_AUTHOR,
    RULE_NAME,
    signature,
    without_signature,
)
from elite_pipeline.sync.ticket_states import says_the_same
from elite_pipeline.sync.wanted_files import WantedFile, private_line, private_tag, wanted
from elite_pipeline.toga2.models import CategoryPath, NoteFile, Person, Ticket, TicketNote
from elite_pipeline.togadesk import Row, TextTooLongError, TogadeskStore, ValueDoesNotFitError

#: Owned columns of ``tickets``: kept up to date; the rest is the helpdesk's own.
OWNED = (
    "subject", "status", "priority", "userid", "email", "groupid", "category", "assetid",
)  # fmt: skip
#: What a subject that had to be shortened ends in.
CUT_MARK = " […]"


@dataclass(slots=True)
class References:
    """What tickets refer to, as found in the helpdesk; everything is ids.

    Attributes:
        people, assets, groups: TOGA 2 uuid -> id.
        authors: E-mail address, lower-case -> id of a person of this client, or of an administrator.
        choices: The category paths that the client's field offers.
        category_paths: Category uuid -> the path under which the field offers it.
        unmirrored: Column of a ticket -> values that TOGA 2 cannot know: ids of rows that mirror nothing.
    """

    people: Mapping[str, int] = field(default_factory=dict)
    assets: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    authors: Mapping[str, int] = field(default_factory=dict)
    choices: frozenset[str] = frozenset()
    category_paths: Mapping[str, str] = field(default_factory=dict)
    unmirrored: Mapping[str, frozenset[int]] = field(default_factory=dict)


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
        own: The helpdesk's row that it was sent from; None: it was written in TOGA 2. Who wrote the row
            is the helpdesk's to say.
        files: What hangs on it.
        unstripped: A description's text with the line in front that names its author, or seems to: a
            row that says it says the same.
    """

    uuid: str
    is_public: bool
    is_description: bool
    author_id: int
    text: str
    written: datetime
    updated: datetime
    own: OwnKey | None = None
    files: tuple[WantedFile, ...] = ()
    unstripped: str | None = None


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

    def owned(
        self, ticket: Ticket, current: Row | None, own: OwnKey | None = None
    ) -> dict[str, object]:
        """Return the owned columns of a ticket's row.

        Where TOGA 2 names nobody and the helpdesk names somebody whom TOGA 2 cannot know, the helpdesk's
        stays.

        Args:
            ticket: As TOGA 2 has it.
            current: Its row, if there is one.
            own: The helpdesk's ticket that it was made from, if it was.

        Raises:
            PermanentError: A status or priority has no counterpart; the message says where to add it.
        """
        contact, unit, team = ticket.contact, ticket.unit, ticket.team
        keeps_email = contact is None and (
            own is not None or self._kept("userid", current) is not None
        )
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
                ticket,
                "contact",
                contact.uuid if contact else None,
                self._references.people,
                self._kept("userid", current),
            ),
            "email": current.email if current and keeps_email else self._email(contact),
            "groupid": self._found(
                ticket,
                "team",
                team.uuid if team else None,
                self._references.groups,
                self._kept("groupid", current),
            ),
            "category": self._category(ticket, current),
            "assetid": self._found(
                ticket,
                "unit",
                unit.uuid if unit else None,
                self._references.assets,
                self._kept("assetid", current),
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

    def description(self, ticket: Ticket, own: OwnKey | None = None) -> Message:
        """Return the ticket's description: the first row of its replies.

        It carries the ticket's own uuid, so that it is never taken for a reply to send back.

        Args:
            ticket: As TOGA 2 has it.
            own: The helpdesk's ticket that it was made from, if it was.

        Raises:
            PermanentError: It cannot be stored.
        """
        author, fitted, files = self.description_row(ticket, own)
        unstripped = None
        if own is not None and without_signature(ticket.description or "") != ticket.description:
            unstripped, _ = self._fit_body("tickets_replies", "message", ticket.description or "")
        return Message(
            uuid=ticket.uuid,
            is_public=True,
            is_description=True,
            author_id=author,
            text=fitted,
            written=ticket.created,
            updated=ticket.updated,
            own=own,
            files=files,
            unstripped=unstripped,
        )

    def description_row(
        self, ticket: Ticket, own: OwnKey | None = None
    ) -> tuple[int, str, tuple[WantedFile, ...]]:
        """Return what of a description goes into its row: who wrote it, and its text as it fits.

        Also the file with all of the text, where that is too long. Arguments and errors as
        :meth:`description`.
        """
        text = ticket.description or ""
        author = self._references.people.get(ticket.contact.uuid, 0) if ticket.contact else 0
        if own is not None:
            text = without_signature(text)
        else:
            subject, is_whole = self._subject(ticket)
            if not is_whole:
                text = f"<p><strong>{html.escape(ticket.subject or subject)}</strong></p>{text}"
            if not author and ticket.contact is not None:
                text = signature(_person_name(ticket.contact), ticket.contact.email) + text
        return (author, *self._fit_body("tickets_replies", "message", text))

    def note(self, ticket: str, note: TicketNote, own: OwnKey | None = None) -> Message:
        """Return a note: external ones are replies, internal ones comments.

        Args:
            ticket: The uuid of its ticket.
            note: As TOGA 2 has it.
            own: The helpdesk's row that it was sent from, if it was.

        Raises:
            PermanentError: It cannot be stored.
        """
        author, text, more = self.note_row(ticket, note, own)
        links = note.files or ()
        files = tuple(wanted(link.file) for link in links if isinstance(link, NoteFile))
        return Message(
            uuid=note.uuid,
            is_public=note.is_external,
            is_description=False,
            author_id=author,
            text=text,
            written=note.created,
            updated=note.updated,
            own=own,
            files=files + more,
        )

    def note_row(
        self, ticket: str, note: TicketNote, own: OwnKey | None = None
    ) -> tuple[int, str, tuple[WantedFile, ...]]:
        """Return what of a note's message goes into its row: who wrote it, and its text as it fits.

        Also the file with all of the text, where that is too long. Arguments and errors as :meth:`note`.
        """
        email = author_email(note)
        author = self._references.authors.get(email, 0) if email else 0
        text = note.body or ""
        if own is not None and not email and note.author_name == RULE_NAME:
            # its row may be gone: a run was cut off while it took it to the other table
            author = RULE_AUTHOR
        if not author and own is None:
            text = signature(note.author_name, note.author_email) + text
            if email:
                self.waiting.append(Waiting(ticket, "author", email))
        if note.is_external:
            return (author, *self._fit_body("tickets_replies", "message", text))
        line = private_line(note.uuid) if note.file_count else ""
        tag = private_tag(note.uuid)
        return (author, *self._fit_body("comments", "comment", text, line=line, tag=tag))

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
        if says_the_same(what, current, value):
            return current
        return self._store.fit("tickets", what, mapping[value])

    def _kept(self, column: str, current: Row | None) -> int | None:
        """Return what a column holds, where TOGA 2 cannot know it."""
        value: int = current[column] if current is not None else 0
        return value if value in self._references.unmirrored.get(column, ()) else None

    def _found(
        self,
        ticket: Ticket,
        kind: str,
        uuid: str | None,
        ids: Mapping[str, int],
        kept: int | None,
    ) -> int:
        if uuid is None:
            return kept or 0
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

    def _category(self, ticket: Ticket, current: Row | None) -> str:
        """Return the category's path where the helpdesk's field offers this category under it.

        The same path may be offered for another category whose rename has not arrived yet.
        """
        if ticket.category is None:
            kept: str = current.category if current is not None else ""
            # one that people made in the helpdesk itself
            return "" if kept in self._references.category_paths.values() else kept
        names = _path_names(ticket.category)
        path = encode_path(names) if names else ""
        is_current = self._references.category_paths.get(ticket.category.uuid) == path
        if path and is_current and path in self._references.choices:
            return self._store.fit("tickets", "category", path)
        self.waiting.append(Waiting(ticket.uuid, "category", ticket.category.uuid))
        return ""

    def _fit_body(
        self, table: str, column: str, text: str, *, line: str = "", tag: str = ""
    ) -> tuple[str, tuple[WantedFile, ...]]:
        """Return a text as its column holds it, and the file with all of it where that is less.

        Nothing is cut in silence (sync.md 10.11): what stands there says that it is not all.

        Args:
            table: Where it goes.
            column: Likewise.
            text: HTML.
            line: What the helpdesk says beneath it, which is no part of it.
            tag: What the names of its files begin with there.
        """
        try:
            return self._store.fit(table, column, text + line), ()
        except TextTooLongError:
            pass
        except ValueDoesNotFitError as error:
            raise PermanentError(
                f"its text cannot be stored whole, and is not cut: {error}"
            ) from error
        whole = full_text(text)
        end = full_text_mark(tag + whole.name) + line

        def fits(beginning: str) -> bool:
            try:
                self._store.fit(table, column, beginning + end)
            except TextTooLongError:
                return False
            return True

        return self._store.fit(table, column, beginning_of(text, fits) + end), (whole,)


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

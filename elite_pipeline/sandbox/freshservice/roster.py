"""The people, groups and categories of an account, and its records as they are stored.

What does not belong here: what happens to tickets, which is ``account``'s.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.store import Document, Kind, Record, Store, Writer
from elite_pipeline.sandbox.serving.clock import Clock

#: The status of a closed ticket.
CLOSED: Final = 5

_PERSON: Final[Mapping[str, Any]] = {
    "active": True,
    "job_title": None,
    "work_phone_number": None,
    "mobile_phone_number": None,
    "department_ids": [],
    "language": "en",
    "time_zone": "UTC",
    "time_format": "24h",
    "location_id": None,
    "custom_fields": {},
}
_EMAIL_FIELDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("requester", "primary_email"),
    ("agent", "email"),
)


class Roster:
    """The records of one account, and those of them that tickets refer to.

    Args:
        account: The account's name.
        store: Where its records are.
        clock: What time it is.
    """

    def __init__(self, account: str, store: Store, clock: Clock) -> None:
        self.name = account
        self._store = store
        self._clock = clock

    def add_requester(
        self,
        first_name: str,
        last_name: str,
        email: str | None,
        *,
        requester_id: int | None = None,
        **own: Any,
    ) -> int:
        """Add a requester and return its id."""
        document: Document = {
            "first_name": first_name,
            "last_name": last_name,
            "primary_email": email,
            "secondary_emails": [],
            **_PERSON,
            "is_agent": False,
            "has_logged_in": False,
            **own,
        }
        return self._add("requester", document, requester_id)

    def add_agent(self, first_name: str, last_name: str, email: str | None, **own: Any) -> int:
        """Add an agent and return its id; ``/requesters/{id}`` does not know it."""
        document: Document = {
            "first_name": first_name,
            "last_name": last_name,
            "email": email,
            **_PERSON,
            "occasional": False,
            "member_of": [],
            "observer_of": [],
            "roles": [],
            **own,
        }
        return self._add("agent", document, None)

    def add_group(self, name: str, *, group_id: int | None = None) -> int:
        """Add a group and return its id."""
        document: Document = {"name": name, "description": None, "members": []}
        return self._add("group", document, group_id)

    def set_categories(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Make the tree of categories, of one to three levels, that some paths describe."""
        with self._store.writing() as writer:
            now = self._now()
            document = {"paths": [list(path) for path in paths]}
            writer.put(self.name, "categories", Record(1, None, now, now, document))

    @property
    def categories(self) -> list[tuple[str, ...]]:
        """The paths of the tree of categories."""
        found = self._store.get(self.name, "categories", 1)
        return [tuple(path) for path in found.document["paths"]] if found else []

    def rename(self, kind: Kind, record: int, **own: Any) -> None:
        """Change the fields of a requester, an agent or a group."""
        with self._store.writing() as writer:
            self._change(writer, kind, record, own, self._now())

    @property
    def requesters(self) -> list[int]:
        """The ids of its requesters."""
        return self._store.ids(self.name, "requester")

    @property
    def agents(self) -> list[int]:
        """The ids of its agents."""
        return self._store.ids(self.name, "agent")

    @property
    def groups(self) -> list[int]:
        """The ids of its groups."""
        return self._store.ids(self.name, "group")

    def record(self, kind: Kind, record: int) -> Record | None:
        """Return a record of any kind, if there is one."""
        return self._store.get(self.name, kind, record)

    def records(self, kind: Kind, *, since: float | None = None) -> list[Record]:
        """Return all records of a kind, by id; only those updated at or after a time, if one is given."""
        return self._store.all(self.name, kind, since=since)

    @property
    def tickets(self) -> list[int]:
        """The numbers of its tickets, the deleted ones and spam included."""
        return self._store.ids(self.name, "ticket")

    def open_tickets(self, count: int) -> list[int]:
        """Return the numbers of its youngest tickets that are neither closed nor gone, in order."""
        return self._store.youngest_tickets(self.name, count, but_of_status=CLOSED)

    def ticket(self, ticket: int) -> Record:
        """Return a ticket as it is stored.

        Raises:
            KeyError: There is none of that number.
        """
        return self._existing("ticket", ticket)

    def conversations(self, ticket: int) -> list[Record]:
        """Return a ticket's conversations as they are stored, oldest first."""
        return self._store.children(self.name, "conversation", ticket)

    def attachments(self, owner: int) -> list[Record]:
        """Return the attachments of a ticket or a conversation as they are stored."""
        return self._store.children(self.name, "attachment", owner)

    def content(self, attachment: int) -> bytes:
        """Return the bytes of an attachment or embedded image.

        Raises:
            KeyError: There is no such attachment.
        """
        return self._store.content(self.name, attachment)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _existing(self, kind: Kind, record: int) -> Record:
        found = self._store.get(self.name, kind, record)
        if found is None:
            raise KeyError(f"account {self.name} has no {kind} {record}")
        return found

    def _add(self, kind: Kind, document: Document, record: int | None) -> int:
        with self._store.writing() as writer:
            number = writer.next_id(self.name, kind) if record is None else record
            now = self._now()
            writer.put(self.name, kind, Record(number, None, now, now, document))
        return number

    def _change(
        self, writer: Writer, kind: Kind, record: int, own: Mapping[str, Any], now: float
    ) -> Record:
        """Write fields of a record anew; it is read under the same lock."""
        found = self._existing(kind, record)
        changed = found._replace(
            updated=max(now, found.updated), document={**found.document, **own}
        )
        writer.put(self.name, kind, changed)
        return changed

    def _email(self, person: int | None) -> str | None:
        if person is None:
            return None
        for kind, key in _EMAIL_FIELDS:
            found = self._store.get(self.name, kind, person)
            if found is not None:
                email = found.document[key]
                return None if email is None else str(email)
        return None

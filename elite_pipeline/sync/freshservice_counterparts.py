"""Contacts, teams and categories of TOGA 2 for what Freshservice's tickets name: found, adopted or made.

Follows ``spec/sync.md`` section 7: found by the client's custom field; one that people or another
program made is adopted where that is safe (same e-mail address or name, no such id yet); else it is
made, with its id in the field, so that it is found the next time also if the answer was lost.

Each is asked for once a run, however many tickets name it. What does not belong here: tickets and their
notes (``freshservice_ticket``).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError, PipelineError, TransientError
from elite_pipeline.freshservice.client import FreshserviceClient
from elite_pipeline.freshservice.models import Person
from elite_pipeline.ledger.carried import Carried, State
from elite_pipeline.sync.freshservice_keys import (
    FLOW,
    category_field,
    contact_field,
    fingerprint,
    team_field,
)
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import uuid_of

#: Kind and id of something that is asked for.
Name = tuple[str, object]


@dataclass(slots=True)
class _Answer:
    """What was found for something, once it was looked for."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    is_known: bool = False
    uuid: str | None = None
    error: PipelineError | None = None


class Counterparts:
    """What stands in TOGA 2 for what Freshservice names. Safe to use from several threads.

    Args:
        client: Whose.
        freshservice: Asked who and what is meant.
        toga2: Where they are.
        carried: What was last carried of a person.
        count: Told of what was made or changed, by what it is.
    """

    def __init__(
        self,
        client: Client,
        freshservice: FreshserviceClient,
        toga2: Toga2Client,
        carried: Carried,
        count: Callable[[str], None],
    ) -> None:
        self._prefix = client.custom_field_prefix
        self._freshservice = freshservice
        self._toga2 = toga2
        self._carried = carried
        self._count = count
        self._answers: dict[Name, _Answer] = {}
        self._guard = threading.Lock()

    def contact(self, user_id: int | None) -> str | None:
        """Return the uuid of the contact for a requester; None: Freshservice does not know him.

        Raises:
            TransientError, PermanentError, SystemicError: As the clients say.
        """
        if user_id is None:
            return None
        return self._once(("contact", user_id), lambda: self._find_contact(user_id))

    def team(self, group_id: int | None) -> str | None:
        """Return the uuid of the team for a group; None: Freshservice does not know it.

        Raises:
            TransientError, PermanentError, SystemicError: As the clients say.
        """
        if group_id is None:
            return None
        return self._once(("team", group_id), lambda: self._find_team(group_id))

    def category(self, path: Sequence[str]) -> str | None:
        """Return the uuid of the category at a path of names; None: there is no such choice.

        Raises:
            TransientError, PermanentError, SystemicError: As the clients say.
        """
        names = tuple(path)
        if not names:
            return None
        return self._once(("category", names), lambda: self._find_category(names))

    def _once(self, name: Name, find: Callable[[], str | None]) -> str | None:
        """Ask once for each; who asks meanwhile waits for the answer, also for that it failed."""
        with self._guard:
            answer = self._answers.setdefault(name, _Answer())
        with answer.guard:
            if not answer.is_known:
                try:
                    answer.uuid = find()
                except (TransientError, PermanentError) as error:
                    answer.error = error
                answer.is_known = True
            if answer.error is not None:
                raise answer.error
            return answer.uuid

    # Contacts

    def _find_contact(self, user_id: int) -> str | None:
        person = self._freshservice.person(user_id)
        if person is None:
            return None
        key_field = contact_field(self._prefix)
        wanted = _contact_fields(person)
        found = self._first(wire.CONTACTS, [(key_field, "=", str(user_id))])
        # TOGA 2 compares letter by letter, and people write their addresses in any case
        for email in dict.fromkeys((person.email, person.email.lower())):
            if found is None and email:
                found = self._adopted(
                    wire.CONTACTS, [("email", "=", email)], key_field, str(user_id)
                )
        entity, now = f"contact {user_id}", _fingerprints(wanted)
        before = self._carried.get(FLOW, [entity]).get(entity)
        if found is None:
            uuid = self._make(wire.CONTACTS, {**wanted, "isActive": True, key_field: str(user_id)})
            self._count("contacts created")
        else:
            uuid = str(uuid_of(found))
            self._update_contact(uuid, wanted, found, now, before)
        if now != before:
            self._carried.put(FLOW, entity, now)
        return uuid

    def _update_contact(
        self,
        uuid: str,
        wanted: Mapping[str, str],
        found: Mapping[str, object],
        now: State,
        before: State | None,
    ) -> None:
        """Carry what has changed in Freshservice since the last time; what it never said is left."""
        if before is None:
            # TOGA 2 is the system of record: what it has is not overwritten by a first meeting
            changed = {key: text for key, text in wanted.items() if not found.get(key)}
        else:
            changed = {
                key: text
                for key, text in wanted.items()
                if now[key] != before.get(key) and found.get(key) != text
            }
        if changed:
            self._toga2.update(wire.CONTACTS, uuid, changed)
            self._count("contacts updated")

    # Teams

    def _find_team(self, group_id: int) -> str | None:
        key_field = team_field(self._prefix)
        if (found := self._first(wire.TICKET_TEAMS, [(key_field, "=", str(group_id))])) is not None:
            return uuid_of(found)
        group = self._freshservice.group(group_id)
        if group is None:
            return None
        found = self._adopted(
            wire.TICKET_TEAMS, [("name", "=", group.name)], key_field, str(group_id)
        )
        if found is not None:
            return uuid_of(found)
        self._count("teams created")
        return self._make(
            wire.TICKET_TEAMS, {"name": group.name, "isActive": True, key_field: str(group_id)}
        )

    # Categories

    def _find_category(self, names: tuple[str, ...]) -> str | None:
        choice_id = self._freshservice.category_choices().get(names)
        if choice_id is None:
            return None
        key_field = category_field(self._prefix)
        found = self._first(wire.TICKET_CATEGORIES, [(key_field, "=", str(choice_id))])
        if found is not None:
            return uuid_of(found)
        parent = self.category(names[:-1])
        adopted = self._adopted(
            wire.TICKET_CATEGORIES,
            [("name", "=", names[-1])],
            key_field,
            str(choice_id),
            is_meant=lambda raw: _uuid_in(raw.get("parent")) == parent,
        )
        if adopted is not None:
            return uuid_of(adopted)
        self._count("categories created")
        return self._make(
            wire.TICKET_CATEGORIES,
            {
                "name": names[-1],
                "parent": {"uuid": parent} if parent else None,
                "isActive": True,
                key_field: str(choice_id),
            },
        )

    # What they have in common

    def _first(
        self, resource: wire.Resource, filters: Sequence[tuple[str, str, str]]
    ) -> dict[str, object] | None:
        """Return what passes the filters; of several the one that was made first."""
        found = self._toga2.find(resource, filters)
        return min(found, key=_age, default=None)

    def _adopted(
        self,
        resource: wire.Resource,
        filters: Sequence[tuple[str, str, str]],
        key_field: str,
        key: str,
        is_meant: Callable[[Mapping[str, object]], bool] = lambda _: True,
    ) -> dict[str, object] | None:
        """Return what is there under the same natural key, after writing our key into it.

        One that has another id already stands for somebody else, or for an earlier self: it is used, but
        not renamed.
        """
        alike = sorted(
            (raw for raw in self._toga2.find(resource, filters) if is_meant(raw)), key=_age
        )
        free = [raw for raw in alike if not raw.get(key_field)]
        if not free:
            return alike[0] if alike else None
        self._toga2.update(resource, str(uuid_of(free[0])), {key_field: key})
        self._count(f"{_PLURALS[resource.route]} adopted")
        return free[0]

    def _make(self, resource: wire.Resource, fields: Mapping[str, object]) -> str:
        uuid = uuid_of(self._toga2.create(resource, fields))
        if uuid is None:
            raise TransientError(
                f"TOGA 2 made one of {resource.route} and did not say its uuid; the next try finds it."
            )
        return uuid


_PLURALS = {
    wire.CONTACTS.route: "contacts",
    wire.TICKET_TEAMS.route: "teams",
    wire.TICKET_CATEGORIES.route: "categories",
}


def _contact_fields(person: Person) -> dict[str, str]:
    """Return what Freshservice says of a person, spelled for TOGA 2."""
    first, _, last = (person.name or "").strip().partition(" ")
    given = {
        "firstName": first,
        "lastName": last.strip(),
        "email": (person.email or "").strip(),
        "phone": (person.phone or "").strip(),
        "title": (person.title or "").strip(),
    }
    return {key: text for key, text in given.items() if text}


def _fingerprints(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: fingerprint(text) for key, text in fields.items()}


def _uuid_in(relation: object) -> str | None:
    return uuid_of(relation) if isinstance(relation, dict) else None


def _age(raw: Mapping[str, object]) -> tuple[str, str]:
    return str(raw.get("_created") or ""), str(uuid_of(raw))

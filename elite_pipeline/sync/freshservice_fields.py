"""A ticket's own fields on their way from Freshservice to TOGA 2: which of them are to be written.

Follows ``spec/sync.md`` section 7. A field is written when Freshservice has changed it since it was
last carried: a repeated or replayed webhook undoes nothing that people have done in TOGA 2 or the
helpdesk meanwhile. Of a ticket of which nothing was carried yet, and that TOGA 2 has all the same, the
newer side wins.

What does not belong here: conversations and files (``freshservice_ticket``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elite_pipeline.clients import Client
from elite_pipeline.errors import PermanentError, PipelineError, SystemicError
from elite_pipeline.freshservice.models import Ticket
from elite_pipeline.sync.freshservice_counterparts import Counterparts
from elite_pipeline.sync.freshservice_files import without_links
from elite_pipeline.sync.freshservice_keys import fingerprint
from elite_pipeline.toga2.models import updated_of, uuid_of

#: Remembered of a field that could not be carried: it equals nothing, so it is tried again.
OWED = "?"
#: Fields whose value is a relation.
RELATIONS = ("contact", "ticketTeam", "ticketCategory")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What Freshservice says of one field.

    Attributes:
        mark: What is remembered of it: the same mark is the same value.
        value: Gives TOGA 2's value; None: it has none, and the field is left alone. Raises what the
            lookup of a relation meets.
    """

    mark: object
    value: Callable[[], object | None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which fields are to be written.

    Attributes:
        fields: TOGA 2's names and values.
        marks: What is to be remembered, of all fields that are as Freshservice has them.
        failures: Fields that could not be made out, and why.
    """

    fields: Mapping[str, object]
    marks: Mapping[str, object]
    failures: tuple[tuple[str, Exception], ...]


class TicketFields:
    """Makes out the fields of tickets of one client. Safe to use from several threads."""

    def __init__(self, client: Client, counterparts: Counterparts) -> None:
        self._client = client
        self._counterparts = counterparts

    def wanted(self, ticket: Ticket, described: Callable[[], object]) -> dict[str, Wanted]:
        """Return what Freshservice says of a ticket, by TOGA 2's names.

        Args:
            ticket: As Freshservice has it.
            described: Gives the description as TOGA 2 is to have it.
        """
        path = category_path(ticket)
        known = self._counterparts
        return {
            "subject": Wanted(fingerprint(ticket.subject), lambda: ticket.subject or ""),
            "description": Wanted(fingerprint(without_links(ticket.description)), described),
            "status": Wanted(ticket.status, lambda: self._mapped("status", ticket.status)),
            "priority": Wanted(ticket.priority, lambda: self._mapped("priority", ticket.priority)),
            "contact": Wanted(
                ticket.requester_id, lambda: _relation(known.contact(ticket.requester_id))
            ),
            "ticketTeam": Wanted(ticket.group_id, lambda: _relation(known.team(ticket.group_id))),
            "ticketCategory": Wanted(list(path), lambda: _relation(known.category(path))),
        }

    def _mapped(self, what: str, value: int | None) -> str | None:
        if value is None:
            return None
        client = self._client
        mapping = (
            client.freshservice_status_map if what == "status" else client.freshservice_priority_map
        )
        if value not in mapping:
            raise PermanentError(
                f"its {what} {value} has no counterpart in TOGA 2, which keeps what it has; add it to "
                f"the client's freshservice.{what}_map in the registry"
            )
        return mapping[value]


def choose(
    wanted: Mapping[str, Wanted],
    *,
    ticket: Ticket,
    before: Mapping[str, object] | None,
    there: Mapping[str, object] | None,
) -> Chosen:
    """Return which fields are to be written.

    Args:
        wanted: What Freshservice says.
        ticket: The ticket that it says it of.
        before: What was last carried, by field; None: nothing was.
        there: The ticket as TOGA 2 has it; None: it has none, and all that there is is written.

    Raises:
        SystemicError: Nothing of this client can work.
    """
    fields: dict[str, object] = {}
    marks: dict[str, object] = {}
    failures: list[tuple[str, Exception]] = []
    wins = there is None or _is_newer(ticket, there)
    for name, one in wanted.items():
        if before is not None and name in before and before[name] == one.mark:
            marks[name] = one.mark
            continue
        is_first = before is None or name not in before
        if there is not None and is_first and not wins and there.get(name):
            # nobody knows who changed it last but the clock, which speaks for TOGA 2
            marks[name] = one.mark
            continue
        try:
            value = one.value()
        except SystemicError:
            raise
        except PipelineError as error:
            failures.append((name, error))
            marks[name] = OWED
            continue
        marks[name] = one.mark
        if value is not None and (there is None or not _is_equal(name, there.get(name), value)):
            fields[name] = value
    return Chosen(fields, marks, tuple(failures))


def category_path(ticket: Ticket) -> tuple[str, ...]:
    """Return the names of a ticket's category from the top, without the blanks around them."""
    names = []
    for level in (ticket.category, ticket.sub_category, ticket.item_category):
        if not (name := (level or "").strip()):
            break
        names.append(name)
    return tuple(names)


def _is_newer(ticket: Ticket, there: Mapping[str, object]) -> bool:
    updated = updated_of(there)
    return updated is None or ticket.updated_at > updated


def _relation(uuid: str | None) -> dict[str, object] | None:
    return {"uuid": uuid} if uuid else None


def _is_equal(name: str, there: object, value: object) -> bool:
    if name in RELATIONS:
        return uuid_of(there) == uuid_of(value)
    return there == value

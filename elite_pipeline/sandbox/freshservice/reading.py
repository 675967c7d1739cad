"""What the sandbox's Freshservice answers to reads (``spec/freshservice.md``, Endpoints and Paging)."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.asked import Asked, Given, listed, page_of
from elite_pipeline.sandbox.freshservice.problems import invalid
from elite_pipeline.sandbox.freshservice.shapes import form_fields
from elite_pipeline.sandbox.freshservice.store import Document, Kind, Record
from elite_pipeline.sandbox.freshservice.times import read

#: How far back a list of tickets reaches that is not told ``updated_since``.
_REACH: Final = timedelta(days=30)
#: How many conversations ``include=conversations`` gives at most.
_INCLUDED: Final = 10
_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*:\s*'?([^']*?)'?\s*")
_FILTERABLE: Final = {"agent_id": "responder_id"} | {
    name: name for name in ("status", "priority", "requester_id", "group_id", "type", "category")
}
_PREDEFINED: Final = ("new_and_my_open", "watching", "spam", "deleted")


def list_tickets(asked: Asked) -> Given:
    """List tickets: of the last 30 days without ``updated_since``; no trash, no spam."""
    query = asked.query
    since = None
    if "updated_since" in query:
        try:
            since = read(query["updated_since"])
        except ValueError:
            raise invalid("updated_since", "It should be a valid datetime") from None
    wanted = query.get("filter")
    if wanted is not None and wanted not in _PREDEFINED:
        raise invalid("filter", f"It should be one of these values: '{','.join(_PREDEFINED)}'")
    born = (asked.clock() - _REACH).timestamp() if since is None else float("-inf")
    found = [
        ticket
        for ticket in asked.account.records("ticket", since=since)
        if ticket.created >= born
        and _in_view(ticket.document, wanted)
        and _fits(asked, ticket.document)
    ]
    return _tickets(asked, found)


def filter_tickets(asked: Asked) -> Given:
    """List the tickets that a query such as ``"status:2 AND priority:1"`` finds."""
    text = asked.query.get("query", "")
    if len(text) < 3 or text[0] != '"' or text[-1] != '"':
        raise invalid("query", "It should be enclosed in double quotes")
    wanted: list[tuple[str, str]] = []
    for part in text[1:-1].split(" AND "):
        found = _CONDITION.fullmatch(part)
        if found is None or found[1] not in _FILTERABLE:
            raise invalid("query", f"This condition is not supported: {part}")
        wanted.append((_FILTERABLE[found[1]], found[2]))
    return _tickets(
        asked,
        [
            ticket
            for ticket in asked.account.records("ticket")
            if _in_view(ticket.document, None)
            and all(str(ticket.document[name]) == value for name, value in wanted)
        ],
    )


def view_ticket(asked: Asked) -> Given:
    """Show one ticket, with its attachments; one in the trash or in spam too."""
    record = asked.record("ticket")
    account = asked.account
    spelled = account.shapes.ticket(record, account.attachments(record.id))
    if "conversations" in asked.includes:
        first = account.conversations(record.id)[:_INCLUDED]
        spelled["conversations"] = [_conversation(asked, each) for each in first]
    return Given(200, {"ticket": spelled | _included(asked, record)})


def list_conversations(asked: Asked) -> Given:
    """List the conversations of a ticket."""
    records = asked.account.conversations(asked.record("ticket").id)
    if asked.settings.conversation_order == "newest":
        records.reverse()
    page, headers = page_of(asked, records)
    return listed("conversations", [_conversation(asked, each) for each in page], page, headers)


def list_requesters(asked: Asked) -> Given:
    """List requesters, all or by e-mail address."""
    email = asked.query.get("email") or asked.query.get("primary_email")
    return _people(asked, "requester", "requesters", {"primary_email": email})


def list_agents(asked: Asked) -> Given:
    """List agents, all or by e-mail address."""
    return _people(asked, "agent", "agents", {"email": asked.query.get("email")})


def view_requester(asked: Asked) -> Given:
    """Show a requester; an agent is not one."""
    return Given(200, {"requester": asked.account.shapes.person(asked.record("requester"))})


def view_agent(asked: Asked) -> Given:
    """Show an agent."""
    return Given(200, {"agent": asked.account.shapes.person(asked.record("agent"))})


def list_groups(asked: Asked) -> Given:
    """List groups."""
    page, headers = page_of(asked, asked.account.records("group"))
    return listed("groups", [asked.account.shapes.group(each) for each in page], page, headers)


def view_group(asked: Asked) -> Given:
    """Show a group."""
    return Given(200, {"group": asked.account.shapes.group(asked.record("group"))})


def list_form_fields(asked: Asked) -> Given:
    """List the fields of the ticket form, the tree of categories among them."""
    return Given(200, {"ticket_fields": form_fields(asked.account.categories)})


def list_nothing(asked: Asked) -> Given:
    """List what this sandbox has none of."""
    if asked.id is not None:
        asked.record("ticket")
    return Given(200, {asked.path.rpartition("/")[2]: []})


READS: Final[Mapping[str, Callable[[Asked], Given]]] = {
    read.__name__: read
    for read in (
        *(list_tickets, filter_tickets, view_ticket, list_conversations),
        *(list_requesters, list_agents, view_requester, view_agent),
        *(list_groups, view_group, list_form_fields, list_nothing),
    )
}


def _tickets(asked: Asked, found: list[Record]) -> Given:
    def order(ticket: Record) -> tuple[float, int]:
        by_change = asked.settings.order_lists_by == "updated_at"
        return (ticket.updated if by_change else ticket.created, ticket.id)

    direction = asked.query.get("order_type", "desc")
    if direction not in ("asc", "desc"):
        raise invalid("order_type", "It should be one of these values: 'asc,desc'")
    page, headers = page_of(asked, sorted(found, key=order, reverse=direction == "desc"))
    spelled = [asked.account.shapes.ticket(each) | _included(asked, each) for each in page]
    return listed("tickets", spelled, page, headers)


def _in_view(ticket: Document, wanted: str | None) -> bool:
    """Say whether a list shows a ticket: trash and spam only where they are asked for."""
    if wanted == "spam":
        return bool(ticket["spam"] and not ticket["deleted"])
    if wanted == "deleted":
        return bool(ticket["deleted"])
    return not ticket["deleted"] and not ticket["spam"]


def _fits(asked: Asked, ticket: Document) -> bool:
    """Say whether a ticket is one that the parameters ask for."""
    query = asked.query
    if "requester_id" in query and str(ticket["requester_id"]) != query["requester_id"]:
        return False
    if "type" in query and ticket["type"] != query["type"]:
        return False
    email = query.get("email") or query.get("requester_email")
    if email is None:
        return True
    asking = asked.account.record("requester", ticket["requester_id"] or 0)
    return asking is not None and asking.document["primary_email"] == email


def _included(asked: Asked, ticket: Record) -> Document:
    """Return what ``include`` adds to a ticket, conversations aside."""
    added: Document = {}
    includes = asked.includes
    if "stats" in includes:
        added["stats"] = asked.account.shapes.stats(ticket)
    for name in ("requester", "requested_for"):
        if name in includes:
            person = asked.account.record("requester", ticket.document["requester_id"] or 0)
            added[name] = person and {
                "id": person.id,
                "name": f"{person.document['first_name']} {person.document['last_name']}",
                "email": person.document["primary_email"],
            }
    return added


def _conversation(asked: Asked, record: Record) -> Document:
    return asked.account.shapes.conversation(record, asked.account.attachments(record.id))


def _people(asked: Asked, kind: Kind, name: str, wanted: dict[str, str | None]) -> Given:
    def fits(own: dict[str, Any]) -> bool:
        if any(value not in (None, own[key]) for key, value in wanted.items()):
            return False
        active = asked.query.get("active")
        return active is None or str(own["active"]).lower() == active

    found = [record for record in asked.account.records(kind) if fits(record.document)]
    page, headers = page_of(asked, found)
    return listed(name, [asked.account.shapes.person(each) for each in page], page, headers)

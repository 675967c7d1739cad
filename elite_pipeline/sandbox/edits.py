"""Believable edits to a running sandbox, so that somebody can watch the changes flow."""

from collections.abc import Iterator
from datetime import UTC, datetime

from elite_pipeline.sandbox.caller import Caller, CallError
from elite_pipeline.sandbox.data.words import (
    ANSWER_TEXTS,
    FOLLOW_UP_TEXTS,
    INTERNAL_TEXTS,
    JOB_TITLES,
)
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.toga2.documents import Document
from elite_pipeline.sandbox.toga2.schema import PRIORITIES, STATUSES


def edit(caller: Caller, dice: Dice, *, tickets: int, notes: int, contacts: int) -> Iterator[str]:
    """Make some edits over HTTP and yield a line about each.

    Args:
        caller: Who calls, with the credentials of a client.
        dice: What is edited follows from it.
        tickets: How many tickets change their status and priority.
        notes: How many notes are written; one in four is internal.
        contacts: How many contacts change their title.

    Raises:
        CallError: The sandbox cannot be reached, or has nothing to edit.
    """
    for ticket in _some(caller, dice, "tickets", tickets):
        change = {
            "status": dice.pick([status for status in STATUSES if status != ticket["status"]]),
            "priority": dice.pick(PRIORITIES),
        }
        caller.call("PATCH", f"/v2/tickets/{ticket['uuid']}", change)
        yield f"ticket {ticket['number']}: {change['status']}, {change['priority']}"
    for ticket in _some(caller, dice, "tickets", notes):
        internal = dice.chance(0.25)
        texts = INTERNAL_TEXTS if internal else dice.pick((ANSWER_TEXTS, FOLLOW_UP_TEXTS))
        now = datetime.now(UTC).strftime("%H:%M:%S")
        note: Document = {
            "ticket": {"uuid": ticket["uuid"]},
            "isExternal": not internal,
            "body": dice.pick(texts).format(person="there") + f"<p>({now} UTC)</p>",
            "authorName": "Sandbox Agent",
            "authorEmail": "agent@sandbox.example.net",
        }
        caller.call("POST", "/v2/ticket-notes", note)
        yield f"ticket {ticket['number']}: new {'internal' if internal else 'external'} note"
    for contact in _some(caller, dice, "contacts", contacts):
        title = dice.pick([title for title in JOB_TITLES if title not in ("", contact["title"])])
        caller.call("PATCH", f"/v2/contacts/{contact['uuid']}", {"title": title})
        yield f"contact {contact['firstName']} {contact['lastName']}: {title}"


def _some(caller: Caller, dice: Dice, route: str, count: int) -> list[Document]:
    """Return some records of the first page of a list."""
    if not count:
        return []
    page = caller.call("GET", f"/v2/{route}", orderBy="uuid", limit=200)["data"][route]
    if not page:
        raise CallError(f"the client has no {route} to edit; 'sandbox toga2 fill' makes some")
    return dice.sample(page, count)

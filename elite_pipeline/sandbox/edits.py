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
from elite_pipeline.sandbox.toga2.schema import (
    PRIORITIES,
    RESOURCES,
    STATUSES,
    JobKind,
    Resource,
)


def edit(
    caller: Caller, dice: Dice, *, kind: JobKind, tickets: int, notes: int, contacts: int
) -> Iterator[str]:
    """Make some edits over HTTP and yield a line about each.

    Args:
        caller: Who calls, with the credentials of a client.
        dice: What is edited follows from it.
        kind: What stands for the client's tickets.
        tickets: How many of them change their status and priority.
        notes: How many notes are written; one in four is internal.
        contacts: How many contacts change their title.

    Raises:
        CallError: The sandbox cannot be reached, or has nothing to edit.
    """
    for ticket in _some(caller, dice, kind.job, tickets):
        change = {
            "status": dice.pick([status for status in STATUSES if status != ticket["status"]]),
            "priority": dice.pick(PRIORITIES),
        }
        caller.call("PATCH", f"/v2/{kind.job.route}/{ticket['uuid']}", change)
        yield f"{kind.job.label} {ticket['number']}: {change['status']}, {change['priority']}"
    for ticket in _some(caller, dice, kind.job, notes):
        internal = dice.chance(0.25)
        texts = INTERNAL_TEXTS if internal else dice.pick((ANSWER_TEXTS, FOLLOW_UP_TEXTS))
        now = datetime.now(UTC).strftime("%H:%M:%S")
        note: Document = {
            kind.note_parent: {"uuid": ticket["uuid"]},
            "isExternal": not internal,
            "body": dice.pick(texts).format(person="there") + f"<p>({now} UTC)</p>",
            "authorName": "Sandbox Agent",
            "authorEmail": "agent@sandbox.example.net",
        }
        caller.call("POST", f"/v2/{kind.note.route}", note)
        visibility = "internal" if internal else "external"
        yield f"{kind.job.label} {ticket['number']}: new {visibility} note"
    for contact in _some(caller, dice, RESOURCES["contacts"], contacts):
        title = dice.pick([title for title in JOB_TITLES if title not in ("", contact["title"])])
        caller.call("PATCH", f"/v2/contacts/{contact['uuid']}", {"title": title})
        yield f"contact {contact['firstName']} {contact['lastName']}: {title}"


def _some(caller: Caller, dice: Dice, resource: Resource, count: int) -> list[Document]:
    """Return some records of the first page of a list."""
    if not count:
        return []
    answer = caller.call("GET", f"/v2/{resource.route}", orderBy="uuid", limit=200)
    page = answer["data"][resource.envelope]
    if not page:
        raise CallError(
            f"the client has no {resource.route} to edit; 'sandbox toga2 fill' makes some"
        )
    return dice.sample(page, count)

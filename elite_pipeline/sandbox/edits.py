"""Believable edits to a running sandbox, so that somebody can watch the changes flow."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

from elite_pipeline.sandbox.caller import Caller, CallError
from elite_pipeline.sandbox.data.files import file_content
from elite_pipeline.sandbox.data.words import (
    ANSWER_TEXTS,
    FILE_NAMES,
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
    caller: Caller,
    dice: Dice,
    *,
    kind: JobKind,
    tickets: int = 0,
    notes: int = 0,
    contacts: int = 0,
    files: int = 0,
) -> Iterator[str]:
    """Make some edits over HTTP and yield a line about each.

    Args:
        caller: Who calls, with the credentials of a client.
        dice: What is edited follows from it.
        kind: What stands for the client's tickets.
        tickets: How many of them change their status and priority.
        notes: How many notes are written; one in four is internal.
        contacts: How many contacts change their title.
        files: How many files are attached to the notes, one to each in turn; without any note, one
            is written for them.

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
    on = _some(caller, dice, kind.job, max(notes, 1 if files else 0))
    for place, ticket in enumerate(on):
        # the first notes have one more where the files do not come out even
        names = [dice.pick(FILE_NAMES) for _ in range(place, files, len(on))]
        yield _write_note(caller, dice, kind, ticket, names)
    for contact in _some(caller, dice, RESOURCES["contacts"], contacts):
        title = dice.pick([title for title in JOB_TITLES if title not in ("", contact["title"])])
        caller.call("PATCH", f"/v2/contacts/{contact['uuid']}", {"title": title})
        yield f"contact {contact['firstName']} {contact['lastName']}: {title}"


def _write_note(
    caller: Caller, dice: Dice, kind: JobKind, ticket: Document, names: list[str]
) -> str:
    """Write a note with files of some names; return a line about it."""
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
    files = RESOURCES["files"]
    made = caller.call("POST", f"/v2/{kind.note.route}", note)["data"][kind.note.envelope]["uuid"]
    for name in names:
        content_type, content = file_content(dice, name, f"written at {now} UTC")
        data = base64.b64encode(content).decode("ascii")
        fields = {"name": name, "contentType": content_type, "data": data}
        file = caller.call("POST", f"/v2/{files.route}", fields)["data"][files.envelope]["uuid"]
        link = {"file": {"uuid": file}}
        caller.call("POST", f"/v2/{kind.note.route}/{made}/{kind.link.route}", link)
    visibility = "internal" if internal else "external"
    line = f"{kind.job.label} {ticket['number']}: new {visibility} note"
    return f"{line}, with {', '.join(names)}" if names else line


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

"""What both sides have in the end, by what it says: two runs can be compared by it.

Ids and uuids that a run gives are replaced by the text of what they name; what a watermark holds is left
out, as one of them goes by the clock.
"""

import hashlib
import re
from typing import Any

from elite_pipeline_tests.support.systems import Systems

State = dict[str, list[Any]]

#: Left by a process that was killed while it wrote; the folder's own cleaning takes it away later.
_LEFTOVER = re.compile(r"\.elite-pipeline-[0-9a-f]{32}\.part")


def end_state(systems: Systems) -> State:
    """Return all that the client ``elite`` has on both sides."""
    return {**_toga2(systems), **_helpdesk(systems), **_files(systems)}


def difference(expected: State, found: State) -> list[str]:
    """Return what is missing and what is too much in a state, in a few words each."""
    wrong = []
    for name, wanted in expected.items():
        more = list(found[name])
        lacking = []
        for one in wanted:
            if one in more:
                more.remove(one)
            else:
                lacking.append(one)
        wrong += [f"{name}: lacks {str(one)[:300]}" for one in lacking]
        wrong += [f"{name}: has too much {str(one)[:300]}" for one in more]
        if not lacking and not more and wanted != found[name]:
            wrong.append(f"{name}: in another order")
    return wrong


def _toga2(systems: Systems) -> State:
    store, keys = systems.toga2_store, _texts_by_key(systems)
    emails = {one["uuid"]: one["email"] for one in store.all("elite", "contacts")}
    subjects = {one["uuid"]: one["subject"] for one in store.all("elite", "tickets")}
    tickets = []
    for ticket in store.all("elite", "tickets"):
        contact, key = ticket["contact"], ticket.get("c_eliteTicketId")
        own = [ticket[name] for name in ("subject", "description", "status", "priority")]
        tickets.append(
            (*own, keys.get(key, key), emails[contact["uuid"]] if contact is not None else None)
        )
    notes = []
    linked: list[str] = []
    for note in store.all("elite", "ticket-notes", depth=5):
        key = note.get("c_eliteConversationId")
        files = []
        for link in note["ticketNoteFiles"]:
            file = link["file"]
            linked.append(file["uuid"])
            content = store.content("elite", file["uuid"])
            files.append((file["name"], file["contentType"], content))
        own = [note[name] for name in ("body", "isExternal", "authorName", "authorEmail")]
        ticket_uuid = note["ticket"]["uuid"]
        notes.append((subjects[ticket_uuid], *own, keys.get(key, key), sorted(files)))
    return {
        "TOGA 2 contacts": sorted(emails.values()),
        "TOGA 2 tickets": sorted(tickets, key=str),
        # within a ticket in the order in which they were made
        "TOGA 2 notes": sorted(notes, key=lambda note: str(note[0])),
        "TOGA 2 files that hang nowhere": [
            file["name"] for file in store.all("elite", "files") if file["uuid"] not in linked
        ],
        "TOGA 2 files that hang twice": [uuid for uuid in set(linked) if linked.count(uuid) > 1],
        "TOGA 2 watermarks": sorted(one["name"] for one in store.all("elite", "parameters")),
    }


def _texts_by_key(systems: Systems) -> dict[Any, str]:
    """Return the helpdesk's texts by the keys under which they are sent."""
    rows = systems.helpdesk.rows
    texts: dict[Any, str] = {
        f"togadesk:ticket:{id_}": subject
        for id_, subject in rows("SELECT id, subject FROM tickets")
    }
    for kind, table, column in (
        ("reply", "tickets_replies", "message"),
        ("files", "tickets_replies", "message"),
        ("comment", "comments", "comment"),
    ):
        for id_, text in rows(f"SELECT id, {column} FROM {table}"):
            texts[f"togadesk:{kind}:{id_}"] = f"{kind} {text}"
    return texts


def _helpdesk(systems: Systems) -> State:
    rows, store = systems.helpdesk.rows, systems.toga2_store
    called = {one["uuid"]: one["subject"] for one in store.all("elite", "tickets")}
    called |= {one["uuid"]: one["body"][:40] for one in store.all("elite", "ticket-notes")}
    called |= {one["uuid"]: one["email"] for one in store.all("elite", "contacts")}
    author = "(SELECT p.email FROM people p WHERE p.id = x.peopleid)"
    ticket = "(SELECT t.subject FROM tickets t WHERE t.id = x.ticketid)"
    referenced = {
        "people": rows("SELECT referenceId, name, email, clientid, type FROM people"),
        "tickets": rows(
            "SELECT referenceId, subject, clientid, departmentid, status, priority, email, ticket, "
            "(SELECT p.email FROM people p WHERE p.id = x.userid), timestamp FROM tickets x"
        ),
        "replies": rows(
            f"SELECT referenceId, {ticket}, {author}, message, timestamp FROM tickets_replies x"
        ),
        "comments": rows(
            f"SELECT referenceId, {ticket}, {author}, comment, timestamp, clientid FROM comments x"
        ),
    }
    state: State = {
        name: sorted(((called.get(row[0], row[0]), *row[1:]) for row in found), key=str)
        for name, found in referenced.items()
    }
    history = rows(f"SELECT {ticket}, {author}, description, timestamp FROM tickets_history x")
    return state | {"history": sorted(history, key=str)}


def _files(systems: Systems) -> State:
    folder, files = systems.uploads_dir, []
    stray = {one.name for one in folder.iterdir() if not _LEFTOVER.fullmatch(one.name)}
    for id_, name, stored, kind, size, client, message in systems.helpdesk.rows(
        "SELECT f.id, f.name, f.file, f.filetype, f.filesize, f.clientid, r.message "
        "FROM files f LEFT JOIN tickets_replies r ON r.id = f.ticketreplyid"
    ):
        stray.discard(stored)
        path = folder / stored
        there = stored.startswith(f"{id_}-") and path.is_file()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if there else "no bytes"
        own = f"{id_}-"
        names = (name.removeprefix(own), stored.removeprefix(own))
        files.append((*names, kind, size, client, message, content))
    return {"files": sorted(files, key=str), "stray files": sorted(stray)}

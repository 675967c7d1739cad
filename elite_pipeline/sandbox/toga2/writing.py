"""Single writes to the database: insert, change, remove, touch, and the lookups that go with them.

Each function works inside a transaction that its caller holds (``Database.writing``) and takes times
as texts spelled as on the wire. Many records at once are ``bulk``'s; the public face is ``store``.
"""

import json
import sqlite3
import uuid as uuids
from collections.abc import Mapping
from typing import Any, Final

from elite_pipeline.sandbox.toga2 import problems
from elite_pipeline.sandbox.toga2.documents import (
    Row,
    decode_refs,
    encode_own,
    encode_refs,
    lookup_keys,
    reference_uuid,
    to_json,
)
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.reading import ScopeOf, existing_row, find_row
from elite_pipeline.sandbox.toga2.schema import RESOURCES, Resource
from elite_pipeline.sandbox.toga2.validation import CheckedBody

#: Ticket numbers start behind this one.
FIRST_NUMBER: Final = 100_000

_INSERT: Final = (
    "INSERT INTO records (id, scope, uuid, created, updated, parent, raw, own, refs)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def next_id(connection: sqlite3.Connection) -> int:
    """Return the number of the next row."""
    found = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM records").fetchone()
    return int(found[0])


def insert_record(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    checked: CheckedBody,
    *,
    uuid: str,
    parent: str | None,
    created: str,
    updated: str,
    touch_jobs: bool,
) -> None:
    """Insert a record whose body was checked.

    Args:
        connection: A connection inside a transaction.
        scope_of: The client's scopes.
        resource: What kind of record it is.
        checked: Its body.
        uuid: Its uuid.
        parent: The record that it hangs on, where the body does not name it.
        created: When it was created.
        updated: When it was updated.
        touch_jobs: Whether a note moves the ``_updated`` of its ticket.

    Raises:
        RefusedError: It refers to a record that does not exist, or its uuid is taken.
    """
    _check_references(connection, scope_of, resource, checked.references)
    scope = scope_of(resource.route)
    if find_row(connection, scope_of, resource, uuid) is not None:
        message = f"there is a {resource.label} with uuid {uuid!r} already"
        raise RefusedError(409, problems.BAD_VALUE, message)
    if resource.parent is not None:
        if resource.parent.shown:
            parent = checked.references[resource.parent.name]
        existing_row(connection, scope_of, RESOURCES[resource.parent.route], parent or "")
    number = next_id(connection)
    fields = checked.fields
    if "number" in resource.fields_by_name:
        fields["number"] = str(FIRST_NUMBER + number)
    if checked.content is not None:
        fields["size"] = len(checked.content)
        connection.execute("INSERT INTO contents VALUES (?, ?)", (number, checked.content))
    own = encode_own(resource, uuid, created, updated, fields)
    refs = encode_refs(resource, checked.references)
    connection.execute(_INSERT, (number, scope, uuid, created, updated, parent, 0, own, refs))
    _remember(connection, scope, number, resource, fields, checked.references)
    _touch_above(connection, scope_of, resource, parent, updated, touch_jobs=touch_jobs)


def change_record(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    uuid: str,
    checked: CheckedBody,
    *,
    now: str,
    updated: str | None,
    touch_jobs: bool,
) -> None:
    """Change a record by a body that was checked; ``updated`` is taken as it is, ``now`` never back.

    Raises:
        RefusedError: There is no such record, or it would refer to one that does not exist.
    """
    row = existing_row(connection, scope_of, resource, uuid)
    _check_references(connection, scope_of, resource, checked.references)
    scope = scope_of(resource.route)
    created, before, parent = connection.execute(
        "SELECT created, updated, parent FROM records WHERE id = ?", (row.id,)
    ).fetchone()
    moved = updated or max(before, now)
    fields = dict(checked.fields)
    if checked.content is not None:
        fields["size"] = len(checked.content)
        connection.execute("REPLACE INTO contents VALUES (?, ?)", (row.id, checked.content))
    _forget(connection, scope, resource, row)
    own = json.loads(row.own) | fields
    if row.raw:
        stubs = {name: to and {"uuid": to} for name, to in checked.references.items()}
        own |= stubs | {"_updated": moved}
        references = _loose_references(resource, own)
        text, refs = to_json(own), ""
    else:
        references = decode_refs(row.refs) | checked.references
        text, refs = (
            encode_own(resource, uuid, created, moved, own),
            encode_refs(resource, references),
        )
    if resource.parent is not None and resource.parent.shown:
        parent = references.get(resource.parent.name)
    connection.execute(
        "UPDATE records SET updated = ?, parent = ?, own = ?, refs = ? WHERE id = ?",
        (moved, parent, text, refs, row.id),
    )
    _remember(connection, scope, row.id, resource, own, references)
    _touch_above(connection, scope_of, resource, parent, moved, touch_jobs=touch_jobs)


def insert_raw(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    document: Mapping[str, Any],
    *,
    now: str,
) -> str:
    """Keep a document as it is, in the place of one of the same uuid; return the uuid it is under."""
    scope = scope_of(resource.route)
    uuid = _text_or(document.get("uuid"), str(uuids.uuid4()))
    updated = _text_or(document.get("_updated"), now)
    created = _text_or(document.get("_created"), updated)
    parent = reference_uuid(document.get(resource.parent.name)) if resource.parent else None
    previous = find_row(connection, scope_of, resource, uuid)
    if previous is not None:
        remove_record(connection, scope_of, resource, uuid)
    number = next_id(connection)
    connection.execute(
        _INSERT, (number, scope, uuid, created, updated, parent, 1, to_json(document), "")
    )
    references = _loose_references(resource, document)
    _remember(connection, scope, number, resource, document, references)
    return uuid


def remove_record(
    connection: sqlite3.Connection, scope_of: ScopeOf, resource: Resource, uuid: str
) -> None:
    """Take a record away; what refers to it keeps its stub.

    Raises:
        RefusedError: There is no such record.
    """
    row = existing_row(connection, scope_of, resource, uuid)
    _forget(connection, scope_of(resource.route), resource, row)
    connection.execute("DELETE FROM records WHERE id = ?", (row.id,))
    connection.execute("DELETE FROM contents WHERE record = ?", (row.id,))


def touch_record(
    connection: sqlite3.Connection, scope_of: ScopeOf, resource: Resource, uuid: str, *, now: str
) -> None:
    """Move ``_updated`` to ``now``, or to the newest of its kind where that is later.

    Raises:
        RefusedError: There is no such record.
    """
    row = existing_row(connection, scope_of, resource, uuid)
    newest = connection.execute(
        "SELECT max(updated) FROM records WHERE scope = ?", (scope_of(resource.route),)
    ).fetchone()[0]
    _set_updated(connection, row, max(newest, now))


def _text_or(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def _loose_references(resource: Resource, document: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the references of a document that may be malformed, as far as they can be read."""
    return {name: reference_uuid(document.get(name)) for name in resource.relations_by_name}


def _check_references(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    references: Mapping[str, str | None],
) -> None:
    """Refuse a reference to a record that this client does not have."""
    for name, uuid in references.items():
        target = RESOURCES[resource.relations_by_name[name].route]
        if uuid is not None and find_row(connection, scope_of, target, uuid) is None:
            message = f"{resource.label}.{name}: no {target.label} with uuid {uuid!r}"
            raise RefusedError(422, problems.UNKNOWN_REFERENCE, message)


def _touch_above(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    parent: str | None,
    moved: str,
    *,
    touch_jobs: bool,
) -> None:
    """Move the ``_updated`` of the record that a written one hangs on, never backwards.

    A link moves its note always, because it is written through the note's route; a note moves its
    ticket where the setting says so, and a link's note does as well.
    """
    while resource.parent is not None and parent is not None:
        if resource.parent.shown and not touch_jobs:
            return
        above = RESOURCES[resource.parent.route]
        row = find_row(connection, scope_of, above, parent)
        if row is None:
            return
        before, parent = connection.execute(
            "SELECT updated, parent FROM records WHERE id = ?", (row.id,)
        ).fetchone()
        if before < moved:
            _set_updated(connection, row, moved)
        resource = above


def _set_updated(connection: sqlite3.Connection, row: Row, updated: str) -> None:
    own = to_json(json.loads(row.own) | {"_updated": updated})
    connection.execute(
        "UPDATE records SET updated = ?, own = ? WHERE id = ?", (updated, own, row.id)
    )


def _remember(
    connection: sqlite3.Connection,
    scope: int,
    number: int,
    resource: Resource,
    own: Mapping[str, Any],
    references: Mapping[str, str | None],
) -> None:
    """Make a record findable by equality filters."""
    connection.executemany(
        "INSERT OR IGNORE INTO lookups VALUES (?, ?, ?, ?)",
        [(scope, name, value, number) for name, value in lookup_keys(resource, own, references)],
    )


def _forget(connection: sqlite3.Connection, scope: int, resource: Resource, row: Row) -> None:
    """Take back what :func:`_remember` did for the record as it lies in the database."""
    own = json.loads(row.own)
    references = _loose_references(resource, own) if row.raw else decode_refs(row.refs)
    connection.executemany(
        "DELETE FROM lookups WHERE scope = ? AND field = ? AND value = ? AND record = ?",
        [(scope, name, value, row.id) for name, value in lookup_keys(resource, own, references)],
    )

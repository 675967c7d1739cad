"""Loading many records fast: batches in transactions of their own, with values taken on trust.

Between two batches other writers get their turn, so that a server can go on while its file is filled.
"""

import re
import sqlite3
import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from elite_pipeline.sandbox.serving.database import Database
from elite_pipeline.sandbox.toga2.clock import to_wire
from elite_pipeline.sandbox.toga2.documents import (
    encode_own,
    encode_refs,
    lookup_keys,
    reference_uuid,
)
from elite_pipeline.sandbox.toga2.schema import SYSTEM_FIELDS, Resource
from elite_pipeline.sandbox.toga2.writing import FIRST_NUMBER, next_id

_BATCH: Final = 10_000


def bulk_insert(
    database: Database,
    scope: int,
    resource: Resource,
    documents: Iterable[Mapping[str, Any]],
    *,
    custom_fields: re.Pattern[str],
    now: str,
    progress: Callable[[int], None] | None,
) -> int:
    """Insert a stream of records; see ``Store.bulk_create``.

    Raises:
        ValueError: A document has a key that the resource lacks, or a uuid that is taken.
    """
    known = {*SYSTEM_FIELDS, *resource.fields_by_name, *resource.relations_by_name}
    if resource.parent is not None:
        known.add(resource.parent.name)
    stream = iter(documents)
    total = 0
    while batch := list(islice(stream, _BATCH)):
        for document in batch:
            for name in document.keys() - known:
                if not custom_fields.fullmatch(name):
                    raise ValueError(f"a {resource.label} has no field {name!r}")
        with database.writing() as connection:
            first = next_id(connection)
            rows, lookups, contents = [], [], []
            for number, document in enumerate(batch, start=first):
                row, keys = _row(resource, scope, number, document, now)
                rows.append(row)
                lookups += [(scope, name, value, number) for name, value in keys]
                if isinstance(data := document.get("data"), bytes):
                    contents.append((number, data))
            try:
                connection.executemany(
                    "INSERT INTO records (id, scope, uuid, created, updated, parent, own, refs)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
            except sqlite3.IntegrityError:
                raise ValueError(
                    f"one of these uuids is taken: there is such a {resource.label} already"
                ) from None
            # in the order of their index: about twice as fast as in the order of the records
            connection.executemany(
                "INSERT OR IGNORE INTO lookups VALUES (?, ?, ?, ?)", sorted(lookups)
            )
            connection.executemany("INSERT INTO contents VALUES (?, ?)", contents)
        total += len(batch)
        if progress is not None:
            progress(len(batch))
    return total


def _row(
    resource: Resource, scope: int, number: int, document: Mapping[str, Any], now: str
) -> tuple[tuple[object, ...], list[tuple[str, str]]]:
    """Return the columns of a record, and the pairs under which it is found."""
    uuid = document.get("uuid") or str(uuids.uuid4())
    created = _time(document.get("_created"), now)
    updated = _time(document.get("_updated"), created)
    references = {
        relation.name: reference_uuid(document.get(relation.name))
        for relation in resource.relations
    }
    fields: Mapping[str, Any] = document
    if "number" in resource.fields_by_name and "number" not in document:
        fields = {**document, "number": str(FIRST_NUMBER + number)}
    elif isinstance(data := document.get("data"), bytes):
        fields = {**document, "size": len(data)}
    parent = reference_uuid(document.get(resource.parent.name)) if resource.parent else None
    row = (
        number,
        scope,
        uuid,
        created,
        updated,
        parent,
        encode_own(resource, uuid, created, updated, fields),
        encode_refs(resource, references),
    )
    return row, list(lookup_keys(resource, fields, references))


def _time(value: datetime | str | None, otherwise: str) -> str:
    if value is None:
        return otherwise
    return value if isinstance(value, str) else to_wire(value)

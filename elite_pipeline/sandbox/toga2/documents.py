"""How a record lies in the database: from a checked dictionary to the columns of its row.

A row's ``own`` text is a JSON object of the record's own fields, ``refs`` the fragment that names its
references. Both are kept with compact separators and never parsed to be answered at ``depth=1``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from elite_pipeline.sandbox.toga2.schema import Resource

#: A record as Python sees it.
Document = dict[str, Any]

_encoder: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_HALF_PAIRS: Final = re.compile("[\ud800-\udfff]")


def to_json(value: object) -> str:
    """Spell a value as compact JSON; half a surrogate pair, which UTF-8 lacks, as its escape."""
    text = _encoder.encode(value)
    return text if text.isascii() else _HALF_PAIRS.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


class Row(NamedTuple):
    """The columns of ``records`` that a reader needs."""

    id: int
    uuid: str
    raw: int
    own: str
    refs: str


ROW_COLUMNS: Final = "id, uuid, raw, own, refs"


def reference_uuid(value: object) -> str | None:
    """Return the uuid in a reference: ``{"uuid": …}``, the uuid itself, or ``None`` for none."""
    if isinstance(value, Mapping):
        value = value.get("uuid")
    return value if isinstance(value, str) else None


def encode_own(
    resource: Resource, uuid: str, created: str, updated: str, fields: Mapping[str, Any]
) -> str:
    """Spell the own fields of a record, the ones that the resource declares first."""
    own: Document = {"uuid": uuid, "_created": created, "_updated": updated}
    for name in resource.document_fields:
        own[name] = fields.get(name)
    for name, value in fields.items():
        if name.startswith("c_"):
            own[name] = value
    return to_json(own)


def encode_refs(resource: Resource, references: Mapping[str, str | None]) -> str:
    """Spell the references of a record as stubs, without the braces around them."""
    parts = []
    for relation in resource.relations:
        uuid = references.get(relation.name)
        stub = "null" if uuid is None else f'{{"uuid":{_encoder.encode(uuid)}}}'
        parts.append(f'"{relation.name}":{stub}')
    return ",".join(parts)


def decode_refs(refs: str) -> dict[str, str | None]:
    """Read the references of a record: relation to uuid."""
    if not refs:
        return {}
    stubs: dict[str, dict[str, str] | None] = json.loads(f"{{{refs}}}")
    return {name: stub["uuid"] if stub else None for name, stub in stubs.items()}


def lookup_keys(
    resource: Resource, own: Mapping[str, Any], references: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of field and value under which a record is found by an equality filter."""
    for name in resource.indexed_fields:
        value = own.get(name)
        if value is not None:
            yield name, lookup_value(value)
    for name, value in own.items():
        if name.startswith("c_") and value is not None:
            yield name, lookup_value(value)
    for name, uuid in references.items():
        if uuid is not None:
            yield name, uuid


def lookup_value(value: object) -> str:
    """Spell a scalar as an equality filter does: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else to_json(value)


def splice(own: str, *fragments: str) -> str:
    """Append fragments (``"key":value``, possibly empty) to the text of a JSON object."""
    added = ",".join(fragment for fragment in fragments if fragment)
    return f"{own[:-1]},{added}}}" if added else own

"""Whether TOGA 2 would take a body: every key known, every value of its type, nothing read-only.

What belongs here: the shape of one body against its resource. Whether a record that it refers to
exists is the store's to know.
"""

import base64
import binascii
import re
import uuid as uuids
from collections.abc import Mapping
from typing import Any, NamedTuple

from elite_pipeline.sandbox.toga2 import problems
from elite_pipeline.sandbox.toga2.documents import Document
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.schema import ITEM_FIELDS, SYSTEM_FIELDS, Field, Resource


class CheckedBody(NamedTuple):
    """A body that passed: own fields, references by relation, and a file's bytes."""

    fields: Document
    references: dict[str, str | None]
    content: bytes | None


def check_body(
    resource: Resource,
    body: Mapping[str, Any],
    *,
    custom_fields: re.Pattern[str],
    creating: bool,
) -> CheckedBody:
    """Check the body of a create or a change.

    Args:
        resource: What the body is about.
        body: The JSON object that was sent.
        custom_fields: What this client's custom fields are called.
        creating: Fields that a new record needs are missed, and defaults filled in.

    Raises:
        RefusedError: 422, naming the first key that is wrong.
    """
    fields: Document = {}
    references: dict[str, str | None] = {}
    content: bytes | None = None
    for name, value in body.items():
        if name in resource.relations_by_name:
            references[name] = _reference(resource, name, value)
        elif (field := resource.fields_by_name.get(name)) is not None:
            if field.read_only:
                raise _refused(problems.READ_ONLY_FIELD, f"{resource.label}.{name} is read-only")
            if field.kind == "base64":
                content = _decoded(resource, name, value)
            else:
                fields[name] = _checked(resource, field, value)
        elif custom_fields.fullmatch(name):
            fields[name] = _custom(resource, name, value)
        elif name in SYSTEM_FIELDS:
            raise _refused(problems.READ_ONLY_FIELD, f"{resource.label}.{name} is read-only")
        else:
            raise _refused(problems.UNKNOWN_FIELD, f"a {resource.label} has no field {name!r}")
    if creating:
        _complete(resource, fields, references, content)
    return CheckedBody(fields, references, content)


def _complete(
    resource: Resource,
    fields: Document,
    references: Mapping[str, str | None],
    content: bytes | None,
) -> None:
    """Fill in defaults, and refuse a new record without what it needs."""
    for field in resource.fields:
        given = content is not None if field.kind == "base64" else field.name in fields
        if given:
            continue
        if field.required:
            raise _missing(resource, field.name)
        if field.kind == "item":
            fields[field.name] = _item(resource, field.name, {})
        elif field.kind != "base64" and not field.read_only:
            fields[field.name] = field.default
    for relation in resource.relations:
        if relation.required and relation.name not in references:
            raise _missing(resource, relation.name)


def _checked(resource: Resource, field: Field, value: object) -> object:
    """Return the value of an own field, or refuse it."""
    if value is None and field.nullable and not field.required:
        return None
    if field.kind == "flag":
        if isinstance(value, bool):
            return value
        raise _bad(resource, field.name, "true or false", value)
    if field.kind == "item":
        return _item(resource, field.name, value)
    if not isinstance(value, str):
        raise _bad(resource, field.name, "a text", value)
    if field.choices and value not in field.choices:
        raise _bad(resource, field.name, f"one of {', '.join(field.choices)}", value)
    return value


def _item(resource: Resource, name: str, value: object) -> Document:
    """Return a unit's embedded item with all of its keys."""
    if not isinstance(value, Mapping):
        raise _bad(resource, name, "an object", value)
    for key, part in value.items():
        if key not in ("uuid", *ITEM_FIELDS):
            raise _refused(problems.UNKNOWN_FIELD, f"{resource.label}.{name} has no field {key!r}")
        if part is not None and not isinstance(part, str):
            raise _bad(resource, f"{name}.{key}", "a text", part)
    item: Document = {"uuid": value.get("uuid") or str(uuids.uuid4())}
    return item | {key: value.get(key) for key in ITEM_FIELDS}


def _custom(resource: Resource, name: str, value: object) -> object:
    """Return the value of a custom field: any scalar."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise _bad(resource, name, "a text, a number, true, false or null", value)


def _reference(resource: Resource, name: str, value: object) -> str | None:
    """Return the uuid that a reference names; ``null`` unsets it."""
    if value is None and not resource.relations_by_name[name].required:
        return None
    if isinstance(value, Mapping) and set(value) == {"uuid"} and isinstance(value["uuid"], str):
        return str(value["uuid"])
    raise _bad(resource, name, 'a reference {"uuid": "…"}', value)


def _decoded(resource: Resource, name: str, value: object) -> bytes:
    """Return the bytes that a base64 text stands for."""
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise _refused(problems.BAD_VALUE, f"{resource.label}.{name} is not valid base64")


def _refused(code: str, message: str) -> RefusedError:
    return RefusedError(422, code, message)


def _missing(resource: Resource, name: str) -> RefusedError:
    return _refused(problems.MISSING_FIELD, f"a {resource.label} needs {name!r}")


def _bad(resource: Resource, name: str, expected: str, value: object) -> RefusedError:
    return _refused(
        problems.BAD_VALUE,
        f"{resource.label}.{name} must be {expected}, not {type(value).__name__}"
        + (f" {value!r}" if isinstance(value, str) and len(value) < 80 else ""),
    )

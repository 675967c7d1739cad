"""The bodies of writes: JSON or a form with files, taken apart and checked."""

import json
import re
from collections.abc import Mapping
from email import message_from_bytes
from email.message import Message
from typing import Any, Final

from elite_pipeline.sandbox.freshservice.files import File
from elite_pipeline.sandbox.freshservice.problems import RefusedError, invalid

_PARAMETER: Final = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')

#: What a field has to be, by its name.
_TEXT: Final = (str, type(None))
_NUMBER: Final = (int, type(None))
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("subject", "description", "email", "body", "type", "from_email"), _TEXT),
    **dict.fromkeys(("category", "sub_category", "item_category"), _TEXT),
    **dict.fromkeys(("status", "priority", "source"), (int,)),
    **dict.fromkeys(
        ("requester_id", "responder_id", "group_id", "department_id", "user_id", "workspace_id"),
        _NUMBER,
    ),
    **dict.fromkeys(("cc_emails", "bcc_emails", "to_emails", "notify_emails", "tags"), (list,)),
    "custom_fields": (dict,),
    "private": (bool,),
    "incoming": (bool,),
}


def read_body(
    body: bytes, content_type: str, *, takes: frozenset[str]
) -> tuple[dict[str, Any], list[File]]:
    """Return the fields of a write, and the files that come with it.

    Raises:
        RefusedError: 400: the body cannot be read, or a field is unknown or of the wrong kind.
    """
    files: list[File] = []
    if content_type.lower().startswith("multipart/form-data"):
        fields, files = _form(body, content_type)
    else:
        try:
            fields = json.loads(body)
        except ValueError:
            raise _unreadable() from None
        if not isinstance(fields, dict):
            raise _unreadable()
    for name, value in fields.items():
        if name not in takes:
            raise invalid(name, "Unexpected/invalid field in request", "invalid_field")
        kinds = _KINDS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = kinds[0].__name__
            raise invalid(name, f"It should be a/an {expected}", "datatype_mismatch")
    return fields, files


def _form(body: bytes, content_type: str) -> tuple[dict[str, Any], list[File]]:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    if not isinstance(parts, list):
        raise _unreadable()
    fields: dict[str, Any] = {}
    files: list[File] = []
    for part in parts:
        if not isinstance(part, Message):
            raise _unreadable()
        disposition = _disposition(part)
        name = disposition.get("name", "")
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        file_name = disposition.get("filename")
        if file_name is not None:
            files.append(File(file_name, content, part.get_content_type()))
        elif name.endswith("[]"):
            fields.setdefault(name[:-2], []).append(content.decode())
        else:
            fields[name] = _from_form(name, content.decode())
    return fields, files


def _disposition(part: Message) -> dict[str, str]:
    """Return what a part says of itself; names are UTF-8 as they are, which e-mail does not know."""
    raw = next((v for n, v in part.raw_items() if n.lower() == "content-disposition"), "")
    text = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return {name: value.replace('\\"', '"') for name, value in _PARAMETER.findall(text)}


def _from_form(name: str, text: str) -> Any:
    kind = _KINDS.get(name, _TEXT)[0]
    if kind is int and text.isdecimal():
        return int(text)
    return text.lower() == "true" if kind is bool else text


def _unreadable() -> RefusedError:
    return RefusedError(
        400, {"code": "invalid_json", "message": "Request body has invalid json format"}
    )

"""A webhook's headers as they are kept: one JSON object, without secrets, that fits its column."""

import json
import re
from collections.abc import Callable, Iterable, Mapping

from elite_pipeline.inbox.entrances import RawHeader
from elite_pipeline.inbox.tables import TEXT_BYTES

#: Says in which encoding a payload is the bytes that came.
PAYLOAD_ENCODING = "x-payload-encoding"

#: Headers whose whole value is a secret, whoever's it is.
_SECRET = re.compile(r"authorization|cookie|secret|token|password|api-?key|signature")
#: A value that is shortened to this many characters takes no column's room.
_SHORT = 500


def read(headers: Iterable[RawHeader]) -> dict[str, str]:
    """Return headers as text; one that came several times, joined.

    Values are UTF-8 where they can be, else Latin-1: so a secret with letters beyond ASCII is recognised.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        try:
            value = raw_value.decode("utf-8")
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def kept(headers: Mapping[str, str], encoding: str, redact: Callable[[str], str]) -> str:
    """Return headers as they are stored.

    Args:
        headers: All that came.
        encoding: That of the payload.
        redact: Takes known secrets out of a text.
    """
    left = {name: value for name, value in headers.items() if not _SECRET.search(name)}
    left[PAYLOAD_ENCODING] = encoding
    text = redact(json.dumps(left, ensure_ascii=False))
    if len(text) * 4 <= TEXT_BYTES or len(text.encode("utf-8")) <= TEXT_BYTES:
        return text
    short = {name[:_SHORT]: _cut(redact(value)) for name, value in list(left.items())[:25]}
    short[PAYLOAD_ENCODING] = encoding
    return json.dumps(short, ensure_ascii=False)


def _cut(value: str) -> str:
    return (
        value
        if len(value) <= _SHORT
        else f"{value[:_SHORT]}… [cut: {len(value)} characters in all]"
    )

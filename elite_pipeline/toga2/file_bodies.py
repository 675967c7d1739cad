"""The bodies that carry a file's bytes, up and down, without a second copy of them.

``spec/systems.md`` section 2: bytes travel as base64 in JSON, so 40 MB are 53 MB of text. What goes up is
spelled into one buffer; what comes down stays the body that it came as, is searched for the one long text
in it, and decoded bit by bit as it is read. Every answer that is short enough is read as any other.

What does not belong here: sending (``client``), and what files mean.
"""

import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from elite_pipeline.errors import PermanentError, TransientError
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import FileInfo, Malformed, RecordParser

#: What is not known better.
DEFAULT_CONTENT_TYPE = "application/octet-stream"

#: Bytes encoded or decoded at a time; base64 takes three to four.
_STEP = 3 << 18
#: A text in an answer that is longer is not handed to the parser.
_LONG = 64 * 1024

_PARSER = RecordParser(FileInfo)

#: JSON's escapes; PHP writes a slash as one [A].
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PART_OF_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_ESCAPED = {b"/": b"/", b"n": b"", b"r": b"", b"t": b""}
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as it was downloaded: sound, and still as long as it was said to be.

    Attributes:
        uuid: Its uuid.
        name: Any text.
        content_type: As TOGA 2 says it, or :data:`DEFAULT_CONTENT_TYPE`.
        size: Bytes.
        encoded: Its bytes in base64, a part of the answer's body, with JSON's escapes.
    """

    uuid: str
    name: str
    content_type: str
    size: int
    encoded: memoryview

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes in order; as often as it is called."""
        return _decoded(self.encoded)


def encode_file(name: str, content_type: str, source: BinaryIO, size: int) -> bytearray:
    """Return the body that uploads a file, 4/3 of its size.

    Args:
        name: Any valid text.
        content_type: What kind of file it is.
        source: Its bytes, read from where it stands.
        size: How many there are.

    Raises:
        PermanentError: The name is no valid Unicode.
        TransientError: There are more or fewer bytes than ``size``: somebody is writing the file.
    """
    _refuse_half_characters(name + content_type)
    head = json.dumps({"name": name, "contentType": content_type, "data": ""}).encode()[:-2]
    body = bytearray(len(head) + 4 * ((size + 2) // 3) + 2)
    body[: len(head)] = head
    body[-2:] = b'"}'
    position, left = len(head), size
    while left:
        chunk = _read(source, min(_STEP, left))
        left -= len(chunk)
        encoded = binascii.b2a_base64(chunk, newline=False)
        body[position : position + len(encoded)] = encoded
        position += len(encoded)
    if source.read(1):
        raise _changing()
    return body


def digest_file(name: str, content_type: str, source: BinaryIO, size: int) -> str:
    """Return the SHA-256 of what :func:`encode_file` would send, in hex digits; raises the same."""
    _refuse_half_characters(name + content_type)
    digest, left = hashlib.sha256(), size
    while left:
        chunk = _read(source, min(_STEP, left))
        left -= len(chunk)
        digest.update(chunk)
    if source.read(1):
        raise _changing()
    return digest.hexdigest()


def _refuse_half_characters(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PermanentError(
            "A file's name or type is not valid Unicode (half of a surrogate pair); correct it in the "
            "helpdesk."
        )


def decode_file(body: bytes) -> FileContent:
    """Read the answer that carries a file.

    Raises:
        ValueError: The body is cut, not JSON, or not an envelope with one file.
        PermanentError: It came whole, and is not what a file should be: without bytes, with bytes that
            are no base64, or with more or fewer of them than its size says.
    """
    record, data = _read_one(body)
    found = _PARSER.one(record)
    if isinstance(found, Malformed):
        raise PermanentError(f"TOGA 2: file {found.name}: {found.reason}")
    if data is None:
        raise PermanentError(f"TOGA 2: file {found.uuid}: its bytes did not come with it")
    try:
        size = sum(len(chunk) for chunk in _decoded(data))
    except ValueError as error:
        raise PermanentError(
            f"TOGA 2: file {found.uuid}: its bytes are not valid base64 ({error})"
        ) from None
    if found.size is not None and found.size != size:
        raise PermanentError(
            f"TOGA 2: file {found.uuid}: {size} bytes came, and its size is said to be {found.size}"
        )
    return FileContent(
        found.uuid, found.name, found.content_type or DEFAULT_CONTENT_TYPE, size, data
    )


def read_uploaded(body: bytes) -> str:
    """Return the uuid of a file that was made; the answer may bring its bytes back, unread.

    Raises:
        ValueError: The body is cut, not JSON, or names no uuid.
    """
    uuid = _read_one(body)[0].get("uuid")
    if not isinstance(uuid, str) or not uuid:
        raise ValueError("the file that was made has no uuid")
    return uuid


def _read_one(body: bytes) -> tuple[dict[str, object], memoryview | None]:
    """Return the record without its bytes, and those, still encoded."""
    mark = secrets.token_hex(16)
    short, spans = _without_long_texts(body, mark)
    record = wire.read_one(wire.FILES, short)
    data = record.pop("data", None)
    if data is None:
        return record, None
    if not isinstance(data, str):
        raise ValueError("data.files.data is not a text")
    number = data.removeprefix(mark)
    if number == data:
        # what was unescaped already needs no more of it, and a backslash is no base64
        return record, memoryview(data.encode("utf-8", "backslashreplace"))
    start, end = spans[int(number)]
    return record, memoryview(body)[start:end]


def _without_long_texts(body: bytes, mark: str) -> tuple[bytes, list[tuple[int, int]]]:
    """Put ``mark`` and a number in the place of each long text; return where those stand.

    Outside of a text no quotation mark stands in JSON, so that texts are told apart without looking at
    what is between them. Whether all of it is JSON is for the parser of the rest to say.
    """
    if len(body) <= _LONG:
        return body, []
    kept: list[bytes] = []
    spans: list[tuple[int, int]] = []
    copied = 0
    opening = body.find(b'"')
    while opening >= 0:
        start = opening + 1
        end = _end_of_text(body, start)
        if end - start > _LONG:
            kept += [body[copied:start], f"{mark}{len(spans)}".encode()]
            spans.append((start, end))
            copied = end
        opening = body.find(b'"', end + 1)
    return b"".join([*kept, body[copied:]]), spans


def _end_of_text(body: bytes, start: int) -> int:
    """Return where the quotation mark stands that ends a text: one that is not escaped."""
    end = body.find(b'"', start)
    while end >= 0:
        backslashes = 0
        while end - backslashes > start and body[end - backslashes - 1] == 0x5C:
            backslashes += 1
        if backslashes % 2 == 0:
            return end
        end = body.find(b'"', end + 1)
    raise ValueError("the end of a text is missing")


def _decoded(data: memoryview) -> Iterator[bytes]:
    """Decode base64 as it stands in JSON, strictly; line breaks in it do no harm.

    Raises:
        ValueError: It is none.
    """
    held_back = encoded = b""
    is_padded = False
    for start in range(0, len(data), _STEP):
        part = held_back + bytes(data[start : start + _STEP])
        held_back = b""
        if b"\\" in part:
            if start + _STEP < len(data) and (cut := _PART_OF_ESCAPE.search(part)) is not None:
                held_back, part = cut[0], part[: cut.start()]
            part = _ESCAPE.sub(_unescaped, part)
        encoded += part.translate(None, _BLANKS)
        whole = len(encoded) - len(encoded) % 4
        if is_padded and whole:
            raise ValueError("something follows its end")
        is_padded = is_padded or encoded.find(b"=", 0, whole) >= 0
        if chunk := binascii.a2b_base64(encoded[:whole], strict_mode=True):
            yield chunk
        encoded = encoded[whole:]
    if encoded:
        raise ValueError("its end is missing")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code, single = escape.groups()
    if code is not None and (number := int(code, 16)) < 0x80:
        return bytes([number])
    try:
        return _ESCAPED[single]
    except KeyError:
        raise ValueError("a character of another kind is in it") from None


def _read(source: BinaryIO, size: int) -> bytes:
    """Read exactly ``size`` bytes."""
    parts: list[bytes] = []
    while size:
        part = source.read(size)
        if not part:
            raise _changing()
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _changing() -> TransientError:
    return TransientError("A file changed while it was read: somebody is writing it. Try it again.")

"""Files in base64 inside a body of JSON, found and decoded without parsing or copying the body.

A body with a file of 40 MB is 53 MB long: parsing it would take many times the file's memory. Looking
for its few quotation marks takes none. What does not belong here: what becomes of the files.
"""

import binascii
import re
from collections.abc import Iterator
from typing import TypeAlias

Body: TypeAlias = bytes | bytearray
#: Where a value begins and ends, without its quotation marks.
Span: TypeAlias = tuple[int, int]

_KEY = b'"data"'
_BEFORE_VALUE = re.compile(rb'\s*:\s*"')
_INLINE = b";base64,"
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]++|\\[/nr])*+={0,2}")
_BACKSLASH = ord("\\")
#: Bytes decoded at a time.
PIECE_BYTES = 1 << 20
#: How JSON can spell the characters of base64, and the ends of lines that some put between them.
_ESCAPES = (
    (rb"\/", b"/"), (rb"\n", b""), (rb"\r", b""),
    (rb"\u002b", b"+"), (rb"\u002B", b"+"), (rb"\u002f", b"/"), (rb"\u002F", b"/"),
    (rb"\u003d", b"="), (rb"\u003D", b"="),
)  # fmt: skip
_LONGEST_ESCAPE = 6


def data_values(body: Body) -> Iterator[Span]:
    """Yield where the strings under the key ``data`` are; the last one may lack its end."""
    at = body.find(_KEY)
    while at != -1:
        at += len(_KEY)
        if (before := _BEFORE_VALUE.match(body, at)) is not None:
            start, at = before.end(), _end_of_string(body, before.end())
            yield start, at
        at = body.find(_KEY, at)


def inline_values(body: Body) -> Iterator[Span]:
    """Yield where the contents of ``data:`` addresses are, as images within HTML have them."""
    at = body.find(_INLINE)
    while at != -1:
        start = at + len(_INLINE)
        found = _BASE64.match(body, start)
        at = found.end() if found is not None else start
        yield start, at
        at = body.find(_INLINE, at)


def decoded(body: Body, span: Span) -> Iterator[bytes]:
    """Yield the file that a value holds, piece by piece.

    Raises:
        ValueError: It is not base64; pieces may have been yielded before.
    """
    view = memoryview(body)
    (start, end), rest, has_ended = span, b"", False
    while start < end:
        stop = min(start + PIECE_BYTES, end)
        piece = rest + view[start:stop]
        start = stop
        held = b""
        if start < end and (escape := piece.rfind(b"\\", -_LONGEST_ESCAPE + 1)) != -1:
            # an escape that the end of a piece may fall into waits for the next one
            piece, held = piece[:escape], piece[escape:]
        if b"\\" in piece:
            for spelled, meant in _ESCAPES if b"\\u" in piece else _ESCAPES[:3]:
                piece = piece.replace(spelled, meant)
        whole = len(piece) // 4 * 4
        rest = piece[whole:] + held
        if not whole:
            continue
        if has_ended:
            raise ValueError("something follows the end of the base64")
        has_ended = piece[whole - 1 : whole] == b"="
        try:
            yield binascii.a2b_base64(memoryview(piece)[:whole], strict_mode=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from None
    if rest:
        raise ValueError("not base64: its length is no multiple of four")


def _end_of_string(body: Body, start: int) -> int:
    at = start
    while (quote := body.find(b'"', at)) != -1:
        first = quote
        while first > start and body[first - 1] == _BACKSLASH:
            first -= 1
        if (quote - first) % 2 == 0:
            return quote
        at = quote + 1
    return len(body)

"""The contents of files, replaced by their size and hash before a body reaches the call log.

Also what is no text at all is a file here. What does not belong here: secrets and what fits
(``call_log_rows``).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain

from elite_pipeline.embedded_files import Body, Span, data_values, decoded, inline_values
from elite_pipeline.transport import Exchange

#: Bodies this large are looked through at once, by the thread that made the call: they must not wait.
LARGE_BYTES = 1 << 20
#: Outside of ``/files``, a shorter string under the key ``data`` is text and not a file.
_LEAST_FILE_BYTES = 1024
#: A beginning of a body shows every file that begins so far before its end (:func:`shows_file`): by its
#: key or address, and by so much of it that it counts as one.
FILE_SHOWS_BYTES = 2 * _LEAST_FILE_BYTES
#: Kinds of content that are text.
_TEXT = re.compile(r"json|text|xml|html|javascript|urlencoded", re.IGNORECASE)
_LOOKED_AT = 1024
#: What a value was already replaced by.
_REPLACED = re.compile(
    rb"\[(?:base64 )?left out: \d+ bytes(?: that are not base64)?, sha256 [0-9a-f]{64}\]"
)


def lightened(exchange: Exchange) -> Exchange:
    """Return an exchange whose bodies may be kept: large ones without the files in them.

    Nothing of such a body is copied but the little that is around the files.
    """
    is_file = is_file_route(exchange.route)
    bodies = (
        (exchange.request_body, exchange.request_headers),
        (exchange.response_body, exchange.response_headers),
    )
    request, response = (
        without_files(body, is_file=is_file, kind=content_type(headers))
        if body is not None and len(body) >= LARGE_BYTES
        else body
        for body, headers in bodies
    )
    if isinstance(request, bytearray):
        # whoever sent it may change it afterwards
        request = bytes(request)
    if request is exchange.request_body and response is exchange.response_body:
        return exchange
    return replace(exchange, request_body=request, response_body=response)


def is_file_route(route: str) -> bool:
    """Whether what goes there or comes from there is a file."""
    return "files" in route.split("/")


def content_type(headers: Mapping[str, str]) -> str:
    """Return what the headers say that the body is; empty when they do not."""
    return next((value for name, value in headers.items() if name.lower() == "content-type"), "")


def shows_file(beginning: Body, *, kind: str = "") -> bool:
    """Whether there may be a file in a body that begins so; of a route that is none of files.

    Args:
        beginning: As much of the body as is to be kept, and ``FILE_SHOWS_BYTES`` more.
        kind: The body's content type.
    """
    if not _is_text(beginning, kind):
        return True
    spans = chain(data_values(beginning), inline_values(beginning))
    return any(end - start >= _LEAST_FILE_BYTES for start, end in spans)


def without_files(body: Body, *, is_file: bool, kind: str = "") -> Body:
    """Replace the contents of files by their size and hash; the JSON around them stays as it is.

    Args:
        body: JSON, most likely; returned itself where there is no file in it.
        is_file: Whether it went to or came from ``/files``: then whatever stands under ``data`` is
            the file, base64 or not.
        kind: Its content type.
    """
    if not _is_text(body, kind):
        if _REPLACED.fullmatch(body):
            return body
        digest = hashlib.sha256(body).hexdigest()
        return f"[left out: {len(body)} bytes, sha256 {digest}]".encode("ascii")
    body = _replaced(body, data_values(body), lambda span: _data(body, span, is_file=is_file))
    whole = body
    return _replaced(whole, inline_values(whole), lambda span: _inline(whole, span))


def _is_text(body: Body, kind: str) -> bool:
    return bool(_TEXT.search(kind)) if kind else b"\0" not in body[:_LOOKED_AT]


def _replaced(body: Body, spans: Iterable[Span], describe: Callable[[Span], str | None]) -> Body:
    kept: list[Body | memoryview] = []
    view, done = memoryview(body), 0
    for span in spans:
        if (description := describe(span)) is not None:
            kept += (view[done : span[0]], description.encode("ascii"))
            done = span[1]
    if not kept:
        return body
    return b"".join((*kept, view[done:]))


def _data(body: Body, span: Span, *, is_file: bool) -> str | None:
    start, end = span
    if not is_file and end - start < _LEAST_FILE_BYTES:
        return None
    if _REPLACED.fullmatch(body, start, end):
        return None
    described = _described(body, span)
    if described is None and is_file:
        digest = hashlib.sha256(memoryview(body)[start:end]).hexdigest()
        return f"[left out: {end - start} bytes that are not base64, sha256 {digest}]"
    return described


def _inline(body: Body, span: Span) -> str | None:
    return _described(body, span) if span[1] - span[0] >= _LEAST_FILE_BYTES else None


def _described(body: Body, span: Span) -> str | None:
    """Say how large a file is and what its hash is; None: it is no base64."""
    digest, size = hashlib.sha256(), 0
    try:
        for piece in decoded(body, span):
            digest.update(piece)
            size += len(piece)
    except ValueError:
        return None
    return f"[base64 left out: {size} bytes, sha256 {digest.hexdigest()}]"

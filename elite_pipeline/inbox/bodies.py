"""A webhook's body: read within bounds, and kept as text without losing a byte.

What does not belong here: what it says (``freshservice/payloads``).
"""

import asyncio
import codecs
import re
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

#: The largest body that is taken, in bytes; also what a compressed one may hold.
MOST_BYTES = 1 << 20
#: How long a body may take to come, in seconds.
SECONDS = 20.0
#: What a request takes at least, in bytes.
_LEAST_BYTES = 4096

#: Whose text can be turned into the same bytes again, and that a sender may mean.
_CHARSET = re.compile(
    r"utf-(?:16|32)(?:-[lb]e)?|iso8859-\d{1,2}|cp125\d|shift_jis|euc_(?:jp|kr)|gb(?:k|18030|2312)|big5|koi8-[ru]"
)
_CHARSET_PARAMETER = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
#: How each kind of compression is undone; ``deflate`` is sent with a header and without one.
_WINDOWS = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
#: Parts that a gzip may have; each costs a look at all that follow.
_MOST_MEMBERS = 32
#: Byte order marks of encodings in which ASCII is not itself; the longer one first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

Receive = Callable[[], Awaitable[Any]]


class TooLargeError(Exception):
    """The body is larger than what is taken."""


class TooSlowError(Exception):
    """The body did not come in time."""


class GoneError(Exception):
    """Who sent it hung up before it was whole."""


class FullError(Exception):
    """More is under way than is kept in memory."""


class Room:
    """Bounds what the bodies under way take together.

    Args:
        most_bytes: So much.
        seconds: How long a request waits for room at most.
    """

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._free = most_bytes
        self._seconds = seconds
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Hold room for a body; who came first gets it first.

        Raises:
            FullError: There was none in time.
        """
        size = max(size, _LEAST_BYTES)
        if self._waiting or size > self._free:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                async with asyncio.timeout(self._seconds):
                    await turn
            except BaseException as error:
                # it may have been given at this very moment
                self._give(size if turn.done() and not turn.cancelled() else 0)
                if isinstance(error, TimeoutError):
                    raise FullError from None
                raise
        else:
            self._free -= size
        try:
            yield
        finally:
            self._give(size)

    def _give(self, size: int) -> None:
        self._free += size
        # whoever does not wait any more is passed over
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)


def announced(headers: Mapping[str, str]) -> int | None:
    """Return the size that a request announces; None: it does not.

    Raises:
        TooLargeError: It is too large.
    """
    text = headers.get("content-length", "")
    if not text.isdecimal():
        return None
    if len(text) > 12 or int(text) > MOST_BYTES:
        raise TooLargeError
    return int(text)


async def read(receive: Receive) -> bytes:
    """Read a body.

    Raises:
        TooLargeError: It is larger than it may be; no more of it is kept.
        TooSlowError: It did not come in time.
        GoneError: Its sender hung up.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                body += message.get("body", b"")
                if len(body) > MOST_BYTES:
                    raise TooLargeError
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise TooSlowError from None


def unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a body without its compression; one that cannot be decompressed as it is.

    Raises:
        TooLargeError: What is in it is larger than it may be.
    """
    for window in _WINDOWS.get(headers.get("content-encoding", "").strip().lower(), ()):
        try:
            return _unpacked(body, window)
        except zlib.error:
            continue
    return body


def _unpacked(body: bytes, window: int) -> bytes:
    """Return what is in a compressed body, all of it or nothing.

    Raises:
        TooLargeError: It is larger than it may be.
        zlib.error: It is not compressed this way, or not whole.
    """
    text = b""
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(window)
        text += unpacker.decompress(body, MOST_BYTES + 1 - len(text))
        if len(text) > MOST_BYTES:
            raise TooLargeError
        if not unpacker.eof:
            break
        body = unpacker.unused_data
        if not body:
            return text
    raise zlib.error


def as_text(body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return a body as text, and the encoding that makes the same bytes of it again.

    Bytes that are not UTF-8 are read as what they claim to be, and as Latin-1 where that cannot be: each
    byte is then one character, and none is lost.
    """
    for encoding in _encodings(body, headers):
        try:
            text = body.decode(encoding)
            if text.encode(encoding) == body:
                return text, encoding
        except UnicodeError:
            continue
    return body.decode("latin-1"), "latin-1"


def _encodings(body: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    yield from (encoding for mark, encoding in _MARKS if body.startswith(mark))
    named = _CHARSET_PARAMETER.search(headers.get("content-type", ""))
    claimed = ""
    if named is not None:
        try:
            claimed = codecs.lookup(named[1]).name
        except LookupError:
            claimed = ""
    # before UTF-8: to which text in it may look like text
    if claimed.startswith(("utf-16", "utf-32")):
        yield claimed
    yield "utf-8"
    if _CHARSET.fullmatch(claimed):
        yield claimed

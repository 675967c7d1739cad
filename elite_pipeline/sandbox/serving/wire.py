"""One request's way in and back: its body, the answer to it, and the end of its connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.types import Receive, Scope, Send

from elite_pipeline.sandbox.serving.faults import Status
from elite_pipeline.sandbox.serving.recorder import Recorder, RequestInfo

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Answer:
    """A status, a body and its headers.

    Attributes:
        status: The HTTP status.
        body: The body as bytes.
        content_type: The media type of the body.
        headers: What else goes out.
        uuids: The records of a list, in order, by what identifies them.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()
    uuids: Sequence[str] = ()


def retry_after(value: int | datetime | None) -> Headers:
    """Return the ``Retry-After`` header: seconds, or an aware time as an HTTP date; none for none."""
    if value is None:
        return ()
    if isinstance(value, datetime):
        return ((b"retry-after", format_datetime(value.astimezone(UTC), usegmt=True).encode()),)
    return ((b"retry-after", str(value).encode()),)


def bare_fault(action: Status, headers: Headers = ()) -> Answer | None:
    """Return a fault's answer whose body is empty or HTML; ``None`` where it is the sandbox's JSON."""
    headers = (*retry_after(action.retry_after), *headers)
    if action.body == "empty":
        return Answer(action.status, b"", HTML, headers)
    if action.body == "html":
        page = f"<html><body><h1>{action.status}</h1><p>fault on request</p></body></html>"
        return Answer(action.status, page.encode(), HTML, headers)
    return None


class Wire:
    """One request's way back to its caller.

    A request is recorded before its answer goes out, so that whoever has the answer finds it counted.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, info: RequestInfo, recorder: Recorder
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._info = info
        self._recorder = recorder
        self._open = True
        recorder.begin()

    def over(self, status: int | None) -> None:
        """Record how the request ended; the first time counts."""
        if self._open:
            self._open = False
            self._recorder.end(self._info, status)

    async def disconnected(self) -> None:
        """Wait until the caller is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, answer: Answer, *, cut: int | None = None) -> None:
        """Send an answer, or no more of its body than ``cut`` bytes."""
        self.over(answer.status)
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.content_type),
                    (b"content-length", str(len(answer.body)).encode()),
                    *answer.headers,
                ],
            }
        )
        part = answer.body[:cut]
        await self._send({"type": "http.response.body", "body": part, "more_body": cut is not None})


async def read_body(receive: Receive) -> bytes:
    """Return a request's body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)

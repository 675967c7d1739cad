"""One attempt at one call, as whoever listens to a transport is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt at one call, as it went: what a log of calls is made of.

    Query, headers and bodies are as they went over the wire, and not copied: who keeps any of them
    takes the secrets out. The credentials themselves are not among the headers.

    Attributes:
        started: When it was sent; aware, UTC.
        hostname: Where it went, without the port.
        route: The address's path, secrets removed.
        query: Names and values, not encoded yet.
        request_body: None when there was none.
        status: HTTP status, or None when no whole answer came: then the outcome is unknown.
        response_headers: Empty when none came.
        response_body: Decompressed; None when it did not come whole.
        seconds: From sending to the answer's last byte.
        attempt: From 1.
        error: Why there is no answer, secrets removed; None when there is one.
        direction: ``IN``: a webhook that somebody sent to us.
        source_ip: Whose address it came from, if it came in.
    """

    started: datetime
    method: str
    hostname: str
    route: str
    query: Sequence[tuple[str, str]]
    request_headers: Mapping[str, str]
    request_body: bytes | bytearray | None
    status: int | None
    response_headers: Mapping[str, str]
    response_body: bytes | bytearray | None
    seconds: float
    attempt: int
    error: str | None
    direction: Literal["IN", "OUT"] = "OUT"
    source_ip: str | None = None

"""From an exchange to a row of the call log: without secrets, without files, and so that it fits.

Secrets go first and cutting comes after, so that no half of a secret is left where a text ends. What
does not belong here: what is a file (``file_bodies``), and when and how rows are written (``call_log``).
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from elite_pipeline.embedded_files import Body
from elite_pipeline.observability import call_log_tables as tables
from elite_pipeline.observability.file_bodies import (
    FILE_SHOWS_BYTES,
    content_type,
    is_file_route,
    shows_file,
    without_files,
)
from elite_pipeline.transport import REDACTED, Exchange, Redactor

#: Headers whose whole value is a secret, whoever's it is.
_SECRET_HEADER = re.compile(
    r"authorization|cookie|secret|token|password|api-?key|signature", re.IGNORECASE
)
#: Texts of headers and the like that are redacted once, and how long they may be.
_REMEMBERED, _SHORT_CHARS = 512, 200
#: What is kept of an answer that lists people or things of a client by the page: its beginning. They all
#: come again with every full pass, and a copy of each page, with everybody's address in it, would be most
#: of the log. Answers about single ones, and all that is written, are kept whole.
LISTED_BYTES = 2_048
_LISTED = re.compile(r"(?:.*/)?(?:contacts|units)/?")
#: What is taken off a text that was cut before secrets were looked for, at least: an address with a
#: password, or a header, may have lost its end.
_RAGGED_CHARS = 256


def cut(text: str, most_bytes: int, *, size: int | None = None) -> str:
    """Return ``text`` in at most so many bytes of UTF-8; what was cut ends with a mark.

    Args:
        text: What is to fit.
        most_bytes: What the column holds.
        size: The bytes that there were, where ``text`` is only the beginning: the mark is then there
            in any case.
    """
    if size is None:
        if len(text) * 4 <= most_bytes:
            return text
        size = len(text.encode("utf-8"))
        if size <= most_bytes:
            return text
    mark = f"… [cut: {size} bytes in all]"
    room = most_bytes - len(mark.encode("utf-8"))
    return text.encode("utf-8")[:room].decode("utf-8", "ignore") + mark


class RowMaker:
    """Makes rows for one run.

    Args:
        redactor: Knows every secret of the process.
        transaction_id: Ties the run's calls together.
        instance_id: Which machine they came from.

    Attributes:
        redact: Takes the secrets out of a text.
        payload_bytes: The most that is kept of a body; a server may take less than its column holds.
    """

    def __init__(self, redactor: Redactor, *, transaction_id: str, instance_id: str) -> None:
        self.redact = redactor
        # names and most values of headers, and hosts, are the same in many calls
        self._redact_again = lru_cache(maxsize=_REMEMBERED)(redactor)
        self._transaction_id = transaction_id[: tables.TRANSACTION_CHARS]
        self._instance_id = instance_id[: tables.INSTANCE_CHARS]
        self.payload_bytes = tables.PAYLOAD_BYTES

    def row(self, exchange: Exchange, source: str) -> dict[str, Any]:
        """Return the row of a call, whichever way it went.

        Args:
            exchange: How it went.
            source: Whose call it was.
        """
        answer = self._payload(
            exchange,
            exchange.response_body,
            exchange.response_headers,
            LISTED_BYTES if _is_list(exchange) else self.payload_bytes,
        )
        if exchange.error is not None:
            answer = cut(f"[no whole answer: {self.redact(exchange.error)}]", self.payload_bytes)
        query = self.redact(urlencode(exchange.query, errors="replace"))
        return {
            "uuid": str(uuid4()),
            "dtStamp": exchange.started.astimezone(UTC).replace(tzinfo=None, microsecond=0),
            "transactionId": self._transaction_id,
            "isAuthRequest": 0,
            "direction": exchange.direction,
            "source": _short(source, tables.SOURCE_CHARS),
            "sourceIp": exchange.source_ip,
            "instanceId": self._instance_id,
            "executionTimeSeconds": round(exchange.seconds, 4),
            "method": exchange.method[: tables.METHOD_CHARS],
            "hostname": _short(self._brief(exchange.hostname), tables.HOSTNAME_CHARS),
            "route": _short(self.redact(exchange.route), tables.ROUTE_CHARS),
            "responseCode": exchange.status,
            "queryString": cut(query, tables.TEXT_BYTES) if query else None,
            "requestHeaders": self._headers(exchange.request_headers),
            "requestPayload": self._payload(
                exchange, exchange.request_body, exchange.request_headers, self.payload_bytes
            ),
            "responseHeaders": self._headers(exchange.response_headers),
            "responsePayload": answer,
        }

    def _headers(self, headers: Mapping[str, str]) -> str | None:
        """Return headers as a JSON object."""
        if not headers:
            return None
        shown = {
            self._brief(name): REDACTED if _SECRET_HEADER.search(name) else self._brief(value)
            for name, value in headers.items()
        }
        return cut(_storable(json.dumps(shown, ensure_ascii=False)), tables.TEXT_BYTES)

    def _brief(self, text: str) -> str:
        return (self._redact_again if len(text) <= _SHORT_CHARS else self.redact)(text)

    def _payload(
        self, exchange: Exchange, body: Body | None, headers: Mapping[str, str], most: int
    ) -> str | None:
        if not body:
            return None
        most = min(most, self.payload_bytes)
        is_file, kind = is_file_route(exchange.route), content_type(headers)
        # what is cut off anyway need not be looked through
        if is_file or shows_file(body[: most + FILE_SHOWS_BYTES], kind=kind):
            body = without_files(body, is_file=is_file, kind=kind)
        if len(body) <= most:
            return cut(self.redact(body.decode("utf-8", "replace")), most)
        text = self.redact(body[:most].decode("utf-8", "replace"))
        ragged = max(self.redact.longest, _RAGGED_CHARS)
        return cut(text[:-ragged], most, size=len(body))


def _is_list(exchange: Exchange) -> bool:
    return (
        exchange.direction == "OUT"
        and exchange.method == "GET"
        and exchange.status == 200
        and _LISTED.fullmatch(exchange.route) is not None
    )


def _storable(text: str) -> str:
    """Return text without half characters, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _short(text: str, most_chars: int) -> str:
    text = _storable(text)
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"

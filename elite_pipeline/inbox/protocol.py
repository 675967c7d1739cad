"""HTTP of the receiver: uvicorn's, with bounds on what a sender may take of time and memory.

Uvicorn waits for the head of a request as long as it takes and keeps as much of it as comes, and reads on
without end what nobody wants any more. Anybody can reach the receiver, so here both have an end.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How long the head of a request may take to come, in seconds, and the bytes that it may have.
HEAD_SECONDS = 15.0
HEAD_BYTES = 64 << 10
#: Bytes of a body that are read after it was answered, so that the answer is heard.
DRAINED_BYTES = 8 << 20


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    _drained = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # for its first request
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
                return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._timer is None and self.timeout_keep_alive_task is None:
            self._begin_to_wait()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Begin its body."""
        self._is_in_head, self._drained = False, 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._drained += len(body)
            if self._drained > DRAINED_BYTES:
                self.transport.close()

    def _begin_to_wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._end)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if self.transport is not None:
            self.transport.close()

"""A real server in a thread of its own, on sockets of this machine."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Scope

HOST: Final = "127.0.0.1"
_TICK_SECONDS: Final = 0.1
_START_SECONDS: Final = 30.0
#: How long an answer may take to end when the server stops.
_GRACE_SECONDS: Final = 5.0


class PortTakenError(OSError):
    """The port that a sandbox should listen on is in use, or not ours to use."""


class Host:
    """Serves one application until it is told to stop.

    Args:
        app: What answers.
        listeners: The sockets it answers on (see :func:`listen`); they are closed at the end.
        closing: Set in the server's event loop when it stops.
        name: What its thread is called.
        dated: Whether answers get a ``Date`` of the real time; else the application gives them one.
    """

    def __init__(
        self,
        app: ASGIApp,
        listeners: Sequence[socket.socket],
        *,
        closing: asyncio.Event,
        name: str,
        dated: bool = True,
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            # by name: hanging up needs to know the connections, which uvicorn's others do not show
            http="httptools" if find_spec("httptools") else "h11",
            ws="none",
            timeout_keep_alive=75,
            backlog=1024,
            date_header=dated,
        )
        self._server = _Server(config, closing)
        self._thread = threading.Thread(
            target=self._server.run, args=(list(listeners),), name=name, daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS):
            raise RuntimeError("the sandbox did not start")

    def stop(self) -> None:
        """Stop answering, hang up on whoever waits, and wait until the thread is over."""
        self._server.stop()
        self._thread.join()

    def hang_up(self, scope: Scope, at_once: bool) -> None:
        """End the connection that a request came in on: at once, or after what was sent."""
        self._server.hang_up(scope, at_once=at_once)


class _Server(uvicorn.Server):
    """Uvicorn, told to stop by an event instead of by a look at a flag ten times a second."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._closing = closing
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Keep the ``Date`` header fresh until the server is told to stop."""
        self._loop = asyncio.get_running_loop()
        counter = 0
        await self.on_tick(counter)
        self.ready.set()
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _TICK_SECONDS)
            counter = (counter + 1) % 864_000
            await self.on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let requests that are being answered end.

        Uvicorn's own also gives connections time to end by themselves; here they have been cut.
        """
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        if answering := list(self.server_state.tasks):
            _, endless = await asyncio.wait(answering, timeout=_GRACE_SECONDS)
            for task in endless:
                task.cancel()

    def stop(self) -> None:
        """Tell the server to stop; safe to call from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self.should_exit = True
        self._closing.set()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def hang_up(self, scope: Scope, *, at_once: bool) -> None:
        """End the connection that a request came in on."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == scope["client"]:
                if at_once:
                    connection.transport.abort()
                else:
                    connection.transport.close()


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0 stands for a free one.

    Raises:
        PortTakenError: The port is in use.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = error.strerror or "it cannot be used"
        raise PortTakenError(f"port {port} on {HOST}: {reason.lower()}") from error
    return listener

"""A running sandbox: the API and its own endpoints on a real socket of this machine.

:class:`Toga2Sandbox` is what tests and the command line use. The server runs in a thread of its own;
the store, the faults, the settings and the recorded requests are at hand beside it.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Scope

from elite_pipeline.sandbox.toga2.admin import admin_routes
from elite_pipeline.sandbox.toga2.api import Toga2Api
from elite_pipeline.sandbox.toga2.clients import SandboxClient, Settings
from elite_pipeline.sandbox.toga2.clock import Clock
from elite_pipeline.sandbox.toga2.faults import FaultPlan
from elite_pipeline.sandbox.toga2.recorder import RecordedRequest, Recorder, RequestInfo
from elite_pipeline.sandbox.toga2.store import Store

_HOST: Final = "127.0.0.1"
_BASE_PATH: Final = "/v2"
_TICK_SECONDS: Final = 0.1
_START_SECONDS: Final = 30.0


class PortTakenError(OSError):
    """The port that the sandbox should listen on is in use, or not ours to use."""


class Toga2Sandbox:
    """A stand-in for TOGA 2 that answers real HTTP on loopback.

    Used as a context manager, or between :meth:`start` and :meth:`stop`.

    Args:
        clients: The tenants that may call it.
        path: The SQLite file of its records, or ``None`` for a temporary one.
        port: Where it listens; 0 for a free port.
        clock: Where ``_updated`` comes from; the real time by default.
        settings: Its switches.

    Attributes:
        store: Its records.
        faults: What goes wrong on request.
        settings: Its switches; changed in place.
    """

    def __init__(
        self,
        clients: Iterable[SandboxClient],
        *,
        path: Path | None = None,
        port: int = 0,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.faults = FaultPlan()
        self.store = Store(clients, path=path, clock=clock, settings=self.settings)
        self._recorder = Recorder()
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._api = Toga2Api(
            self.store, faults=self.faults, recorder=self._recorder, hang_up=self._hang_up
        )

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and close its file."""
        self.stop()

    def start(self) -> None:
        """Start answering.

        Raises:
            PortTakenError: The port is in use.
        """
        try:
            listener = _listen(self._port)
        except PortTakenError:
            self.store.close()
            raise
        self._port = listener.getsockname()[1]
        routes = admin_routes(faults=self.faults, recorder=self._recorder, settings=self.settings)
        app = Starlette(routes=[*routes, Mount(_BASE_PATH, app=self._api)])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            # by name: hanging up needs to know the connections, which uvicorn's others do not show
            http="httptools" if find_spec("httptools") else "h11",
            ws="none",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            backlog=1024,
        )
        self._server = _Server(config, self._api.closing)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="toga2-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS):
            raise RuntimeError("the sandbox did not start")

    def stop(self) -> None:
        """Stop answering, hang up on whoever waits, and close the file."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
        self._server = self._thread = None
        self.store.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def base_url(self) -> str:
        """The base of its API, without a slash at the end."""
        return f"http://{_HOST}:{self._port}{_BASE_PATH}"

    @property
    def admin_url(self) -> str:
        """The base of its own endpoints."""
        return f"http://{_HOST}:{self._port}/_sandbox"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests that are over, oldest first; its own endpoints are not among them."""
        return self._recorder.requests

    @property
    def max_in_flight(self) -> int:
        """The most requests that were under way at once."""
        return self._recorder.max_in_flight

    @property
    def on_request(self) -> Callable[[RequestInfo], None] | None:
        """Called with each request before it is carried out, in the server's thread.

        It may change the store; it must not call the server, which waits for it.
        """
        return self._api.on_request

    @on_request.setter
    def on_request(self, callback: Callable[[RequestInfo], None] | None) -> None:
        self._api.on_request = callback

    def count(
        self, *, method: str | None = None, route: str | None = None, status: int | None = None
    ) -> int:
        """Return how many requests there were, by method, route pattern and status."""
        return self._recorder.count(method=method, route=route, status=status)

    def reset_stats(self) -> None:
        """Forget the recorded requests."""
        self._recorder.reset()

    def _hang_up(self, scope: Scope, at_once: bool) -> None:
        if self._server is not None:
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


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = error.strerror or "it cannot be used"
        raise PortTakenError(f"port {port} on {_HOST}: {reason.lower()}") from error
    return listener

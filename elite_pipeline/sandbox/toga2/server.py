"""A running sandbox: the API and its own endpoints on a real socket of this machine.

:class:`Toga2Sandbox` is what tests and the command line use. The server runs in a thread of its own;
the store, the faults, the settings and the recorded requests are at hand beside it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Scope

from elite_pipeline.sandbox.serving.clock import Clock
from elite_pipeline.sandbox.serving.faults import FaultPlan
from elite_pipeline.sandbox.serving.host import HOST, Host, PortTakenError, listen
from elite_pipeline.sandbox.serving.own_endpoints import own_routes
from elite_pipeline.sandbox.serving.recorder import RecordedRequest, Recorder, RequestInfo
from elite_pipeline.sandbox.toga2.api import Toga2Api
from elite_pipeline.sandbox.toga2.clients import SandboxClient, Settings
from elite_pipeline.sandbox.toga2.store import Store

_BASE_PATH: Final = "/v2"


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
        self._host: Host | None = None
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
            listener = listen(self._port)
        except PortTakenError:
            self.store.close()
            raise
        self._port = listener.getsockname()[1]
        routes = own_routes(faults=self.faults, recorder=self._recorder, settings=self.settings)
        app = Starlette(routes=[*routes, Mount(_BASE_PATH, app=self._api)])
        self._host = Host(app, [listener], closing=self._api.closing, name="toga2-sandbox")

    def stop(self) -> None:
        """Stop answering, hang up on whoever waits, and close the file."""
        if self._host is not None:
            self._host.stop()
        self._host = None
        self.store.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def base_url(self) -> str:
        """The base of its API, without a slash at the end."""
        return f"http://{HOST}:{self._port}{_BASE_PATH}"

    @property
    def admin_url(self) -> str:
        """The base of its own endpoints."""
        return f"http://{HOST}:{self._port}/_sandbox"

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
        if self._host is not None:
            self._host.hang_up(scope, at_once)

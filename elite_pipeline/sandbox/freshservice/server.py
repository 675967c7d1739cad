"""A running Freshservice: its accounts on real sockets of this machine, each on a port of its own.

:class:`FreshserviceSandbox` is what tests, benchmarks and the command line use. The server runs in a
thread of its own; the accounts, the faults and the settings are at hand beside it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Scope

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.admin import account_routes
from elite_pipeline.sandbox.freshservice.api import CallRecorder, FreshserviceApi
from elite_pipeline.sandbox.freshservice.faults import FRESHSERVICE_ACTIONS
from elite_pipeline.sandbox.freshservice.settings import AccountSpec, Settings
from elite_pipeline.sandbox.freshservice.store import Store
from elite_pipeline.sandbox.serving.clock import Clock, utc_now
from elite_pipeline.sandbox.serving.faults import Action, FaultPlan, FaultRule
from elite_pipeline.sandbox.serving.host import Host, PortTakenError, listen
from elite_pipeline.sandbox.serving.own_endpoints import own_routes
from elite_pipeline.sandbox.serving.recorder import RecordedRequest, RequestInfo


class FreshserviceSandbox:
    """A stand-in for Freshservice that answers real HTTP on loopback.

    Used as a context manager, or between :meth:`start` and :meth:`stop`.

    Args:
        accounts: The accounts that it has.
        path: The SQLite file of its records, or ``None`` for a temporary one.
        clock: What time it is, for timestamps, limits and links; the real time by default.
        settings: Its switches.

    Attributes:
        accounts: Its accounts by name.
        faults: What goes wrong on request.
        settings: Its switches; changed in place.
    """

    def __init__(
        self,
        accounts: Iterable[AccountSpec],
        *,
        path: Path | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.faults = FaultPlan()
        self._clock = clock or utc_now
        self._store = Store(path)
        self.accounts = {
            spec.name: Account(spec, self._store, self.settings, self._clock) for spec in accounts
        }
        self._recorder = CallRecorder(self.accounts.values())
        self._host: Host | None = None
        self._api = FreshserviceApi(
            self.accounts.values(),
            settings=self.settings,
            clock=self._clock,
            faults=self.faults,
            recorder=self._recorder,
            hang_up=self._hang_up,
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
            PortTakenError: A port is in use.
        """
        listeners = []
        try:
            for account in self.accounts.values():
                listener = listen(account.port)
                listeners.append(listener)
                account.listen_on(listener.getsockname()[1])
        except PortTakenError:
            for listener in listeners:
                listener.close()
            self._store.close()
            raise
        routes = [
            *own_routes(
                faults=self.faults,
                recorder=self._recorder,
                settings=self.settings,
                actions=FRESHSERVICE_ACTIONS,
            ),
            *account_routes(self.accounts, self._api.closing),
        ]
        app = Starlette(routes=[*routes, Mount("/", app=self._api)])
        self._host = Host(
            app,
            listeners,
            closing=self._api.closing,
            name="freshservice-sandbox",
            dated=False,
        )

    def stop(self) -> None:
        """Stop answering and telling, hang up on whoever waits, and close the file."""
        for account in self.accounts.values():
            account.webhooks.stop()
        if self._host is not None:
            self._host.stop()
        self._host = None
        self._store.close()

    def account(self, name: str | None = None) -> Account:
        """Return an account; the first one without a name.

        Raises:
            KeyError: There is none of that name.
        """
        return self.accounts[name] if name else next(iter(self.accounts.values()))

    def fault(
        self,
        action: Action,
        *,
        method: str | None = None,
        route: str | None = None,
        account: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        probability: float = 1.0,
        seed: int = 0,
    ) -> FaultRule:
        """Make something go wrong; see :meth:`FaultPlan.add`.

        Args:
            action: What happens.
            method: The HTTP method that it is about; any by default.
            route: The route below ``/api/v2`` (``/tickets/{id}``), or one path (``/tickets/17``); the
                bytes of attachments are ``/attachments/{id}``.
            account: The account that it is about; any by default.
            times: How often; ``None`` for ever.
            skip: How many requests pass first.
            probability: The chance of it, drawn from ``seed``.
            seed: What chance follows from.
        """
        return self.faults.add(
            action,
            method=method,
            route=route,
            client=account,
            times=times,
            skip=skip,
            probability=probability,
            seed=seed,
        )

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests that are over, of all accounts, oldest first; downloads are among them."""
        return self._recorder.requests

    @property
    def max_in_flight(self) -> int:
        """The most requests that were under way at once."""
        return self._recorder.max_in_flight

    @property
    def on_request(self) -> Callable[[RequestInfo], None] | None:
        """Called with each request before it is carried out, in the server's thread.

        It may change an account; it must not call the server, which waits for it.
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
        """Forget the requests and every account's calls."""
        self._recorder.reset()

    def _hang_up(self, scope: Scope, at_once: bool) -> None:
        if self._host is not None:
            self._host.hang_up(scope, at_once)

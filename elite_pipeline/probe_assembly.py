"""Both sides of all clients, put together for looks at them (``sync.probe``).

A look is short: one attempt a call, seconds of waiting, and never longer than a tick may take. What is
opened stays open between ticks, so that fifty clients do not cost fifty handshakes every time.

What does not belong here: what a run works with (``assembly``).
"""

import atexit
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect as connect_own
from elite_pipeline.settings import Settings
from elite_pipeline.sync.probe import Finding, ProbedSystems, probe
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import TogadeskStore, connect
from elite_pipeline.transport import Exchange, Redactor, RetryPolicy, Transport
from elite_pipeline.transport.redaction import basic_auth

logger = logging.getLogger(__name__)

#: Clients that are looked at at once, no more than the helpdesk's pool has connections.
WORKERS = 12
#: Seconds: for a connection, for an answer of either side, and for all looks of a tick together. Dagster
#: ends a tick after a minute.
_CONNECT_SECONDS = 3.0
_READ_SECONDS = 8.0
_SQL_SECONDS = 20
TICK_SECONDS = 25.0
#: Seconds that the call log waits for its database.
_LOG_SECONDS = 10
#: What the calls of looks are logged under.
_SOURCE = "ticket_watermarks"

#: Direction -> a watermark.
Marks = Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class _Opened:
    systems: ProbedSystems
    stack: ExitStack


class Prober:
    """Looks at both sides of clients, many at once. One for each process, used by one tick at a time.

    Args:
        settings: The process's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="probe")
        self._opened: dict[str, _Opened] = {}
        self._going: dict[str, Future[Finding | str]] = {}
        # of what is opened once for all clients
        self._guard = threading.Lock()
        self._engine: sa.Engine | None = None
        self._log: CallLog | None = None
        atexit.register(self.close)

    def close(self) -> None:
        """Close the connections; looks that are going on are not waited for."""
        atexit.unregister(self.close)
        self._workers.shutdown(wait=False, cancel_futures=True)
        for opened in self._opened.values():
            opened.stack.close()
        self._stack.close()

    def look(
        self,
        clients: Iterable[str],
        cursor: Mapping[str, Marks],
        left: Mapping[str, Marks],
        *,
        seconds: float = TICK_SECONDS,
    ) -> dict[str, Finding | str]:
        """Look at clients, each on its own: one that is set up wrongly or does not answer stops no other.

        Args:
            clients: Whom to look at; the later ones are the first to be left out when time runs out.
            cursor: Client -> direction -> how far was seen.
            left: Client -> direction -> what the cursor was left at.
            seconds: How long all of them may take.

        Returns:
            Client -> what was found, or why it could not be looked at: one line, without secrets.
        """
        looks: dict[str, Future[Finding | str]] = {}
        for client in clients:
            going = self._going.get(client)
            # a tick before this one may have given up on it
            if going is None or going.done():
                looks[client] = self._workers.submit(
                    self._look, client, cursor.get(client, {}), left.get(client, {})
                )
        self._going |= looks
        wait(looks.values(), timeout=seconds)
        found: dict[str, Finding | str] = {}
        for client in clients:
            future = looks.get(client)
            if future is None:
                found[client] = "the look of a tick before this one still waits for an answer"
            elif future.done():
                found[client] = future.result()
            elif future.cancel():
                found[client] = f"others took all of the {seconds:g} s that a tick has"
            else:
                found[client] = f"no answer within the {seconds:g} s that a tick has"
        return found

    def _look(self, client: str, cursor: Marks, left: Marks) -> Finding | str:
        try:
            return probe(self._open(client), cursor, left)
        except PipelineError as error:
            reason = " ".join(str(error).split())
        except Exception as error:
            # a defect of ours, met with one client: the others go on, and the trace must be seen; its
            # text may quote anything, and is not for the page
            logger.exception("an unforeseen error when %s was looked at", client)
            reason = f"a defect of the pipeline ({type(error).__name__})"
        # what was learnt of its systems may be why
        if (opened := self._opened.pop(client, None)) is not None:
            opened.stack.close()
        return reason

    def _open(self, name: str) -> ProbedSystems:
        if name in self._opened:
            return self._opened[name].systems
        settings = self._settings
        client = settings.registry.get(name)
        require_a_demo(settings)
        credentials = settings.toga2_credentials(client)
        secrets = (credentials.api_key, credentials.api_secret)
        with ExitStack() as stack:
            toga2 = Toga2Client(
                Transport(
                    system="TOGA 2",
                    base_url=settings.toga2_url,
                    pool_size=1,
                    redactor=Redactor.for_basic_auth(*secrets, settings.secret_values()),
                    retry=RetryPolicy(attempts=1),
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    on_exchange=self._logged(),
                ),
                base_url=settings.toga2_url,
                credentials=secrets,
                client_uuid=str(client.toga2.client_uuid),
                max_in_flight=1,
            )
            stack.callback(toga2.close)
            store = TogadeskStore(
                self._helpdesk(), client_id=client.togadesk.client_id, timezone=client.timezone
            )
            stack.callback(store.close)
            opened = _Opened(ProbedSystems(client, toga2, store), stack.pop_all())
        self._opened[name] = opened
        return opened.systems

    def _helpdesk(self) -> sa.Engine:
        with self._guard:
            if self._engine is None:
                self._engine = connect(self._settings.togadesk_url, read_timeout=_SQL_SECONDS)
                self._stack.callback(self._engine.dispose)
            return self._engine

    def _logged(self) -> Callable[[Exchange], None] | None:
        """Return what logs the calls of all clients, in one thread; None: they are not logged."""
        with self._guard:
            if (url := self._settings.client_logs_url) is None:
                return None
            if self._log is None:
                self._log = CallLog(
                    connect_own(url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=_LOG_SECONDS),
                    RowMaker(
                        self._redactor(),
                        transaction_id=str(uuid4()),
                        instance_id=socket.gethostname(),
                    ),
                    client=_SOURCE,
                    tell=logger.warning,
                )
                self._stack.callback(self._log.close)
            return self._log.add

    def _redactor(self) -> Redactor:
        """Know every client's secrets, also what stands for one in the demo."""
        secrets = set(self._settings.secret_values())
        for client in self._settings.registry.clients.values():
            with suppress(ConfigurationError):  # it has none to hide
                credentials = self._settings.toga2_credentials(client)
                pair = (credentials.api_key, credentials.api_secret)
                secrets |= {*pair, basic_auth(*pair)}
        return Redactor(secrets)

"""How every flow of every client is doing, put together from where it is known.

The stored watermarks come from TOGA 2, one call a client and many at once; where it is away, they are as
the last run left them. All else comes from the pipeline's own database, in a few statements for all
clients. What does not belong here: how it is shown (``status_command``).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from elite_pipeline.clients import Client
from elite_pipeline.errors import PipelineError, TransientError, UnreachableError
from elite_pipeline.inbox import Inbox
from elite_pipeline.inbox.rows import Counts as InboxCounts
from elite_pipeline.ledger import Counts, DeadLetterOffice, FlowState, FlowStateReader
from elite_pipeline.settings import Settings
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.flows import FLOWS
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Parameter
from elite_pipeline.toga2_access import open_toga2
from elite_pipeline.transport import Exchange

#: Clients that are asked for at once.
_AT_ONCE = 16
#: Seconds to wait for the pipeline's own database.
_TIMEOUT = 10
_NO_LETTERS = Counts(0, 0, None)
_FRESHSERVICE = "freshservice_to_toga2"


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """How one flow of one client is doing. Times are aware, UTC.

    Attributes:
        is_on: False: the registry has it switched off.
        watermark: None: none is stored, or it is not known.
        is_stored: The watermark is what TOGA 2 has now; else it is as the last run left it.
        lag: How old a change can be that is not on the other side yet; None: it is not known, as no run
            has come through.
        waiting, parked: Dead letters that runs try again, and that wait for a person.
        oldest_letter: When the first of them first failed.
        last_run: The end of the last run that came through.
        last_failed: When a run last stopped.
        last_error: Why it did; None: the last run came through.
        inbox: What waits in the inbox of webhooks, for the flow that works on it.
    """

    flow: str
    is_on: bool
    watermark: datetime | None
    is_stored: bool
    lag: timedelta | None
    waiting: int
    parked: int
    oldest_letter: datetime | None
    last_run: datetime | None
    last_failed: datetime | None
    last_error: str | None
    inbox: InboxCounts | None


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How one client is doing.

    Attributes:
        problem: Why its stored watermarks could not be read, or its entry in the registry is broken;
            empty: nothing is in the way.
        flows: In the order in which they run; empty where the entry is broken.
    """

    name: str
    problem: str
    flows: tuple[FlowStatus, ...]


class _Stored:
    """The watermarks that TOGA 2 has. Once it is away for one client, no other is kept waiting for it."""

    def __init__(self, settings: Settings, on_exchange: Callable[[Exchange], None] | None) -> None:
        self._settings = settings
        self._on_exchange = on_exchange
        self._away = threading.Event()
        self._reason = ""

    def of(self, client: Client) -> Mapping[str, datetime] | str:
        """Return parameter -> what it says, of those that are there; or why they are not known."""
        if self._away.is_set():
            return self._reason
        try:
            with open_toga2(self._settings, client, on_exchange=self._on_exchange) as toga2:
                return _parsed(toga2.parameters(watermarks.ALL))
        except (UnreachableError, TransientError) as error:
            self._reason = str(error)
            self._away.set()
            return self._reason
        except PipelineError as error:
            return str(error)


def look_at_flows(
    settings: Settings,
    names: Sequence[str],
    now: datetime,
    on_exchange: Callable[[Exchange], None] | None = None,
) -> list[ClientStatus]:
    """Return how clients are doing.

    Args:
        settings: Of this process.
        names: Which clients; none: all of the registry.
        now: Aware.
        on_exchange: Told of every call to TOGA 2.

    Raises:
        ConfigurationError: A client is unknown, or a setting is missing.
        TransientError, SystemicError: The pipeline's own database cannot be read.
    """
    registry = settings.registry
    chosen = tuple(dict.fromkeys(names)) or tuple(
        dict.fromkeys((*registry.names, *registry.problems))
    )
    clients = {name: registry.get(name) for name in chosen if name not in registry.problems}
    stored = _Stored(settings, on_exchange)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="status") as pool:
        asked = {name: pool.submit(stored.of, client) for name, client in clients.items()}
        letters, states = _remembered(settings)
        inbox = _inbox(settings, clients)
        answers = {name: future.result() for name, future in asked.items()}
    found: list[ClientStatus] = []
    for name in chosen:
        if name not in clients:
            found.append(ClientStatus(name, registry.problems[name], ()))
            continue
        answer = answers[name]
        flows = tuple(
            _flow(
                clients[name],
                flow,
                None if isinstance(answer, str) else answer,
                letters.get((name, flow), _NO_LETTERS),
                states.get((name, flow)),
                inbox.get(name) if flow == _FRESHSERVICE else None,
                now,
            )
            for flow in FLOWS
        )
        found.append(ClientStatus(name, answer if isinstance(answer, str) else "", flows))
    return found


def _parsed(parameters: Sequence[Parameter]) -> dict[str, datetime]:
    """Return what parameters say; of two of one name the earlier, as a run takes it."""
    found: dict[str, datetime] = {}
    for parameter in parameters:
        try:
            moment = wire.parse_time((parameter.value or "").strip())
        except ValueError:
            # a run says so; here it is one that is not known
            continue
        found[parameter.name] = min(moment, found.get(parameter.name, moment))
    return found


def _remembered(
    settings: Settings,
) -> tuple[Mapping[tuple[str, str], Counts], Mapping[tuple[str, str], FlowState]]:
    with (
        closing(DeadLetterOffice(settings.pipeline_url)) as office,
        closing(FlowStateReader(settings.pipeline_url, timeout_seconds=_TIMEOUT)) as reader,
    ):
        if not office.is_there():
            return {}, {}
        return office.counts(), reader.all()


def _inbox(settings: Settings, clients: Mapping[str, Client]) -> dict[str, InboxCounts]:
    with_inbox = {
        name: client.freshservice.webhook_action
        for name, client in clients.items()
        if client.freshservice is not None and client.flows.freshservice_to_toga2
    }
    if not with_inbox:
        return {}
    with closing(Inbox(settings.pipeline_url, timeout_seconds=_TIMEOUT)) as inbox:
        if not inbox.is_there():
            return {}
        return {name: inbox.counts(action) for name, action in with_inbox.items()}


def _flow(
    client: Client,
    flow: str,
    stored: Mapping[str, datetime] | None,
    letters: Counts,
    state: FlowState | None,
    inbox: InboxCounts | None,
    now: datetime,
) -> FlowStatus:
    if stored is None:
        watermark = state.watermark if state is not None else None
    else:
        watermark = stored.get(watermarks.OF_FLOWS[flow])
    return FlowStatus(
        flow=flow,
        is_on=getattr(client.flows, flow),
        watermark=watermark,
        is_stored=stored is not None,
        lag=lag_of(state, now),
        waiting=letters.waiting,
        parked=letters.parked,
        oldest_letter=letters.oldest,
        last_run=state.last_run if state is not None else None,
        last_failed=state.last_failed if state is not None else None,
        last_error=state.last_error if state is not None else None,
        inbox=inbox,
    )


def lag_of(state: FlowState | None, now: datetime) -> timedelta | None:
    """Return how old a change can be that is not on the other side yet.

    A run that came through brought all that there was; what was changed since may be missing, unless
    somebody has looked at the source since then and found nothing newer.
    """
    known = state.known_carried_at if state is not None else None
    return max(now - known, timedelta()) if known is not None else None

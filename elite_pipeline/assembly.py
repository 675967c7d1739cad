"""Putting one client's systems together from the settings: what the engine gets from outside.

The only place that knows both the environment and the engine. What does not belong here: how an
operator starts a run (``defs``, ``cli``).
"""

import logging
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.freshservice_entry import FreshserviceEntry
from elite_pipeline.ledger import Ledger, LedgerRateBudget
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.observability.log_losses import LogLosses
from elite_pipeline.own_tables import connect as connect_own
from elite_pipeline.settings import Settings
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import TogadeskStore, Uploads, connect
from elite_pipeline.transport import Downloader, Exchange, Redactor, RetryPolicy, Transport

if TYPE_CHECKING:
    from elite_pipeline.freshservice.client import FreshserviceClient
    from elite_pipeline.sync.freshservice_side import FreshserviceSide

logger = logging.getLogger(__name__)

#: Seconds that the call log's thread waits for its database; the sync does not wait for it.
_LOG_TIMEOUT = 10


@contextmanager
def open_client(
    settings: Settings,
    client: Client,
    *,
    retry: RetryPolicy | None = None,
    sleep: Callable[[float], None] = time.sleep,
    rng: random.Random | None = None,
    run_id: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[FlowContext]:
    """Open everything that the flows of one client work with, and close it afterwards.

    Nothing is connected to until a flow needs it.

    Args:
        settings: The process's settings.
        client: Whose systems.
        retry, sleep, rng: As the transport and the store take them.
        run_id: Ties the run's calls together in the call log; by default a new one.
        warn: Told, when all is closed, what no flow's result could say any more; by default the
            process's log.

    Raises:
        ConfigurationError: A setting is missing or wrong; the message names it.
    """
    require_a_demo(settings)
    credentials = settings.toga2_credentials(client)
    base_url = settings.toga2_url
    redactor = Redactor.for_basic_auth(
        credentials.api_key, credentials.api_secret, settings.secret_values()
    )
    with ExitStack() as stack:
        engine = connect(settings.togadesk_url)
        stack.callback(engine.dispose)
        store = stack.enter_context(
            TogadeskStore(
                engine,
                client_id=client.togadesk.client_id,
                timezone=client.timezone,
                sleep=sleep,
                rng=rng,
            )
        )
        ledger = Ledger(settings.pipeline_url, client.name)
        stack.callback(ledger.close)
        call_log = _call_log(settings, client, redactor, run_id or str(uuid4()), warn)
        losses = None
        if call_log is not None:
            losses = LogLosses(call_log, ledger.flow_states)
            stack.callback(losses.close)
            stack.callback(call_log.close)
        toga2 = Toga2Client(
            Transport(
                system="TOGA 2",
                base_url=base_url,
                pool_size=client.toga2.max_in_flight,
                redactor=redactor,
                credentials=(
                    f"{client.environment_prefix}_TOGA2_API_KEY, "
                    f"{client.environment_prefix}_TOGA2_API_SECRET, and toga2.client_uuid of client "
                    f"{client.name!r} in the registry"
                ),
                unreachable=toga2_unreachable(settings),
                retry=retry,
                sleep=sleep,
                rng=rng,
                on_exchange=call_log.add if call_log is not None else None,
            ),
            base_url=base_url,
            credentials=(credentials.api_key, credentials.api_secret),
            client_uuid=str(client.toga2.client_uuid),
            max_in_flight=client.toga2.max_in_flight,
        )
        stack.callback(toga2.close)
        context = FlowContext(
            client=client,
            toga2=toga2,
            togadesk=store,
            find_uploads=lambda: Uploads(settings.uploads_dir),
            ledger=ledger,
            watermarks=Watermarks(toga2),
            run_id=run_id,
            who=_who(run_id),
            sleep=sleep,
        )
        if call_log is not None and losses is not None:
            context.began, context.remarks = losses.begin, call_log.remarks
            context.log_lost = losses.new
        context.find_freshservice = _freshservice_side(
            settings, client, stack, redactor, retry=retry, sleep=sleep, rng=rng, call_log=call_log
        )
        yield context


def _who(run_id: str | None) -> str:
    """Return how people find a run that is going on: on Dagster's page, or as a process."""
    host = socket.gethostname()
    if run_id is not None:
        return f"run {run_id[:8]} of Dagster, on {host}"
    return f"a command line on {host}, process {os.getpid()}"


def _freshservice_side(
    settings: Settings,
    client: Client,
    stack: ExitStack,
    redactor: Redactor,
    *,
    call_log: CallLog | None,
    **given: Any,
) -> "Callable[[], FreshserviceSide]":
    """Return what opens the client's Freshservice when a flow first needs it."""

    @cache
    def find() -> "FreshserviceSide":
        # most clients have none, and their processes need none of it
        from elite_pipeline.inbox.store import Inbox  # noqa: PLC0415 - see above
        from elite_pipeline.sync.freshservice_side import FreshserviceSide  # noqa: PLC0415 - see above

        api_url = settings.freshservice_api_url(client)
        if (entry := client.freshservice) is None:
            raise AssertionError("a client without a section has no address either")
        freshservice = freshservice_client(
            entry,
            api_url=api_url,
            api_key=settings.freshservice_api_key(client),
            pipeline_url=settings.pipeline_url,
            redactor=redactor,
            on_exchange=call_log.add if call_log is not None else None,
            max_in_flight=client.toga2.max_in_flight,
            credentials=f"{client.environment_prefix}_FRESHSERVICE_API_KEY",
            **given,
        )
        stack.callback(freshservice.close)
        inbox = Inbox(settings.pipeline_url)
        stack.callback(inbox.close)
        lag = timedelta(seconds=entry.lag_seconds)
        return FreshserviceSide(freshservice, inbox, entry.webhook_action, lag)

    return find


def freshservice_client(
    entry: FreshserviceEntry,
    *,
    api_url: str,
    api_key: str,
    pipeline_url: str,
    redactor: Redactor,
    on_exchange: Callable[[Exchange], None] | None = None,
    max_in_flight: int = 8,
    credentials: str = "its API key",
    retry: RetryPolicy | None = None,
    sleep: Callable[[float], None] = time.sleep,
    rng: random.Random | None = None,
) -> "FreshserviceClient":
    """Put the access to one Freshservice account together.

    Args:
        entry: What the registry says of it.
        api_url: Up to and with the version.
        api_key: The key that opens it.
        pipeline_url: The database by which its budget of calls is shared.
        redactor: Takes secrets out of messages.
        on_exchange: Told of every call.
        max_in_flight: Requests at once.
        credentials: What to check when they are refused, for the message.
        retry, sleep, rng: As the transport takes them.
    """
    from elite_pipeline.freshservice.client import FreshserviceClient  # noqa: PLC0415 - most need none
    from elite_pipeline.freshservice.limits import (  # noqa: PLC0415 - as above
        WINDOW_SECONDS,
        limits_of,
    )
    from elite_pipeline.freshservice.links import LinkRules  # noqa: PLC0415 - as above

    limits = limits_of(entry.plan, entry.calls_per_minute)
    budget = LedgerRateBudget(
        pipeline_url,
        urlsplit(api_url).netloc,
        overall=limits.overall,
        kinds=limits.kinds,
        window_seconds=WINDOW_SECONDS,
        sleep=sleep,
    )
    transport = Transport(
        system="Freshservice",
        base_url=api_url,
        pool_size=max_in_flight,
        redactor=redactor,
        credentials=credentials,
        unreachable="Check freshservice.base_url in the registry, and that the host can be reached.",
        retry=retry,
        sleep=sleep,
        rng=rng,
        budget=budget,
        on_exchange=on_exchange,
    )
    # an old link in a text leads to the account itself
    rules = LinkRules((*entry.attachment_hosts, urlsplit(api_url).hostname or ""))
    downloads = Downloader(
        system="Freshservice",
        check=rules.check,
        redactor=redactor,
        pool_size=max_in_flight,
        retry=retry,
        sleep=sleep,
        rng=rng,
        on_exchange=on_exchange,
    )
    return FreshserviceClient(
        transport,
        downloads,
        api_url=api_url,
        api_key=api_key,
        max_file_bytes=entry.max_file_mb << 20,
    )


def _call_log(
    settings: Settings,
    client: Client,
    redactor: Redactor,
    run_id: str,
    warn: Callable[[str], None] | None,
) -> CallLog | None:
    """Return where calls are logged; None: nowhere."""
    if (url := settings.client_logs_url) is None:
        return None
    return CallLog(
        connect_own(url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=_LOG_TIMEOUT),
        RowMaker(redactor, transaction_id=run_id, instance_id=socket.gethostname()),
        client=client.name,
        tell=warn or logger.warning,
    )


def require_a_demo(settings: Settings) -> None:
    """Where everything would run on the demo, make sure that there is one.

    Whoever opens its databases makes them otherwise, and leaves a folder with nothing to use in it.

    Raises:
        ConfigurationError: There is none.
    """
    if not settings.is_demo or settings.togadesk_database_url is not None:
        return
    helpdesk = Path(settings.togadesk_url.removeprefix("sqlite:///"))
    if not helpdesk.exists():
        raise ConfigurationError(
            f"There is no demo yet: {helpdesk} does not exist. `make demo` makes it and starts its "
            "sandbox; for real systems, clients.example.yaml and .env.example show how to set "
            "them up. Nothing was done."
        )


def toga2_unreachable(settings: Settings) -> str:
    """Return what an operator can do where TOGA 2 does not answer at all."""
    if settings.is_demo and settings.toga2_base_url is None:
        return (
            "It is the demo's sandbox, which `make demo` starts (TOGA2_PORT says where it listens); "
            "for another TOGA 2 set TOGA2_BASE_URL."
        )
    return "Check TOGA2_BASE_URL, and that the host is up and reachable from here."

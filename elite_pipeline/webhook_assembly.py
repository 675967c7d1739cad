"""A receiver of webhooks, put together from the settings and the registry.

One client that cannot be served, because its entry is broken or its secret missing, holds up no other.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from uuid import uuid4

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.inbox import Inbox
from elite_pipeline.inbox.entrances import Entrance, Entrances
from elite_pipeline.inbox.exchanges import Observer
from elite_pipeline.inbox.receiver import Receiver
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.observability.sentry import open_sentry
from elite_pipeline.own_tables import connect as connect_own
from elite_pipeline.settings import Settings
from elite_pipeline.transport import Redactor

logger = logging.getLogger(__name__)

#: Seconds that the receiver, and its call log, wait for their database.
_STORE_TIMEOUT = 10
_LOG_TIMEOUT = 10


def read_entrances(settings: Settings) -> Entrances:
    """Return whose webhooks are taken, and whose cannot be.

    Raises:
        ConfigurationError: There is nobody whose could be; the message says why.
    """
    registry = settings.registry
    opened: dict[str, Entrance] = {}
    closed = dict(registry.problems)
    for client in registry.clients.values():
        if client.freshservice is None:
            continue
        try:
            secret = settings.webhook_secret(client)
        except ConfigurationError as error:
            closed[client.name] = str(error)
        else:
            opened[client.name] = Entrance(client.name, client.freshservice.webhook_action, secret)
    if not opened:
        reasons = "\n".join(closed.values()) or (
            f"{registry.source}: no client has a freshservice section with webhook_action."
        )
        raise ConfigurationError(f"There is no client whose webhooks could be received.\n{reasons}")
    return Entrances(opened, closed)


@contextmanager
def open_receiver(
    settings: Settings, entrances: Entrances, tell: Callable[[str], None] = logger.warning
) -> Iterator[Receiver]:
    """Open a receiver; its database need not be there yet.

    Args:
        settings: Where its databases are.
        entrances: Whose webhooks it takes.
        tell: Told of what an operator should know.

    Raises:
        ConfigurationError: An address cannot be used, or there is no demo yet where it would run on it.
    """
    if settings.pipeline_database_url is None:
        require_a_demo(settings)
    redactor = _redactor(settings)
    with ExitStack() as stack:
        report = stack.enter_context(closing(open_sentry(settings)))
        stack.enter_context(report.run("", "webhooks"))
        observers: dict[str, Observer] = {}
        if (url := settings.client_logs_url) is not None:
            rows = RowMaker(redactor, transaction_id=str(uuid4()), instance_id=socket.gethostname())
            for client in entrances.open:
                log = CallLog(
                    connect_own(url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=_LOG_TIMEOUT),
                    rows,
                    client=client,
                    tell=tell,
                )
                log.begin("webhook")
                stack.callback(log.close)
                observers[client] = log.add
        inbox = Inbox(settings.pipeline_url, timeout_seconds=_STORE_TIMEOUT)
        stack.callback(inbox.close)
        yield Receiver(
            entrances, inbox, redact=redactor, observers=observers, tell=tell, report=report
        )


def _redactor(settings: Settings) -> Redactor:
    """Know every secret, also what stands for one in the demo."""
    secrets = set(settings.secret_values())
    for client in settings.registry.clients.values():
        with suppress(ConfigurationError):  # it has none to hide
            secrets.add(settings.webhook_secret(client))
    return Redactor(secrets)

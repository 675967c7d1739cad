"""One client's TOGA 2 alone, for what looks at it in passing: no helpdesk, no ledger, few retries.

What does not belong here: what a run works with (``assembly``).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from elite_pipeline.assembly import toga2_unreachable
from elite_pipeline.clients import Client
from elite_pipeline.settings import Settings
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.transport import Exchange, Redactor, RetryPolicy, Transport

#: Seconds to wait for a connection, and for an answer: somebody waits for what is looked at.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0


@contextmanager
def open_toga2(
    settings: Settings,
    client: Client,
    *,
    page_size: int = wire.PAGE_SIZE,
    attempts: int = 1,
    on_exchange: Callable[[Exchange], None] | None = None,
) -> Iterator[Toga2Client]:
    """Open a client's TOGA 2 and close it afterwards; nothing is connected to before the first call.

    Args:
        settings: The process's settings.
        client: Whose.
        page_size: Records a page.
        attempts: How often each call is tried.
        on_exchange: Told of every attempt.

    Raises:
        ConfigurationError: A setting is missing or wrong; the message names it.
    """
    credentials = settings.toga2_credentials(client)
    pair = (credentials.api_key, credentials.api_secret)
    base_url = settings.toga2_url
    toga2 = Toga2Client(
        Transport(
            system="TOGA 2",
            base_url=base_url,
            pool_size=1,
            redactor=Redactor.for_basic_auth(*pair, settings.secret_values()),
            credentials=(
                f"{client.environment_prefix}_TOGA2_API_KEY, "
                f"{client.environment_prefix}_TOGA2_API_SECRET, and toga2.client_uuid of client "
                f"{client.name!r} in the registry"
            ),
            unreachable=toga2_unreachable(settings),
            retry=RetryPolicy(attempts=attempts),
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            on_exchange=on_exchange,
        ),
        base_url=base_url,
        credentials=pair,
        client_uuid=str(client.toga2.client_uuid),
        max_in_flight=1,
        page_size=page_size,
    )
    try:
        yield toga2
    finally:
        toga2.close()

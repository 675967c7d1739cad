"""Putting one client's systems together from the settings: what the engine gets from outside.

The only place that knows both the environment and the engine. What does not belong here: how an
operator starts a run (``defs``, ``cli``).
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from elite_pipeline.clients import Client
from elite_pipeline.ledger import Ledger
from elite_pipeline.settings import Settings
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import TogadeskStore, connect
from elite_pipeline.transport import Redactor, RetryPolicy, Transport


@contextmanager
def open_client(
    settings: Settings,
    client: Client,
    *,
    retry: RetryPolicy | None = None,
    sleep: Callable[[float], None] = time.sleep,
    rng: random.Random | None = None,
) -> Iterator[FlowContext]:
    """Open everything that the flows of one client work with, and close it afterwards.

    Nothing is connected to until a flow needs it.

    Raises:
        ConfigurationError: A setting is missing or wrong; the message names it.
    """
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
        toga2 = Toga2Client(
            Transport(
                system="TOGA 2",
                base_url=base_url,
                pool_size=client.toga2.max_in_flight,
                redactor=redactor,
                credentials=(
                    f"{client.environment_prefix}_TOGA2_API_KEY and _TOGA2_API_SECRET, and "
                    f"toga2.client_uuid of client {client.name!r} in the registry"
                ),
                retry=retry,
                sleep=sleep,
                rng=rng,
            ),
            base_url=base_url,
            credentials=(credentials.api_key, credentials.api_secret),
            client_uuid=str(client.toga2.client_uuid),
            max_in_flight=client.toga2.max_in_flight,
        )
        stack.callback(toga2.close)
        yield FlowContext(
            client=client,
            toga2=toga2,
            togadesk=store,
            ledger=ledger,
            watermarks=Watermarks(toga2),
        )

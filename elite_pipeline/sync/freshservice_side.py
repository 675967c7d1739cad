"""What the flow out of Freshservice works with besides what all flows have.

What does not belong here: what is done with it (``freshservice_flow``).
"""

from dataclasses import dataclass
from datetime import timedelta

from elite_pipeline.freshservice.client import FreshserviceClient
from elite_pipeline.inbox.store import Inbox


@dataclass(frozen=True, slots=True)
class FreshserviceSide:
    """What this flow works with besides what all flows have.

    Attributes:
        client: The client's Freshservice account.
        inbox: Where webhooks are received.
        action: The ``action`` of the client's rows there.
        lag: How far the sweep goes back behind its watermark.
    """

    client: FreshserviceClient
    inbox: Inbox
    action: str
    lag: timedelta

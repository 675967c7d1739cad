"""The inbox of webhooks: its table, what is done with its rows, and the receiver that fills it.

What does not belong here: what a webhook means (``freshservice/payloads``, ``sync``).
"""

from elite_pipeline.inbox.rows import Arrival, Counts, DeadRow, Due, Row, Webhook
from elite_pipeline.inbox.store import Inbox

__all__ = ["Arrival", "Counts", "DeadRow", "Due", "Inbox", "Row", "Webhook"]

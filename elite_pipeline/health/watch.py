"""Reading what the checks look at: five statements, for however many clients."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from elite_pipeline.health.watched import Look
from elite_pipeline.inbox.store import Inbox
from elite_pipeline.ledger import DeadLetterOffice, FlowStateReader


def take_look(pipeline_url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Look:
    """Look into the pipeline's own database.

    Args:
        pipeline_url: SQLAlchemy URL.
        now: The time of day, aware.

    Raises:
        ConfigurationError: It is not one.
        TransientError, SystemicError: The database cannot be used.
    """
    with (
        closing(FlowStateReader(pipeline_url)) as reader,
        closing(DeadLetterOffice(pipeline_url)) as office,
        closing(Inbox(pipeline_url)) as inbox,
    ):
        moment = now()
        if not reader.is_there():
            # looking into it would make it; no run has been here yet
            return Look(moment)
        return Look(moment, reader.all(), office.counts(), inbox.backlogs(moment))

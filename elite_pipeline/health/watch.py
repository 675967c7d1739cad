"""Reading what the checks look at: four statements, for however many clients."""

from collections.abc import Callable
from datetime import UTC, datetime

from elite_pipeline.health.watched import Look
from elite_pipeline.inbox.store import Inbox
from elite_pipeline.ledger import DeadLetterOffice, FlowStateReader


class Watch:
    """Looks into the pipeline's own database, as often as it is asked.

    Nothing is connected to before the first look. Safe to use from several threads.

    Args:
        pipeline_url: SQLAlchemy URL.
        now: The time of day, aware.

    Raises:
        ConfigurationError: It is not one.
    """

    def __init__(
        self, pipeline_url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._states = FlowStateReader(pipeline_url)
        self._office = DeadLetterOffice(pipeline_url)
        self._inbox = Inbox(pipeline_url)
        self._now = now

    def look(self) -> Look:
        """Return what is there.

        Raises:
            TransientError, SystemicError: The database cannot be used.
        """
        moment = self._now()
        if not self._states.is_there():
            # looking into it would make it; no run has been here yet
            return Look(moment)
        return Look(moment, self._states.all(), self._office.counts(), self._inbox.backlogs(moment))

    def close(self) -> None:
        """Close the connections."""
        for one in (self._states, self._office, self._inbox):
            one.close()

"""Calls that are missing in the call log, counted for whoever watches, flow by flow.

What does not belong here: why they are missing (``call_log``).
"""

import logging
from datetime import UTC, datetime

from elite_pipeline.errors import PipelineError
from elite_pipeline.ledger import FlowStates
from elite_pipeline.observability.call_log import CallLog

logger = logging.getLogger(__name__)


class LogLosses:
    """Tells the losses of one run's call log. None of its methods raises.

    Args:
        call_log: Which.
        states: Where those are written down that were found when no flow was there to tell of them.
    """

    def __init__(self, call_log: CallLog, states: FlowStates) -> None:
        self._call_log = call_log
        self._states = states
        self._flow = ""
        self._told = 0

    def begin(self, flow: str) -> None:
        """Say which flow the calls from now on belong to."""
        self._flow = flow
        self._call_log.begin(flow)

    def new(self) -> int:
        """Return how many calls were found missing since this was last asked."""
        dropped = self._call_log.dropped
        lost, self._told = dropped - self._told, dropped
        return lost

    def close(self) -> None:
        """Write down what was found after the last flow's end; to be called when the log is closed."""
        lost = self.new()
        if not lost or not self._flow:
            return
        try:
            self._states.log_lost(self._flow, lost, datetime.now(UTC))
        except PipelineError as error:
            logger.warning("calls missing in the call log could not be counted: %s", error)

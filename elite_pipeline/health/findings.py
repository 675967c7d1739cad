"""The checks by name, and what one of them says about one flow of one client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.clients import FlowSwitches

WATERMARK_LAG = "watermark_lag"
DEAD_LETTERS = "dead_letters"
INBOX_AGE = "inbox_age"
QUIET_STATE = "quiet_state"
CALL_LOG = "call_log"

#: Every flow, in the order of the registry.
FLOWS: tuple[str, ...] = tuple(FlowSwitches.model_fields)
#: Those that carry tickets; the others carry what tickets refer to.
TICKET_FLOWS = frozenset({"toga2_to_togadesk", "togadesk_to_toga2", "freshservice_to_toga2"})
#: The one that is told by webhooks.
INBOX_FLOW = "freshservice_to_toga2"

#: Check -> what it asks, for people.
DESCRIPTIONS: Mapping[str, str] = {
    WATERMARK_LAG: (
        "How long ago it was last known that all changes are carried: the end of the last run that came "
        "through, or a look at the source that found nothing new. A quiet night is no lag."
    ),
    DEAD_LETTERS: (
        "How many records wait to be tried again, and how many wait for a person, as of now: "
        "no_dead_letters is as of the last run."
    ),
    INBOX_AGE: "How long the oldest webhook waits that could be worked on.",
    QUIET_STATE: (
        "Since when each run has written something. A flow that never comes to rest may be answering "
        "itself: an echo between the two sides."
    ),
    CALL_LOG: "How many calls are missing in the call log, ClientLogs.Api.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says about one flow of one client.

    Attributes:
        check: Its name.
        passed: Whether all is well.
        is_severe: Whether it is an error rather than a warning; of a check that passed as well.
        text: What is wrong, since when, and what to do next; one message.
        numbers: What was measured, by what it is called: to be plotted.
        gauge: What of it counts as news although the check says the same as before.
        ran_at: When the flow last came through, aware; None: it has not, as far as is known.
        is_watched: False: the flow or the check is switched off, or the client is not known here.
        is_told: Whoever reports failures has been told of this one where it happened.
    """

    client: str
    flow: str
    check: str
    passed: bool
    is_severe: bool
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    gauge: float = 0
    ran_at: datetime | None = None
    is_watched: bool = True
    is_told: bool = False


def checks_of(flow: str) -> tuple[str, ...]:
    """Return the names of the checks that a flow has."""
    common = (WATERMARK_LAG, DEAD_LETTERS, QUIET_STATE, CALL_LOG)
    return (*common, INBOX_AGE) if flow == INBOX_FLOW else common

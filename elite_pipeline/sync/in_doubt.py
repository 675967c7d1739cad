"""What a run has sent to TOGA 2 and nobody knows the outcome of: the next run of the flow waits for it.

A record is found again by its key, and not before TOGA 2 has carried the call out. A run that is killed
leaves calls under way, and so does one whose calls are cut on their way (``docs/decisions/0015``).

What does not belong here: the lock that keeps runs apart (``flows``), and what is kept
(``ledger.holders``).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from elite_pipeline.errors import PipelineError
from elite_pipeline.ledger import Holder
from elite_pipeline.locks import StillHeld
from elite_pipeline.sync.context import FlowContext

logger = logging.getLogger(__name__)


@contextmanager
def noted(
    context: FlowContext,
    flow: str,
    still_held: StillHeld,
    *,
    makes_in_toga2: bool,
    tell: Callable[[str], None] | None,
) -> Iterator[None]:
    """Write down who is at a flow, for the length of a ``with`` block; wait first where that is due.

    Args:
        context: What the run works with.
        flow: Its name; the lock is held.
        still_held: Asked after the wait.
        makes_in_toga2: Whether the flow makes records there.
        tell: Told why it waits; None: this one sends nothing, and leaves the wait to the next.

    Raises:
        TransientError: The lock was lost meanwhile.
    """
    heir = context.ledger.holders.put(flow, context.who, context.now())
    if not makes_in_toga2:
        heir = None
    if heir is not None and tell is not None:
        _let_arrive(context, flow, heir, tell)
        still_held()
        heir = None
    before = context.toga2.in_doubt
    try:
        yield
    except Exception:
        _end(context, flow, heir, makes_in_toga2 and context.toga2.in_doubt > before)
        raise
    # Whoever is told to end (an interrupt is no Exception) is as good as killed.
    _end(context, flow, heir, makes_in_toga2 and context.toga2.in_doubt > before)


def _let_arrive(
    context: FlowContext, flow: str, former: Holder, tell: Callable[[str], None]
) -> None:
    seconds = context.client.toga2.in_doubt_seconds
    if not seconds:
        return
    who, since = former
    why = (
        f"{who}, which began {flow} at {since:%Y-%m-%d %H:%M:%S} UTC, was killed or had calls cut off; "
        "what TOGA 2 may still be carrying out would be made twice"
    )
    logger.warning("%s: %s: waiting %g s: %s", context.client.name, flow, seconds, why)
    context.progress(f"{flow}: waiting {seconds} s: {why}")
    context.sleep(seconds)
    tell(f"waited {seconds} s before anything was sent: {why}")


def _end(context: FlowContext, flow: str, heir: Holder | None, is_in_doubt: bool) -> None:
    """Write down that the run has ended, if it has; where that fails, the next one waits needlessly."""
    if is_in_doubt:
        return
    try:
        context.ledger.holders.end(flow, context.who, heir)
    except PipelineError as error:
        logger.warning("%s: %s: its end was not written down: %s", context.client.name, flow, error)

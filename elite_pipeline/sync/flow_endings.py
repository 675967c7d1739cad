"""What is written down of a run's end, for people and for the checks: nothing of a sync goes by it.

So a sync does not fail by it either. What does not belong here: what is kept (``ledger.flow_states``),
and what becomes of records that fail (``run_letters``).
"""

import logging
from dataclasses import replace

from elite_pipeline.errors import PipelineError
from elite_pipeline.ledger import Outcome
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.results import FlowResult

logger = logging.getLogger(__name__)

#: What the Freshservice flow calls the requests that are not in ``api_calls``.
_FURTHER_CALLS = "Freshservice calls"


def is_quiet(result: FlowResult) -> bool:
    """Tell whether a run wrote nothing, moved no watermark, and had nothing fail."""
    written = result.created + result.updated + result.adopted + result.sql_writes
    return not (written or result.failed) and result.watermark_after == result.watermark_before


def came_through(context: FlowContext, result: FlowResult) -> FlowResult:
    """Write down what a run did; where that cannot be done, the result says so."""
    letters = result.dead_letters
    outcome = Outcome(
        is_quiet=is_quiet(result),
        watermark=result.watermark_after,
        created=result.created,
        updated=result.updated + result.adopted,
        failed=result.failed,
        waiting=letters.waiting,
        parked=letters.parked,
        oldest_letter=letters.oldest,
        calls=result.api_calls + result.details.get(_FURTHER_CALLS, 0),
        seconds=result.seconds,
        log_lost=context.log_lost(),
        run_id=context.run_id,
    )
    try:
        context.ledger.flow_states.came_through(result.flow, outcome, context.now())
    except PipelineError as error:
        remark = f"`status` and the checks do not know of this run: {error}"
        return replace(result, remarks=(*result.remarks, remark))
    return result


def stopped(context: FlowContext, flow: str, error: Exception) -> None:
    """Write down why a run stopped; where that cannot be done, the process's log says so."""
    reason = (
        context.toga2.redact(str(error))
        if isinstance(error, PipelineError)
        # its text may quote what was being carried
        else f"an unforeseen {type(error).__name__}; this is a defect of the pipeline, please report it"
    )
    try:
        context.ledger.flow_states.stopped(flow, reason, context.now(), context.run_id)
    except PipelineError as problem:
        logger.warning(
            "%s: %s: `status` and the checks do not know that it stopped: %s",
            context.client.name,
            flow,
            problem,
        )

"""A dry run: a flow as it is, on twins of all that it works with.

The flow itself knows nothing of it. Whatever it could write with is replaced by a twin that reads the
same system and plans what it is to write (``planning``); so a dry run decides as a real one would, also
from what it would have written before.

It starts from what is there now: what an earlier flow of the same run would have written is not there.

What does not belong here: how each system's twin works (``toga2.planned_calls``, ``togadesk.planned``,
``togadesk.planned_uploads``, ``ledger.planned``, ``inbox.planned``).
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from elite_pipeline.ledger.planned import PlannedLedger
from elite_pipeline.planning import EffectKind, Planner
from elite_pipeline.sync.context import FlowContext, Options, ignore_failure
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.watermarks import BEGINNING, Watermarks
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.planned_calls import SYSTEM as TOGA2
from elite_pipeline.togadesk import Uploads
from elite_pipeline.togadesk.planned import PlannedStore
from elite_pipeline.togadesk.planned_uploads import PlannedUploads

if TYPE_CHECKING:
    from elite_pipeline.sync.freshservice_side import FreshserviceSide


def rehearse(
    name: str,
    run: Callable[[FlowContext, Options], FlowResult],
    context: FlowContext,
    options: Options,
) -> FlowResult:
    """Run a flow without writing anything anywhere.

    Args:
        name: The flow's.
        run: Does what it does.
        context: The real one; only read from.
        options: How it was asked to read.

    Returns:
        What it would have done, with the plan.

    Raises:
        SystemicError, TransientError: As the flow.
    """
    planner = Planner(context.toga2.redact)
    with ExitStack() as stack:
        store = stack.enter_context(PlannedStore(context.togadesk, planner))
        ledger = stack.enter_context(closing(PlannedLedger(context.ledger, name, planner)))
        watermarks = PlannedWatermarks(context.watermarks)
        twin = replace(
            context,
            toga2=context.toga2.planning(planner),
            togadesk=store,
            find_uploads=cache(partial(_planned_uploads, context, planner)),
            ledger=ledger,
            watermarks=watermarks,
            find_freshservice=partial(_planned_side, context, planner),
            # nobody is to be woken by what did not happen
            report=ignore_failure,
        )
        result = run(twin, options)
    watermarks.plan(planner)
    return replace(result, plan=planner.plan())


def _planned_uploads(context: FlowContext, planner: Planner) -> Uploads:
    return PlannedUploads(context.uploads, planner)


def _planned_side(context: FlowContext, planner: Planner) -> "FreshserviceSide":
    # most clients have no Freshservice, and their processes need none of it
    from elite_pipeline.inbox.planned import PlannedInbox  # noqa: PLC0415 - see above

    side = context.find_freshservice()
    return replace(side, inbox=PlannedInbox(side.inbox, planner))


class PlannedWatermarks(Watermarks):
    """The watermarks in a dry run: how far each would have come.

    Args:
        real: Read from.
    """

    def __init__(self, real: Watermarks) -> None:
        self._real = real
        self._reached: dict[str, datetime] = {}

    def get(self, name: str) -> datetime:
        """Return a watermark, one that this run would have stored too."""
        return self._reached.get(name) or self._real.get(name)

    def advance(self, name: str, to: datetime) -> datetime:
        """Note how far a watermark would come."""
        self._reached[name] = to
        return to

    def plan(self, planner: Planner) -> None:
        """Plan what would be stored in the end, however often on the way."""
        for name, reached in self._reached.items():
            stored = self._real.get(name)
            old = {"value": wire.format_time(stored)} if stored > BEGINNING else {}
            kind = EffectKind(TOGA2, wire.PARAMETERS.route, "change" if old else "create")
            new = {"value": wire.format_time(reached)}
            planner.add(kind, name, partial(dict, new), partial(dict, old))

"""All flows by name, each behind its switch and its lock.

What a flow does is in its own module; here is what is true of every one of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from elite_pipeline.locks import LockHeldError, StillHeld
from elite_pipeline.sync.category_trees import run_category_trees
from elite_pipeline.sync.collecting import seldom_collected
from elite_pipeline.sync.contacts import Contacts
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_endings import came_through, stopped
from elite_pipeline.sync.in_doubt import noted
from elite_pipeline.sync.outgoing import run_outgoing
from elite_pipeline.sync.predefined_replies import PredefinedReplies
from elite_pipeline.sync.reference import run_reference_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.teams import Teams
from elite_pipeline.sync.tickets import run_tickets
from elite_pipeline.sync.units import Units

#: Holds a lock by name, waiting for it so many seconds at most.
Locks = Callable[[str, float], AbstractContextManager[StillHeld]]


def _run_freshservice(context: FlowContext, options: Options) -> FlowResult:
    # most clients have no Freshservice, and their processes need none of it
    from elite_pipeline.sync.freshservice_flow import run_freshservice  # noqa: PLC0415 - see above

    return run_freshservice(context, options)


@dataclass(frozen=True, slots=True)
class Flow:
    """What a flow does.

    Attributes:
        run: Does it.
        tables: The helpdesk's tables that it can come to need. One that lacks stops it before anything
            is written, whatever there is to do today.
        locks: Gives what keeps two runs of it apart: a lock in a database that it uses anyway.
        makes_in_toga2: Whether it makes records there, each found again by its key alone.
    """

    run: Callable[[FlowContext, Options], FlowResult]
    tables: Sequence[str]
    locks: Callable[[FlowContext], Locks] = lambda context: context.togadesk.lock
    makes_in_toga2: bool = False


#: Name, as in the registry's switches -> what it does.
FLOWS: dict[str, Flow] = {
    "contacts": Flow(partial(run_reference_flow, Contacts()), ("people",)),
    "units": Flow(
        partial(run_reference_flow, Units()),
        ("assets", "models", "manufacturers", "assetcategories", "people"),
    ),
    "teams": Flow(partial(run_reference_flow, Teams()), ("groups",)),
    "predefined_replies": Flow(partial(run_reference_flow, PredefinedReplies()), ("tickets_pr",)),
    "category_trees": Flow(run_category_trees, ("tickets_customfields", "tickets")),
    "toga2_to_togadesk": Flow(
        run_tickets,
        (
            "tickets",
            "tickets_replies",
            "comments",
            "tickets_history",
            "people",
            "assets",
            "groups",
            "tickets_customfields",
            "files",
        ),
    ),
    "togadesk_to_toga2": Flow(
        run_outgoing,
        ("tickets", "tickets_replies", "comments", "files", "people", "assets", "groups"),
        makes_in_toga2=True,
    ),
    # it goes on while the helpdesk is away
    "freshservice_to_toga2": Flow(
        _run_freshservice, (), lambda context: context.ledger.lock, makes_in_toga2=True
    ),
}

#: How long a run waits for another one of the same client and flow, in seconds.
LOCK_WAIT_SECONDS = 60.0


@contextmanager
def holding(
    context: FlowContext,
    flow: str,
    wait_seconds: float,
    *,
    is_noted: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Iterator[StillHeld]:
    """Keep every run of one client and flow away, whoever starts it and where.

    Where the run before may have left calls under way, this one first waits for them (``in_doubt``).

    Args:
        context: What the run works with.
        flow: Its name.
        wait_seconds: How long to wait for another run.
        is_noted: Write down who it is, for the message of the next one; a dry run writes nothing.
        tell: Told where it waits for what the run before has sent; None: it sends nothing.

    Yields:
        What raises TransientError once the lock is known to be lost.

    Raises:
        LockHeldError: Another run was at it for all of ``wait_seconds``; the message says which.
    """
    with ExitStack() as stack:
        lock = FLOWS[flow].locks(context)(f"{context.client.name}.{flow}", wait_seconds)
        try:
            still_held = stack.enter_context(lock)
        except LockHeldError as error:
            raise _held_by_whom(context, flow, wait_seconds, error) from error
        if not is_noted:
            yield still_held
            return
        makes = FLOWS[flow].makes_in_toga2
        with noted(context, flow, still_held, makes_in_toga2=makes, tell=tell):
            yield still_held


def _held_by_whom(
    context: FlowContext, flow: str, wait_seconds: float, error: LockHeldError
) -> LockHeldError:
    if (holder := context.ledger.holders.of(flow)) is None:
        return error
    who, since = holder
    return LockHeldError(
        f"{context.client.name}: {flow} is under way already: {who}, since "
        f"{since:%Y-%m-%d %H:%M:%S} UTC, and did not end within {wait_seconds:g} s. "
        "Two runs of one client and flow never overlap, so nothing was done. The other run brings what "
        "is new; start this one again when that has ended if it has a 'since' or is a full one."
    )


def run_flow(name: str, context: FlowContext, options: Options | None = None) -> FlowResult:
    """Run one flow of one client.

    A flow that is switched off does nothing, says so, and is not an error (``spec/sync.md`` section
    1). Two runs of one client and flow never overlap: the second waits, and gives up as transient; one
    whose lock was lost stops at its next batch. That goes for a dry run too: beside a real one it would
    plan what that is about to do.

    Raises:
        SystemicError, TransientError: See the flow.
    """
    if not getattr(context.client.flows, name):
        return FlowResult(client=context.client.name, flow=name, is_on=False)
    flow, options = FLOWS[name], options or Options()
    waits: list[str] = []

    context.began(name)
    try:
        with (
            holding(
                context, name, LOCK_WAIT_SECONDS, is_noted=not options.dry_run, tell=waits.append
            ) as still_held,
            _told_of_loss(context, still_held),
            seldom_collected(),
        ):
            if flow.tables:
                context.togadesk.require(flow.tables)
            result = (
                _rehearse(name, flow, context, options)
                if options.dry_run
                else flow.run(context, options)
            )
    except Exception as error:
        if not options.dry_run:
            stopped(context, name, error)
        raise
    result = replace(result, remarks=(*result.remarks, *waits, *context.remarks()))
    # a dry run is none: it has carried nothing
    return result if options.dry_run else came_through(context, result)


def _rehearse(name: str, flow: Flow, context: FlowContext, options: Options) -> FlowResult:
    # every other process needs nothing of it
    from elite_pipeline.sync.dry_run import rehearse  # noqa: PLC0415 - see above

    return rehearse(name, flow.run, context, options)


@contextmanager
def _told_of_loss(context: FlowContext, still_held: StillHeld) -> Iterator[None]:
    """Stop a run whose lock was lost where it says how far it is: between two batches."""
    say = context.progress

    def say_if_held(text: str) -> None:
        still_held()
        say(text)

    context.progress = say_if_held
    try:
        yield
    finally:
        context.progress = say

"""Which tickets of the helpdesk a run has to look at: those with news past the watermark.

Follows ``spec/sync.md`` sections 2 and 5.

What does not belong here: sending them (``outgoing``), the statement (``togadesk.changed_tickets``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from elite_pipeline.ledger import Ledger, SeenVersion
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.outgoing_rows import FLOW
from elite_pipeline.toga2 import wire
from elite_pipeline.togadesk import ChangedTicket, TogadeskStore


def changed_since(
    context: FlowContext, after: datetime | None, *, is_far: bool = False
) -> Sequence[ChangedTicket]:
    """Return the client's tickets that a run reads which starts from an instant, oldest first.

    Args:
        context: The client's systems.
        after: Aware, the overlap included; None: all.
        is_far: Whether it may lie before most of what there is.
    """
    store, departments = context.togadesk, context.client.monitored_department_ids
    bound = None
    if after is not None:
        # what stands at the bound may be as new as what is past the watermark
        bound = store.local_lower_bound(after) - timedelta(seconds=1)
    return store.run(lambda tx: tx.changed_tickets(departments, bound, is_far=is_far))


def versions_of(changed: Sequence[ChangedTicket], store: TogadeskStore) -> dict[int, SeenVersion]:
    """Return id -> what tells one state of a ticket from another; some have no such thing."""
    return {
        ticket.id: SeenVersion(
            str(ticket.id),
            wire.format_time(instant_of(ticket.newest, store)),
            f"{ticket.newest} {ticket.rows}",
        )
        for ticket in changed
        if ticket.newest is not None and ticket.rows
    }


def news_among(
    changed: Sequence[ChangedTicket], versions: Mapping[int, SeenVersion], ledger: Ledger | None
) -> list[ChangedTicket]:
    """Return the tickets of which the overlap does not bring the same again.

    Args:
        changed: Some tickets.
        versions: What :func:`versions_of` says of them.
        ledger: Knows what earlier runs have seen; None: that does not hold.
    """
    known = ledger.known(FLOW, [one.uuid for one in versions.values()]) if ledger else {}
    return [
        ticket
        for ticket in changed
        if ticket.id not in versions or known.get(str(ticket.id)) != versions[ticket.id].fingerprint
    ]


def instant_of(local: datetime, store: TogadeskStore) -> datetime:
    """Return when a time of the helpdesk was; of two that a clock put back makes of it the earlier one.

    The watermark waits.
    """
    return store.from_local(local)

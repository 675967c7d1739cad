"""Which reply is the description of a ticket that was opened in the helpdesk (``spec/sync.md`` 5).

It is the one that the ticket was opened with, and not always the one of the lowest id: people move older
notes under the ticket in TOGA 2, and their rows keep their ids. Nor is it always there: a ticket may be
opened without a word, and people delete rows.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from elite_pipeline.togadesk import Row, Tx

#: A description is written together with its ticket; what comes later is an answer to it.
_AT_ONCE = timedelta(seconds=10)


def read_replies(tx: Tx, ticket_ids: Collection[int]) -> dict[int, list[Row]]:
    """Return the replies of tickets, but for their texts.

    Args:
        tx: A transaction of the client.
        ticket_ids: Of this client: who asks has made sure of it.

    Returns:
        By the ids of tickets that have any: ``id``, ``ticketid``, ``referenceId`` and ``timestamp``, in
        the order of ids.
    """
    found: dict[int, list[Row]] = {}
    columns = ["id", "ticketid", "referenceId", "timestamp"]
    for row in tx.select("tickets_replies", columns, in_=("ticketid", sorted(ticket_ids))):
        found.setdefault(row.ticketid, []).append(row)
    return found


def description_among(
    replies: Sequence[Row], uuid: str | None, opened: datetime | None
) -> int | None:
    """Return the id of the reply that may be a ticket's description; None: none of them is.

    It bears the ticket's own name, or none yet; behind others it must have been there from the beginning.

    Args:
        replies: Of the ticket, as :func:`read_replies` returns them.
        uuid: What TOGA 2 calls the ticket; None: it does not have it yet.
        opened: The time of the ticket; naive, in the helpdesk's zone.
    """
    named = [row for row in replies if row.referenceId]
    if uuid is not None:
        for row in named:
            if row.referenceId.lower() == uuid.lower():
                return int(row.id)
    first = next((row for row in replies if not row.referenceId), None)
    if first is None:
        return None
    is_behind = first is not replies[0]
    return None if is_behind and not is_of_the_opening(first.timestamp, opened) else int(first.id)


def is_of_the_opening(written: datetime | None, opened: datetime | None) -> bool:
    """Tell whether something was written when its ticket was opened; naive, in the helpdesk's zone."""
    return written is not None and opened is not None and abs(written - opened) <= _AT_ONCE

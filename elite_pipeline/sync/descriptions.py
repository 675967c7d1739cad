"""Which reply is the description of a ticket that was opened in the helpdesk (``spec/sync.md`` 5).

It is the first one that the ticket was opened with, and not always the one of the lowest id: people move
older notes under the ticket in TOGA 2, and their rows keep their ids. So what bears another name than
the ticket's is passed over wherever TOGA 2 has the ticket already.
"""

from collections.abc import Collection, Sequence

from elite_pipeline.togadesk import Row, Tx


def read_first_replies(tx: Tx, ticket_ids: Collection[int]) -> dict[int, list[Row]]:
    """Return the replies of tickets up to the first that has no reference: one is the description.

    Args:
        tx: A transaction of the client.
        ticket_ids: Of this client: who asks has made sure of it.

    Returns:
        By the ids of tickets that have a reply: ``id``, ``ticketid``, ``referenceId`` in the order of
        ids; all that a ticket has where each has a reference.
    """
    found: dict[int, list[Row]] = {}
    columns = ["id", "ticketid", "referenceId"]
    for row in tx.select("tickets_replies", columns, in_=("ticketid", sorted(ticket_ids))):
        rows = found.setdefault(row.ticketid, [])
        if not rows or rows[-1].referenceId:
            rows.append(row)
    return found


def description_among(rows: Sequence[Row], uuid: str | None) -> int | None:
    """Return the id of the reply that may be a ticket's description; None: none of them is.

    Args:
        rows: As :func:`read_first_replies` returns them.
        uuid: What TOGA 2 calls the ticket; None: it does not have it yet, so nothing was moved there.
    """
    if not rows:
        return None
    if uuid is None:
        return int(rows[0].id)
    named = (row for row in rows if row.referenceId and row.referenceId.lower() == uuid.lower())
    nameless = (row for row in rows if not row.referenceId)
    found = next(named, None) or next(nameless, None)
    return int(found.id) if found is not None else None

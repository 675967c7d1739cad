"""Whole tables of one client, in the order of their ids, to be read a bounded number of rows at a time.

For who compares everything: what a row says it stands for, where it hangs, and what its ids lead to. No
row is looked for here by what it says, so that nothing which looks for rows is trusted.

What does not belong here: sending the statements (``reads``), texts of messages.
"""

from typing import Any, Literal

import sqlalchemy as sa

from elite_pipeline.togadesk.tables import (
    ASSETS,
    COMMENTS,
    FILES,
    GROUPS,
    PEOPLE,
    REPLIES,
    TICKETS,
)

#: What can be walked: tickets, their replies, their comments, and the files of both.
Walk = Literal["tickets", "tickets_replies", "comments", "files"]

#: Begins the names of files that belong to an internal note (``sync.wanted_files``).
PRIVATE_PREFIX = "note-"


def _time(table: sa.Table) -> sa.Label[Any]:
    """A time in text, as the server prints it: nothing is calculated with it."""
    return sa.cast(table.c.timestamp, sa.String(19)).label("timestamp")


def query(walk: Walk, client_id: int) -> tuple[sa.Select[Any], sa.Column[Any]]:
    """Return the statement that reads a table, and the column of its ids.

    Args:
        walk: Which table.
        client_id: Whose rows. A message belongs to the client of its ticket, a file to that of its reply.
    """
    if walk == "tickets":
        return _tickets(client_id), TICKETS.c.id
    if walk == "files":
        return _files(client_id), FILES.c.id
    table = REPLIES if walk == "tickets_replies" else COMMENTS
    return _messages(table, client_id), table.c.id


def _tickets(client_id: int) -> sa.Select[Any]:
    """Tickets with what the records that they name are called in TOGA 2, whosever those are."""
    named = (
        TICKETS.outerjoin(PEOPLE, PEOPLE.c.id == TICKETS.c.userid)
        .outerjoin(ASSETS, ASSETS.c.id == TICKETS.c.assetid)
        .outerjoin(GROUPS, GROUPS.c.id == TICKETS.c.groupid)
    )
    query = sa.select(
        TICKETS.c.id,
        TICKETS.c.referenceId,
        TICKETS.c.departmentid,
        _time(TICKETS),
        TICKETS.c.subject,
        PEOPLE.c.referenceId.label("contact"),
        ASSETS.c.referenceId.label("unit"),
        GROUPS.c.referenceId.label("team"),
    ).select_from(named)
    return _by_primary_key(query.where(TICKETS.c.clientid == client_id), TICKETS)


def _messages(table: sa.Table, client_id: int) -> sa.Select[Any]:
    query = sa.select(
        table.c.id, table.c.ticketid, table.c.referenceId, table.c.peopleid, _time(table)
    ).select_from(table.join(TICKETS, TICKETS.c.id == table.c.ticketid))
    return _by_primary_key(query.where(TICKETS.c.clientid == client_id), table)


def _files(client_id: int) -> sa.Select[Any]:
    """Files under replies of the client, and those that are kept for internal notes."""
    query = sa.select(
        FILES.c.id,
        FILES.c.ticketreplyid,
        FILES.c.name,
        FILES.c.file,
        FILES.c.filetype,
        FILES.c.filesize,
    ).select_from(
        FILES.outerjoin(REPLIES, REPLIES.c.id == FILES.c.ticketreplyid).outerjoin(
            TICKETS, TICKETS.c.id == REPLIES.c.ticketid
        )
    )
    private = sa.and_(
        FILES.c.ticketreplyid == 0,
        FILES.c.clientid == client_id,
        FILES.c.name.like(f"{PRIVATE_PREFIX}%"),
    )
    return _by_primary_key(query.where(sa.or_(TICKETS.c.clientid == client_id, private)), FILES)


def _by_primary_key(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    """Have the server read the table once, in its order: else it may sort all of it for every piece."""
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(table, "FORCE INDEX (PRIMARY)", dialect).prefix_with(
            "STRAIGHT_JOIN", dialect=dialect
        )
    return query

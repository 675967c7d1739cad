"""Whole tables of one client, in the order of their ids, to be read a bounded number of rows at a time.

For who compares everything: what a row says it stands for, where it hangs, what its ids lead to, and a
digest of its text. No row is looked for by what it says, so that nothing which looks for rows is trusted.

What does not belong here: sending the statements (``reads``).
"""

import hashlib
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


#: The columns of each walk, in their order: id first, then what the row says that it is.
COLUMNS: dict[Walk, tuple[str, ...]] = {
    "tickets": (
        "id", "referenceId", "departmentid", "timestamp", "contact", "unit", "team", "subject",
        "status", "priority", "userid", "email", "groupid", "category", "assetid",
    ),
    "tickets_replies": ("id", "referenceId", "ticketid", "peopleid", "timestamp", "digest"),
    "comments": ("id", "referenceId", "ticketid", "peopleid", "timestamp", "digest"),
    "files": ("id", "ticketreplyid", "name", "file", "filetype", "filesize"),
}  # fmt: skip

#: Columns that are no texts, or are not read as they are.
NO_TEXTS = frozenset({
    "id", "departmentid", "timestamp", "userid", "groupid", "assetid", "ticketid", "peopleid",
    "ticketreplyid", "filesize",
})  # fmt: skip


def digest_of(text: str) -> str:
    """Return what a text is compared by."""
    return hashlib.sha224(text.encode("utf-8", "surrogatepass")).hexdigest()


def query(walk: Walk, client_id: int, dialect: str) -> tuple[sa.Select[Any], sa.Column[Any]]:
    """Return the statement that reads a table, and the column of its ids.

    Args:
        walk: Which table.
        client_id: Whose rows. A message belongs to the client of its ticket, a file to that of its reply.
        dialect: Of the server. SQLite cannot make digests: it gives the texts themselves.
    """
    if walk == "tickets":
        return _tickets(client_id), TICKETS.c.id
    if walk == "files":
        return _files(client_id), FILES.c.id
    table, text = (REPLIES, "message") if walk == "tickets_replies" else (COMMENTS, "comment")
    return _messages(table, text, client_id, dialect), table.c.id


def _time(table: sa.Table) -> sa.Label[Any]:
    """A time in text, as the server prints it: nothing is calculated with it."""
    return sa.cast(table.c.timestamp, sa.String(19)).label("timestamp")


def _tickets(client_id: int) -> sa.Select[Any]:
    """Tickets with what the records that they name are called in TOGA 2, whosever those are."""
    named = (
        TICKETS.outerjoin(PEOPLE, PEOPLE.c.id == TICKETS.c.userid)
        .outerjoin(ASSETS, ASSETS.c.id == TICKETS.c.assetid)
        .outerjoin(GROUPS, GROUPS.c.id == TICKETS.c.groupid)
    )
    own: dict[str, sa.ColumnElement[Any]] = {
        name: TICKETS.c[name] for name in COLUMNS["tickets"] if name in TICKETS.c
    }
    own |= {
        "timestamp": _time(TICKETS),
        "contact": PEOPLE.c.referenceId.label("contact"),
        "unit": ASSETS.c.referenceId.label("unit"),
        "team": GROUPS.c.referenceId.label("team"),
    }
    query = sa.select(*(own[name] for name in COLUMNS["tickets"])).select_from(named)
    return _by_primary_key(query.where(TICKETS.c.clientid == client_id), TICKETS)


def _messages(table: sa.Table, text: str, client_id: int, dialect: str) -> sa.Select[Any]:
    digest: sa.ColumnElement[Any] = table.c[text]
    if dialect != "sqlite":
        # of what it says, whatever charset it is kept in
        digest = sa.literal_column(
            f"SHA2(CONVERT(`{table.name}`.`{text}` USING utf8mb4), 224)", sa.String(56)
        ).label("digest")
    query = sa.select(
        table.c.id, table.c.referenceId, table.c.ticketid, table.c.peopleid, _time(table), digest
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

"""Which calls touched a ticket: reading ``ClientLogs.Api``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from elite_pipeline.errors import SystemicError
from elite_pipeline.observability.call_log_tables import api
from elite_pipeline.observability.ticket_parts import files_linked, parts_named
from elite_pipeline.own_tables import shown

#: Of a ticket's calls so many are read for its notes and files, and so many of these looked for.
_MOST_READ = 1000
_MOST_PARTS = 200


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One attempt at one call, in short.

    Attributes:
        sent: Aware, UTC.
        source: Client and flow.
        address: Route and query, as they went over the wire.
        status: None: no whole answer came, its outcome is unknown.
        seconds: Elapsed.
        run: Ties the calls of one run together.
    """

    sent: datetime
    source: str
    method: str
    address: str
    status: int | None
    seconds: float
    run: str


def find_calls(
    engine: sa.Engine,
    client: str,
    *,
    ticket: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> Sequence[LoggedCall]:
    """Return a client's latest calls, oldest first.

    Args:
        engine: The log's database.
        client: Whose calls.
        ticket: Only calls that touched it: those that its uuid stands in, and those to its notes and
            files, as far as the log tells which these are.
        since: Only calls sent from then on; aware.
        limit: So many of them at most, the latest ones.

    Raises:
        SystemicError: The log cannot be read.
    """
    columns = api.c
    wanted = [
        sa.or_(columns.source == client, columns.source.startswith(f"{client}/", autoescape=True))
    ]
    if since is not None:
        wanted.append(columns.dtStamp >= since.astimezone(UTC).replace(tzinfo=None))
    selected = (
        columns.dtStamp, columns.source, columns.method, columns.route, columns.queryString,
        columns.responseCode, columns.executionTimeSeconds, columns.transactionId,
    )  # fmt: skip
    try:
        with engine.connect() as connection:
            if ticket is not None:
                wanted.append(_touching(connection, wanted, ticket.lower()))
            rows = connection.execute(
                sa.select(*selected)
                .where(*wanted)
                .order_by(columns.dtStamp.desc(), columns.id.desc())
                .limit(limit)
            ).all()
    except sa.exc.DBAPIError as error:
        raise SystemicError(
            f"The call log ({shown(engine)}) cannot be read: {error.orig}. "
            "Check CLIENT_LOGS_DATABASE_URL; `elite-pipeline init-db` makes the table."
        ) from error
    return [
        LoggedCall(
            sent=row.dtStamp.replace(tzinfo=UTC),
            source=row.source,
            method=row.method,
            address=f"{row.route}?{row.queryString}" if row.queryString else row.route,
            status=row.responseCode,
            seconds=float(row.executionTimeSeconds or 0),
            run=row.transactionId or "",
        )
        for row in reversed(rows)
    ]


def _touching(
    connection: sa.Connection, wanted: Sequence[sa.ColumnElement[bool]], ticket: str
) -> sa.ColumnElement[bool]:
    """Return the condition for calls that touched a ticket, after looking for its notes and files."""
    columns = api.c
    texts = (columns.route, columns.queryString, columns.requestPayload, columns.responsePayload)
    names_it = sa.or_(*(_has(text, ticket) for text in texts))
    parts: dict[str, None] = {}
    for row in _bodies(connection, *wanted, names_it):
        parts |= dict.fromkeys(parts_named(ticket, row.requestPayload, row.responsePayload))
    if not parts:
        return names_it
    # a file is known by the call that linked it, which names the note and not the ticket
    for row in _bodies(connection, *wanted, columns.route.like("%-notes/%"), _any(parts)):
        parts |= dict.fromkeys(files_linked(row.requestPayload))
    some = list(parts)[:_MOST_PARTS]
    uploaded = sa.and_(
        columns.method == "POST",
        columns.route.endswith("/files"),
        sa.or_(*(_has(columns.responsePayload, part) for part in some)),
    )
    return sa.or_(names_it, _any(parts), uploaded)


def _bodies(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> Sequence[Any]:
    columns = api.c
    return connection.execute(
        sa.select(columns.requestPayload, columns.responsePayload)
        .where(*wanted)
        .order_by(columns.dtStamp.desc(), columns.id.desc())
        .limit(_MOST_READ)
    ).all()


def _any(parts: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.or_(*(_has(api.c.route, part) for part in list(parts)[:_MOST_PARTS]))


def _has(text: sa.Column[str], part: str) -> sa.ColumnElement[bool]:
    return text.contains(part, autoescape=True)

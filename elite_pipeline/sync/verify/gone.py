"""Rows of the helpdesk that name a record which was not listed, and notes that share one key.

What was not listed is asked for by its uuid before anything is said: it may have been deleted in TOGA 2,
or hang under nothing.

What does not belong here: rows that name nothing (``unsent``).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from elite_pipeline.errors import PipelineError
from elite_pipeline.iteration import chunked
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.outgoing_rows import FLOW
from elite_pipeline.sync.own_keys import note_field, ticket_field
from elite_pipeline.sync.ticket_reading import is_gone
from elite_pipeline.sync.verify.findings import Finding, Reason
from elite_pipeline.sync.verify.sides import REPLIES, Sides
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Malformed
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.togadesk import Tx
from elite_pipeline.togadesk.walks import Walk

_CHUNK = 100
#: Names of rows: table, id, reference, ticket.
Named = tuple[Walk, int, str, int]


class Gone:
    """Finds rows whose reference leads nowhere, of one client.

    Args:
        context: The client's systems.
        sides: Both sides, all of them.
        since: Only rows written since; aware. None: all.
        judge_again: Judges tickets of TOGA 2, by uuid, whose notes were not listed with them.
    """

    def __init__(
        self,
        context: FlowContext,
        sides: Sides,
        since: datetime | None,
        judge_again: Callable[[Sequence[str]], None],
    ) -> None:
        self._context = context
        self._sides = sides
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._since = str(context.togadesk.local_lower_bound(since)) if since else ""
        self._judge_again = judge_again

    def find(self) -> None:
        """Add what is found."""
        for table, resource in (("tickets", self._routes.tickets), ("", self._routes.notes)):
            rows = self._tickets() if table else self._messages()
            for some in chunked(rows, _CHUNK):
                self._sides.add(self._of(some, resource))
        self._sides.add(self._doubled("tickets_there", self._routes.tickets))
        self._sides.add(self._doubled("notes_there", self._routes.notes))

    def _tickets(self) -> Iterator[Named]:
        query = (
            "SELECT 'tickets', h.id, h.reference, h.id FROM tickets_here h "
            "WHERE h.reference IS NOT NULL AND coalesce(h.time, '') >= ? "
            "AND NOT EXISTS (SELECT 1 FROM tickets_there t WHERE t.uuid = h.reference) ORDER BY h.id"
        )
        yield from self._sides.query(query, self._since)

    def _messages(self) -> Iterator[Named]:
        """Yield messages whose note was not listed; those of a ticket that is gone itself go with it."""
        query = (
            "SELECT m.place, m.id, m.reference, m.ticket FROM messages_here m "
            "JOIN tickets_here h ON h.id = m.ticket "
            "WHERE m.reference IS NOT NULL AND coalesce(m.time, '') >= ? "
            "AND NOT EXISTS (SELECT 1 FROM notes_there n WHERE n.uuid = m.reference) "
            "AND NOT EXISTS (SELECT 1 FROM tickets_there t WHERE t.uuid = m.reference) "
            "AND (h.reference IS NULL "
            "OR EXISTS (SELECT 1 FROM tickets_there t WHERE t.uuid = h.reference)) "
            "ORDER BY m.place, m.id"
        )
        yield from self._sides.query(query, self._since)

    def _of(self, rows: Sequence[Named], resource: wire.Resource) -> Iterator[Finding]:
        still = self._still(rows)
        rows = [row for row in rows if (row[0], row[1]) in still]
        uuids = list(dict.fromkeys(still[row[0], row[1]] for row in rows))
        answers = self._context.toga2.fetch_many(resource, uuids, depth=wire.FULL_DEPTH)
        there = dict(zip(uuids, answers, strict=True))
        self._judge_parents(
            [one for one in answers if not isinstance(one, PipelineError)], resource
        )
        for place, id_, _, ticket in rows:
            uuid = still[place, id_]
            answer = there[uuid]
            if isinstance(answer, PipelineError) and not is_gone(answer):
                detail = f"whether TOGA 2 has {uuid} cannot be told: {answer}"
                reason = Reason.NOT_COMPARABLE
            elif isinstance(answer, PipelineError):
                what = "the ticket" if place == "tickets" else "the note"
                detail = f"it says that it is {what} {uuid}, which TOGA 2 does not have"
                reason = Reason.MISSING
            elif place != "tickets" and self._parent(answer) is None:
                detail = f"its note {uuid} names no ticket in TOGA 2"
                reason = Reason.DIFFERENT
            else:
                continue
            kind = {"tickets": "ticket", REPLIES: "external note"}.get(place, "internal note")
            yield Finding(
                FLOW, kind, reason, uuid, f"{place} {id_}", f"ticket row {ticket}", detail=detail
            )

    def _still(self, rows: Sequence[Named]) -> dict[tuple[Walk, int], str]:
        """Return the references that rows still have, as they are written."""
        ids: dict[Walk, list[int]] = {}
        for place, id_, _, _ in rows:
            ids.setdefault(place, []).append(id_)
        return {
            (place, row[0]): row[1]
            for place, some in ids.items()
            for row in self._context.togadesk.run(partial(_walk, place, some))
            if row[1]
        }

    def _parent(self, raw: object) -> str | None:
        note = self._routes.note_parser.one(raw)
        if isinstance(note, Malformed) or note.ticket is None:
            return None
        return note.ticket.uuid

    def _judge_parents(self, raws: Sequence[object], resource: wire.Resource) -> None:
        """What is there after all was changed while it was read: its ticket is judged as it is now."""
        if resource == self._routes.tickets:
            uuids = [str(raw["uuid"]) for raw in raws if isinstance(raw, dict) and "uuid" in raw]
        else:
            uuids = [uuid for raw in raws if (uuid := self._parent(raw)) is not None]
        if uuids:
            self._judge_again(list(dict.fromkeys(uuids)))

    # Two of one key

    def _doubled(self, table: str, resource: wire.Resource) -> Iterator[Finding]:
        prefix = self._context.client.custom_field_prefix
        is_ticket = table == "tickets_there"
        field = ticket_field(prefix) if is_ticket else note_field(prefix)
        query = (
            f"SELECT own FROM {table} WHERE own IS NOT NULL GROUP BY own "
            "HAVING count(DISTINCT uuid) > 1 ORDER BY own"
        )
        for (own,) in self._sides.query(query):
            found = self._context.toga2.find(resource, [(field, "=", own)])
            uuids = sorted(str(raw["uuid"]) for raw in found)
            if len(uuids) > 1:
                yield Finding(
                    FLOW,
                    "ticket" if is_ticket else "note",
                    Reason.DOUBLED,
                    uuids[0],
                    of=own,
                    detail=f"{len(uuids)} records of TOGA 2 carry the key {own}: {', '.join(uuids)}",
                )


def _walk(place: Walk, ids: Sequence[int], tx: Tx) -> list[Sequence[Any]]:
    return tx.walk_some(place, ids)

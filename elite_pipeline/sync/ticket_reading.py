"""Reads tickets from TOGA 2, each with all that hangs on it; what is known or held is left out.

Follows ``spec/sync.md`` section 4, step 1. The list gives the notes where it carries them; else every
ticket is read once, many at a time.

What does not belong here: which notes call for their ticket (``ticket_note_news``), writing
(``ticket_writing``), which routes carry tickets (``toga2.ticket_routes``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from elite_pipeline.errors import PermanentError, PermanentHttpError, PipelineError
from elite_pipeline.ledger import SeenVersion
from elite_pipeline.sync.category_trees import TICKETS_FLOW, version_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.own_keys import note_field, own_key, own_keys, ticket_field
from elite_pipeline.sync.ticket_outcomes import Bundle
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import (
    Malformed,
    RecordParser,
    Ticket,
    name_of,
    updated_of,
    uuid_of,
)
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

_TICKETS = RecordParser(Ticket)


@dataclass(slots=True)
class Fetched:
    """A page of tickets on its way.

    Attributes:
        bundles: What can be written.
        versions: Uuid -> the version that it came in, to be remembered once it is written.
        unchanged: Times of what is known.
        held: Times of what is left to its dead letters.
        unreadable: Name, time and error of what cannot be read.
    """

    bundles: list[Bundle] = field(default_factory=list)
    versions: dict[str, SeenVersion] = field(default_factory=dict)
    unchanged: list[datetime] = field(default_factory=list)
    held: list[datetime] = field(default_factory=list)
    unreadable: list[tuple[str, datetime | None, Exception]] = field(default_factory=list)


class TicketReader:
    """Reads tickets for one run.

    Args:
        context: What the run works with.
        run: Its bookkeeping.
        remembers: Whether what the ledger has seen holds for this run.
        versions_after: Of tickets that were updated until then, aware, the versions are of no use to
            the caller; None: they are of all.
    """

    def __init__(
        self,
        context: FlowContext,
        run: FlowRun,
        *,
        remembers: bool,
        versions_after: datetime | None = None,
    ) -> None:
        self._context = context
        self._run = run
        self._remembers = remembers
        self._versions_after = versions_after
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._ticket_field = ticket_field(context.client.custom_field_prefix)
        self._note_field = note_field(context.client.custom_field_prefix)

    def complete(self, page: Sequence[object]) -> Fetched:
        """Turn a page of the list into tickets with all their notes."""
        known = self._known(page)
        fetched = Fetched()
        incomplete: dict[str, datetime] = {}
        is_expanded = any(self._routes.is_expanded(raw) for raw in page)
        whole: list[tuple[object, Ticket]] = []
        if held := self._held(page):
            fetched.held += [held[name] for raw in page if (name := name_of(raw)) in held]
            page = [raw for raw in page if name_of(raw) not in held]
        for raw, ticket in zip(page, _TICKETS.each(page), strict=True):
            if isinstance(ticket, Malformed):
                error = PermanentError(ticket.reason)
                fetched.unreadable.append((ticket.name, ticket.updated, error))
                continue
            version = version_of(raw) if self._has_version(ticket) else None
            if version is not None:
                if known.get(ticket.uuid) == version.fingerprint:
                    fetched.unchanged.append(ticket.updated)
                    continue
                fetched.versions[ticket.uuid] = version
            if is_expanded and self._routes.has_whole_notes(raw):
                whole.append((raw, ticket))
            else:
                incomplete[ticket.uuid] = ticket.updated
        fetched.bundles = self._bundles(whole)
        if incomplete:
            more = self.fetch(list(incomplete))
            # the place in the list is what the watermark goes by: a ticket may have changed since
            fetched.bundles += [
                replace(
                    bundle,
                    ticket=bundle.ticket.model_copy(
                        update={
                            "updated": incomplete.get(bundle.ticket.uuid, bundle.ticket.updated)
                        }
                    ),
                )
                for bundle in more.bundles
            ]
            fetched.unreadable += [
                (uuid, incomplete.get(uuid, updated), error)
                for uuid, updated, error in more.unreadable
            ]
        return fetched

    def fetch(self, uuids: Sequence[str]) -> Fetched:
        """Read tickets with all that hangs on them, many at once."""
        fetched = Fetched()
        whole: list[tuple[object, Ticket]] = []
        tickets = self._routes.tickets
        answers = self._context.toga2.fetch_many(tickets, uuids, depth=wire.FULL_DEPTH)
        for uuid, answer in zip(uuids, answers, strict=True):
            if isinstance(answer, PipelineError):
                fetched.unreadable.append((uuid, None, answer))
                continue
            ticket = _TICKETS.one(answer)
            if isinstance(ticket, Malformed):
                error = PermanentError(ticket.reason)
                fetched.unreadable.append((uuid, ticket.updated, error))
            elif self._routes.notes_of(answer) is None:
                error = PermanentError(
                    f"TOGA 2 gave the ticket without its notes at depth {wire.FULL_DEPTH}; "
                    "see docs/assumptions.md, tickets"
                )
                fetched.unreadable.append((uuid, ticket.updated, error))
            else:
                whole.append((answer, ticket))
        fetched.bundles = self._bundles(whole)
        return fetched

    def _has_version(self, ticket: Ticket) -> bool:
        return self._versions_after is None or ticket.updated > self._versions_after

    def _held(self, page: Sequence[object]) -> dict[str, datetime]:
        """Return the tickets of a page that are left to their dead letters."""
        if not self._run.letters.is_any_known():
            return {}
        moments = {
            name_of(raw): updated for raw in page if (updated := updated_of(raw)) is not None
        }
        held = self._run.letters.held(moments)
        return {uuid: moments[uuid] for uuid in held}

    def _known(self, page: Sequence[object]) -> dict[str, str]:
        """Return uuid -> fingerprint of the versions that are written already."""
        if not self._remembers:
            return {}
        uuids = [uuid for raw in page if (uuid := uuid_of(raw)) is not None]
        return self._context.ledger.known(TICKETS_FLOW, uuids)

    def _bundles(self, tickets: Sequence[tuple[object, Ticket]]) -> list[Bundle]:
        raws = [self._routes.notes_of(raw) or [] for raw, _ in tickets]
        return [
            Bundle(
                ticket,
                notes.records,
                notes.malformed,
                own=own_key(raw, self._ticket_field),
                own_notes=own_keys(raw_notes, self._note_field),
            )
            for (raw, ticket), raw_notes, notes in zip(
                tickets, raws, self._routes.note_parser.lists(raws), strict=True
            )
        ]


def is_gone(error: Exception) -> bool:
    """Tell whether TOGA 2 says that it does not have what was asked for."""
    # any other 404 may be a proxy's, and pass
    return isinstance(error, PermanentHttpError) and error.code == wire.GONE

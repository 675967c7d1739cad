"""Ticket deltas, TOGA 2 -> TOGaDesk: which tickets, in which order, and how far the run has got.

Follows ``spec/sync.md`` section 4:

1. tickets updated past the watermark, with their notes: from the list itself where it carries them,
   else one read each, many at once;
2. notes updated past the watermark that are not in the helpdesk as they are now; their tickets are
   read.

Of a client whose integration type is ``REPAIR_ORDERS`` the tickets are its repair orders.

What a ticket looks like as rows: ``ticket_rows``; writing them: ``ticket_batch``; which routes carry
them: ``toga2.ticket_routes``.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from elite_pipeline.errors import PermanentError, PermanentHttpError, PipelineError
from elite_pipeline.iteration import prefetch
from elite_pipeline.ledger import SeenVersion, Waiting
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_trees import TICKETS_FLOW, choices_of, version_of
from elite_pipeline.sync.context import FlowContext, FlowRun, Options
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.results import FlowResult, failure_of
from elite_pipeline.sync.ticket_batch import TicketBatch, changed_notes, find_authors
from elite_pipeline.sync.ticket_outcomes import Bundle, TicketOutcome
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import (
    Malformed,
    RecordParser,
    Ticket,
    TicketNote,
    uuid_of,
)
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.togadesk import Tx

FLOW = TICKETS_FLOW

#: So many failed tickets are remembered by uuid, so that step 2 does not try them again.
MAX_REMEMBERED = 50_000

_TICKETS = RecordParser(Ticket)


def run_tickets(context: FlowContext, options: Options) -> FlowResult:
    """Bring one client's changed tickets and notes into the helpdesk.

    Returns:
        What was done; tickets that failed are in it, and stopped nothing else.

    Raises:
        SystemicError: Nothing of this client can work; the watermark stays.
        TransientError: TOGA 2 or the database gave no answer, retries included; likewise.
    """
    run = FlowRun(context, flow=FLOW, watermark=watermarks.TICKETS, options=options)
    flow = _TicketFlow(context, run)
    after = run.start()
    flow.write_waiting()
    flow.write_tickets(after)
    flow.write_notes(after)
    run.advance(flow.progress.reached)
    run.remember_all()
    if run.advanced_to is not None:
        context.ledger.forget_before(FLOW, wire.format_time(run.advanced_to - context.lag))
    return run.result()


@dataclass(slots=True)
class _Fetched:
    """A page of tickets on its way: what can be written, what is known, and what cannot be read."""

    bundles: list[Bundle] = field(default_factory=list)
    versions: dict[str, SeenVersion] = field(default_factory=dict)
    unchanged: list[datetime] = field(default_factory=list)
    unreadable: list[tuple[str, datetime | None, Exception]] = field(default_factory=list)


class _TicketFlow:
    """One run of :func:`run_tickets`."""

    def __init__(self, context: FlowContext, run: FlowRun) -> None:
        self._context = context
        self._run = run
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._failed: set[str] = set()
        self._remembers = run.remembers()
        self.progress = Progress()

    def write_waiting(self) -> None:
        """Write again the tickets that waited for something that is in the helpdesk now."""
        absent: set[tuple[str, str]] = set()
        for some in self._context.ledger.waiting(FLOW):
            ready = self._ready(some, absent)
            if ready:
                fetched = self._fetch(sorted(ready))
                # it is not what this run has to handle: what has no answer goes on waiting, and
                # what is gone does not
                gone = [uuid for uuid, _, error in fetched.unreadable if _is_gone(error)]
                self._context.ledger.set_waiting(FLOW, gone, [])
                fetched.unreadable.clear()
                self._write(fetched, Progress())

    def write_tickets(self, after: datetime | None) -> None:
        """Step 1: tickets updated past the watermark."""
        tickets = self._routes.tickets
        pages = self._context.toga2.pages(tickets, after=after, depth=wire.FULL_DEPTH)
        with closing(prefetch(self._complete(page) for page in pages)) as fetched_pages:
            for fetched in fetched_pages:
                self.progress.limit = self._context.toga2.list_started(tickets)
                self._write(fetched, self.progress)
                self._context.progress(f"tickets: {self._run.tally.handled} looked at")

    def write_notes(self, after: datetime | None) -> None:
        """Step 2: notes updated past the watermark, under tickets that step 1 did not handle."""
        pages = self._context.toga2.pages(self._routes.notes, after=after)
        with closing(prefetch(pages)) as note_pages:
            for raws in note_pages:
                notes = self._unhandled_notes(raws)
                changed = self._changed_notes(notes)
                if not changed:
                    continue
                tickets = {note.ticket.uuid: note.updated for note in changed if note.ticket}
                fetched = self._fetch(list(tickets))
                # a note whose ticket is gone belongs nowhere
                vanished = [one for one in fetched.unreadable if _is_gone(one[2])]
                self._run.tally.vanished += len(vanished)
                fetched.unreadable = [
                    # the note's place in time is what the watermark must not pass
                    (uuid, tickets.get(uuid), error)
                    for uuid, _, error in fetched.unreadable
                    if not _is_gone(error)
                ]
                self._write(fetched, None)
                self._context.progress(f"notes: {self._run.tally.handled} tickets looked at")

    # Reading

    def _complete(self, page: Sequence[object]) -> _Fetched:
        """Turn a page of the list into tickets with all their notes."""
        known = self._known(page)
        fetched = _Fetched()
        incomplete: dict[str, datetime] = {}
        is_expanded = any(self._routes.is_expanded(raw) for raw in page)
        for raw in page:
            version = version_of(raw)
            ticket = _TICKETS.one(raw)
            if isinstance(ticket, Malformed):
                error = PermanentError(ticket.reason)
                fetched.unreadable.append((ticket.name, ticket.updated, error))
                continue
            if version is not None:
                if known.get(ticket.uuid) == version.fingerprint:
                    fetched.unchanged.append(ticket.updated)
                    continue
                fetched.versions[ticket.uuid] = version
            if is_expanded and self._routes.has_whole_notes(raw):
                fetched.bundles.append(self._bundle(raw, ticket))
            else:
                incomplete[ticket.uuid] = ticket.updated
        if incomplete:
            more = self._fetch(list(incomplete))
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

    def _known(self, page: Sequence[object]) -> dict[str, str]:
        """Return uuid -> fingerprint of the versions that are written already."""
        if not self._remembers:
            return {}
        uuids = [uuid for raw in page if (uuid := uuid_of(raw)) is not None]
        return self._context.ledger.known(FLOW, uuids)

    def _fetch(self, uuids: Sequence[str]) -> _Fetched:
        """Read tickets with all that hangs on them, many at once."""
        fetched = _Fetched()
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
                fetched.bundles.append(self._bundle(answer, ticket))
        return fetched

    def _bundle(self, raw: object, ticket: Ticket) -> Bundle:
        notes = self._routes.note_parser.many(self._routes.notes_of(raw) or [])
        return Bundle(ticket, notes.records, notes.malformed)

    # Step 2

    def _unhandled_notes(self, raws: Sequence[object]) -> list[TicketNote]:
        parsed = self._routes.note_parser.many(raws)
        for malformed in parsed.malformed:
            self._fail(malformed.name, malformed.updated, PermanentError(malformed.reason))
        unhandled = []
        for note in parsed.records:
            if note.ticket is None:
                error = PermanentError(
                    f"the note does not say of which ticket: it has no {self._routes.notes.parent}"
                )
                self._fail(note.uuid, note.updated, error)
            elif note.ticket.uuid not in self._failed:
                unhandled.append(note)
        return unhandled

    def _changed_notes(self, notes: Sequence[TicketNote]) -> list[TicketNote]:
        """Return the notes that the helpdesk does not have exactly as they are now."""
        if not notes:
            return []
        context = self._context
        return context.togadesk.run(
            lambda tx: changed_notes(tx, context.client, context.togadesk, notes)
        )

    # Writing

    def _write(self, fetched: _Fetched, progress: Progress | None) -> None:
        """Write what was fetched. ``progress`` None: step 2, which can only hold the watermark."""
        failed: list[datetime | None] = []
        done: list[datetime] = list(fetched.unchanged)
        for name, updated, error in fetched.unreadable:
            failed.append(updated)
            self._fail(name, updated, error, blocks=progress is None)
        self._run.tally.counts["unchanged"] += len(fetched.unchanged)
        versions: list[SeenVersion] = []
        waiting: list[Waiting] = []
        bundles = self._in_order(fetched.bundles, notes_only=progress is None)

        def refuse(bundle: Bundle, error: Exception) -> None:
            ticket = bundle.ticket
            failed.append(ticket.updated)
            if progress is self.progress and len(self._failed) < MAX_REMEMBERED:
                # step 2 has no need to find its notes missing and to try again
                self._failed.add(ticket.uuid)
            self._fail(ticket.uuid, ticket.updated, error, blocks=progress is None)

        outcomes = write_in_nets(bundles, self._write_bundles, refuse)
        for outcome in outcomes:
            ticket = outcome.bundle.ticket
            if outcome.refusal is not None:
                refuse(outcome.bundle, outcome.refusal)
                continue
            waiting += outcome.waiting
            self._run.tally.add_details(outcome.counts)
            if outcome.note_failures:
                uuid, _, error = outcome.note_failures[0]
                more = len(outcome.note_failures) - 1
                reason = f"note {uuid}: {error}" + (f" (and {more} more notes)" if more else "")
                refuse(outcome.bundle, PermanentError(reason))
                continue
            self._run.tally.add(outcome.change)
            done.append(ticket.updated)
            if (version := fetched.versions.get(ticket.uuid)) is not None:
                versions.append(version)
        if outcomes:
            self._context.ledger.set_waiting(
                FLOW,
                [one.bundle.ticket.uuid for one in outcomes if one.refusal is None],
                waiting,
            )
            self._context.ledger.remember(FLOW, versions)
        if progress is not None:
            progress.add(done, failed)

    def _write_bundles(self, bundles: Sequence[Bundle]) -> list[TicketOutcome]:
        # read anew for every batch: another run may write the tree meanwhile
        batch = TicketBatch(
            self._context.client,
            self._context.togadesk,
            bundles,
            choices_of(self._context),
            self._context.ledger.category_paths(),
        )
        return self._context.togadesk.run(batch.write)

    def _in_order(self, bundles: Sequence[Bundle], *, notes_only: bool) -> list[Bundle]:
        origin = self._run.origin
        return [
            Bundle(
                bundle.ticket,
                bundle.notes,
                bundle.malformed,
                # one that changed meanwhile is written whole; the next run finds nothing to do
                notes_only=notes_only and origin is not None and bundle.ticket.updated <= origin,
            )
            for bundle in sorted(
                bundles, key=lambda bundle: (bundle.ticket.updated, bundle.ticket.uuid)
            )
        ]

    def _fail(
        self, name: str, updated: datetime | None, error: Exception, *, blocks: bool = True
    ) -> None:
        self._run.fail(failure_of(name, updated, error), error)
        if blocks:
            self.progress.block(updated or watermarks.BEGINNING)

    # What tickets refer to

    def _ready(self, waiting: Sequence[Waiting], absent: set[tuple[str, str]]) -> set[str]:
        """Return the tickets of which something that they wait for is there.

        Args:
            waiting: What to look at.
            absent: What was looked for in vain by this run, and is not looked for again: many tickets
                wait for the same few people. Added to.
        """
        targets: dict[str, set[str]] = {}
        for entry in waiting:
            if (entry.kind, entry.target) not in absent:
                targets.setdefault(entry.kind, set()).add(entry.target)
        if not targets:
            return set()
        there = self._context.togadesk.run(lambda tx: self._there(tx, targets))
        if "category" in targets:
            choices, paths = choices_of(self._context), self._context.ledger.category_paths()
            there["category"] = {uuid for uuid, path in paths.items() if path in choices}
        for kind, wanted in targets.items():
            absent.update((kind, target) for target in wanted.difference(there.get(kind, ())))
        return {entry.uuid for entry in waiting if entry.target in there.get(entry.kind, ())}

    def _there(self, tx: Tx, targets: dict[str, set[str]]) -> dict[str, set[str]]:
        found = {
            kind: set(tx.select_by_reference(table, ["id"], targets.get(kind, ())))
            for kind, table in (("contact", "people"), ("unit", "assets"), ("team", "groups"))
        }
        authors = find_authors(tx, self._context.togadesk, targets.get("author", ()))
        found["author"] = set(authors)
        return found


def _is_gone(error: Exception) -> bool:
    # any other 404 may be a proxy's, and pass
    return isinstance(error, PermanentHttpError) and error.code == wire.GONE

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

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from elite_pipeline.errors import PermanentError, PermanentHttpError, PipelineError
from elite_pipeline.iteration import prefetch
from elite_pipeline.ledger import DeadLetter, SeenVersion, Waiting
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_trees import TICKETS_FLOW, choices_of, version_of
from elite_pipeline.sync.context import FlowContext, FlowRun, Options, Stumble
from elite_pipeline.sync.incoming_files import FileReport, FileWriter
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING_FLOW
from elite_pipeline.sync.outgoing_rows import entity_of, ticket_id
from elite_pipeline.sync.own_keys import note_field, own_key, own_keys, ticket_field
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.ticket_batch import TicketBatch, changed_notes, find_authors
from elite_pipeline.sync.ticket_outcomes import Bundle, TicketOutcome
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import (
    NAMELESS,
    Malformed,
    RecordParser,
    Ticket,
    TicketNote,
    name_of,
    updated_of,
    uuid_of,
)
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.togadesk import Tx

FLOW = TICKETS_FLOW

#: Begins the name under which a note fails that does not say of which ticket it is.
NOTE = "note "

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
    flow.write_due()
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
    held: list[datetime] = field(default_factory=list)
    unreadable: list[tuple[str, datetime | None, Exception]] = field(default_factory=list)


class _TicketFlow:
    """One run of :func:`run_tickets`."""

    def __init__(self, context: FlowContext, run: FlowRun) -> None:
        self._context = context
        self._run = run
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._prefix = context.client.custom_field_prefix
        self._files = FileWriter(context.togadesk, context.toga2, context.uploads)
        self._remembers = run.remembers()
        self.progress = Progress()

    def write_due(self) -> None:
        """Try again what failed before and is due."""
        for entities in self._run.due_entities():
            uuids, vanished = self._tickets_of(entities)
            fetched = self._fetch(uuids)
            gone = [uuid for uuid, _, error in fetched.unreadable if _is_gone(error)]
            fetched.unreadable = [one for one in fetched.unreadable if not _is_gone(one[2])]
            self._run.tally.vanished += len(gone) + len(vanished)
            self._write(fetched, Progress(), handled=[*gone, *vanished])

    def write_waiting(self) -> None:
        """Write again the tickets that waited for something that is in the helpdesk now."""
        absent: set[tuple[str, str]] = set()
        for some in self._context.ledger.waiting(FLOW):
            ready = self._ready(some, absent)
            # what failed is tried again when its dead letter is due
            ready -= self._run.letters(ready).keys()
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
                news = self._unseen(raws)
                fresh = [raw for raw, _ in news]
                notes = self._unhandled_notes(fresh)
                changed = self._changed_notes(notes, fresh)
                as_they_are = {note.uuid for note in notes} - {note.uuid for note in changed}
                self._context.ledger.remember(
                    FLOW,
                    [version for _, version in news if version and version.uuid in as_they_are],
                )
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
        held = self._held(page)
        for raw in page:
            version = version_of(raw)
            if (name := name_of(raw)) in held:
                fetched.held.append(held[name])
                continue
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

    def _held(self, page: Sequence[object]) -> dict[str, datetime]:
        """Return the tickets of a page that are left to their dead letters."""
        moments = {
            name_of(raw): updated for raw in page if (updated := updated_of(raw)) is not None
        }
        held = self._run.held(moments)
        return {uuid: moments[uuid] for uuid in held}

    def _tickets_of(self, entities: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the tickets that dead letters are about, and the letters that are about nothing more.

        A note that did not say of which ticket it is is read again: perhaps it does now.
        """
        notes = [entity.removeprefix(NOTE) for entity in entities if entity.startswith(NOTE)]
        uuids = [entity for entity in entities if not entity.startswith(NOTE)]
        over: list[str] = []
        answers = self._context.toga2.fetch_many(self._routes.notes, notes, depth=1)
        for uuid, answer in zip(notes, answers, strict=True):
            note = self._routes.note_parser.one(answer)
            if isinstance(answer, PipelineError):
                if _is_gone(answer):
                    over.append(NOTE + uuid)
                else:
                    self._settle_note(uuid, None, answer)
            elif isinstance(note, Malformed):
                self._settle_note(uuid, note.updated, PermanentError(note.reason))
            elif note.ticket is None:
                self._settle_note(uuid, note.updated, self._no_ticket())
            else:
                over.append(NOTE + uuid)
                uuids.append(note.ticket.uuid)
        return list(dict.fromkeys(uuids)), over

    def _settle_note(self, uuid: str, updated: datetime | None, error: Exception) -> None:
        entity = NOTE + uuid
        self._run.settle([Stumble(entity, entity, error, updated)], [])

    def _no_ticket(self) -> PermanentError:
        return PermanentError(
            f"the note does not say of which ticket: it has no {self._routes.notes.parent}"
        )

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
        raws = self._routes.notes_of(raw) or []
        notes = self._routes.note_parser.many(raws)
        return Bundle(
            ticket,
            notes.records,
            notes.malformed,
            own=own_key(raw, ticket_field(self._prefix)),
            own_notes=own_keys(raws, note_field(self._prefix)),
        )

    # Step 2

    def _unseen(self, raws: Sequence[object]) -> list[tuple[object, SeenVersion | None]]:
        """Return the raw notes, with their versions, that are not known to be in the helpdesk."""
        versions = [(raw, version_of(raw)) for raw in raws]
        uuids = [version.uuid for _, version in versions if version is not None]
        known = self._context.ledger.known(FLOW, uuids) if self._remembers else {}
        return [
            (raw, version)
            for raw, version in versions
            if version is None or known.get(version.uuid) != version.fingerprint
        ]

    def _unhandled_notes(self, raws: Sequence[object]) -> list[TicketNote]:
        parsed = self._routes.note_parser.many(raws)
        moments: dict[str, datetime] = {}
        for note in parsed.records:
            entity = NOTE + note.uuid if note.ticket is None else note.ticket.uuid
            moments[entity] = max(note.updated, moments.get(entity, note.updated))
        moments |= {NOTE + one.name: one.updated for one in parsed.malformed if one.updated}
        held = self._run.held(moments)
        stumbles = [
            Stumble(
                NOTE + malformed.name,
                NOTE + malformed.name,
                PermanentError(malformed.reason),
                malformed.updated,
                unretriable=malformed.is_nameless,
            )
            for malformed in parsed.malformed
        ]
        unhandled = []
        for note in parsed.records:
            if note.ticket is None:
                entity = NOTE + note.uuid
                stumbles.append(Stumble(entity, entity, self._no_ticket(), note.updated))
            elif note.ticket.uuid not in held:
                unhandled.append(note)
        stumbles = [one for one in stumbles if one.entity not in held]
        self._run.tally.waiting += sum(1 for entity in held if entity.startswith(NOTE))
        self._run.settle(stumbles, [])
        return unhandled

    def _changed_notes(
        self, notes: Sequence[TicketNote], raws: Sequence[object]
    ) -> list[TicketNote]:
        """Return the notes that the helpdesk does not have exactly as they are now."""
        if not notes:
            return []
        context = self._context
        own = own_keys(raws, note_field(self._prefix))
        return context.togadesk.run(
            lambda tx: changed_notes(tx, context.client, context.togadesk, notes, own)
        )

    # Writing

    def _write(
        self, fetched: _Fetched, progress: Progress | None, handled: Sequence[str] = ()
    ) -> None:
        """Write what was fetched, and take it into account.

        Args:
            fetched: What was fetched.
            progress: Takes in how far the list is handled; None: step 2, which does not move it.
            handled: What else is done with.
        """
        stumbles = [
            Stumble(name, name, error, updated, unretriable=name.startswith(NAMELESS))
            for name, updated, error in fetched.unreadable
        ]
        done = [*handled]
        self._run.tally.counts["unchanged"] += len(fetched.unchanged)
        self._run.tally.waiting += len(fetched.held)
        bundles = self._in_order(fetched.bundles, notes_only=progress is None)

        def refuse(bundle: Bundle, error: Exception) -> None:
            uuid = bundle.ticket.uuid
            stumbles.append(Stumble(uuid, uuid, error, bundle.updated))

        outcomes = write_in_nets(bundles, self._write_bundles, refuse)
        self._files.remove([stored for one in outcomes for stored in one.dropped])
        files = self._files.write([target for one in outcomes for target in one.files])
        versions: list[SeenVersion] = []
        waiting: list[Waiting] = []
        for outcome in outcomes:
            ticket = outcome.bundle.ticket
            if outcome.refusal is not None:
                refuse(outcome.bundle, outcome.refusal)
                continue
            done.append(ticket.uuid)
            waiting += outcome.waiting
            failures = [*_of_notes(outcome), *_of_files(outcome, files)]
            stumbles += failures
            self._run.tally.add_details(outcome.counts)
            if failures:
                continue
            self._run.tally.add(outcome.change)
            if (version := fetched.versions.get(ticket.uuid)) is not None:
                versions.append(version)
        if outcomes:
            # before a dead letter is dropped: nothing else would bring the ticket again
            self._context.ledger.set_waiting(
                FLOW,
                [one.bundle.ticket.uuid for one in outcomes if one.refusal is None],
                waiting,
            )
        self._run.settle(stumbles, done)
        if outcomes:
            self._context.ledger.remember(FLOW, versions)
        if progress is not None:
            progress.add(
                [
                    *fetched.unchanged,
                    *fetched.held,
                    *(bundle.ticket.updated for bundle in bundles),
                    *(updated for _, updated, _ in fetched.unreadable if updated is not None),
                ]
            )

    def _write_bundles(self, bundles: Sequence[Bundle]) -> list[TicketOutcome]:
        # read anew for every batch: another run may write the tree meanwhile
        batch = TicketBatch(
            self._context.client,
            self._context.togadesk,
            bundles,
            choices_of(self._context),
            self._context.ledger.category_paths(),
            self._outgoing_letters,
        )
        return self._context.togadesk.run(batch.write)

    def _outgoing_letters(self, ids: Sequence[int]) -> dict[int, list[DeadLetter]]:
        letters = self._context.ledger.dead_letters
        found = letters.among(OUTGOING_FLOW, [entity_of(id_) for id_ in ids])
        return {ticket_id(entity): some for entity, some in found.items()}

    def _in_order(self, bundles: Sequence[Bundle], *, notes_only: bool) -> list[Bundle]:
        origin = self._run.origin
        return [
            replace(
                bundle,
                # one that changed meanwhile is written whole; the next run finds nothing to do
                notes_only=notes_only and origin is not None and bundle.ticket.updated <= origin,
            )
            for bundle in sorted(
                bundles, key=lambda bundle: (bundle.ticket.updated, bundle.ticket.uuid)
            )
        ]

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
            for kind, table in (
                ("contact", "people"),
                ("unit", "assets"),
                ("team", "groups"),
                # rows of the helpdesk that were sent, and know it by now
                ("reply", "tickets_replies"),
                ("comment", "comments"),
            )
        }
        authors = find_authors(tx, self._context.togadesk, targets.get("author", ()))
        found["author"] = set(authors)
        return found


def _of_notes(outcome: TicketOutcome) -> Iterator[Stumble]:
    ticket = outcome.bundle
    for name, _, error in outcome.note_failures:
        yield Stumble(ticket.ticket.uuid, f"{NOTE}{name}", error, ticket.updated)


def _of_files(outcome: TicketOutcome, files: FileReport) -> Iterator[Stumble]:
    ticket = outcome.bundle
    for target in outcome.files:
        if created := files.created.get(target.note):
            outcome.counts["files created"] = outcome.counts.get("files created", 0) + created
        for record, error in files.failures.get(target.note, ()):
            yield Stumble(ticket.ticket.uuid, record, error, ticket.updated)


def _is_gone(error: Exception) -> bool:
    # any other 404 may be a proxy's, and pass
    return isinstance(error, PermanentHttpError) and error.code == wire.GONE

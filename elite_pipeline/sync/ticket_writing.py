"""Writes tickets that were read into the helpdesk, with their files, and takes them into account.

What does not belong here: reading them (``ticket_reading``), the statements of one batch
(``ticket_batch``), files (``incoming_files``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from elite_pipeline.ledger import DeadLetter, Ledger, SeenVersion, Waiting
from elite_pipeline.sync.category_trees import TICKETS_FLOW, choices_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.incoming_files import FileReport, FileWriter
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING_FLOW
from elite_pipeline.sync.outgoing_rows import entity_of, ticket_id
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.ticket_batch import TicketBatch
from elite_pipeline.sync.ticket_outcomes import NOTE, Bundle, TicketOutcome
from elite_pipeline.sync.ticket_reading import Fetched
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2.models import NAMELESS


class TicketWriter:
    """Writes tickets for one run.

    Args:
        context: What the run works with.
        run: Its bookkeeping.
    """

    def __init__(self, context: FlowContext, run: FlowRun) -> None:
        self._context = context
        self._run = run
        self._files = FileWriter(context.togadesk, context.toga2, context.uploads)

    def write(
        self, fetched: Fetched, progress: Progress | None, handled: Sequence[str] = ()
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
                TICKETS_FLOW,
                [one.bundle.ticket.uuid for one in outcomes if one.refusal is None],
                waiting,
            )
        self._run.letters.settle(stumbles, done)
        if outcomes:
            self._context.ledger.remember(TICKETS_FLOW, versions)
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
            partial(outgoing_letters, self._context.ledger),
        )
        return self._context.togadesk.run(batch.write)

    def _in_order(self, bundles: Sequence[Bundle], *, notes_only: bool) -> list[Bundle]:
        in_order = sorted(bundles, key=lambda bundle: (bundle.ticket.updated, bundle.ticket.uuid))
        origin = self._run.origin
        if not notes_only or origin is None:
            return in_order
        # what a ticket waits for may have come since this run looked, and is forgotten once its notes
        # are written: then nothing else would bring the rest of the ticket
        waiting = self._context.ledger.waiting_among(
            TICKETS_FLOW, [bundle.ticket.uuid for bundle in bundles]
        )
        return [
            replace(
                bundle,
                # one that changed meanwhile is written whole; the next run finds nothing to do
                notes_only=bundle.ticket.updated <= origin and bundle.ticket.uuid not in waiting,
            )
            for bundle in in_order
        ]


def outgoing_letters(ledger: Ledger, ids: Sequence[int]) -> dict[int, list[DeadLetter]]:
    """Return the dead letters of the way out, by the ids of tickets."""
    found = ledger.dead_letters.among(OUTGOING_FLOW, [entity_of(id_) for id_ in ids])
    return {ticket_id(entity): some for entity, some in found.items()}


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

"""Ticket deltas, TOGA 2 -> TOGaDesk: which tickets, in which order, and how far the run has got.

Follows ``spec/sync.md`` section 4:

1. tickets updated past the watermark, with their notes: from the list itself where it carries them,
   else one read each, many at once;
2. notes updated past the watermark that are not in the helpdesk as they are now; their tickets are
   read.

Of a client whose integration type is ``REPAIR_ORDERS`` the tickets are its repair orders.

What does not belong here: reading tickets (``ticket_reading``), which notes are news
(``ticket_note_news``), what tickets wait for (``ticket_waiting``), writing (``ticket_writing``).
"""

from contextlib import closing
from datetime import datetime

from elite_pipeline.iteration import prefetch
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_trees import TICKETS_FLOW
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.ticket_note_news import NoteNews
from elite_pipeline.sync.ticket_reading import TicketReader, is_gone
from elite_pipeline.sync.ticket_waiting import Awaited
from elite_pipeline.sync.ticket_writing import TicketWriter
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

FLOW = TICKETS_FLOW


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


class _TicketFlow:
    """One run of :func:`run_tickets`."""

    def __init__(self, context: FlowContext, run: FlowRun) -> None:
        self._context = context
        self._run = run
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._writer = TicketWriter(context, run)
        remembers = run.remembers()
        self._reader = TicketReader(context, run, remembers=remembers)
        self._notes = NoteNews(context, run, remembers=remembers)
        self.progress = Progress()

    def write_due(self) -> None:
        """Try again what failed before and is due."""
        for entities in self._run.letters.due_entities():
            uuids, vanished = self._notes.tickets_of(entities)
            fetched = self._reader.fetch(uuids)
            gone = [uuid for uuid, _, error in fetched.unreadable if is_gone(error)]
            fetched.unreadable = [one for one in fetched.unreadable if not is_gone(one[2])]
            self._run.tally.vanished += len(gone) + len(vanished)
            self._writer.write(fetched, Progress(), handled=[*gone, *vanished])

    def write_waiting(self) -> None:
        """Write again the tickets that waited for something that is in the helpdesk now."""
        awaited = Awaited(self._context)
        for some in self._context.ledger.waiting(FLOW):
            ready = awaited.ready(some)
            # what failed is tried again when its dead letter is due
            ready -= self._run.letters.among(ready).keys()
            if ready:
                fetched = self._reader.fetch(sorted(ready))
                # it is not what this run has to handle: what has no answer goes on waiting, and
                # what is gone does not
                gone = [uuid for uuid, _, error in fetched.unreadable if is_gone(error)]
                self._context.ledger.set_waiting(FLOW, gone, [])
                fetched.unreadable.clear()
                self._writer.write(fetched, Progress())

    def write_tickets(self, after: datetime | None) -> None:
        """Step 1: tickets updated past the watermark."""
        tickets = self._routes.tickets
        pages = self._context.toga2.pages(tickets, after=after, depth=wire.FULL_DEPTH)
        with closing(prefetch(self._reader.complete(page) for page in pages)) as fetched_pages:
            for fetched in fetched_pages:
                self.progress.limit = self._context.toga2.list_started(tickets)
                self._writer.write(fetched, self.progress)
                self._context.progress(f"tickets: {self._run.tally.handled} looked at")

    def write_notes(self, after: datetime | None) -> None:
        """Step 2: notes updated past the watermark, under tickets that step 1 did not handle."""
        pages = self._context.toga2.pages(self._routes.notes, after=after)
        with closing(prefetch(pages)) as note_pages:
            for raws in note_pages:
                changed = self._notes.among(raws)
                if not changed:
                    continue
                tickets = {note.ticket.uuid: note.updated for note in changed if note.ticket}
                fetched = self._reader.fetch(list(tickets))
                # a note whose ticket is gone belongs nowhere
                vanished = [one for one in fetched.unreadable if is_gone(one[2])]
                self._run.tally.vanished += len(vanished)
                fetched.unreadable = [
                    # the note's place in time is what the watermark must not pass
                    (uuid, tickets.get(uuid), error)
                    for uuid, _, error in fetched.unreadable
                    if not is_gone(error)
                ]
                self._writer.write(fetched, None)
                self._context.progress(f"notes: {self._run.tally.handled} tickets looked at")

"""What the next run carries anyway: what differs there is not yet due, and no difference.

The same questions are asked that a run asks when it starts: which records lie past the stored watermark,
the overlap included, which of them the ledger has seen as they are, and what waits for something that is
there by now. Nothing is written down: a run that finds its memory outdated forgets it, here it is only
not believed.

What does not belong here: what differs (``judging``, ``unsent``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from elite_pipeline.iteration import chunked
from elite_pipeline.ledger import SeenVersion
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_trees import TICKETS_FLOW as INCOMING
from elite_pipeline.sync.category_trees import version_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flow_run import memory_holds
from elite_pipeline.sync.outgoing_news import changed_since, news_among, versions_of
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING
from elite_pipeline.sync.ticket_waiting import Awaited
from elite_pipeline.sync.verify.sides import Sides
from elite_pipeline.toga2.models import updated_of
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

_CHUNK = 200


def origin(context: FlowContext, watermark: str) -> datetime:
    """Return the instant behind which the next run reads, the overlap included; aware."""
    return context.watermarks.get(watermark) - context.lag


class Due:
    """What the next runs of one client's ticket flows look at.

    Args:
        context: The client's systems.
        sides: Takes in which tickets are due.

    Attributes:
        origin: The instant behind which the next run of the way in reads; aware.
        is_everything: No run has come through yet: all that TOGA 2 has is due.
    """

    def __init__(self, context: FlowContext, sides: Sides) -> None:
        self._context = context
        self._sides = sides
        self.origin = origin(context, watermarks.TICKETS)
        self._remembers = self._holds(INCOMING, watermarks.TICKETS)
        self.is_everything = context.watermarks.get(watermarks.TICKETS) <= watermarks.BEGINNING

    def find(self) -> None:
        """Note what is due, but for tickets of TOGA 2 that are past the watermark themselves."""
        flows = self._context.client.flows
        if flows.toga2_to_togadesk:
            self._find_waiting()
            if not self.is_everything:
                self._find_notes()
        if flows.togadesk_to_toga2:
            self._find_outgoing()

    def is_past(self, updated: datetime) -> bool:
        """Tell whether the next run of the way in reads what was updated then."""
        return updated > self.origin

    def note_tickets(
        self, updated: Mapping[str, datetime], versions: Mapping[str, SeenVersion]
    ) -> None:
        """Note which tickets of a page of TOGA 2 are due.

        Args:
            updated: Uuid -> when it was updated.
            versions: Uuid -> the version that was listed.
        """
        past = [uuid for uuid, moment in updated.items() if moment > self.origin]
        known = self._context.ledger.known(INCOMING, past) if past and self._remembers else {}
        self._sides.put_due_there(
            uuid
            for uuid in past
            if uuid not in versions or known.get(uuid) != versions[uuid].fingerprint
        )

    def _holds(self, flow: str, watermark: str) -> bool:
        return memory_holds(
            self._context.ledger.watermark(flow), self._context.watermarks.get(watermark)
        )

    def _find_waiting(self) -> None:
        """What waited for something that is there by now is written again, unless it failed."""
        awaited = Awaited(self._context)
        for some in self._context.ledger.waiting(INCOMING):
            ready = awaited.ready(some)
            failed = self._context.ledger.dead_letters.among(INCOMING, ready)
            self._sides.put_due_there(ready - failed.keys())

    def _find_notes(self) -> None:
        """A note that is news brings its whole ticket with it."""
        routes = TICKET_ROUTES[self._context.client.toga2.integration_type]
        for page in self._context.toga2.pages(routes.notes, after=self.origin):
            versions = [(raw, version_of(raw)) for raw in page if updated_of(raw) is not None]
            uuids = [version.uuid for _, version in versions if version is not None]
            known = self._context.ledger.known(INCOMING, uuids) if self._remembers else {}
            news = [
                raw
                for raw, version in versions
                if version is None or known.get(version.uuid) != version.fingerprint
            ]
            notes = routes.note_parser.many(news).records
            self._sides.put_due_there(note.ticket.uuid for note in notes if note.ticket is not None)

    def _find_outgoing(self) -> None:
        store, ledger = self._context.togadesk, self._context.ledger
        remembers = self._holds(OUTGOING, watermarks.TOGADESK_TICKETS)
        changed = changed_since(self._context, origin(self._context, watermarks.TOGADESK_TICKETS))
        for some in chunked(changed, _CHUNK):
            news = news_among(some, versions_of(some, store), ledger if remembers else None)
            self._sides.put_due_here(ticket.id for ticket in news)


def records_due(
    context: FlowContext, watermark: str, updated: Mapping[str, datetime]
) -> Sequence[str]:
    """Return which records of reference data the next run of their flow compares."""
    start = origin(context, watermark)
    return [uuid for uuid, moment in updated.items() if moment > start]

"""Which notes of TOGA 2 the helpdesk does not have as they are: their tickets are read.

Follows ``spec/sync.md`` section 4, step 2.

What does not belong here: reading those tickets (``ticket_reading``), writing (``ticket_writing``).
"""

from collections.abc import Sequence
from datetime import datetime

from elite_pipeline.errors import PermanentError, PipelineError
from elite_pipeline.ledger import SeenVersion
from elite_pipeline.sync.category_trees import TICKETS_FLOW, version_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.own_keys import note_field, own_keys
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.ticket_batch import changed_notes
from elite_pipeline.sync.ticket_outcomes import NOTE
from elite_pipeline.sync.ticket_reading import is_gone
from elite_pipeline.toga2.models import Malformed, TicketNote
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES


class NoteNews:
    """Tells, for one run, which notes are news.

    Args:
        context: What the run works with.
        run: Its bookkeeping.
        remembers: Whether what the ledger has seen holds for this run.
    """

    def __init__(self, context: FlowContext, run: FlowRun, *, remembers: bool) -> None:
        self._context = context
        self._run = run
        self._remembers = remembers
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._prefix = context.client.custom_field_prefix

    def among(self, raws: Sequence[object]) -> list[TicketNote]:
        """Return the notes of a page whose tickets are to be read; settle what is wrong with others."""
        news = self._unseen(raws)
        fresh = [raw for raw, _ in news]
        notes = self._unhandled(fresh)
        changed = self._changed(notes, fresh)
        as_they_are = {note.uuid for note in notes} - {note.uuid for note in changed}
        self._context.ledger.remember(
            TICKETS_FLOW,
            [version for _, version in news if version and version.uuid in as_they_are],
        )
        return changed

    def tickets_of(self, entities: Sequence[str]) -> tuple[list[str], list[str]]:
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
                if is_gone(answer):
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

    def _unseen(self, raws: Sequence[object]) -> list[tuple[object, SeenVersion | None]]:
        """Return the raw notes, with their versions, that are not known to be in the helpdesk."""
        versions = [(raw, version_of(raw)) for raw in raws]
        uuids = [version.uuid for _, version in versions if version is not None]
        known = self._context.ledger.known(TICKETS_FLOW, uuids) if self._remembers else {}
        return [
            (raw, version)
            for raw, version in versions
            if version is None or known.get(version.uuid) != version.fingerprint
        ]

    def _unhandled(self, raws: Sequence[object]) -> list[TicketNote]:
        parsed = self._routes.note_parser.many(raws)
        moments: dict[str, datetime] = {}
        for note in parsed.records:
            entity = NOTE + note.uuid if note.ticket is None else note.ticket.uuid
            moments[entity] = max(note.updated, moments.get(entity, note.updated))
        moments |= {NOTE + one.name: one.updated for one in parsed.malformed if one.updated}
        held = self._run.letters.held(moments)
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
        self._run.letters.settle(stumbles, [])
        return unhandled

    def _changed(self, notes: Sequence[TicketNote], raws: Sequence[object]) -> list[TicketNote]:
        """Return the notes that the helpdesk does not have exactly as they are now."""
        if not notes:
            return []
        context = self._context
        own = own_keys(raws, note_field(self._prefix))
        return context.togadesk.run(
            lambda tx: changed_notes(tx, context.client, context.togadesk, notes, own)
        )

    def _settle_note(self, uuid: str, updated: datetime | None, error: Exception) -> None:
        entity = NOTE + uuid
        self._run.letters.settle([Stumble(entity, entity, error, updated)], [])

    def _no_ticket(self) -> PermanentError:
        return PermanentError(
            f"the note does not say of which ticket: it has no {self._routes.notes.parent}"
        )

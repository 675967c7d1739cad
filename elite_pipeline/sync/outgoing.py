"""Ticket deltas, TOGaDesk -> TOGA 2: which tickets, in which order, and how far the run has got.

Follows ``spec/sync.md`` section 5. Selected are the tickets whose newest of (ticket, reply, comment) is
past the watermark, oldest first, some hundred at a time; each is sent on a thread of its own
(``outgoing_sender``), and what TOGA 2 calls them is written back together.

A reply that has only just been written is left for the next run: its files may be on their way.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from elite_pipeline.errors import PipelineError, SystemicError, TransientError
from elite_pipeline.iteration import chunked
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.outgoing_files import FileSender
from elite_pipeline.sync.outgoing_news import changed_since, instant_of, news_among, versions_of
from elite_pipeline.sync.outgoing_outcomes import Held, Sent, late_files
from elite_pipeline.sync.outgoing_rows import (
    FLOW,
    STATES,
    OutgoingTicket,
    Relations,
    entity_of,
    read_relations,
    read_tickets,
    ticket_id,
)
from elite_pipeline.sync.outgoing_sender import TicketSender
from elite_pipeline.sync.own_keys import OwnKey, note_field, own_keys, ticket_field
from elite_pipeline.sync.results import Action, Change, FlowResult
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.togadesk import ChangedTicket, Tx, file_names

logger = logging.getLogger(__name__)

#: Tickets that are read and written back together.
BATCH = 200
#: Keys in one filter: what an address can hold by far.
KEYS_PER_CALL = 50
#: What was written so much after the time was read may have been written while rows were; what is
#: further ahead has a time that is wrong, and must not wait for it.
_MEANWHILE = timedelta(minutes=1)
#: Batches after which a long run stores the watermark.
BATCHES_PER_CHECKPOINT = 5


def run_outgoing(context: FlowContext, options: Options) -> FlowResult:
    """Bring one client's changed tickets of the helpdesk into TOGA 2.

    Returns:
        What was done; what failed is in it, and stopped nothing else.

    Raises:
        SystemicError: Nothing of this client can work; the watermark stays.
        TransientError: The helpdesk's database gave no answer, retries included; likewise.
    """
    run = FlowRun(context, flow=FLOW, watermark=watermarks.TOGADESK_TICKETS, options=options)
    flow = _Outgoing(context, run)
    after = run.start()
    flow.send_due()
    flow.send_changed(after)
    run.advance(flow.progress.reached)
    run.remember_all()
    if run.advanced_to is not None:
        context.ledger.forget_before(FLOW, wire.format_time(run.advanced_to - context.lag))
    return run.result()


class _Outgoing:
    """One run of :func:`run_outgoing`."""

    def __init__(self, context: FlowContext, run: FlowRun) -> None:
        self._context = context
        self._run = run
        self._client = context.client
        self._store = context.togadesk
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._files = FileSender(
            context.toga2, context.uploads, context.ledger.uploads, self._shown_name
        )
        self._categories = {path: uuid for uuid, path in context.ledger.category_paths().items()}
        self._now_there: datetime | None = None
        self._remembers = run.remembers()
        self.progress = Progress()

    def _shown_name(self, name: str) -> str:
        return file_names.shown_name(name, self._store.limits("files", "name"))

    def send_due(self) -> None:
        """Try again what failed before and is due."""
        for entities in self._run.letters.due_entities():
            ids = [ticket_id(entity) for entity in entities]
            self._send([ChangedTicket(id_, None) for id_ in ids])

    def send_changed(self, after: datetime | None) -> None:
        """Send what changed past the watermark."""
        # what is not remembered begins at a point that a person chose, or at the beginning
        is_far = after is not None and not self._remembers
        changed = changed_since(self._context, after, is_far=is_far)
        self.progress.limit = self._now - self._settling
        for number, some in enumerate(chunked(changed, BATCH), start=1):
            self._send_news(some)
            if number % BATCHES_PER_CHECKPOINT == 0:
                self._run.advance(self.progress.reached)
            self._context.progress(
                f"tickets: {self._run.tally.handled} of {len(changed)} looked at"
            )

    def _send_news(self, changed: Sequence[ChangedTicket]) -> None:
        """Send some tickets, but for those of which the overlap brings nothing new."""
        flow, ledger = self._run.flow, self._context.ledger
        versions = versions_of(changed, self._store)
        news = news_among(changed, versions, ledger if self._remembers else None)
        self._run.tally.counts["unchanged"] += len(changed) - len(news)
        if news:
            done = self._send(news)
            ledger.remember(flow, [versions[id_] for id_ in done if id_ in versions])
        self.progress.add(
            self._instant(ticket.newest) for ticket in changed if ticket.newest is not None
        )

    @property
    def _now(self) -> datetime:
        """The time of the helpdesk's server when the latest rows were read: what they are young by."""
        if self._now_there is None:
            self._now_there = self._store.run(lambda tx: tx.now())
        return self._now_there

    @property
    def _settling(self) -> timedelta:
        return timedelta(seconds=self._client.togadesk.settle_seconds)

    def _send(self, changed: Sequence[ChangedTicket]) -> set[int]:
        """Send some tickets, write back what they are called, and take them into account.

        Returns:
            The ids of those of which nothing is left to be sent.
        """
        ids = [ticket.id for ticket in changed]
        letters = self._run.letters.among([entity_of(id_) for id_ in ids])
        held = {ticket_id(entity): _held(some, self._run) for entity, some in letters.items()}
        late = _late_files(letters, held)
        owing = _owing(letters, held)
        tickets, relations = self._store.run(partial(self._read, ids, late, owing))
        sendable = [ticket for ticket in map(self._settled, tickets) if ticket.is_sendable]
        sents = self._send_all(sendable, relations, held) if sendable else []
        self._settle(changed, tickets, sents, letters, held)
        left = {ticket.row.id for ticket in tickets if ticket.is_young} | {
            ticket_id(one) for one in letters
        }
        left |= {sent.ticket.row.id for sent in sents if sent.failures}
        return {ticket.row.id for ticket in tickets} - left

    def _read(
        self, ids: Sequence[int], late: Mapping[int, int], owing: Collection[int], tx: Tx
    ) -> tuple[list[OutgoingTicket], Relations]:
        # of every batch anew: in a long run people go on typing
        self._now_there = tx.now()
        tickets = read_tickets(
            tx, self._store.client_id, ids, self._store.instants_as_written, late
        )
        for ticket in tickets:
            ticket.owes_states = ticket.row.id in owing
        some = [ticket for ticket in tickets if ticket.has_something]
        if not some:
            return tickets, Relations()
        return tickets, read_relations(tx, self._store.client_id, some, self._categories)

    def _settled(self, ticket: OutgoingTicket) -> OutgoingTicket:
        """Leave out what has only just been written, and all behind it."""
        young = [at for at, one in enumerate(ticket.messages) if self._is_young(one.written)]
        is_new = not ticket.row.referenceId
        ticket.is_young = bool(young) or (is_new and self._is_young(ticket.row.timestamp))
        if young:
            cut = ticket.messages[young[0] :]
            del ticket.messages[young[0] :]
            description = ticket.description_key(None)
            if is_new and any(message.key == description for message in cut):
                ticket.messages.clear()
        return ticket

    def _is_young(self, written: datetime | None) -> bool:
        if written is None:
            return False
        # of a time that comes twice either pass may be the one that is just over
        ages = (self._now - self._store.from_local(written, fold) for fold in (0, 1))
        return any(-_MEANWHILE <= age < self._settling for age in ages)

    def _instant(self, local: datetime) -> datetime:
        return instant_of(local, self._store)

    # Sending

    def _send_all(
        self, tickets: Sequence[OutgoingTicket], relations: Relations, held: Mapping[int, Held]
    ) -> list[Sent]:
        sender = TicketSender(
            self._client, self._context.toga2, self._routes, relations, self._files
        )
        known = self._known_by_key([ticket for ticket in tickets if not ticket.row.referenceId])
        uuids = {one.row.id: one.row.referenceId or known.get(one.row.id) for one in tickets}
        notes = self._notes_by_key([one for one in tickets if uuids[one.row.id]], uuids)
        sents: list[Sent] = []

        def send(ticket: OutgoingTicket) -> None:
            id_ = ticket.row.id
            try:
                sent = sender.send(
                    ticket, known=known.get(id_), notes=notes, held=held.get(id_, Held())
                )
            except SystemicError:
                raise
            except PipelineError as error:
                sent = Sent(ticket, failures=[(ticket.entity, error)], untried=late_files(ticket))
            except Exception as error:
                # a defect of ours, met in one ticket: the others go on, and the trace must be seen
                logger.exception("an unforeseen error in one ticket")
                sent = Sent(ticket, failures=[(ticket.entity, error)], untried=late_files(ticket))
            sents.append(sent)
            for _, failure in sent.failures:
                if isinstance(failure, TransientError):
                    # told to the pool, which stops when so many in a row get no answer
                    raise failure

        try:
            self._context.toga2.run_many([partial(send, ticket) for ticket in tickets], "tickets")
        finally:
            # also of a run that stops here: what was made would be found by its key, but need not be
            self._store.run(partial(_write_back, sents))
        return sents

    def _known_by_key(self, tickets: Sequence[OutgoingTicket]) -> dict[int, str]:
        """Return id -> uuid of the tickets that an earlier run made and did not write back."""
        field = ticket_field(self._client.custom_field_prefix)
        found: dict[int, str] = {}
        for some in chunked(tickets, KEYS_PER_CALL):
            keys = ",".join(str(ticket.key) for ticket in some)
            raws = self._context.toga2.find(self._routes.tickets, [(field, "in", keys)])
            for uuid, key in own_keys(raws, field).items():
                # two of one key cannot be told apart: the one that was made first is meant
                found.setdefault(key.id, uuid)
        return found

    def _notes_by_key(
        self, tickets: Sequence[OutgoingTicket], uuids: Mapping[int, str | None]
    ) -> dict[OwnKey, str]:
        """Return key -> uuid of the notes that an earlier run made and did not write back.

        Under whichever ticket they are: people may have moved them since.
        """
        field = note_field(self._client.custom_field_prefix)
        keys = [
            message.key
            for ticket in tickets
            for message in ticket.messages
            if message.reference is None
        ]
        descriptions = (ticket.description_key(uuids[ticket.row.id]) for ticket in tickets)
        keys += [OwnKey("files", key.id) for key in descriptions if key is not None]
        found: dict[OwnKey, str] = {}
        for some in chunked(keys, KEYS_PER_CALL):
            wanted = ",".join(map(str, some))
            raws = self._context.toga2.find(self._routes.notes, [(field, "in", wanted)])
            for uuid, key in own_keys(raws, field).items():
                found.setdefault(key, uuid)
        return found

    # Taking into account

    def _settle(
        self,
        changed: Sequence[ChangedTicket],
        tickets: Sequence[OutgoingTicket],
        sents: Sequence[Sent],
        letters: Mapping[str, Sequence[DeadLetter]],
        held: Mapping[int, Held],
    ) -> None:
        newest = {ticket.id: ticket.newest for ticket in changed}
        stumbles: list[Stumble] = []
        # also what was not met: a file whose reply is there is not read
        untried = [
            (entity_of(id_), record)
            for id_, some in held.items()
            for record in (*some.passing, *some.refused)
        ] + [(ticket.entity, f"file {file}") for ticket in tickets for file in ticket.stray_files]
        sent_ids = set()
        for sent in sents:
            id_ = sent.ticket.row.id
            sent_ids.add(id_)
            local = newest.get(id_)
            stumbles += [
                Stumble(
                    sent.ticket.entity,
                    record,
                    error,
                    self._instant(local) if local is not None else None,
                )
                for record, error in sent.failures
            ]
            untried += [
                (sent.ticket.entity, record)
                for record in sent.untried
                if record not in held.get(id_, Held())
            ]
            self._run.tally.add_details(sent.counts)
            if not sent.failures and not sent.untried:
                self._run.tally.add(_change(sent))
        for ticket in tickets:
            if ticket.row.id in sent_ids:
                continue
            self._run.tally.counts["unchanged"] += 1
            if ticket.is_young:
                self._run.tally.add_details({"left for the next run": 1})
        # what has vanished from the helpdesk, too
        handled = [entity for id_ in newest if (entity := entity_of(id_)) in letters]
        self._run.letters.settle(stumbles, handled, untried)


def _change(sent: Sent) -> Change:
    row = sent.ticket.row
    action: Action = "created" if sent.is_new else "updated" if sent.counts else "unchanged"
    return Change(str(row.id), row.subject or "(no subject)", action, tuple(sorted(sent.counts)))


def _held(letters: Sequence[DeadLetter], run: FlowRun) -> Held:
    undue = [letter for letter in letters if not run.letters.is_due(letter)]
    passing = {one.record for one in undue if one.kind == "transient" and not one.parked}
    return Held(passing, {one.record for one in undue} - passing)


def _owing(letters: Mapping[str, Sequence[DeadLetter]], held: Mapping[int, Held]) -> frozenset[int]:
    """Return the tickets whose status or priority could not be sent, and is to be tried again."""
    return frozenset(
        ticket_id(entity)
        for entity, some in letters.items()
        for letter in some
        if letter.record in STATES and letter.record not in held[ticket_id(entity)]
    )


def _late_files(
    letters: Mapping[str, Sequence[DeadLetter]], held: Mapping[int, Held]
) -> dict[int, int]:
    """Return the files to be tried again that failed after their reply was sent, with their tickets."""
    return {
        int(letter.record.removeprefix("file ")): ticket_id(entity)
        for entity, some in letters.items()
        for letter in some
        if letter.record.startswith("file ") and letter.record not in held[ticket_id(entity)]
    }


def _write_back(sents: Sequence[Sent], tx: Tx) -> None:
    """Store what TOGA 2 calls the rows: a ticket behind its description, which is known by it."""
    for table in ("tickets_replies", "comments", "tickets"):
        tx.update(
            table,
            [
                {"id": id_, "referenceId": uuid}
                for sent in sents
                for name, id_, uuid in sent.references
                if name == table
            ],
        )

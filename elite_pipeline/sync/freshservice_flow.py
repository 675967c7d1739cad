"""Freshservice -> TOGA 2: which tickets, and what becomes of the webhooks that named them.

Follows ``spec/sync.md`` section 7. Three things name tickets: rows of the inbox (webhooks), dead
letters that are due, and the sweep, which asks Freshservice what was changed since its watermark and so
finds what no webhook told. They fold into one piece of work: each ticket is fetched once, however often
it was named.

A row is finished with its ticket, one ticket at a time: ``DONE`` when the ticket was carried, or when
what failed of it is a dead letter of its own; ``FAILED`` when nothing of it could be carried, until its
dead letter is due again; ``DEAD`` when a person has to look, or when the row names no ticket at all.

What does not belong here: the ticket itself (``freshservice_ticket``), how rows are stored (``inbox``).
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from elite_pipeline.errors import (
    PermanentError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.freshservice.models import Malformed, TicketHead
from elite_pipeline.freshservice.payloads import PayloadError
from elite_pipeline.freshservice.payloads import ticket_id_of as ticket_named_by
from elite_pipeline.iteration import chunked
from elite_pipeline.ledger import DeadLetter, SeenVersion
from elite_pipeline.ledger.carried import State
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.freshservice_counterparts import Counterparts
from elite_pipeline.sync.freshservice_files import FileCarrier
from elite_pipeline.sync.freshservice_keys import (
    FLOW,
    entity_of,
    is_ticket,
    ticket_field,
    ticket_id_of,
)
from elite_pipeline.sync.freshservice_side import FreshserviceSide
from elite_pipeline.sync.freshservice_ticket import TicketCarrier
from elite_pipeline.sync.freshservice_work import Outcome
from elite_pipeline.sync.outgoing_outcomes import Held
from elite_pipeline.sync.results import Action, Change, FlowResult
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.toga2_files import FileMaker
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import uuid_of
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

logger = logging.getLogger(__name__)

#: Tickets that are looked up together.
BATCH = 50
#: Rows of the inbox that are given up together, those of one reason in one transaction: what comes in a
#: burst comes out of one workflow, and lacks the same.
GIVEN_UP_TOGETHER = 500
#: A ticket that was changed so recently may be changed again within the same second, which nothing tells.
_SAME_SECOND = timedelta(seconds=2)


def run_freshservice(context: FlowContext, options: Options) -> FlowResult:
    """Bring what webhooks and the sweep name into TOGA 2.

    Returns:
        What was done; what failed is in it, and stopped nothing else.

    Raises:
        SystemicError: Nothing of this client can work; rows and watermark stay as they are.
        TransientError: The inbox or the ledger gave no answer; likewise.
    """
    side = context.find_freshservice()
    run = FlowRun(
        context, flow=FLOW, watermark=watermarks.FRESHSERVICE_TICKETS, options=options, lag=side.lag
    )
    before = side.client.calls
    flow = _FreshserviceFlow(context, side, run)
    flow.carry_named()
    if options.sweeps:
        flow.sweep()
    run.tally.add_details({"Freshservice calls": side.client.calls - before})
    return run.result()


class _FreshserviceFlow:
    """One run of :func:`run_freshservice`."""

    def __init__(self, context: FlowContext, side: FreshserviceSide, run: FlowRun) -> None:
        self._context = context
        self._side = side
        self._run = run
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._now = context.now()
        self._guard = threading.Lock()
        counterparts = Counterparts(
            context.client, side.client, context.toga2, context.ledger.carried, self._count
        )
        files = FileCarrier(
            side.client, context.toga2, FileMaker(context.toga2, context.ledger.uploads)
        )
        self._carrier = TicketCarrier(
            context.client, side.client, context.toga2, self._routes, counterparts, files
        )
        #: Ticket -> its version as this run has carried it.
        self._carried: dict[int, datetime | None] = {}
        #: Tickets of which this run could not carry all; each has a dead letter.
        self._failed: set[int] = set()

    def _count(self, what: str) -> None:
        with self._guard:
            self._run.tally.add_details({what: 1})

    # What webhooks and dead letters name

    def carry_named(self) -> None:
        """Carry the tickets that rows of the inbox name, and those whose dead letters are due."""
        hints = self._fold()
        for entities in self._run.letters.due_entities():
            for entity in entities:
                if is_ticket(entity):
                    hints.setdefault(ticket_id_of(entity), [])
                else:
                    # a person wants tried again what nothing says which ticket it is
                    self._stumble_nameless(entity, "nothing says which ticket it is")
        for some in chunked(hints, BATCH):
            self._carry(some, hints)
            self._context.progress(
                f"tickets: {len(self._carried)} of {len(hints)} that were named are done"
            )

    def _fold(self) -> dict[int, list[int]]:
        """Return ticket -> the rows that name it, in the order in which each was named first.

        Memory holds a few numbers for each row. A row that names no ticket is dead when this returns.
        """
        inbox, action = self._side.inbox, self._side.action
        up_to = self._run.options.rows_up_to
        if up_to is None:
            up_to = inbox.latest_id()
        hints: dict[int, list[int]] = {}
        unreadable = 0
        rows = 0
        dead: dict[str, list[int]] = {}

        def give_up() -> None:
            for reason, ids in dead.items():
                inbox.dead(ids, reason, self._now)
            dead.clear()

        for row in inbox.take(action, up_to, self._now):
            rows += 1
            try:
                ticket_id = ticket_named_by(row.payload)
            except PayloadError as error:
                dead.setdefault(str(error), []).append(row.id)
                unreadable += 1
                if unreadable % GIVEN_UP_TOGETHER == 0:
                    give_up()
                continue
            hints.setdefault(ticket_id, []).append(row.id)
        give_up()
        self._run.tally.add_details({"webhooks": rows, "webhooks that name no ticket": unreadable})
        if unreadable:
            self._run.tally.remark(
                f"{unreadable} webhooks name no ticket and wait for a person: elite-pipeline webhooks "
                f"list --client {self._context.client.name} --status DEAD"
            )
        return hints

    # What nobody named

    def sweep(self) -> None:
        """Carry what was changed since the watermark and has not been carried."""
        run, client = self._run, self._side.client
        after = run.start()
        remembers = run.remembers()
        progress = Progress()
        reached: list[datetime] = []
        listed = 0
        for page in client.updated_tickets(after or watermarks.BEGINNING):
            heads = [head for head in page if isinstance(head, TicketHead)]
            unread = [head for head in page if isinstance(head, Malformed)]
            for head in unread:
                if head.id is None:
                    self._stumble_nameless(f"listed ticket {head.name}", head.reason)
            listed += len(page)
            self._carry_news(heads, remembers)
            # what the list spoils, the ticket itself may say; what failed in this run waits for another
            named = [head.id for head in unread if head.id is not None]
            self._carry([id_ for id_ in named if id_ not in self._failed], {})
            reached += [head.updated_at for head in heads]
            self._context.progress(f"sweep: {listed} changed tickets looked at")
        progress.limit = client.list_started()
        # only now: the list may come in any order
        progress.add(reached)
        run.tally.add_details({"tickets listed by the sweep": listed})
        run.advance(progress.reached)
        run.remember_all()
        if run.advanced_to is not None:
            self._context.ledger.forget_before(
                FLOW, wire.format_time(run.advanced_to - self._side.lag)
            )

    def _carry_news(self, heads: Sequence[TicketHead], remembers: bool) -> None:
        known = (
            self._context.ledger.known(FLOW, [str(head.id) for head in heads]) if remembers else {}
        )
        moments = {entity_of(head.id): head.updated_at for head in heads}
        held = self._run.letters.held(moments)
        news = []
        for head in heads:
            is_done = self._carried.get(head.id) == head.updated_at
            if is_done or known.get(str(head.id)) == head.updated_at.isoformat():
                self._run.tally.counts["unchanged"] += 1
            elif entity_of(head.id) in held:
                self._run.tally.waiting += 1
            else:
                news.append(head.id)
        for some in chunked(news, BATCH):
            self._carry(some, {})

    def _stumble_nameless(self, name: str, reason: str) -> None:
        """Let a person know of a ticket that no run can ask for."""
        stumble = Stumble(name, name, PermanentError(reason), None, unretriable=True)
        self._run.letters.settle([stumble], [])

    # Carrying

    def _carry(self, ids: Sequence[int], hints: Mapping[int, Sequence[int]]) -> None:
        if not ids:
            return
        letters = self._run.letters.among([entity_of(id_) for id_ in ids])
        before = self._context.ledger.carried.get(FLOW, [entity_of(id_) for id_ in ids])
        known = self._known(ids)

        def carry(id_: int) -> None:
            outcome = Outcome(id_)
            entity = outcome.entity
            held = self._held(letters.get(entity, ()))
            rows = hints.get(id_, ())
            try:
                self._carrier.carry(
                    outcome, known=known.get(id_), before=before.get(entity), held=held
                )
            except SystemicError:
                raise
            except PipelineError as error:
                outcome.failures.append((entity, error))
            except Exception as error:
                # a defect of ours, met in one ticket: the others go on, and the trace must be seen
                logger.exception("an unforeseen error in one ticket")
                outcome.failures.append((entity, error))
            with self._guard:
                self._settle(outcome, rows, letters.get(entity, ()), held, before.get(entity))
            for _, failure in outcome.failures:
                if isinstance(failure, TransientError):
                    # told to the pool, which stops when so many in a row get no answer
                    raise failure

        self._context.toga2.run_many([partial(carry, id_) for id_ in ids], "tickets")

    def _held(self, letters: Sequence[DeadLetter]) -> Held:
        """Return what of a ticket is left to its dead letters; the ticket as such never is."""
        undue = [
            letter
            for letter in letters
            if letter.record != letter.entity and not self._run.letters.is_due(letter)
        ]
        passing = {one.record for one in undue if one.kind == "transient" and not one.parked}
        return Held(passing, {one.record for one in undue} - passing)

    def _known(self, ids: Sequence[int]) -> dict[int, str]:
        """Return ticket -> uuid of those that TOGA 2 has."""
        name = ticket_field(self._context.client.custom_field_prefix)
        raws = self._context.toga2.find(
            self._routes.tickets, [(name, "in", ",".join(map(str, ids)))]
        )
        found: dict[int, str] = {}
        for raw in sorted(
            raws, key=lambda raw: (str(raw.get("_created") or ""), str(uuid_of(raw)))
        ):
            key, uuid = str(raw.get(name) or ""), uuid_of(raw)
            if key.isascii() and key.isdecimal() and uuid is not None:
                # of two of one key the one that was made first is meant
                found.setdefault(int(key), uuid)
        return found

    # Taking into account

    def _settle(
        self,
        outcome: Outcome,
        rows: Sequence[int],
        letters: Sequence[DeadLetter],
        held: Held,
        before: State | None,
    ) -> None:
        """Write down what became of a ticket, and only then finish its rows."""
        run, entity = self._run, outcome.entity
        if outcome.state is not None and outcome.state != before:
            self._context.ledger.carried.put(FLOW, entity, outcome.state)
        stumbles = [
            Stumble(entity, record, error, outcome.updated) for record, error in outcome.failures
        ]
        untried = {(entity, record) for record in (*outcome.untried, *held.passing, *held.refused)}
        run.letters.settle(stumbles, [entity] if letters else [], untried)
        run.tally.add_details(outcome.counts)
        if not outcome.failures:
            if not outcome.untried:
                run.tally.add(_change(outcome))
            self._remember(outcome)
        self._finish(outcome, rows)
        was_dead = any(letter.record == letter.entity for letter in letters)
        if was_dead and outcome.whole_failure is None:
            # also of rows that a person had to look at, and that no run takes any more
            self._side.inbox.settle(self._side.action, f"{entity}: ", self._now)
        self._carried[outcome.ticket_id] = outcome.updated
        if outcome.failures:
            self._failed.add(outcome.ticket_id)

    def _finish(self, outcome: Outcome, rows: Sequence[int]) -> None:
        if not rows:
            return
        inbox, failure = self._side.inbox, outcome.whole_failure
        if failure is None:
            inbox.done(rows, self._now)
            return
        letter = next(
            (
                one
                for one in self._run.letters.among([outcome.entity]).get(outcome.entity, ())
                if one.record == one.entity
            ),
            None,
        )
        said = f"{outcome.entity}: {self._context.toga2.redact(str(failure))}"
        if letter is None or letter.next_attempt is None:
            inbox.dead(rows, said, self._now)
        else:
            inbox.failed(rows, said, letter.next_attempt, self._now)

    def _remember(self, outcome: Outcome) -> None:
        """Remember a version as carried, unless it may be changed once more within its second."""
        there = self._side.client.now_there()
        if outcome.updated is None or there is None or there - outcome.updated < _SAME_SECOND:
            return
        version = SeenVersion(
            str(outcome.ticket_id),
            wire.format_time(outcome.updated),
            outcome.updated.isoformat(),
        )
        self._context.ledger.remember(FLOW, [version])


def _change(outcome: Outcome) -> Change:
    action: Action = "created" if outcome.is_new else "updated" if outcome.counts else "unchanged"
    return Change(str(outcome.ticket_id), outcome.label, action, tuple(sorted(outcome.counts)))

"""Judges tickets of TOGA 2 with all that hangs on them against what the helpdesk has.

What the rows should hold is for the engine to say: it is asked to write the tickets with a transaction
that writes nothing. Where its rows stand, how often, and what their ids lead to, is looked at beside it.

What does not belong here: messages (``judged_messages``), files (``judged_files``), rows that stand for
nothing in TOGA 2 (``unsent``, ``gone``).
"""

from collections.abc import Mapping, Sequence
from functools import partial

from elite_pipeline.sync.category_trees import TICKETS_FLOW as INCOMING
from elite_pipeline.sync.category_trees import choices_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.nets import write_in_nets
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING
from elite_pipeline.sync.ticket_batch import TicketBatch, find_authors
from elite_pipeline.sync.ticket_outcomes import Bundle, TicketOutcome
from elite_pipeline.sync.ticket_rows import author_email
from elite_pipeline.sync.verify.cases import Case
from elite_pipeline.sync.verify.category_tree import TreeJudge
from elite_pipeline.sync.verify.explaining import LettersOf
from elite_pipeline.sync.verify.findings import Reason
from elite_pipeline.sync.verify.judged_files import FileJudge
from elite_pipeline.sync.verify.judged_messages import MessageJudge
from elite_pipeline.sync.verify.plainly_equal import PlainlyEqual
from elite_pipeline.sync.verify.sides import COMMENTS, REPLIES, Sides, key
from elite_pipeline.sync.verify.watching import Known, Noted, WatchingTx
from elite_pipeline.togadesk import Tx

#: Column of a ticket -> what people call it.
FIELDS = {"userid": "contact", "assetid": "unit", "groupid": "team", "email": "e-mail"}
#: Authors of notes that are remembered.
MOST_AUTHORS = 20_000
_PLACES = {"reply": REPLIES, "files": REPLIES, "comment": COMMENTS}


class Judge:
    """Judges tickets of one client.

    Args:
        context: The client's systems.
        sides: What the helpdesk has, all of it.
        with_bytes: Whether the bytes of files are compared.
        tree: What was found of the tree of categories; None: nothing keeps it in step.

    Attributes:
        files: Judges files, and counts them.
    """

    def __init__(
        self, context: FlowContext, sides: Sides, *, with_bytes: bool, tree: TreeJudge | None
    ) -> None:
        self._context = context
        self._sides = sides
        self._late_categories = tree is not None and tree.is_late
        # as they are to be: what is wrong with the tree is no ticket's fault
        paths = tree.paths if tree is not None else {}
        self._choices = choices_of(context) | frozenset(paths.values())
        self._category_paths = {**context.ledger.category_paths(), **paths}
        self._letters_in = LettersOf(context, INCOMING)
        self._letters_out = LettersOf(context, OUTGOING)
        self._authors: dict[str, int] = {}
        self._messages = MessageJudge(context)
        self._plainly_equal = PlainlyEqual(context, sides, self._choices, self._category_paths)
        self.files = FileJudge(context, sides, with_bytes=with_bytes)

    def authors_of(self, bundles: Sequence[Bundle]) -> dict[str, int]:
        """Return e-mail -> id of those who wrote notes, as the helpdesk's server knows them.

        Who is known is asked for once: the same few write most notes.
        """
        emails = {author_email(note) for bundle in bundles for note in bundle.notes} - {""}
        known = {email: self._authors[email] for email in emails & self._authors.keys()}
        if others := emails - known.keys():
            store = self._context.togadesk
            found = store.run(partial(find_authors, store=store, emails=others))
            if len(self._authors) > MOST_AUTHORS:
                self._authors = {}
            self._authors |= found
            known |= found
        return known

    def to_look_at(self, bundles: Sequence[Bundle], authors: Mapping[str, int]) -> list[Bundle]:
        """Return the tickets that need to be judged: the others are plainly as they should be.

        Args:
            bundles: As TOGA 2 has them.
            authors: Those of their notes (:meth:`authors_of`).
        """
        equal = self._plainly_equal.among(bundles, authors)
        letters_in = self._letters_in.among(list(equal))
        letters_out = self._letters_out.of_tickets([row.id for row in equal.values()])
        return [
            bundle
            for bundle in bundles
            if (row := equal.get(bundle.ticket.uuid)) is None
            or bundle.ticket.uuid in letters_in
            or row.id in letters_out
        ]

    def judge(self, bundles: Sequence[Bundle]) -> list[Case]:
        """Return a case for each ticket, with what is wrong with it."""
        cases = {bundle.ticket.uuid: Case(bundle) for bundle in bundles}
        known = self._look_up(cases)
        self._ask_engine(cases, known)
        for case in cases.values():
            if self._judge_ticket(case):
                self._messages.judge(case)
            else:
                self._messages.judge_privacy(case)
        self.files.judge([case for case in cases.values() if case.row is not None])
        for case in cases.values():
            case.find_letters()
        return list(cases.values())

    def _ask_engine(self, cases: dict[str, Case], known: Known) -> None:
        def refuse(bundle: Bundle, error: Exception) -> None:
            cases[bundle.ticket.uuid].error = error

        bundles = [case.bundle for case in cases.values()]
        for outcome, noted in write_in_nets(bundles, partial(self._would_write, known), refuse):
            case = cases[outcome.bundle.ticket.uuid]
            case.outcome, case.noted, case.error = outcome, noted, outcome.refusal

    def _would_write(
        self, known: Known, bundles: Sequence[Bundle]
    ) -> list[tuple[TicketOutcome, Noted]]:
        batch = TicketBatch(
            self._context.client,
            self._context.togadesk,
            bundles,
            self._choices,
            self._category_paths,
            self._letters_out.of_tickets,
        )

        def ask(tx: Tx) -> list[tuple[TicketOutcome, Noted]]:
            noted = Noted()
            return [(outcome, noted) for outcome in batch.write(WatchingTx(tx, noted, known))]

        return self._context.togadesk.run(ask)

    def _look_up(self, cases: dict[str, Case]) -> Known:
        """Give each case what the helpdesk has of it, and return it all."""
        sides = self._sides
        rows = sides.tickets_here(cases)
        own = sides.tickets_by_id([one.bundle.own.id for one in cases.values() if one.bundle.own])
        bundles = [case.bundle for case in cases.values()]
        uuids = [*cases, *(note.uuid for bundle in bundles for note in bundle.notes)]
        # what cannot be read may be private, and must not be public for all that
        uuids += [note.name for bundle in bundles for note in bundle.malformed]
        messages = sides.messages_here(uuids)
        own_keys = [own for one in cases.values() for own in one.bundle.own_notes.values()]
        own_messages = {
            (place, id_): row
            for place in (REPLIES, COMMENTS)
            for id_, row in sides.messages_by_id(
                place, [one.id for one in own_keys if _PLACES.get(one.kind) == place]
            ).items()
        }
        for case in cases.values():
            case.rows = rows.get(key(case.uuid), ())
            if case.bundle.own is not None and not case.rows:
                candidate = own.get(case.bundle.own.id)
                case.own = candidate if candidate and not candidate.reference else None
            case.messages = messages
            case.own_messages = own_messages
        letters_in = self._letters_in.among(list(cases))
        ids = [case.row.id for case in cases.values() if case.row is not None]
        letters_out = self._letters_out.of_tickets(ids)
        due_in, due_out = sides.due_there(cases), sides.due_here(ids)
        for case in cases.values():
            case.letters_in = letters_in.get(case.uuid, ())
            case.is_due_in = key(case.uuid) in due_in
            if case.row is not None:
                case.letters_out = letters_out.get(case.row.id, ())
                case.is_due_out = case.row.id in due_out
        return Known(rows, messages, frozenset(map(key, uuids)))

    def _judge_ticket(self, case: Case) -> bool:
        """Judge the ticket itself; return whether its messages can be judged."""
        row = case.row
        if row is None:
            detail = str(case.error or "the helpdesk has no row for it")
            case.find("ticket", Reason.MISSING, detail, record=case.uuid)
            return False
        name = f"tickets {row.id}"
        if len(case.rows) > 1:
            ids = ", ".join(str(one.id) for one in case.rows)
            detail = f"{len(case.rows)} rows say that they are it: {ids}"
            case.find("ticket", Reason.DOUBLED, detail, record=case.uuid, row=name)
        if case.error is not None:
            case.find("ticket", Reason.NOT_COMPARABLE, str(case.error), record=case.uuid, row=name)
            return False
        self._judge_fields(case, row.id, name)
        self._judge_time(case, name)
        return True

    def _judge_fields(self, case: Case, id_: int, name: str) -> None:
        difference = case.noted.changed.get("tickets", {}).get(id_)
        details: dict[str, str] = {}
        if difference is not None:
            for column, value in difference.wanted.items():
                said = f"{difference.row[column]!r} instead of {value!r}"
                details[FIELDS.get(column, column)] = said
        details |= {
            what: said for what, said in self._wrong_relations(case).items() if what not in details
        }
        if not details:
            return
        late = self._late_fields(case) & details.keys()
        for fields, is_late in ((details.keys() - late, False), (late, True)):
            if fields:
                detail = "; ".join(f"{field}: {details[field]}" for field in sorted(fields))
                is_due, case.is_due_in = case.is_due_in, case.is_due_in or is_late
                case.find(
                    "ticket", Reason.DIFFERENT, detail, record=case.uuid, row=name, fields=fields
                )
                case.is_due_in = is_due

    def _late_fields(self, case: Case) -> set[str]:
        """Return the fields that follow reference data which is still to be carried."""
        late = {"category"} if self._late_categories else set()
        contact = case.bundle.ticket.contact
        if contact is not None and self._sides.late("contacts", [contact.uuid]):
            late |= {"e-mail", "contact"}
        return late

    def _wrong_relations(self, case: Case) -> dict[str, str]:
        """Follow the ids of a row to the records that they stand for."""
        wrong: dict[str, str] = {}
        ticket = case.bundle.ticket
        for what, kind, relation in (
            ("contact", "contacts", ticket.contact),
            ("unit", "units", ticket.unit),
            ("team", "teams", ticket.team),
        ):
            led_to = getattr(case.row, what)
            wanted = key(relation.uuid) if relation is not None else None
            if led_to == wanted:
                continue
            if led_to is None and (wanted is None or not self._sides.is_mirrored(kind, wanted)):
                # the helpdesk does not have it: the ticket names nobody, or who is known there alone
                continue
            wrong[what] = (
                f"leads to {led_to or 'nothing of TOGA 2'} instead of {wanted or 'nothing'}"
            )
        return wrong

    def _judge_time(self, case: Case, name: str) -> None:
        """A ticket that came from TOGA 2 has its time; one that was opened here has its own."""
        if case.bundle.own is not None or case.row is None:
            return
        expected = self._context.togadesk.local_text(case.bundle.ticket.created)
        if case.row.time != expected:
            detail = f"time: {case.row.time} instead of {expected}"
            case.find(
                "ticket", Reason.DIFFERENT, detail, record=case.uuid, row=name, fields=["time"],
                heals=False,
            )  # fmt: skip

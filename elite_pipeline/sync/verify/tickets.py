"""Verifies tickets, both ways: the helpdesk's rows as a whole, and TOGA 2's pages against them.

The helpdesk is read first, then TOGA 2 page by page (the first few pages beside the helpdesk), then what
is left over on either side is looked for. People and runs go on working meanwhile: a ticket in which
something differs is read once more, from both sides, before it is said.

What does not belong here: what differs (``judging``, ``unsent``, ``gone``).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from sys import getsizeof

from elite_pipeline.iteration import chunked, prefetch
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_trees import TICKETS_FLOW as INCOMING
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.ticket_outcomes import Bundle
from elite_pipeline.sync.ticket_reading import Fetched, TicketReader, is_gone
from elite_pipeline.sync.verify.category_tree import TreeJudge
from elite_pipeline.sync.verify.due import Due
from elite_pipeline.sync.verify.explaining import dead_letter, letter_for, not_yet_due
from elite_pipeline.sync.verify.findings import Count, Finding, Reason
from elite_pipeline.sync.verify.gone import Gone
from elite_pipeline.sync.verify.helpdesk import Helpdesk
from elite_pipeline.sync.verify.judging import Judge
from elite_pipeline.sync.verify.sides import COMMENTS, REPLIES, Sides, key
from elite_pipeline.sync.verify.unsent import Unsent
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

#: Tickets that are looked at once more, at most, and together: each is read by itself.
MOST_AGAIN = 2_000
_AGAIN_TOGETHER = 50
#: Pages that are read ahead, while the server makes rows ready and while files are compared: so many at
#: most, and no more than take so many bytes.
_PAGES_AHEAD = 20
_BYTES_AHEAD = 48 << 20
#: What a ticket or a note takes beside its text.
_BYTES_EACH = 2_000
#: Tickets that are judged together, at least, while pages are read.
_JUDGED_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of TOGA 2: its tickets, each once, and the people of the helpdesk who write as authors."""

    fetched: Fetched
    bundles: Sequence[Bundle]
    authors: Mapping[str, int]


class TicketVerifier:
    """Verifies the tickets of one client.

    Args:
        context: The client's systems.
        sides: Takes in both sides, and what is found; has reference data already.
        since: Only what changed since; aware. None: everything.
        with_bytes: Whether the bytes of files are compared.
        tree: What was found of the tree of categories; None: nothing keeps it in step.

    Attributes:
        counts: How many of a kind each side has.
        remarks: What an operator should know.
        files_compared: Files whose bytes were read on both sides.
    """

    def __init__(
        self,
        context: FlowContext,
        sides: Sides,
        *,
        since: datetime | None,
        with_bytes: bool,
        tree: TreeJudge | None,
    ) -> None:
        self._context = context
        self._sides = sides
        self._since = since
        self._routes = TICKET_ROUTES[context.client.toga2.integration_type]
        self._helpdesk = Helpdesk(context, sides)
        self._due = Due(context, sides)
        self._judge = Judge(context, sides, with_bytes=with_bytes, tree=tree)
        run = FlowRun(
            context, flow=INCOMING, watermark=watermarks.TICKETS, options=Options(full=True)
        )
        self._reader = TicketReader(context, run, remembers=False, versions_after=self._due.origin)
        self._to_judge: list[Bundle] = []
        self._listed = 0
        self.counts: list[Count] = []
        self.remarks: list[str] = []
        self.files_compared = 0

    def run(self) -> None:
        """Compare, and add what is found."""
        ahead = prefetch(self._pages(), ahead=_PAGES_AHEAD, weigh=_bytes_of, most=_BYTES_AHEAD)
        with closing(ahead) as pages:
            first = next(pages, None)
            self._helpdesk.read_all()
            self._due.find()
            for page in chain([] if first is None else [first], pages):
                self._judge_page(page)
        self._sides.index_there()
        if self._since is not None:
            self._judge_changed_notes(self._since)
        self._judge_waiting()
        self.files_compared = self._judge.files.compared
        self._count()
        self._judge_suspects()
        if self._context.client.flows.togadesk_to_toga2:
            Unsent(self._context, self._sides, self._since).find()
        Gone(self._context, self._sides, self._since, self._judge_again).find()

    def _pages(self) -> Iterator[_Page]:
        """Yield what TOGA 2 lists, with what only the helpdesk's server knows of it."""
        for page in self._context.toga2.pages(
            self._routes.tickets, after=self._since, depth=wire.FULL_DEPTH
        ):
            yield self._page(self._reader.complete(page))

    def _page(self, fetched: Fetched) -> _Page:
        bundles = _once(fetched.bundles)
        return _Page(fetched, bundles, self._judge.authors_of(bundles))

    def _judge_changed_notes(self, since: datetime) -> None:
        """Judge the tickets of notes that changed, and that have not changed themselves."""
        for page in self._context.toga2.pages(self._routes.notes, after=since):
            notes = self._routes.note_parser.many(page).records
            uuids = dict.fromkeys(note.ticket.uuid for note in notes if note.ticket is not None)
            listed = self._sides.listed(uuids)
            others = [uuid for uuid in uuids if key(uuid) not in listed]
            if others:
                self._judge_page(self._page(self._reader.fetch(others)))

    def _judge_page(self, page: _Page) -> None:
        fetched, bundles = page.fetched, page.bundles
        self._note(bundles)
        self._due.note_tickets(
            {bundle.ticket.uuid: bundle.ticket.updated for bundle in bundles}, fetched.versions
        )
        self._find_unreadable(fetched)
        if self._context.client.flows.toga2_to_togadesk:
            # those that need a closer look are few, as a rule: some pages' are looked at together
            self._to_judge += self._judge.to_look_at(bundles, page.authors)
            if len(self._to_judge) >= _JUDGED_TOGETHER:
                self._judge_waiting()
        self._listed += len(bundles) + len(fetched.unreadable)
        self._context.progress(f"tickets: {self._listed} of TOGA 2 compared")

    def _note(self, bundles: Sequence[Bundle]) -> None:
        """Note what TOGA 2 has, so that nothing is looked for there in vain."""
        self._sides.put_tickets_there(
            [
                (
                    bundle.ticket.uuid,
                    str(bundle.own) if bundle.own is not None else None,
                    bundle.ticket.updated.timestamp(),
                )
                for bundle in bundles
            ]
        )
        self._sides.put_notes_there([row for bundle in bundles for row in _notes_of(bundle)])

    def _judge_waiting(self) -> None:
        bundles, self._to_judge = _once(self._to_judge), []
        self._judge_bundles(bundles, is_last_look=False)

    def _judge_bundles(self, bundles: Sequence[Bundle], *, is_last_look: bool) -> None:
        for case in self._judge.judge(bundles) if bundles else ():
            if not case.findings:
                continue
            self._sides.add(case.findings, case.uuid)
            if not is_last_look and any(finding.is_difference for finding in case.findings):
                self._sides.suspect(case.uuid)

    def _find_unreadable(self, fetched: Fetched) -> None:
        if not fetched.unreadable:
            return
        letters = self._context.ledger.dead_letters.among(
            INCOMING, [name for name, _, _ in fetched.unreadable]
        )
        self._sides.put_tickets_there((name, None, None) for name, _, _ in fetched.unreadable)
        for name, updated, error in fetched.unreadable:
            if is_gone(error):
                continue
            finding = Finding(INCOMING, "ticket", Reason.NOT_COMPARABLE, name, detail=str(error))
            letter = letter_for(letters.get(name, ()), [])
            if letter is not None:
                finding = dead_letter(finding, letter)
            elif updated is not None and self._due.is_past(updated):
                finding = not_yet_due(finding)
            self._sides.add([finding], name)

    # Looking once more

    def _judge_suspects(self) -> None:
        suspects = self._sides.suspects(MOST_AGAIN + 1)
        if len(suspects) > MOST_AGAIN:
            self.remarks.append(
                f"more than {MOST_AGAIN} tickets differ: the first {MOST_AGAIN} were read once more to "
                "make sure, the others are listed as they were first seen"
            )
        for number, some in enumerate(chunked(suspects[:MOST_AGAIN], _AGAIN_TOGETHER), start=1):
            self._judge_again(some)
            self._context.progress(f"tickets: {number * _AGAIN_TOGETHER} looked at once more")

    def _judge_again(self, uuids: Sequence[str]) -> None:
        """Judge tickets as they are now."""
        there = self._judge.files.there
        fetched = self._reader.fetch(uuids)
        bundles = _once(fetched.bundles)
        self._helpdesk.read_again(bundles)
        self._note(bundles)
        for bundle in bundles:
            listed = self._sides.updated_there(bundle.ticket.uuid)
            if bundle.ticket.updated.timestamp() != listed:
                # it was changed since the list was read
                self._sides.put_due_there([bundle.ticket.uuid])
        self._sides.forget(uuids)
        self._find_unreadable(fetched)
        if self._context.client.flows.toga2_to_togadesk:
            # else nothing keeps what the helpdesk has in step: only what it sent is looked for
            self._judge_bundles(bundles, is_last_look=True)
        self._judge.files.there = there

    # Counting

    def _count(self) -> None:
        one, listed = self._sides.one, ""
        if self._since is not None:
            listed = " AND h.reference IN (SELECT uuid FROM {})"
        monitored = ", ".join(map(str, self._context.client.monitored_department_ids))
        there = "SELECT count(DISTINCT uuid) FROM tickets_there"
        here = (
            "SELECT count(*) FROM tickets_here h WHERE "
            f"(h.reference IS NOT NULL OR h.department IN ({monitored}))"
        )
        self.counts.append(Count("tickets", one(there), one(here + listed.format("tickets_there"))))
        # the files' own carriers are no messages
        notes_there = dict(
            self._sides.query(
                "SELECT external, count(DISTINCT uuid) FROM notes_there "
                "WHERE coalesce(own, '') NOT LIKE 'togadesk:files:%' GROUP BY external"
            )
        )
        for what, place, external in (
            ("external notes", REPLIES, 1),
            ("internal notes", COMMENTS, 0),
        ):
            # a reply that carries its ticket's own reference is the description
            here = (
                "SELECT count(*) FROM messages_here h JOIN tickets_here t ON t.id = h.ticket "
                f"WHERE h.place = '{place}' AND t.reference IS NOT NULL "
                f"AND (h.reference IS NOT NULL OR t.department IN ({monitored})) "
                "AND coalesce(h.reference, '') <> t.reference"
            )
            self.counts.append(
                Count(what, notes_there.get(external, 0), one(here + listed.format("notes_there")))
            )
        files = (
            "SELECT count(*) FROM files_here WHERE name NOT LIKE '%full-text-____________.html.txt'"
        )
        if self._since is None:
            self.counts.append(Count("files", self._judge.files.there, one(files)))


def _notes_of(bundle: Bundle) -> list[tuple[str, str, str | None, bool]]:
    """Return the notes of a ticket: their key, the ticket's, their own key, whether they are external."""
    ticket = key(bundle.ticket.uuid)
    # nearly none has any
    own = {uuid: str(its) for uuid, its in bundle.own_notes.items()}
    rows = [(key(note.uuid), ticket, own.get(note.uuid), note.is_external) for note in bundle.notes]
    rows += [(key(one.name), ticket, None, not one.is_private) for one in bundle.malformed]
    return rows


def _bytes_of(page: _Page) -> int:
    """Return about what a page takes in memory."""
    texts = [bundle.ticket.description for bundle in page.bundles]
    texts += [note.body for bundle in page.bundles for note in bundle.notes]
    others = len(page.fetched.unreadable) + sum(len(bundle.malformed) for bundle in page.bundles)
    # one emoji makes every character of its text four times as large
    return (len(texts) + others) * _BYTES_EACH + sum(map(getsizeof, texts))


def _once(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Return each ticket once: of two versions the later one counts."""
    return list({bundle.ticket.uuid: bundle for bundle in bundles}.values())

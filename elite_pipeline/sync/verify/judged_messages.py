"""Judges the messages of a ticket: its description, and notes as replies or as internal comments.

What does not belong here: the ticket (``judging``), files (``judged_files``).
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.ticket_batch import find_authors
from elite_pipeline.sync.ticket_outcomes import NOTE
from elite_pipeline.sync.ticket_rows import author_email
from elite_pipeline.sync.verify.cases import Case
from elite_pipeline.sync.verify.findings import Reason
from elite_pipeline.sync.verify.sides import COMMENTS, REPLIES, MessageHere, key
from elite_pipeline.sync.verify.watching import Difference
from elite_pipeline.toga2.models import TicketNote

#: Column of a message -> what people call it.
_FIELDS = {"ticketid": "ticket", "peopleid": "author", "message": "text", "comment": "text"}
#: Kind of a key -> where its row stands.
_WAITING = {"reply": REPLIES, "comment": COMMENTS}
#: Characters that are quoted of a text, from where two of them begin to differ.
_QUOTED = 40


class MessageJudge:
    """Judges messages of one client."""

    def __init__(self, context: FlowContext) -> None:
        self._context = context

    def judge(self, case: Case) -> None:
        """Judge all messages of a ticket that has a row."""
        failed = set(self._failures(case))
        self.judge_privacy(case)
        self._judge_description(case)
        for note in case.bundle.notes:
            if note.uuid not in failed:
                self._judge_note(case, note)
        self._judge_authors(case)

    def judge_privacy(self, case: Case) -> None:
        """Find internal notes that stand among the replies, whatever else is the matter (10.6)."""
        for note in case.bundle.notes:
            if not note.is_external:
                for row in case.rows_of(note.uuid, REPLIES):
                    detail = "it is internal in TOGA 2, and stands as a public reply"
                    case.find(
                        "internal note", Reason.PRIVATE_SHOWN, detail, record=note.uuid, row=row.row
                    )

    def _failures(self, case: Case) -> Iterator[str]:
        """Find the parts of a ticket that the engine cannot carry; yield what they are called."""
        if case.outcome is None:
            return
        for name, _, error in case.outcome.note_failures:
            yield name
            rows = case.messages.get(key(name), [])
            reason = Reason.NOT_COMPARABLE if rows else Reason.MISSING
            row = rows[0].row if rows else ""
            case.find("note", reason, str(error), record=name, row=row, called=[NOTE + name])

    def _judge_description(self, case: Case) -> None:
        ticket, own = case.bundle.ticket, case.bundle.own
        rows = case.rows_of(case.uuid, REPLIES)
        is_asked_for = case.uuid in case.noted.references(REPLIES)
        if not rows:
            is_waited_for = self._is_waited_for(case, case.uuid)
            # one that was opened in the helpdesk without a word has no row for it
            is_expected = bool(ticket.description) or own is None
            if is_asked_for or (is_expected and not is_waited_for):
                detail = "its ticket has no first reply with it"
                case.find("description", Reason.MISSING, detail, record=case.uuid)
            return
        self._judge_rows(case, "description", case.uuid, rows)
        if own is None:
            self._judge_time(case, "description", case.uuid, rows[0], ticket.created)

    def _judge_note(self, case: Case, note: TicketNote) -> None:
        own = case.bundle.own_notes.get(note.uuid)
        kind = "external note" if note.is_external else "internal note"
        place, other = (REPLIES, COMMENTS) if note.is_external else (COMMENTS, REPLIES)
        rows, wrong = case.rows_of(note.uuid, place), case.rows_of(note.uuid, other)
        for row in wrong if note.is_external else ():
            reason = Reason.DOUBLED if rows else Reason.DIFFERENT
            detail = "it is external in TOGA 2, and stands as an internal comment"
            case.find(kind, reason, detail, record=note.uuid, row=row.row, fields=["visibility"])
        if rows:
            self._judge_rows(case, kind, note.uuid, rows)
            if own is None:
                self._judge_time(case, kind, note.uuid, rows[0], note.created)
            return
        if wrong or self._has_a_twin(case, note):
            return
        is_asked_for = note.uuid in case.noted.references(place)
        if not is_asked_for and self._carries_files(case, note):
            return
        if is_asked_for or not self._is_waited_for(case, note.uuid):
            detail = f"the helpdesk has no row for it in {place}"
            case.find(kind, Reason.MISSING, detail, record=note.uuid, called=[NOTE + note.uuid])

    def _has_a_twin(self, case: Case, note: TicketNote) -> bool:
        """Tell whether another note of the same key has its row (``gone`` finds the two)."""
        own = case.bundle.own_notes.get(note.uuid)
        place = _WAITING.get(own.kind) if own is not None else None
        row = case.own_messages.get((place, own.id)) if own is not None and place else None
        return row is not None and any(
            key(other) == row.reference and other_own == own
            for other, other_own in case.bundle.own_notes.items()
        )

    def _carries_files(self, case: Case, note: TicketNote) -> bool:
        """Tell whether it is a note for the files of a description, which has no row of its own."""
        own = case.bundle.own_notes.get(note.uuid)
        return (
            own is not None
            and own.kind == "files"
            and note.is_external
            and (REPLIES, own.id) in case.own_messages
        )

    def _is_waited_for(self, case: Case, uuid: str) -> bool:
        """Tell whether the row is there and only does not know yet what it is (``unsent`` finds it)."""
        if uuid == case.uuid:
            waits = case.outcome.waiting if case.outcome is not None else ()
            return any((one.kind, one.target) == ("reply", uuid) for one in waits)
        own = case.bundle.own_notes.get(uuid)
        place = _WAITING.get(own.kind) if own is not None else None
        if own is None or place is None:
            return False
        row = case.own_messages.get((place, own.id))
        return row is not None and row.reference is None

    def _judge_rows(self, case: Case, kind: str, uuid: str, rows: list[MessageHere]) -> None:
        row = rows[0]
        if len(rows) > 1:
            ids = ", ".join(str(one.id) for one in rows)
            detail = f"{len(rows)} rows of {row.place} say that they are it: {ids}"
            case.find(kind, Reason.DOUBLED, detail, record=uuid, row=row.row)
        details: dict[str, str] = {}
        if case.row is not None and row.ticket != case.row.id:
            details["ticket"] = f"stands under ticket {row.ticket} instead of {case.row.id}"
        difference = case.noted.changed.get(row.place, {}).get(row.id)
        if difference is not None:
            details |= _in_words(difference)
        if details:
            detail = "; ".join(f"{field}: {said}" for field, said in sorted(details.items()))
            case.find(
                kind, Reason.DIFFERENT, detail, record=uuid, row=row.row, fields=details,
                called=[NOTE + uuid],
            )  # fmt: skip

    def _judge_time(
        self, case: Case, kind: str, uuid: str, row: MessageHere, written: datetime
    ) -> None:
        expected = self._context.togadesk.local_text(written)
        if row.time != expected:
            detail = f"time: {row.time} instead of {expected}"
            case.find(
                kind, Reason.DIFFERENT, detail, record=uuid, row=row.row, fields=["time"],
                heals=False,
            )  # fmt: skip

    def _judge_authors(self, case: Case) -> None:
        """Who wrote a row in the helpdesk is who TOGA 2 names, unless nobody has that address now."""
        sent = [
            (note, row)
            for note in case.bundle.notes
            if note.uuid in case.bundle.own_notes and author_email(note)
            for row in case.messages.get(key(note.uuid), ())
            if row.person > 0
        ]
        if not sent:
            return
        context = self._context
        emails = {author_email(note) for note, _ in sent}
        authors = context.togadesk.run(partial(find_authors, store=context.togadesk, emails=emails))
        for note, row in sent:
            author = authors.get(author_email(note), row.person)
            if author != row.person:
                detail = f"author: person {row.person}, and TOGA 2 names person {author}"
                case.find(
                    "external note" if note.is_external else "internal note", Reason.DIFFERENT,
                    detail, record=note.uuid, row=row.row, fields=["author"], heals=False,
                )  # fmt: skip


def _in_words(difference: Difference) -> dict[str, str]:
    """Return what differs of a message, by what people call it."""
    said: dict[str, str] = {}
    for column, wanted in difference.wanted.items():
        name, current = _FIELDS.get(column, column), difference.row[column]
        if name == "text":
            said[name] = _texts(str(current), str(wanted))
        elif name == "author":
            said[name] = f"person {current} instead of {wanted or 'nobody'}"
        else:
            said[name] = f"stands under ticket {current} instead of {wanted}"
    return said


def _texts(current: str, wanted: str) -> str:
    """Say where two texts begin to differ."""
    at = next(
        (
            place
            for place, (one, other) in enumerate(zip(current, wanted, strict=False))
            if one != other
        ),
        min(len(current), len(wanted)),
    )
    return (
        f"{len(current)} characters instead of {len(wanted)}, another from character {at + 1} on: "
        f"{current[at : at + _QUOTED]!r} instead of {wanted[at : at + _QUOTED]!r}"
    )

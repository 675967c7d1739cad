"""Judges the files of messages: missing, doubled, shown where they must not be, stored wrongly; bytes.

Follows ``spec/sync.md`` section 6: names count as often as they are there, and size tells two of one name
apart; which row is which file is for the engine to say (``file_pairs``).

What does not belong here: reading the bytes (``file_bytes``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from elite_pipeline.errors import PipelineError, SystemicError
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.file_pairs import FilePair, FilePairs
from elite_pipeline.sync.long_texts import is_full_text
from elite_pipeline.sync.outgoing_rows import FLOW as OUTGOING
from elite_pipeline.sync.ticket_outcomes import NOTE, FileTarget
from elite_pipeline.sync.verify.cases import Case
from elite_pipeline.sync.verify.file_bytes import FileBytes
from elite_pipeline.sync.verify.findings import Reason
from elite_pipeline.sync.verify.sides import COMMENTS, REPLIES, Sides, key
from elite_pipeline.sync.wanted_files import WantedFile, private_tag
from elite_pipeline.togadesk import Row


@dataclass(slots=True)
class Place:
    """Where the files of a message are, and which they are on both sides.

    Attributes:
        target: The message, with all files that TOGA 2 has for it.
        is_own: The message was written in the helpdesk.
        rows: The helpdesk's rows.
        pairs: Which row is which file.
    """

    case: Case
    target: FileTarget
    is_own: bool
    rows: list[Row] = field(default_factory=list)
    pairs: list[FilePair] = field(default_factory=list)

    @property
    def is_private(self) -> bool:
        """Whether it belongs to an internal note."""
        return self.target.reply_id is None


class FileJudge:
    """Judges files of one client.

    Args:
        context: The client's systems.
        sides: What the helpdesk has.
        with_bytes: Whether bytes are compared.

    Attributes:
        there: Files that TOGA 2 has, as often as they hang on a note.
        compared: Files whose bytes were read on both sides.
    """

    def __init__(self, context: FlowContext, sides: Sides, *, with_bytes: bool) -> None:
        self._context = context
        self._sides = sides
        self._pairs = FilePairs(context.togadesk, context.uploads)
        self._bytes = FileBytes(context) if with_bytes else None
        self.there = self.compared = 0

    def judge(self, cases: Sequence[Case]) -> None:
        """Judge the files of all messages that have a row."""
        replies, tags = self._rows_of(cases)
        places = [place for case in cases for place in self._places(case, replies, tags)]
        paired: list[Place] = []
        for place in places:
            try:
                place.pairs = self._pairs.of(place.target, place.rows)
            except SystemicError:
                raise
            except PipelineError as error:
                note = place.target.note
                place.case.find(
                    "file", Reason.NOT_COMPARABLE, str(error), record=note, called=[NOTE + note]
                )
                continue
            paired.append(place)
        by_case: dict[str, list[Place]] = {}
        for place in paired:
            by_case.setdefault(place.case.uuid, []).append(place)
        for some in by_case.values():
            self._judge_ticket(some)
        for place in paired:
            self._judge_stored(place)
        if self._bytes is not None:
            self._judge_bytes(self._bytes, paired)

    def _rows_of(self, cases: Sequence[Case]) -> tuple[dict[int, list[Row]], dict[str, list[Row]]]:
        """Return the helpdesk's rows of files, by their reply and by the tag of their internal note."""
        messages = [
            (note, row)
            for case in cases
            for note in (case.uuid, *(note.uuid for note in case.bundle.notes))
            for row in case.messages.get(key(note), ())
        ]
        replies = [row.id for _, row in messages if row.place == REPLIES]
        tags = [private_tag(note) for note, row in messages if row.place == COMMENTS]
        return self._sides.files_of_replies(replies), self._sides.files_of_tags(tags)

    def _places(
        self, case: Case, replies: Mapping[int, list[Row]], tags: Mapping[str, list[Row]]
    ) -> Iterator[Place]:
        """Yield the messages of a ticket that have files on either side; two can be under one reply."""
        wanted: dict[int | str, list[WantedFile]] = {}
        for target in case.outcome.files if case.outcome is not None else ():
            self.there += sum(1 for file in target.files if file.uuid is not None)
            wanted.setdefault(target.reply_id or target.note, []).extend(target.files)
        if not (wanted or replies or tags):
            return
        bundle = case.bundle
        messages = [(case.uuid, True, bundle.own is not None)]
        messages += [
            (note.uuid, note.is_external, note.uuid in bundle.own_notes) for note in bundle.notes
        ]
        for uuid, is_public, is_own in messages:
            for row in case.rows_of(uuid, REPLIES if is_public else COMMENTS)[:1]:
                reply = row.id if is_public else None
                files = tuple(wanted.get(reply or uuid, ()))
                rows = (
                    replies.get(row.id, [])
                    if is_public
                    else (tags.get(private_tag(uuid), []) if tags else [])
                )
                if files or rows:
                    yield Place(case, FileTarget(uuid, reply, files), is_own, rows)

    # Which are there

    def _judge_ticket(self, places: Sequence[Place]) -> None:
        lacking = [(place, pair) for place in places for pair in place.pairs if pair.size is None]
        surplus = [(place, row) for place in places for row in self._surplus(place)]
        for place, row in list(surplus):
            hidden = next(
                (
                    (other, pair)
                    for other, pair in lacking
                    if other.is_private
                    and not place.is_private
                    and pair.row is None
                    and self._is_like(place, row, other, pair.file)
                ),
                None,
            )
            tags = {private_tag(other.target.note) for other in places if other.is_private}
            if hidden is not None or any(row.name.lower().startswith(tag) for tag in tags):
                surplus.remove((place, row))
                if hidden is not None:
                    lacking.remove(hidden)
                detail = "a file of an internal note stands under a public reply"
                record = hidden[1].file.uuid or "" if hidden is not None else ""
                place.case.find(
                    "file", Reason.PRIVATE_SHOWN, detail, record=record, row=f"files {row.id}"
                )
        for place, pair in lacking:
            self._find_lacking(place, pair)
        for place, row in surplus:
            self._find_surplus(place, row)

    def _surplus(self, place: Place) -> list[Row]:
        paired = {pair.row.id for pair in place.pairs if pair.row is not None}
        return [row for row in place.rows if row.id not in paired]

    def _is_like(self, place: Place, row: Row, other: Place, file: WantedFile) -> bool:
        """Tell whether a row is a file of another message, by name and size."""
        try:
            likeness = self._pairs.likeness(place.target, row)
        except PipelineError:
            return False
        # both names in the form of the other message
        known = self._pairs.known_as(other.target, row.name)
        names = {known, self._pairs.known_as(other.target, likeness.name)}
        wanted = self._pairs.known_as(other.target, file.name)
        is_size = None in (likeness.size, file.size) or likeness.size == file.size
        return is_size and any(name.endswith(wanted) for name in names)

    def _find_lacking(self, place: Place, pair: FilePair) -> None:
        file = pair.file
        called = [file.record, NOTE + place.target.note]
        name = f"{file.name!r} of {'internal' if place.is_private else 'public'} message"
        if pair.row is not None:
            place.case.find(
                "file", Reason.MISSING,
                f"{name} {place.target.note}: its bytes are not in the uploads folder",
                record=file.uuid or "", row=f"files {pair.row.id}", called=called,
            )  # fmt: skip
        elif place.is_own and self._is_again(place, file):
            place.case.find(
                "file", Reason.DOUBLED,
                f"{name} {place.target.note}: it hangs more often on the note in TOGA 2 than the "
                "helpdesk has it",
                record=file.uuid or "", flow=OUTGOING,
            )  # fmt: skip
        else:
            place.case.find(
                "file", Reason.MISSING, f"{name} {place.target.note}: the helpdesk does not have it",
                record=file.uuid or "", called=called,
            )  # fmt: skip

    def _is_again(self, place: Place, file: WantedFile) -> bool:
        """Tell whether a file that has no row is another one once more."""
        name = self._pairs.known_as(place.target, file.name)
        return any(
            pair.row is not None
            and pair.size == file.size
            and self._pairs.known_as(place.target, pair.file.name) == name
            for pair in place.pairs
        )

    def _find_surplus(self, place: Place, row: Row) -> None:
        name = f"{row.name!r} of message {place.target.note}"
        here = f"files {row.id}"
        if is_full_text(row.name):
            detail = f"{name}: it holds the whole of a text that is another one by now"
            place.case.find("file", Reason.DIFFERENT, detail, row=here)
            return
        try:
            likeness = self._pairs.likeness(place.target, row)
        except PipelineError as error:
            place.case.find("file", Reason.NOT_COMPARABLE, f"{name}: {error}", row=here)
            return
        is_again = any(
            pair.row is not None
            and pair.size == likeness.size
            and self._pairs.known_as(place.target, pair.file.name) == likeness.name
            for pair in place.pairs
        )
        if is_again and not place.is_own:
            detail = f"{name}: the helpdesk has it more often than the note in TOGA 2"
            place.case.find("file", Reason.DOUBLED, detail, row=here)
        else:
            detail = f"{name}: TOGA 2 does not have it"
            if likeness.size is None:
                detail += ", and its bytes are not in the uploads folder"
            place.case.find(
                "file", Reason.MISSING, detail, row=here, flow=OUTGOING, heals=False,
                called=[f"file {row.id}"],
            )  # fmt: skip

    # How they are stored

    def _judge_stored(self, place: Place) -> None:
        for pair in place.pairs:
            row, size = pair.row, pair.size
            if row is None or size is None:
                continue
            wrong: dict[str, str] = {}
            # an older form of the helpdesk leaves the size of people's files empty
            if row.filesize != size and (row.filesize or not place.is_own):
                wrong["size"] = f"says {row.filesize} bytes and has {size}"
            if not row.file.startswith(f"{row.id}-"):
                wrong["stored name"] = f"{row.file!r} does not begin with {row.id}-"
            kind = self._expected_type(pair.file)
            if not place.is_own and kind and "/" in row.filetype and row.filetype != kind:
                wrong["type"] = f"{row.filetype!r} instead of {kind!r}"
            if wrong:
                detail = "; ".join(f"{what}: {said}" for what, said in sorted(wrong.items()))
                place.case.find(
                    "file", Reason.DIFFERENT, f"{pair.file.name!r}: {detail}",
                    record=pair.file.uuid or "", row=f"files {row.id}", fields=wrong, heals=False,
                )  # fmt: skip

    def _expected_type(self, file: WantedFile) -> str:
        return self._context.togadesk.fit("files", "filetype", file.content_type[:200])

    # Bytes

    def _judge_bytes(self, file_bytes: FileBytes, places: Sequence[Place]) -> None:
        asked = [
            (place, pair)
            for place in places
            for pair in place.pairs
            if pair.row is not None and pair.size is not None
        ]
        pairs = [pair for _, pair in asked]
        groups = [
            (place.target.note, self._pairs.known_as(place.target, pair.file.name), pair.size)
            for place, pair in asked
        ]
        for (place, pair), verdict in zip(asked, file_bytes.compare(pairs, groups), strict=True):
            record, row = pair.file.uuid or "", f"files {pair.row.id if pair.row else ''}"
            if isinstance(verdict, PipelineError):
                place.case.find(
                    "file", Reason.NOT_COMPARABLE, f"{pair.file.name!r}: {verdict}",
                    record=record, row=row, called=[pair.file.record],
                )  # fmt: skip
                continue
            self.compared += 1
            if not verdict:
                detail = f"{pair.file.name!r}: {pair.size} bytes on both sides, not the same ones"
                place.case.find("file", Reason.BYTES_DIFFER, detail, record=record, row=row)

"""Brings files of TOGA 2 into the helpdesk: a row, the bytes, and then what the row says of them.

Follows ``spec/sync.md`` section 6. The row comes first, because the name in the uploads folder begins
with its id; it is filled in last. What a run that was cut off has left is a row without bytes, or bytes
that no row names: either way the next run completes that row.

What does not belong here: which rows there are (``file_rows``), the folder (``togadesk.uploads``).
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError, TransientError
from elite_pipeline.iteration import chunked
from elite_pipeline.sync.file_pairs import FilePairs
from elite_pipeline.sync.file_rows import TABLE, find_rows, show_files, tagged_name
from elite_pipeline.sync.ticket_outcomes import FileTarget
from elite_pipeline.sync.wanted_files import WantedFile
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.jobs import BREAKER_LIMIT
from elite_pipeline.togadesk import Row, TogadeskStore, Tx, Uploads, file_names

logger = logging.getLogger(__name__)

#: Larger ones are carried one at a time, so that memory holds one of them.
LARGE_BYTES = 4 << 20
#: Rows that are filled in together: so much at most is carried again after a run that was killed.
FILES_PER_FILL = 20
#: No file takes so long to be written.
LEFTOVER_SECONDS = 3600.0


@dataclass(slots=True)
class FileReport:
    """What became of files.

    Attributes:
        created: Uuid of a note -> how many were written under it.
        failures: Uuid of a note -> records that failed, and why.
    """

    created: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[tuple[str, Exception]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Missing:
    """A file whose bytes are not there, and the row that waits for them; None: it has none yet."""

    target: FileTarget
    file: WantedFile
    row: Row | None


class FileWriter:
    """Writes files of one client's messages, for one run.

    So many in a row that fail for a passing reason are not so many poor files: TOGA 2 gives none, or the
    folder takes none. The run then asks for no more of them, each waits as a dead letter, and tickets and
    notes go on.
    """

    def __init__(self, store: TogadeskStore, toga2: Toga2Client, uploads: Uploads) -> None:
        self._store = store
        self._toga2 = toga2
        self._uploads = uploads
        self._pairs = FilePairs(store, uploads)
        self._large = Lock()
        self._is_clean = False
        self._guard = Lock()
        self._in_a_row = 0
        self._given_up: str | None = None

    def write(self, targets: Sequence[FileTarget]) -> FileReport:
        """Write what is missing.

        Args:
            targets: Messages that have files, whose rows are there.

        Raises:
            SystemicError, TransientError: TOGA 2 or the database fails, not a file.
        """
        report = FileReport()
        targets = [target for target in targets if target.files]
        if not targets:
            return report
        missing = self._with_hidden(targets, self._missing(targets, report), report)
        if any(one.row is None for one in missing):
            self._store.run(partial(self._insert, [one for one in missing if one.row is None]))
            # read back: their ids are known by what they were given
            missing = self._missing(targets, FileReport())
        self._carry(missing, report)
        return report

    def _with_hidden(
        self, targets: Sequence[FileTarget], missing: list[_Missing], report: FileReport
    ) -> list[_Missing]:
        """Look for what replies lack among the files of internal notes, and bring it under them.

        A run that was cut off between making a note public and taking its files along has left them
        there.
        """
        lacking = {
            one.target.note
            for one in missing
            if one.row is None and one.target.reply_id is not None and not one.target.was_private
        }
        if not lacking:
            return missing
        again = [replace(one, was_private=True) for one in targets if one.note in lacking]
        found = [one for one in missing if one.target.note not in lacking]
        found += self._missing(again, report)
        places = {target.note: place for place, target in enumerate(targets)}
        return sorted(found, key=lambda one: places[one.target.note])

    def remove(self, stored: Iterable[str]) -> None:
        """Remove bytes that no row names any more; what cannot be removed is in nobody's way."""
        for name in stored:
            try:
                self._uploads.remove(name)
            except (PermanentError, TransientError):
                logger.warning("a file that no row names any more could not be removed: %s", name)

    def _missing(self, targets: Sequence[FileTarget], report: FileReport) -> list[_Missing]:
        rows = self._store.run(partial(self._found, targets))
        missing: list[_Missing] = []
        for target in targets:
            try:
                pairs = self._pairs.of(target, rows[target.note])
            except PipelineError as error:
                if isinstance(error, SystemicError):
                    raise
                report.failures.setdefault(target.note, []).append((f"note {target.note}", error))
                continue
            missing += [
                _Missing(target, pair.file, pair.row) for pair in pairs if pair.size is None
            ]
        return missing

    @staticmethod
    def _found(targets: Sequence[FileTarget], tx: Tx) -> dict[str, list[Row]]:
        rows = find_rows(tx, targets)
        for target in targets:
            if target.was_private and target.reply_id is not None:
                show_files(tx, target, rows[target.note])
        return rows

    def _named(self, target: FileTarget, file: WantedFile) -> str:
        """Return a file's name as people see it."""
        limits = self._store.limits(TABLE, "name")
        if target.reply_id is None:
            return tagged_name(target.note, file.name, limits)
        return file_names.shown_name(file.name, limits)

    def _insert(self, missing: Sequence[_Missing], tx: Tx) -> None:
        tx.insert(
            TABLE,
            [
                {
                    "ticketreplyid": one.target.reply_id or 0,
                    "name": self._named(one.target, one.file),
                    "file": "",
                    "filetype": self._store.fit(TABLE, "filetype", one.file.content_type[:200]),
                    "filesize": 0,
                }
                for one in missing
            ],
        )

    def _carry(self, missing: Sequence[_Missing], report: FileReport) -> None:
        filled: list[dict[str, object]] = []
        refused: list[int] = []

        def carry(one: _Missing) -> None:
            row = one.row
            if row is None:
                return
            try:
                self._check_worth_trying()
                filled.append(self._carry_one(one.file, row))
            except SystemicError:
                raise
            except PipelineError as error:
                report.failures.setdefault(one.target.note, []).append((one.file.record, error))
                self._take_in(error)
                if not row.file:
                    refused.append(row.id)
            else:
                self._take_in(None)
                note = one.target.note
                report.created[note] = report.created.get(note, 0) + 1

        self._clean()
        for some in chunked(missing, FILES_PER_FILL):
            try:
                self._toga2.run_many([partial(carry, one) for one in some], "files")
            finally:
                self._store.run(partial(self._fill, filled, refused))
                filled.clear()
                refused.clear()

    def _check_worth_trying(self) -> None:
        if self._given_up is not None:
            raise TransientError(
                f"it was not tried: {BREAKER_LIMIT} files in a row had failed before it; the last one: "
                f"{self._given_up}"
            )

    def _take_in(self, error: Exception | None) -> None:
        """Take in how a file went; once so many have failed in a row, the run tries no more."""
        with self._guard:
            self._in_a_row = self._in_a_row + 1 if isinstance(error, TransientError) else 0
            if self._in_a_row >= BREAKER_LIMIT and self._given_up is None:
                self._given_up = str(error)

    def _clean(self) -> None:
        """Remove, once, what runs that were killed have left half written; it is in nobody's way."""
        if not self._is_clean:
            self._is_clean = True
            with suppress(PermanentError, TransientError):
                self._uploads.clean(LEFTOVER_SECONDS)

    def _carry_one(self, file: WantedFile, row: Row) -> dict[str, object]:
        limits = self._store.limits(TABLE, "file")
        stored = row.file or file_names.stored_name(row.id, file.name, limits)
        if file.uuid is None:
            size, kind = self._uploads.write(stored, [file.content]), file.content_type
        elif file.size is not None and file.size <= LARGE_BYTES:
            size, kind = self._download(file.uuid, stored)
        else:
            with self._large:
                size, kind = self._download(file.uuid, stored)
        if file.size is not None and size != file.size:
            raise TransientError(
                f"TOGA 2 says that the file has {file.size} bytes and gave {size}; it is asked again"
            )
        kind = self._store.fit(TABLE, "filetype", (kind or file.content_type)[:200])
        return {"id": row.id, "file": stored, "filetype": kind, "filesize": size}

    def _download(self, uuid: str, stored: str) -> tuple[int, str]:
        content = self._toga2.download(uuid)
        return self._uploads.write(stored, content.chunks()), content.content_type or ""

    @staticmethod
    def _fill(filled: Sequence[Mapping[str, object]], refused: Sequence[int], tx: Tx) -> None:
        tx.update(TABLE, filled)
        # else people would see an attachment that cannot be opened
        tx.delete(TABLE, refused)

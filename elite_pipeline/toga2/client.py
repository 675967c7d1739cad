"""TOGA 2 as the engine sees it: lists as streams of pages, many calls at once, writes, files.

The traps of ``spec/systems.md`` section 2 are closed by construction: there is no way to list a note's
files except by reading the note, the key of those files is spelled once, and every read raises on an
error, so that no error can look like an empty list.

What does not belong here: the single request (``calls``), and how anything is spelled (``wire``).
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import BinaryIO, Self, TypeVar

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError
from elite_pipeline.planning import Planner
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.calls import Calls, in_address
from elite_pipeline.toga2.file_bodies import FileContent, decode_file
from elite_pipeline.toga2.jobs import Workers
from elite_pipeline.toga2.models import Parameter, RecordParser, updated_of, uuid_of
from elite_pipeline.toga2.paging import iterate_pages
from elite_pipeline.toga2.planned_calls import PlannedCalls
from elite_pipeline.transport import Transport

T = TypeVar("T")

#: Pages of parameters of a few names: far more than anybody has made by mistake.
MOST_PARAMETER_PAGES = 50
#: Pages that :meth:`Toga2Client.find` reads; who finds more has not said what is meant.
MOST_FOUND_PAGES = 50

_PARAMETERS = RecordParser(Parameter)


class Toga2Client:
    """One client's access to TOGA 2. Safe to use from several threads.

    Args:
        transport: Its session; closed with this client.
        base_url: Up to and with the version, without a trailing slash.
        credentials: API key and secret.
        client_uuid: Who the calls are for.
        max_in_flight: Requests at once, at most.
        page_size: Records a page.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        base_url: str,
        credentials: tuple[str, str],
        client_uuid: str,
        max_in_flight: int,
        page_size: int = wire.PAGE_SIZE,
    ) -> None:
        self._calls = Calls(
            transport,
            base_url=base_url,
            credentials=credentials,
            client_uuid=client_uuid,
            page_size=page_size,
        )
        self._page_size = page_size
        self._workers = Workers(max_in_flight)

    def planning(self, planner: Planner) -> Self:
        """Return a twin for a dry run: it reads, and plans what it is to write.

        It works on this client's connections and threads, and need not be closed.
        """
        twin = copy.copy(self)
        twin._calls = PlannedCalls(self._calls, planner)  # noqa: SLF001 - of its own kind
        return twin

    @property
    def calls(self) -> int:
        """Requests sent so far, retries included."""
        return self._calls.sent

    @property
    def in_doubt(self) -> int:
        """Calls so far that were to change something, and nobody knows whether they did."""
        return self._calls.in_doubt

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes the secrets out of a text."""
        return self._calls.redact

    def close(self) -> None:
        """End the worker threads and close the connections."""
        self._workers.close()
        self._calls.close()

    def pages(
        self, resource: wire.Resource, *, after: datetime | None = None, depth: int = 1
    ) -> Iterator[list[object]]:
        """Yield the records changed after an instant, page by page, oldest first, unparsed.

        Args:
            resource: What to list.
            after: Aware; None lists everything.
            depth: Levels of relations to ask for; a list may or may not honour it [A].

        Raises:
            TransientError, PermanentError, SystemicError: As the transport says; never an empty page
                instead.
        """
        self._calls.list_started.pop(resource.route, None)
        return iterate_pages(
            partial(self._calls.page, resource, depth, is_timed=True),
            after=wire.format_time(after) if after is not None else None,
            page_size=self._page_size,
            name=resource.route,
        )

    def oldest_after(
        self, resource: wire.Resource, after: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Ask in the smallest call there is whether something was changed after an instant.

        Args:
            resource: What to list.
            after: Aware.

        Returns:
            The time of the oldest change after it, None where there is none; and when TOGA 2 answered,
            by its own clock (Date), None where it does not say.

        Raises:
            TransientError, PermanentError: As the transport says.
            SystemicError: As the transport says; or the filter on time is ignored.
        """
        self._calls.list_started.pop(resource.route, None)
        filters = [wire.where("_updated", ">", wire.format_time(after))]
        found = self._calls.page(resource, 1, filters, is_timed=True, limit=1)
        answered = self.list_started(resource)
        if not found:
            return None, answered
        oldest = updated_of(found[0])
        if oldest is not None and oldest <= after.replace(microsecond=0):
            raise SystemicError(
                f"TOGA 2: the list of {resource.route} gave a record of "
                f"{wire.format_time(oldest)}, which is not after {wire.format_time(after)}: its "
                "filters seem to be ignored. See docs/assumptions.md, paging."
            )
        # one that does not say when it was changed is read, and told of, by a run
        return oldest or after, answered

    def list_started(self, resource: wire.Resource) -> datetime | None:
        """Return when TOGA 2 answered the first page of the latest list, by its own clock (Date).

        None when there was no page yet, or it did not say.
        """
        return self._calls.list_started.get(resource.route)

    def fetch(self, resource: wire.Resource, uuid: str, *, depth: int) -> dict[str, object]:
        """Read one record.

        Raises:
            PermanentError: There is none with that uuid, or its uuid cannot stand in an address.
            TransientError, SystemicError: As the transport says.
        """
        return self._calls.one(resource, uuid, depth, parse=partial(wire.read_one, resource))

    def fetch_many(
        self, resource: wire.Resource, uuids: Sequence[str], *, depth: int
    ) -> list[dict[str, object] | PipelineError]:
        """Read many records, up to ``max_in_flight`` at once; one that fails spoils no other.

        Returns:
            One entry per uuid, in their order: the record, or the transient or permanent error that
            reading it met.

        Raises:
            SystemicError: The host or the credentials fail, or so many reads in a row get no answer
                that it must be the host.
        """
        return self.run_many(
            [partial(self.fetch, resource, uuid, depth=depth) for uuid in uuids], "reads"
        )

    def run_many(
        self, jobs: Sequence[Callable[[], T]], what: str = "jobs"
    ) -> list[T | PipelineError]:
        """Run jobs, up to ``max_in_flight`` at once, each of them making calls one after the other.

        A job must not use :meth:`fetch_many` or this. None of them runs any more when this returns or
        raises.

        Args:
            jobs: Callables without arguments.
            what: What to call them in a message, in the plural.

        Returns:
            One entry per job, in their order: its result, or the transient or permanent error that it
            met.

        Raises:
            SystemicError: A job met one, or so many in a row failed for a passing reason that it must be
                the host; no further job is started.
        """
        return self._workers.run(jobs, what)

    def find(
        self,
        resource: wire.Resource,
        filters: Sequence[tuple[str, str, str]],
        *,
        depth: int = 1,
    ) -> list[dict[str, object]]:
        """Read all records that pass some filters, raw, each once and as it is now.

        Args:
            resource: What to list.
            filters: Field, operator and value, AND-ed; the operator ``in`` takes values with commas
                between them, ``=`` takes any text as it is.
            depth: Levels of relations to ask for; a list may or may not honour it [A].

        Raises:
            PermanentError: There is no end to them, one has no uuid, or a value is not valid Unicode.
            TransientError, SystemicError: As the transport says; never an empty list instead.
        """
        named = ", ".join(f"{field} {operator}" for field, operator, _ in filters)
        found: dict[str, dict[str, object]] = {}
        wanted = [wire.where(*each) for each in filters]
        for number, page in enumerate(self._filtered(resource, wanted, depth), start=1):
            if number > MOST_FOUND_PAGES:
                raise PermanentError(
                    f"TOGA 2: more than {len(found)} {resource.route} match {named}: which are meant "
                    "cannot be told."
                )
            for raw in page:
                uuid = uuid_of(raw)
                if not isinstance(raw, dict) or uuid is None:
                    raise PermanentError(
                        f"TOGA 2: one of the {resource.route} that match {named} has no uuid."
                    )
                found[uuid] = raw
        return list(found.values())

    def download(self, uuid: str) -> FileContent:
        """Read a file with its bytes.

        They stay in the answer's body, which is a third larger, until the result is let go.

        Raises:
            PermanentError: There is none with that uuid, or its bytes are not what it says.
            TransientError, SystemicError: As the transport says.
        """
        # compressed, its body would be in memory a second time, and would hardly be shorter
        plain = {"Accept-Encoding": "identity"}
        return self._calls.one(wire.FILES, uuid, 1, parse=decode_file, headers=plain)

    def upload(self, name: str, content_type: str, source: BinaryIO, size: int) -> str:
        """Make a file and return its uuid.

        Args:
            name: Any text.
            content_type: What kind of file it is.
            source: Its bytes, read from where it stands.
            size: How many there are.

        Raises:
            TransientError: No answer came: whether the file was made is not known. Or ``source`` holds
                more or fewer bytes than ``size``, and nothing was sent.
            PermanentError, SystemicError: As the transport says.
        """
        return self._calls.upload(name, content_type, source, size)

    def file_address(self, uuid: str) -> str:
        """Return the address that a text names a stored file by."""
        return self._calls.file_address(uuid)

    def files_in(self, text: str) -> list[str]:
        """Return the uuids of the stored files that a text names by address, in its order."""
        return self._calls.files_in(text)

    def link_file(self, notes: wire.Resource, note_uuid: str, file_uuid: str) -> None:
        """Link a file to a note.

        Args:
            notes: What kind of note it is.
            note_uuid: The note.
            file_uuid: The file.

        Raises:
            TransientError: No answer came: whether it is linked now is not known.
            PermanentError, SystemicError: As the transport says.
        """
        if notes.file_links is None:
            raise ValueError(f"{notes.route} have no files")
        self._calls.write(
            "POST",
            f"{notes.route}/{in_address(notes, note_uuid)}/{notes.file_links.route}",
            {"file": {"uuid": file_uuid}},
            parse=wire.read_linked,
            repeatable=False,
        )

    def create(self, resource: wire.Resource, fields: Mapping[str, object]) -> dict[str, object]:
        """Create a record and return it.

        Raises:
            TransientError: No answer came: whether the record was made is not known.
            PermanentError, SystemicError: As the transport says.
        """
        return self._calls.write(
            "POST",
            resource.route,
            fields,
            parse=partial(wire.read_one, resource),
            repeatable=False,
        )

    def update(self, resource: wire.Resource, uuid: str, fields: Mapping[str, object]) -> None:
        """Change fields of a record.

        Raises:
            TransientError, PermanentError, SystemicError: As the transport says.
        """
        self._calls.write(
            "PATCH",
            f"{resource.route}/{in_address(resource, uuid)}",
            fields,
            parse=partial(wire.read_changed, resource),
            # the same fields twice are the same as once
            repeatable=True,
        )

    def parameters(self, names: Sequence[str]) -> list[Parameter]:
        """Read the client's parameters of these names, all of them; nearly always in one call.

        Raises:
            SystemicError: One of them is not what a parameter should be, or there is no end to them.
            TransientError, PermanentError: As the transport says.
        """
        pages = self._filtered(wire.PARAMETERS, [wire.where("name", "in", ",".join(names))], 1)
        found: dict[str, Parameter] = {}
        for number, page in enumerate(pages, start=1):
            if number > MOST_PARAMETER_PAGES:
                raise SystemicError(
                    f"TOGA 2: there are more than {len(found)} parameters named {', '.join(names)}; "
                    "one of each is meant. Delete the others."
                )
            parsed = _PARAMETERS.many(page)
            for malformed in parsed.malformed:
                raise SystemicError(f"TOGA 2: parameter {malformed.name}: {malformed.reason}")
            # one that is changed meanwhile comes again, as it is now
            found |= {parameter.uuid: parameter for parameter in parsed.records}
        return list(found.values())

    def _filtered(
        self, resource: wire.Resource, wanted: Sequence[tuple[str, str]], depth: int
    ) -> Iterator[list[object]]:
        return iterate_pages(
            lambda filters: self._calls.page(resource, depth, [*wanted, *filters]),
            after=None,
            page_size=self._page_size,
            name=resource.route,
        )

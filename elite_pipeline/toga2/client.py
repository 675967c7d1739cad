"""TOGA 2 as the engine sees it: lists as streams of pages, many reads at once, creates and changes.

The traps of ``spec/systems.md`` section 2 are closed by construction: there is no way to list a note's
files except by reading the note, the key of those files is spelled once, and every read raises on an
error, so that no error can look like an empty list.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

from elite_pipeline.errors import (
    ConfigurationError,
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import Parameter, RecordParser
from elite_pipeline.toga2.paging import iterate_pages
from elite_pipeline.transport import Transport, parse_http_date

T = TypeVar("T")

#: So many reads in a row without an answer are not so many poor records: it is the host.
BREAKER_LIMIT = 10

#: Pages of parameters of a few names: far more than anybody has made by mistake.
MOST_PARAMETER_PAGES = 50

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
        self._transport = transport
        self._base_url = base_url
        self._auth = credentials
        self._headers = dict(
            [
                wire.client_header(client_uuid),
                ("Accept", "application/json"),
                ("Accept-Encoding", "gzip, deflate"),
            ]
        )
        self._page_size = page_size
        self._list_started: dict[str, datetime] = {}
        self._workers = ThreadPoolExecutor(max_in_flight, thread_name_prefix="toga2")

    @property
    def calls(self) -> int:
        """Requests sent so far, retries included."""
        return self._transport.calls

    def close(self) -> None:
        """End the worker threads and close the connections."""
        self._workers.shutdown(cancel_futures=True)
        self._transport.close()

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
        self._list_started.pop(resource.route, None)
        return iterate_pages(
            partial(self._fetch_page, resource, depth),
            after=wire.format_time(after) if after is not None else None,
            page_size=self._page_size,
            name=resource.route,
        )

    def list_started(self, resource: wire.Resource) -> datetime | None:
        """Return when TOGA 2 answered the first page of the latest list, by its own clock (Date).

        None when there was no page yet, or it did not say.
        """
        return self._list_started.get(resource.route)

    def fetch(self, resource: wire.Resource, uuid: str, *, depth: int) -> dict[str, object]:
        """Read one record.

        Raises:
            PermanentError: There is none with that uuid, or its uuid cannot stand in an address.
            TransientError, SystemicError: As the transport says.
        """
        if not uuid.replace("-", "").isalnum() or not uuid.isascii():
            # it would name another route than the one that is meant
            raise PermanentError(
                f"TOGA 2: {resource.route}: a uuid with characters of another kind"
            )
        answer = self._transport.request(
            "GET",
            f"{self._base_url}/{resource.route}/{uuid}",
            params=[("depth", str(depth))],
            parse=partial(wire.read_one, resource),
            read_error=wire.read_error,
            headers=self._headers,
            auth=self._auth,
            repeatable=True,
        )
        return answer.body

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
        futures = [self._workers.submit(self._try_fetch, resource, uuid, depth) for uuid in uuids]
        results: list[dict[str, object] | PipelineError] = []
        in_a_row = 0
        try:
            for future in futures:
                result = future.result()
                in_a_row = in_a_row + 1 if isinstance(result, TransientError) else 0
                if in_a_row >= BREAKER_LIMIT:
                    raise SystemicError(
                        f"TOGA 2: {in_a_row} reads in a row failed; the last one: {result} "
                        "The run stops here, and goes on from its watermark when TOGA 2 answers."
                    )
                results.append(result)
        finally:
            _cancel(futures)
        return results

    def create(self, resource: wire.Resource, fields: Mapping[str, object]) -> dict[str, object]:
        """Create a record and return it.

        Raises:
            TransientError: No answer came: whether the record was made is not known.
            PermanentError, SystemicError: As the transport says.
        """
        return self._write(
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
        self._write(
            "PATCH",
            f"{resource.route}/{uuid}",
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
        wanted = wire.where("name", "in", ",".join(names))
        pages = iterate_pages(
            lambda filters: self._fetch_page(wire.PARAMETERS, 1, [wanted, *filters]),
            after=None,
            page_size=self._page_size,
            name=wire.PARAMETERS.route,
        )
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

    def _fetch_page(
        self, resource: wire.Resource, depth: int, filters: Sequence[tuple[str, str]]
    ) -> list[object]:
        try:
            answer = self._transport.request(
                "GET",
                f"{self._base_url}/{resource.route}",
                params=wire.list_params(filters, page=1, limit=self._page_size, depth=depth),
                parse=partial(wire.read_list, resource),
                read_error=wire.read_error,
                headers=self._headers,
                auth=self._auth,
                repeatable=True,
            )
        except PermanentHttpError as error:
            if error.status != 404:
                raise
            raise ConfigurationError(
                f"{error} A list that is not there means that the address is wrong: check "
                "TOGA2_BASE_URL, which ends with the version, as in https://api.togahub.com/v2."
            ) from None
        if (date := parse_http_date(answer.headers.get("Date"))) is not None:
            self._list_started.setdefault(resource.route, date)
        return answer.body

    def _try_fetch(
        self, resource: wire.Resource, uuid: str, depth: int
    ) -> dict[str, object] | PipelineError:
        try:
            return self.fetch(resource, uuid, depth=depth)
        except (TransientError, PermanentError) as error:
            return error

    def _write(
        self,
        method: str,
        route: str,
        fields: Mapping[str, object],
        *,
        parse: Callable[[bytes], T],
        repeatable: bool,
    ) -> T:
        answer = self._transport.request(
            method,
            f"{self._base_url}/{route}",
            body=json.dumps(fields).encode("utf-8"),
            parse=parse,
            read_error=wire.read_error,
            headers={**self._headers, "Content-Type": "application/json"},
            auth=self._auth,
            repeatable=repeatable,
        )
        return answer.body


def _cancel(futures: Sequence[Future[dict[str, object] | PipelineError]]) -> None:
    for future in futures:
        future.cancel()

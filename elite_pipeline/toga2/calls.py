"""Single requests to TOGA 2 with a client's credentials: a page, one record, a write.

What does not belong here: what they are made for (``client``), and how they are spelled (``wire``).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import BinaryIO, TypeVar

from elite_pipeline.errors import ConfigurationError, PermanentError, PermanentHttpError
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.file_bodies import encode_file, read_uploaded
from elite_pipeline.transport import Transport, parse_http_date

T = TypeVar("T")


class Calls:
    """What requests of one client have in common. Safe to use from several threads.

    All of them raise TransientError, PermanentError and SystemicError as the transport says.

    Attributes:
        list_started: When TOGA 2 answered the first page of a route's latest timed list, by its own
            clock.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        base_url: str,
        credentials: tuple[str, str],
        client_uuid: str,
        page_size: int,
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
        self.list_started: dict[str, datetime] = {}

    @property
    def redact(self) -> Callable[[str], str]:
        """Takes the secrets out of a text."""
        return self._transport.redact

    @property
    def sent(self) -> int:
        """Requests sent so far, retries included."""
        return self._transport.calls

    @property
    def in_doubt(self) -> int:
        """Requests so far that were to change something, and nobody knows whether they did."""
        return self._transport.in_doubt

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def file_address(self, uuid: str) -> str:
        """Return the address that a text names a stored file by."""
        return wire.file_address(self._base_url, in_address(wire.FILES, uuid))

    def files_in(self, text: str) -> list[str]:
        """Return the uuids of the stored files that a text names by address, in its order."""
        return wire.files_in(self._base_url, text)

    def page(
        self,
        resource: wire.Resource,
        depth: int,
        filters: Sequence[tuple[str, str]],
        *,
        is_timed: bool = False,
        limit: int | None = None,
    ) -> list[object]:
        """Read the first page of what passes some filters.

        Args:
            resource: What to list.
            depth: Levels of relations to ask for.
            filters: As ``wire.where`` spells them.
            is_timed: Whether it may be the first of a list whose beginning is of interest.
            limit: Records to ask for; by default a whole page.

        Raises:
            PermanentError: A filter is not valid Unicode.
            ConfigurationError: There is no such list.
        """
        for name, value in filters:
            if any("\ud800" <= character <= "\udfff" for character in value):
                # nor could any record hold it
                raise PermanentError(
                    f"TOGA 2: {resource.route}: what {name} is compared with is not valid Unicode "
                    "(half of a surrogate pair); correct it in the source system."
                )
        try:
            answer = self._transport.request(
                "GET",
                f"{self._base_url}/{resource.route}",
                params=wire.list_params(
                    filters, page=1, limit=limit or self._page_size, depth=depth
                ),
                parse=partial(wire.read_list, resource),
                read_error=wire.read_error,
                headers=self._headers,
                auth=self._auth,
                repeatable=True,
            )
        except PermanentHttpError as error:
            if error.status != 404:
                raise
            advice = (
                "A list that is not there means that the address is wrong: check TOGA2_BASE_URL, "
                "which ends with the version, as in https://api.togahub.com/v2."
            )
            raise ConfigurationError(
                f"{error} {advice}", unquoted=f"{error.unquoted} {advice}"
            ) from None
        if is_timed and (date := parse_http_date(answer.headers.get("Date"))) is not None:
            self.list_started.setdefault(resource.route, date)
        return answer.body

    def one(
        self,
        resource: wire.Resource,
        uuid: str,
        depth: int,
        *,
        parse: Callable[[bytes], T],
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Read one record.

        Raises:
            PermanentError: There is none with that uuid, or its uuid cannot stand in an address.
        """
        answer = self._transport.request(
            "GET",
            f"{self._base_url}/{resource.route}/{in_address(resource, uuid)}",
            params=[("depth", str(depth))],
            parse=parse,
            read_error=wire.read_error,
            headers={**self._headers, **(headers or {})},
            auth=self._auth,
            repeatable=True,
        )
        return answer.body

    def write(
        self,
        method: str,
        route: str,
        fields: Mapping[str, object],
        *,
        parse: Callable[[bytes], T],
        repeatable: bool,
    ) -> T:
        """Send fields."""
        body = json.dumps(fields).encode("utf-8")
        return self._send(method, route, body, parse=parse, repeatable=repeatable)

    def upload(self, name: str, content_type: str, source: BinaryIO, size: int) -> str:
        """Send a file and return its uuid; as ``Toga2Client.upload``."""
        body = encode_file(name, content_type, source, size)
        return self._send("POST", wire.FILES.route, body, parse=read_uploaded, repeatable=False)

    def _send(
        self,
        method: str,
        route: str,
        body: bytes | bytearray,
        *,
        parse: Callable[[bytes], T],
        repeatable: bool,
    ) -> T:
        """Send a body that is JSON already."""
        answer = self._transport.request(
            method,
            f"{self._base_url}/{route}",
            body=body,
            parse=parse,
            read_error=wire.read_error,
            headers={**self._headers, "Content-Type": "application/json"},
            auth=self._auth,
            repeatable=repeatable,
        )
        return answer.body


def in_address(resource: wire.Resource, uuid: str) -> str:
    """Return a uuid that can stand in an address.

    Raises:
        PermanentError: It would name another route than the one that is meant.
    """
    if not uuid.replace("-", "").isalnum() or not uuid.isascii():
        raise PermanentError(f"TOGA 2: {resource.route}: a uuid with characters of another kind")
    return uuid

"""One checked call and what it gives: the common ground of reading and writing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.problems import invalid, not_found
from elite_pipeline.sandbox.freshservice.settings import Settings
from elite_pipeline.sandbox.freshservice.store import Document, Kind, Record
from elite_pipeline.sandbox.serving.clock import Clock
from elite_pipeline.sandbox.serving.wire import Headers

MAX_PER_PAGE: Final = 100
_PER_PAGE: Final = 30
_LINK_FORMS: Final = {
    "plain": '<{}>; rel="next"',
    "tight": '<{}>;rel="next"',
    "blank": '< {}>; rel="next"',
}


@dataclass(frozen=True)
class Asked:
    """A call that is within the limits, of a known agent, and to a route that takes it.

    Attributes:
        account: The account that it is made to.
        path: Its path below ``/api/v2``.
        id: The id in its path, if there is one.
        query: Its parameters, which the route takes.
        body: Its body.
        content_type: What its body is.
        settings: The sandbox's switches.
        clock: What time it is.
    """

    account: Account
    path: str
    id: int | None
    query: Mapping[str, str]
    body: bytes
    content_type: str
    settings: Settings
    clock: Clock

    @property
    def includes(self) -> frozenset[str]:
        """What ``include`` names."""
        return frozenset(filter(None, self.query.get("include", "").split(",")))

    def record(self, kind: Kind) -> Record:
        """Return the record whose id is in the path.

        Raises:
            RefusedError: 404: there is none.
        """
        found = None if self.id is None else self.account.record(kind, self.id)
        if found is None:
            raise not_found()
        return found

    def number(self, name: str, default: int, most: int) -> int:
        """Return a parameter that is a number from 1.

        Raises:
            RefusedError: 400: it is none, or too big.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            raise invalid(name, f"It should be a Positive Integer less than or equal to {most}")
        return int(text)


@dataclass(frozen=True)
class Given:
    """What a call gives.

    Attributes:
        status: The HTTP status.
        document: The body as plain data; ``None`` for no body.
        headers: What else goes out.
        ids: The records of a list, in order.
    """

    status: int
    document: Document | None
    headers: Headers = ()
    ids: Sequence[str] = ()


def page_of(asked: Asked, records: Sequence[Record]) -> tuple[Sequence[Record], Headers]:
    """Return the page of a list that is asked for, and the header that leads to the next one.

    Raises:
        RefusedError: 400: ``page`` or ``per_page`` is wrong.
    """
    page = asked.number("page", 1, 2**31)
    size = asked.number("per_page", _PER_PAGE, MAX_PER_PAGE)
    start = (page - 1) * size
    headers: Headers = ()
    if len(records) > start + size:
        query = urlencode({**asked.query, "page": page + 1})
        url = f"{asked.account.api_url}{asked.path}?{query}"
        headers = ((b"link", _LINK_FORMS[asked.settings.link_header].format(url).encode()),)
    return records[start : start + size], headers


def listed(
    name: str, spelled: list[Any], records: Sequence[Record], headers: Headers = ()
) -> Given:
    """Return the answer that carries one page of a list."""
    return Given(200, {name: spelled}, headers, [str(record.id) for record in records])

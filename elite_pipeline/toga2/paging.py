"""Reading a list of changed records to its end, without losing or repeating one.

Numbered pages shift: a record that is updated while the list is read moves to the end, everything
behind it moves up by one, and the record at the seam is never seen. So a page is not asked for by
its number but by where the one before it ended (``spec/sync.md`` section 2):

* normally ``_updated >= the last one's``, and the records of that second that were already delivered
  are dropped: one record or two per page;
* when a page is nothing but one second (a bulk import), ``_updated = that second AND uuid > the last
  one's`` until that second is done, then ``_updated >`` it.

A version of a record, its uuid and ``_updated``, is therefore delivered exactly once. A record that is
updated while the list is read comes again, later, as the new version that it is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

from elite_pipeline.errors import SystemicError
from elite_pipeline.toga2 import wire

#: Fetches one page: filters -> raw records, at most the page size, in the wire's order.
FetchPage = Callable[[Sequence[tuple[str, str]]], list[object]]
#: Where a record stands in the order: its time, as TOGA 2 writes it, and its uuid.
Place = tuple[str, str]


class PageStream(Iterator[list[object]]):
    """Pages of raw records, oldest first, none of them empty.

    Iterating raises SystemicError where the list is not in the order that was asked for, or does not move
    on: reading on could lose records.

    Args:
        fetch: Fetches one page.
        page_size: A page shorter than this is the last.
        name: The list's name, for messages.
        start: Filter on ``_updated`` that the first page is asked for by; None reads from the beginning.
        until: A time as TOGA 2 writes it; what was updated then or later is left out. None: nothing is.
        guard: Held while it is decided what of a page is delivered.

    Attributes:
        at: The time of the last record that was delivered, as TOGA 2 writes it; empty: none was.
        until: As given. With the guard held it may be moved to any time behind ``at``: whatever was
            asked for already, nothing from there on is delivered.
    """

    def __init__(
        self,
        fetch: FetchPage,
        *,
        page_size: int,
        name: str,
        start: tuple[str, str] | None = None,
        until: str | None = None,
        guard: AbstractContextManager[object] | None = None,
    ) -> None:
        self._fetch = fetch
        self._page_size = page_size
        self._name = name
        self._guard = guard or nullcontext()
        self.at = ""
        self.until = until
        self._pages = self._iterate([start] if start is not None else [])

    def __next__(self) -> list[object]:
        return next(self._pages)

    def _iterate(self, filters: Sequence[tuple[str, str]]) -> Iterator[list[object]]:
        name = self._name
        delivered: set[str] = set()
        asked_from, is_past = "", False
        for field, value in filters:
            # what starts at a time must not be answered from the beginning
            asked_from = value if field == wire.where("_updated", ">=", value)[0] else ""
        while True:
            until = self.until
            bound = [wire.where("_updated", "<", until)] if until is not None else []
            page = self._fetch([*filters, *bound])
            places = [*map(_key, page)]
            keys = [key for key in places if key is not None]
            _check_order(keys, name)
            _check_place(keys, name, asked_from, is_past=is_past, until=until)
            is_last = len(page) < self._page_size
            with self._guard:
                if self.until != until and keys and keys[-1][0] >= (self.until or ""):
                    # somebody else was given what lies behind, after this was asked for
                    page, places, keys = _before(self.until or "", page, places)
                    is_last = True
                self.at = keys[-1][0] if keys else self.at
            fresh = _without(delivered, places, page, asked_from) if delivered else page
            if fresh:
                yield fresh
            if is_last:
                return
            if not keys:
                raise SystemicError(
                    f"TOGA 2: a whole page of {name} has neither _updated nor uuid; "
                    "reading on could lose records. See docs/assumptions.md, paging."
                )
            last = keys[-1]
            asked_from, is_past = last[0], keys[0][0] == last[0]
            if is_past:
                for rest in _rest_of_second(self._fetch, last, self._page_size, name):
                    # the second may have filled up in front of what the page before it brought
                    fresh = rest
                    if delivered:
                        fresh = _without(delivered, [*map(_key, rest)], rest, last[0])
                    if fresh:
                        yield fresh
                delivered = set()
                filters = [wire.where("_updated", ">", last[0])]
            else:
                # what a page that starts at this second brings again
                delivered = {
                    _identity(key, raw)
                    for key, raw in zip(places, page, strict=True)
                    if key is None or key[0] == last[0]
                }
                filters = [wire.where("_updated", ">=", last[0])]


def iterate_pages(fetch: FetchPage, *, after: str | None, page_size: int, name: str) -> PageStream:
    """Return the pages of raw records whose ``_updated`` is past ``after``, oldest first.

    Args:
        fetch: Fetches one page.
        after: A time as TOGA 2 writes it; None reads from the beginning.
        page_size: A page shorter than this is the last.
        name: The list's name, for messages.
    """
    start = wire.where("_updated", ">", after) if after is not None else None
    return PageStream(fetch, page_size=page_size, name=name, start=start)


def _before(
    until: str, page: Sequence[object], places: Sequence[Place | None]
) -> tuple[list[object], list[Place | None], list[Place]]:
    """Return what of a page was updated before a time: records, their places, those that are known."""
    kept = [
        (raw, key) for raw, key in zip(page, places, strict=True) if key is None or key[0] < until
    ]
    keys = [key for _, key in kept if key is not None]
    return [raw for raw, _ in kept], [key for _, key in kept], keys


def _rest_of_second(
    fetch: FetchPage, last: Place, page_size: int, name: str
) -> Iterator[list[object]]:
    """Yield what else was updated in the second of ``last``, by uuid."""
    second, uuid = last
    while True:
        page = fetch([wire.where("_updated", "=", second), wire.where("uuid", ">", uuid)])
        keys = [key for raw in page if (key := _key(raw)) is not None]
        # whether one uuid is greater than another is for TOGA 2's database to say, not for us
        is_ignored = any(key[0] != second or key[1] == uuid for key in keys)
        if is_ignored or (not keys and len(page) >= page_size):
            raise SystemicError(
                f"TOGA 2: the list of {name} does not move on within {second}: the filter on uuid "
                "seems to be ignored. See docs/assumptions.md, paging."
            )
        if page:
            yield page
        if len(page) < page_size:
            return
        uuid = keys[-1][1]


def _key(raw: object) -> Place | None:
    """Return where a record stands in the order, or None for one too malformed to say."""
    try:
        updated, uuid = raw["_updated"], raw["uuid"]  # type: ignore[index]
        wire.parse_time(updated)
    except (KeyError, TypeError, ValueError):
        return None
    return (updated, uuid) if isinstance(uuid, str) else None


def _without(
    delivered: set[str], places: Sequence[Place | None], page: Sequence[object], second: str
) -> list[object]:
    """Return the versions of a page that were not delivered before: all but some of ``second``."""
    return [
        raw
        for key, raw in zip(places, page, strict=True)
        if (key is not None and key[0] != second) or _identity(key, raw) not in delivered
    ]


def _identity(key: Place | None, raw: object) -> str:
    """Name a version of a record; a record without a key is told apart by what it holds."""
    return "\0".join(key) if key is not None else repr(raw)


def _check_order(keys: Sequence[Place], name: str) -> None:
    # by time alone: how TOGA 2's database compares two uuids of one second is its own affair
    for (before, _), (behind, _) in pairwise(keys):
        if behind < before:
            raise SystemicError(
                f"TOGA 2: the list of {name} is not in the order of _updated "
                f"({behind} follows {before}); reading on could lose records. "
                "See docs/assumptions.md, paging."
            )


def _check_place(
    keys: Sequence[Place], name: str, asked_from: str, *, is_past: bool, until: str | None
) -> None:
    """Make sure that a page begins and ends where it was asked for."""
    if not keys:
        return
    problem = ""
    if keys[0][0] < asked_from or (is_past and keys[0][0] == asked_from):
        problem = f"does not move on behind {asked_from}"
    elif until is not None and keys[-1][0] >= until:
        problem = f"does not end before {until}"
    if problem:
        raise SystemicError(
            f"TOGA 2: the list of {name} {problem}: its filters seem to be ignored. "
            "See docs/assumptions.md, paging."
        )

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
from itertools import pairwise

from elite_pipeline.errors import SystemicError
from elite_pipeline.toga2 import wire

#: Fetches one page: filters -> raw records, at most the page size, in the wire's order.
FetchPage = Callable[[Sequence[tuple[str, str]]], list[object]]


def iterate_pages(
    fetch: FetchPage, *, after: str | None, page_size: int, name: str
) -> Iterator[list[object]]:
    """Yield pages of raw records whose ``_updated`` is past ``after``, oldest first.

    Args:
        fetch: Fetches one page.
        after: A time as TOGA 2 writes it; None reads from the beginning.
        page_size: A page shorter than this is the last.
        name: The list's name, for messages.

    Raises:
        SystemicError: The list is not in the order that was asked for, or does not move on; reading
            on could lose records.
    """
    filters = [wire.where("_updated", ">", after)] if after is not None else []
    delivered: set[str] = set()
    asked_from, is_past = "", False
    while True:
        page = fetch(filters)
        placed = [(_key(raw), raw) for raw in page]
        keys = [key for key, _ in placed if key is not None]
        _check_order(keys, name)
        if keys and (keys[0][0] < asked_from or (is_past and keys[0][0] == asked_from)):
            raise SystemicError(
                f"TOGA 2: the list of {name} does not move on behind {asked_from}: its filters "
                "seem to be ignored. See docs/assumptions.md, paging."
            )
        fresh = _without(delivered, placed, asked_from) if delivered else page
        if fresh:
            yield fresh
        if len(page) < page_size:
            return
        if not keys:
            raise SystemicError(
                f"TOGA 2: a whole page of {name} has neither _updated nor uuid; "
                "reading on could lose records. See docs/assumptions.md, paging."
            )
        last = keys[-1]
        asked_from, is_past = last[0], keys[0][0] == last[0]
        if is_past:
            for rest in _rest_of_second(fetch, last, page_size, name):
                # the second may have filled up in front of what the page before it brought
                fresh = rest
                if delivered:
                    fresh = _without(delivered, [(_key(raw), raw) for raw in rest], last[0])
                if fresh:
                    yield fresh
            delivered = set()
            filters = [wire.where("_updated", ">", last[0])]
        else:
            # what a page that starts at this second brings again
            delivered = {
                _identity(key, raw) for key, raw in placed if key is None or key[0] == last[0]
            }
            filters = [wire.where("_updated", ">=", last[0])]


def _rest_of_second(
    fetch: FetchPage, last: tuple[str, str], page_size: int, name: str
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


def _key(raw: object) -> tuple[str, str] | None:
    """Return where a record stands in the order, or None for one too malformed to say."""
    try:
        updated, uuid = raw["_updated"], raw["uuid"]  # type: ignore[index]
        wire.parse_time(updated)
    except (KeyError, TypeError, ValueError):
        return None
    return (updated, uuid) if isinstance(uuid, str) else None


def _without(
    delivered: set[str], placed: Sequence[tuple[tuple[str, str] | None, object]], second: str
) -> list[object]:
    """Return the versions of a page that were not delivered before: all but some of ``second``."""
    return [
        raw
        for key, raw in placed
        if (key is not None and key[0] != second) or _identity(key, raw) not in delivered
    ]


def _identity(key: tuple[str, str] | None, raw: object) -> str:
    """Name a version of a record; a record without a key is told apart by what it holds."""
    return "\0".join(key) if key is not None else repr(raw)


def _check_order(keys: Sequence[tuple[str, str]], name: str) -> None:
    # by time alone: how TOGA 2's database compares two uuids of one second is its own affair
    for (before, _), (behind, _) in pairwise(keys):
        if behind < before:
            raise SystemicError(
                f"TOGA 2: the list of {name} is not in the order of _updated "
                f"({behind} follows {before}); reading on could lose records. "
                "See docs/assumptions.md, paging."
            )

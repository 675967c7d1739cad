"""A long and slow list is read in several places at once: nothing lost, and no version twice."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from elite_pipeline.errors import SystemicError, TransientError
from elite_pipeline.toga2 import pages_at_once
from elite_pipeline.toga2.pages_at_once import PagesAtOnce
from elite_pipeline.toga2.paging import FetchPage, PageStream
from elite_pipeline_tests.support.toga2_lists import RecordList, second

#: When the lists of these tests are begun, in their seconds: whatever is changed later stands behind.
BEGUN = 20_000


@pytest.fixture(autouse=True)
def _soon_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_at_once, "LONG", 2)


def pages_of(
    listed: RecordList,
    fetch: FetchPage | None = None,
    *,
    after: str | None = None,
    ends: str | None = second(BEGUN),
    at_once: int = 4,
    seconds_a_page: float = 1.0,
) -> PagesAtOnce:
    ticks = itertools.count(step=seconds_a_page)
    return PagesAtOnce(
        partial(PageStream, fetch or listed.fetch, page_size=listed.page_size, name="things"),
        after=after,
        ends=lambda: ends,
        at_once=at_once,
        clock=lambda: next(ticks),
    )


def spread(page_size: int, count: int, step: int = 100) -> RecordList:
    """Return a list with a record every so many seconds, named by its place."""
    listed = RecordList(page_size)
    for number in range(count):
        listed.put(f"u{number:05}", number * step)
    return listed


def records(pages: Iterable[Sequence[Any]]) -> list[Any]:
    return [record for page in pages for record in page]


def names(pages: Iterable[Sequence[Any]]) -> list[str]:
    return [record["uuid"] for record in records(pages)]


def is_cut(listed: RecordList) -> bool:
    """Tell whether any page was asked for that was to end somewhere."""
    return any("<" in name for filters in listed.asked for name, _ in filters)


def test_all_of_it_comes_once_whatever_the_order() -> None:
    listed = spread(5, 150)
    pages = list(pages_of(listed))
    assert all(pages)
    assert sorted(names(pages)) == sorted(listed.records)
    assert is_cut(listed)


def test_several_pages_are_asked_for_at_the_same_time() -> None:
    listed = spread(5, 150)
    together = threading.Barrier(3, timeout=10)

    def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
        if (
            len(listed.asked) > 2
            and not together.broken
            and any("<" in name for name, _ in filters)
        ):
            # as long as three are under way nobody waits for good; when pieces run out the last ones do
            try:
                together.wait()
            except threading.BrokenBarrierError:
                pass
            else:
                met.append(1)
                together.abort() if len(met) >= 3 else None
        return listed.fetch(filters)

    met: list[int] = []
    assert sorted(names(list(pages_of(listed, fetch)))) == sorted(listed.records)
    assert len(met) >= 3


@pytest.mark.parametrize(
    "how",
    [
        {"seconds_a_page": 0.001},
        {"at_once": 1},
        {"ends": None},
        {"ends": second(3)},
    ],
)
def test_it_is_read_in_its_order_where_more_at_once_is_no_use(how: dict[str, Any]) -> None:
    listed = spread(5, 60)
    assert names(list(pages_of(listed, **how))) == sorted(listed.records)
    assert not is_cut(listed)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9, 10])
def test_a_list_that_is_not_long_takes_no_call_more(count: int) -> None:
    listed = spread(5, count)
    assert names(list(pages_of(listed))) == sorted(listed.records)
    assert len(listed.asked) <= count // 4 + 2


def test_what_is_not_past_the_instant_is_left_out() -> None:
    listed = spread(5, 150)
    found = names(list(pages_of(listed, after=second(4_900))))
    assert sorted(found) == [f"u{number:05}" for number in range(50, 150)]


@pytest.mark.parametrize("count", [40, 400])
def test_what_stands_in_one_second_costs_few_calls_in_vain(count: int) -> None:
    listed = RecordList(5)
    for number in range(count):
        listed.put(f"u{number:05}", 7)
    listed.put("later", 15_000)
    assert sorted(names(list(pages_of(listed)))) == sorted(listed.records)
    assert len(listed.asked) <= count // 5 + 60


def test_what_is_changed_meanwhile_comes_last_and_as_it_is() -> None:
    listed = spread(5, 100)
    listed.before_page = lambda pages: listed.put("u00090", BEGUN + 5, 1) if pages == 3 else None
    found = records(pages_of(listed))
    assert found[-1] == {"uuid": "u00090", "_updated": second(BEGUN + 5), "version": 1}
    assert sum(record["uuid"] == "u00090" for record in found) == 1


@pytest.mark.parametrize("error", [TransientError("no answer"), SystemicError("refused")])
def test_an_error_of_one_piece_is_raised_and_all_threads_end(error: Exception) -> None:
    listed = spread(5, 200)

    def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
        if len(listed.asked) > 12:
            raise error
        return listed.fetch(filters)

    before = threading.active_count()
    with pytest.raises(type(error), match=str(error)):
        list(pages_of(listed, fetch))
    assert threading.active_count() == before


def test_who_stops_early_leaves_no_thread_behind() -> None:
    listed = spread(5, 2_000, step=9)
    before = threading.active_count()
    with closing(iter(pages_of(listed))) as pages:
        for _ in range(10):
            next(pages)
        assert threading.active_count() > before
    assert threading.active_count() == before
    assert len(listed.asked) < 60


def test_a_server_that_takes_no_notice_of_where_a_piece_ends_is_found_out() -> None:
    listed = spread(5, 150)

    def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
        return listed.fetch([pair for pair in filters if "<" not in pair[0]])

    with pytest.raises(SystemicError, match=r"does not end before .* ignored"):
        list(pages_of(listed, fetch))


def test_a_server_that_begins_every_piece_at_the_beginning_is_found_out() -> None:
    listed = spread(5, 150)

    def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
        is_middle = any("<" in name for name, _ in filters) and len(filters) > 1
        return listed.fetch([pair for pair in filters if not is_middle or "<" in pair[0]])

    with pytest.raises(SystemicError, match=r"does not move on behind .* ignored"):
        list(pages_of(listed, fetch))


@pytest.mark.parametrize("seed", range(150))
def test_whatever_happens_meanwhile(seed: int) -> None:
    rng = random.Random(seed)
    listed = RecordList(rng.choice([1, 2, 3, 5, 8]))
    places = rng.choice([[5], [3, 9_000], range(0, 15_000, 7), range(BEGUN - 3), [1, 61, 122]])
    for number in range(rng.randrange(0, 120)):
        listed.put(f"{rng.randrange(16**4):04x}-{number}", rng.choice(places))
    at_start = dict(listed.records)
    removed: set[str] = set()
    now, version = BEGUN, 0

    def edit(pages: int) -> None:
        nonlocal now, version
        if pages == 0 or pages > 150:
            return
        now += rng.choice([0, 0, 1])
        for _ in range(rng.randrange(0, 3)):
            version += 1
            known = sorted(listed.records)
            what = rng.random()
            if what < 0.5 and known:
                listed.put(rng.choice(known), now, version)
            elif what < 0.7:
                listed.put(f"{rng.randrange(16**4):04x}-new{version}", now, version)
            elif known:
                gone = rng.choice(known)
                removed.add(gone)
                del listed.records[gone]

    listed.before_page = edit
    found: list[dict[str, Any]] = []
    upto: list[str] = []
    pages = pages_of(listed, at_once=rng.choice([1, 2, 4, 7]))
    for page in pages:
        assert page
        # nothing comes that was said to have been given
        assert not upto or min(record["_updated"] for record in records([page])) >= upto[-1]
        found += records([page])
        if pages.upto is not None:
            upto.append(pages.upto)
    assert upto == sorted(upto)
    times = Counter((record["uuid"], record["_updated"]) for record in found)
    assert max(times.values(), default=1) == 1, "a version came twice"
    missed = at_start.keys() - removed - {uuid for uuid, _ in times}
    assert not missed, "a record that was there all the time did not come"
    for uuid, record in listed.records.items():
        if record["version"] == 0:
            assert (uuid, record["_updated"]) in times

"""Reading a list to its end while it changes: nothing lost, no version twice."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from elite_pipeline.errors import SystemicError
from elite_pipeline.toga2.paging import iterate_pages
from elite_pipeline_tests.support.toga2_lists import RecordList, second


def read(listed: RecordList, after: str | None = None) -> list[Any]:
    pages = list(
        iterate_pages(listed.fetch, after=after, page_size=listed.page_size, name="things")
    )
    assert all(pages), "no page is empty"
    return [record for page in pages for record in page]


def names(records: Sequence[Any]) -> list[str]:
    return [record["uuid"] for record in records]


def filled(page_size: int, *seconds: int) -> RecordList:
    """Return a list with one record per second given, named by its place."""
    listed = RecordList(page_size)
    for number, at in enumerate(seconds):
        listed.put(f"u{number:05}", at)
    return listed


def test_an_empty_list_is_one_call_and_no_page() -> None:
    listed = RecordList(3)
    assert read(listed) == []
    assert listed.asked == [[]]


def test_a_short_page_is_the_last() -> None:
    listed = filled(3, 1, 2)
    assert names(read(listed)) == ["u00000", "u00001"]
    assert len(listed.asked) == 1


def test_only_what_is_past_the_instant_is_asked_for() -> None:
    listed = filled(3, 1, 2, 3)
    assert names(read(listed, after=second(1))) == ["u00001", "u00002"]
    assert listed.asked == [[("where[_updated >]", second(1))]]


def test_the_next_page_is_asked_for_by_where_the_last_one_ended() -> None:
    listed = filled(3, 1, 2, 3, 4, 5)
    assert names(read(listed)) == [f"u{number:05}" for number in range(5)]
    assert listed.asked == [
        [],
        [("where[_updated >=]", second(3))],
        [("where[_updated >=]", second(5))],
    ]


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 200])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 11, 400, 401])
def test_a_second_of_any_size_is_read_whole(page_size: int, count: int) -> None:
    listed = filled(page_size, 1, *[2] * count, 3)
    found = names(read(listed))
    assert sorted(found) == sorted(listed.records)
    assert len(found) == len(set(found))
    most = len(listed.records) // page_size + 5
    assert page_size == 1 or len(listed.asked) <= 2 * most


def test_thousands_in_one_second_cost_one_call_a_page() -> None:
    listed = filled(200, *[7] * 5000)
    assert len(set(names(read(listed)))) == 5000
    assert len(listed.asked) == 27


def test_a_record_that_moves_to_the_end_takes_nothing_with_it() -> None:
    listed = filled(3, *range(9))

    def touch(pages: int) -> None:
        if pages == 1:
            listed.put("u00000", 100, version=1)

    listed.before_page = touch
    found = read(listed)
    assert names(found) == [*(f"u{number:05}" for number in range(9)), "u00000"]
    assert found[-1]["version"] == 1


def test_what_comes_into_the_second_at_the_seam_is_read_too() -> None:
    listed = filled(3, 1, 2, 3, 3, 3, 4)
    listed.before_page = lambda pages: listed.put("a-late", 3) if pages == 1 else None
    assert "a-late" in names(read(listed))


def test_a_second_that_fills_up_behind_the_reader_is_no_reason_to_stop() -> None:
    # the whole next page lies before the last record that was read, within its second
    listed = RecordList(3)
    for uuid, at in (("a", 1), ("b", 2), ("z", 3)):
        listed.put(uuid, at)

    def fill(pages: int) -> None:
        if pages == 1:
            listed.put("c", 3)
            listed.put("d", 3)

    listed.before_page = fill
    assert sorted(names(read(listed))) == ["a", "b", "c", "d", "z"]


def test_the_last_record_may_go_while_its_second_fills_up() -> None:
    listed = RecordList(3)
    for uuid, at in (("a", 1), ("b", 2), ("z", 3)):
        listed.put(uuid, at)

    def fill(pages: int) -> None:
        if pages == 1:
            for uuid in "cde":
                listed.put(uuid, 3)
            listed.put("z", 9)

    listed.before_page = fill
    found = read(listed)
    assert sorted(names(found)) == ["a", "b", "c", "d", "e", "z", "z"]


@pytest.mark.parametrize("place", range(8))
def test_a_malformed_record_is_delivered_once_wherever_it_stands(place: int) -> None:
    listed = filled(3, *range(8))
    uuid = f"u{place:05}"
    listed.records[uuid] = {"_updated": second(place), "odd": True}
    found = read(listed)
    assert len(found) == 8
    assert [record for record in found if "odd" in record] == [listed.records[uuid]]


def test_two_malformed_records_of_one_second_on_the_seam_are_two() -> None:
    listed = filled(4, 1, 2, 3, 3, 3, 4)
    for uuid in ("u00002", "u00003"):
        listed.records[uuid] = {"_updated": second(3), "odd": uuid}
    assert sorted(record["odd"] for record in read(listed) if "odd" in record) == [
        "u00002",
        "u00003",
    ]


@pytest.mark.parametrize("raw", [None, 7, "text", [], {}, {"uuid": 5, "_updated": second(1)}])
def test_what_is_no_record_at_all_does_not_stop_the_rest(raw: object) -> None:
    pages = [[{"uuid": "a", "_updated": second(1)}, raw, {"uuid": "b", "_updated": second(2)}], []]
    found = [
        record
        for page in iterate_pages(lambda _: pages.pop(0), after=None, page_size=3, name="things")
        for record in page
    ]
    assert len(found) == 3
    assert raw in found


class TestAListThatCannotBeReadOn:
    def test_it_is_not_in_the_order_asked_for(self) -> None:
        page: list[object] = [
            {"uuid": "a", "_updated": second(2)},
            {"uuid": "b", "_updated": second(1)},
        ]
        with pytest.raises(SystemicError, match="things is not in the order of _updated"):
            list(iterate_pages(lambda _: page, after=None, page_size=9, name="things"))

    @pytest.mark.parametrize("seconds", [(1, 2, 3), (1, 1, 1), (1, 2, 2)])
    def test_its_filters_are_ignored(self, seconds: tuple[int, ...]) -> None:
        listed = filled(3, *seconds, 9)
        with pytest.raises(SystemicError, match=r"things does not move on .* ignored"):
            list(iterate_pages(lambda _: listed.fetch([]), after=None, page_size=3, name="things"))

    def test_its_filter_on_uuid_is_ignored(self) -> None:
        listed = filled(3, 1, 1, 1, 1)

        def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
            return listed.fetch([pair for pair in filters if "uuid" not in pair[0]])

        with pytest.raises(SystemicError, match="filter on uuid seems to be ignored"):
            list(iterate_pages(fetch, after=None, page_size=3, name="things"))

    def test_a_whole_page_says_neither_who_nor_when(self) -> None:
        page: list[object] = [{}, {}, {}]
        with pytest.raises(SystemicError, match="neither _updated nor uuid"):
            list(iterate_pages(lambda _: page, after=None, page_size=3, name="things"))


def test_how_the_server_orders_uuids_of_one_second_is_its_own_affair() -> None:
    # by letter, whatever its case; Python would have every capital before every small letter
    order = ["a1", "B1", "c1", "D1", "e1", "F1", "g1"]

    def fetch(filters: Sequence[tuple[str, str]]) -> list[object]:
        behind = next((value for name, value in filters if "uuid" in name), "")
        if any(">" in name and "uuid" not in name and "=" not in name for name, _ in filters):
            return []
        found = [uuid for uuid in order if uuid.lower() > behind.lower()]
        return [{"uuid": uuid, "_updated": second(1)} for uuid in found[:2]]

    pages = iterate_pages(fetch, after=None, page_size=2, name="things")
    found: list[Any] = [record for page in pages for record in page]
    assert names(found) == order


@pytest.mark.parametrize("seed", range(120))
def test_whatever_happens_meanwhile_nothing_is_lost_and_no_version_comes_twice(seed: int) -> None:
    rng = random.Random(seed)
    page_size = rng.choice([1, 2, 3, 5, 8])
    spread = rng.choice([1, 3, 40])
    listed = RecordList(page_size)
    now = spread
    version = 0
    for number in range(rng.randrange(0, 60)):
        listed.put(f"{rng.randrange(16**4):04x}-{number}", rng.randrange(spread))
    at_start = set(listed.records)
    removed: set[str] = set()
    versions = {(uuid, record["_updated"]) for uuid, record in listed.records.items()}

    def edit(pages: int) -> None:
        nonlocal now, version
        if pages == 0 or pages > 40:
            return
        now += rng.choice([0, 0, 1])
        for _ in range(rng.randrange(0, 4)):
            version += 1
            known = sorted(listed.records)
            what = rng.random()
            if what < 0.5 and known:
                listed.put(rng.choice(known), now, version)
            elif what < 0.8:
                listed.put(f"{rng.randrange(16**4):04x}-new{version}", now, version)
            elif known:
                gone = rng.choice(known)
                removed.add(gone)
                del listed.records[gone]
        versions.update((uuid, record["_updated"]) for uuid, record in listed.records.items())

    listed.before_page = edit
    found = read(listed)
    times = Counter((record["uuid"], record["_updated"]) for record in found)
    assert max(times.values(), default=1) == 1, "a version came twice"
    assert times.keys() <= versions
    missed = at_start - removed - {uuid for uuid, _ in times}
    assert not missed, "a record that was there all the time did not come"
    # what was changed in a second that was over before the end must have come as it was left,
    # however it lay; what is changed in the second that is being read is the overlap's affair
    for uuid, record in listed.records.items():
        if uuid in at_start and record["version"] == 0:
            assert (uuid, record["_updated"]) in times

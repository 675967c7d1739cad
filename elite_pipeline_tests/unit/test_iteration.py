"""Streams: cut into chunks, in turns, and read ahead."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from elite_pipeline.iteration import chunked, in_turns, prefetch
from elite_pipeline_tests.support.waiting import wait_until


class Source:
    """Counts what was taken from it."""

    def __init__(self, last: int, error: BaseException | None = None) -> None:
        self.taken = 0
        self._last = last
        self._error = error

    def __iter__(self) -> Iterator[int]:
        for number in range(self._last):
            self.taken += 1
            yield number
        if self._error is not None:
            raise self._error


def prefetching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (7, 3, [3, 3, 1]), (3, 1, [1, 1, 1])],
)
def test_chunks_hold_everything_in_order(count: int, size: int, sizes: list[int]) -> None:
    chunks = list(chunked(iter(range(count)), size))
    assert [len(chunk) for chunk in chunks] == sizes
    assert [item for chunk in chunks for item in chunk] == list(range(count))


def test_chunks_take_no_more_than_they_give() -> None:
    source = Source(100)
    first = next(chunked(source, 10))
    assert len(first) == source.taken == 10


@pytest.mark.parametrize(
    ("streams", "together"),
    [([], ""), ([""], ""), (["abc"], "abc"), (["abc", "", "xy"], "axbyc"), (["a", "xyz"], "axyz")],
)
def test_streams_take_turns_until_all_have_ended(streams: list[str], together: str) -> None:
    assert "".join(in_turns([iter(stream) for stream in streams])) == together


def test_everything_comes_in_order() -> None:
    assert list(prefetch(Source(100))) == list(range(100))
    assert list(prefetch(Source(0))) == []
    assert prefetching() == []


def test_it_reads_ahead_and_no_further() -> None:
    source = Source(100)
    with closing(prefetch(source, ahead=2)) as items:
        assert next(items) == 0
        # one with the consumer, two ready, one in hand that has no room yet
        wait_until(lambda: source.taken == 4, "the source is read ahead")
        assert next(items) == 1
        wait_until(lambda: source.taken == 5, "the source is read ahead")


def test_what_waits_takes_no_more_than_was_said() -> None:
    source = Source(100)
    with closing(prefetch(source, ahead=50, weigh=lambda number: number, most=10)) as items:
        # 1, 2, 3 and 4 wait, and 5 has no room
        assert next(items) == 0
        wait_until(lambda: source.taken == 6, "the source is read ahead")
        assert [next(items), next(items), next(items)] == [1, 2, 3]
        # 4 and 5 wait, and 6 has no room
        wait_until(lambda: source.taken == 7, "the source is read ahead")


def test_one_that_takes_more_than_may_wait_comes_all_the_same() -> None:
    assert list(prefetch(Source(20), ahead=5, weigh=lambda _: 100, most=10)) == list(range(20))
    assert prefetching() == []


def test_what_goes_wrong_in_weighing_reaches_the_consumer() -> None:
    def weigh(number: int) -> int:
        if number == 1:
            raise ValueError("no weight")
        return 0

    items = prefetch(Source(3), weigh=weigh)
    assert next(items) == 0
    with pytest.raises(ValueError, match="no weight"):
        next(items)
    assert prefetching() == []


def test_an_error_comes_in_its_place() -> None:
    items = prefetch(Source(3, ValueError("broken")))
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert prefetching() == []


def test_an_interrupt_in_the_thread_reaches_the_consumer() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(prefetch(Source(0, KeyboardInterrupt())))


def test_a_consumer_that_stops_early_ends_the_thread() -> None:
    source = Source(1000)
    items = prefetch(source)
    assert next(items) == 0
    items.close()
    assert prefetching() == []
    assert source.taken < 10


def test_a_consumer_that_fails_ends_the_thread() -> None:
    def consume() -> None:
        with closing(prefetch(Source(1000))) as items:
            raise RuntimeError(f"consumer at {next(items)}")

    with pytest.raises(RuntimeError, match="consumer at 0"):
        consume()
    assert prefetching() == []


def test_nothing_is_read_before_it_is_asked_for() -> None:
    source = Source(3)
    prefetch(source).close()
    assert source.taken == 0

"""Small tools for streams: cutting them into chunks, taking turns, reading ahead of their consumer."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items; ``itertools.batched`` needs Python 3.12."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def in_turns(streams: Iterable[Iterator[T]]) -> Iterator[T]:
    """Yield one item of each stream after the other, until all have ended."""
    left = deque(streams)
    while left:
        stream = left.popleft()
        for item in stream:
            left.append(stream)
            yield item
            break


def _nothing(_: object) -> int:
    return 0


def prefetch(
    items: Iterable[T],
    *,
    ahead: int = 1,
    weigh: Callable[[T], int] = _nothing,
    most: int = 0,
) -> Generator[T, None, None]:
    """Iterate in a thread of its own, before the consumer.

    What the source raises is raised here, in its place. When the consumer stops early, the thread
    ends after the item that it is at; closing the generator waits for that.

    Args:
        items: What is iterated.
        ahead: So many items at most wait for the consumer.
        weigh: What an item takes, e.g. bytes.
        most: What waits takes no more than this, unless it is one item alone.
    """
    waiting: deque[tuple[T, int]] = deque()
    changed = threading.Condition()
    is_over = is_stopped = False
    error: BaseException | None = None
    weight = 0

    def offer(item: T) -> bool:
        nonlocal weight
        own = weigh(item)
        with changed:
            changed.wait_for(
                lambda: is_stopped or not waiting or (len(waiting) < ahead and weight + own <= most)
            )
            waiting.append((item, own))
            weight += own
            changed.notify_all()
            return not is_stopped

    def produce() -> None:
        nonlocal error, is_over
        raised: BaseException | None = None
        try:
            for item in items:
                if not offer(item):
                    break
        except BaseException as caught:  # noqa: BLE001 - handed to the consumer, who raises it
            raised = caught
        with changed:
            error, is_over = raised, True
            changed.notify_all()

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or is_over)
                if not waiting:
                    break
                item, own = waiting.popleft()
                weight -= own
                changed.notify_all()
            yield item
        if error is not None:
            raise error
    finally:
        with changed:
            is_stopped = True
            changed.notify_all()
        thread.join()

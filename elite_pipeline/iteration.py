"""Two small tools for streams: cutting them into chunks, and reading ahead of their consumer."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items; ``itertools.batched`` needs Python 3.12."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class _End:
    """Marks the end of a stream, and carries what ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterable[T], *, ahead: int = 1) -> Generator[T, None, None]:
    """Iterate in a thread of its own, ``ahead`` items before the consumer.

    What the source raises is raised here, in its place. When the consumer stops early, the thread
    ends after the item that it is at; closing the generator waits for that.
    """
    ready: queue.Queue[T | _End] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def offer(item: T | _End) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def produce() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                offer(item)
                if stopped.is_set():
                    return
        except BaseException as raised:  # noqa: BLE001 - handed to the consumer, who raises it
            error = raised
        offer(_End(error))

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()

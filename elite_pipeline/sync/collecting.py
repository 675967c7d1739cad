"""How often Python looks for garbage while a flow runs.

A flow makes a million small objects and drops them again, none of them in a cycle. Python looks for
cycles each time some hundreds more are there than before, now and then among everything that the
process has loaded: a fifth of a flow's processor time, and more in a process as large as Dagster's.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: As ``gc.set_threshold`` takes them: objects, then collections of the younger generation.
_SELDOM = (50_000, 20, 50)


_guard = threading.Lock()
_usual: list[tuple[int, int, int]] = []


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage more seldom, for the length of a ``with`` block, also of several at once.

    What is dropped and in no cycle is freed at once all the same.
    """
    with _guard:
        _usual.append(gc.get_threshold() if not _usual else _usual[0])
        gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        with _guard:
            usual = _usual.pop()
            if not _usual:
                gc.set_threshold(*usual)

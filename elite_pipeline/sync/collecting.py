"""How often Python looks for garbage while a flow runs.

A flow makes a million small objects and drops them again, none of them in a cycle. Python looks for
cycles each time some hundreds more are there than before, now and then among everything that the
process has loaded: a fifth of a flow's processor time, and more in a process as large as Dagster's.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: As ``gc.set_threshold`` takes them: objects, then collections of the younger generation.
_SELDOM = (50_000, 20, 50)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage more seldom, for the length of a ``with`` block.

    What is dropped and in no cycle is freed at once all the same.
    """
    usual = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)

"""Waiting for a condition, for what happens in another thread, process or server."""

import time
from collections.abc import Callable

_PATIENCE = 30.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds; fail after a long while."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"This did not come true: {what}")
        time.sleep(0.01)

"""Asking for the same thing once, also when several threads want it at the same time.

What does not belong here: what is asked for (``client``).
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from elite_pipeline.errors import PermanentError

T = TypeVar("T")


class Once(Generic[T]):
    """Remembers answers, also that one was refused for good. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}
        self._known: dict[int, T | PermanentError] = {}

    def get(self, key: int, ask: Callable[[int], T]) -> T:
        """Return what is known under a key, asking for it the first time.

        Raises:
            PermanentError: Asking met it, now or the first time.
            TransientError, SystemicError: Asking met it; it is asked again the next time.
        """
        with self._lock:
            mine = self._locks.setdefault(key, threading.Lock())
        with mine:
            if key not in self._known:
                try:
                    self._known[key] = ask(key)
                except PermanentError as error:
                    self._known[key] = error
            known = self._known[key]
        if isinstance(known, PermanentError):
            raise known
        return known

"""Telling an operator what happens thousands of times a minute once a minute."""

import time
from collections.abc import Callable

#: How long the same is not told again, in seconds.
PAUSE_SECONDS = 60.0
#: Sentences that are remembered; what is told names a client, and these are few.
_MOST = 1000


class Seldom:
    """Tells a sentence unless it was told a short while ago.

    Args:
        tell: Told.
        clock: Seconds, from any beginning.
    """

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._told: dict[str, float] = {}

    def __call__(self, sentence: str) -> bool:
        """Tell a sentence; return whether it was told."""
        now = self._clock()
        told = self._told.get(sentence)
        if told is not None and now - told < PAUSE_SECONDS:
            return False
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[sentence] = now
        self._tell(sentence)
        return True

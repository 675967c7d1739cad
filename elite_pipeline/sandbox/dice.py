"""Chance that is the same everywhere: draws from a hash of a key.

Unlike a generator that is drawn from in turn, a :class:`Dice` of a key can be thrown at any place: the
data of contact 700,000 follow from its number alone, so that a million need no memory, and nothing
depends on the Python version.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_RESOLUTION = 1 << 32
_LOW_WATER = 1 << 64


class Dice:
    """A stream of draws that follows from its key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._round = 0
        self._pool = 0

    def below(self, bound: int) -> int:
        """Return a whole number from 0 up to, not including, ``bound`` (at most 2**32)."""
        if self._pool < _LOW_WATER:
            text = f"{self._key}/{self._round}".encode()
            self._pool = int.from_bytes(hashlib.blake2b(text).digest(), "big")
            self._round += 1
        self._pool, drawn = divmod(self._pool, bound)
        return drawn

    def between(self, least: int, most: int) -> int:
        """Return a whole number from ``least`` to ``most``, both included."""
        return least + self.below(most - least + 1)

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        return self.below(_RESOLUTION) / _RESOLUTION

    def chance(self, probability: float) -> bool:
        """Return true with a probability."""
        return self.fraction() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of some choices."""
        return choices[self.below(len(choices))]

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """Return some different ones of some choices (all of them, if there are not more)."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

"""What a transport asks before each attempt where the other side counts calls.

What does not belong here: how a budget is shared and kept (``ledger.rate_budget``).
"""

from collections.abc import Mapping
from typing import Protocol


class Slot(Protocol):
    """Leave for one attempt, and the attempt while it is under way."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Say that the attempt was answered, and what the answer tells about the budget."""

    def unanswered(self) -> None:
        """Say that the attempt ended without an answer; it may have been counted all the same."""


class RateBudget(Protocol):
    """A budget of calls. Safe to use from several threads."""

    def take(self, kind: str, /) -> Slot:
        """Wait until there is room for one more call.

        Args:
            kind: What the call is counted as, beside all calls; empty: nothing else.

        Raises:
            TransientError: The other side wants to be left alone for longer than is waited.
        """

    def close(self) -> None:
        """Say that no more calls are made; never raises."""


class _Free:
    """Leave that was never needed."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Nobody counts."""

    def unanswered(self) -> None:
        """Nobody counts."""


class Unlimited:
    """The budget towards a system that does not count calls."""

    def take(self, _kind: str, /) -> Slot:
        """Give leave at once."""
        return _FREE

    def close(self) -> None:
        """Nobody counts."""


_FREE = _Free()

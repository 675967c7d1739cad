"""Whether there is room for one more call: the arithmetic of a budget, without clock or database.

What does not belong here: who holds which slot, and for how long (``rate_budget``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What calls of other programs are counted as, as far as answers tell of them.
OTHERS = "(others)"


@dataclass(slots=True)
class Room:
    """What counts at one moment.

    Attributes:
        overall: How many calls of ours may count at once.
        kinds: Kind -> how many of it; others are only limited by ``overall``.
        total: How many calls, those of other programs included; None: not known.
        taken: Kind -> calls that count.
        ahead: Kind -> calls that wait and came before the one that asks.
    """

    overall: int
    kinds: Mapping[str, int]
    total: int | None = None
    taken: dict[str, int] = field(default_factory=dict)
    ahead: dict[str, int] = field(default_factory=dict)

    def is_for(self, kind: str) -> bool:
        """Tell whether one more call of a kind may be made now."""
        return self.lacking_of_kind(kind) <= 0 and self.lacking() <= 0

    def lacking_of_kind(self, kind: str) -> int:
        """Return how many calls of a kind must be over before there is room by its own limit."""
        limit = self.kinds.get(kind)
        counted = self.taken.get(kind, 0) + self.ahead.get(kind, 0)
        return 0 if limit is None else counted + 1 - limit

    def lacking(self) -> int:
        """Return how many calls of any kind must be over before there is room for one more.

        Room that those ahead could use is theirs. One that waits because of its own kind's limit keeps
        nobody of another kind waiting.
        """
        needed = 1 + sum(self._could_go(other, count) for other, count in self.ahead.items())
        lacking = self.ours() + needed - self.overall
        if self.total is None:
            return lacking
        return max(lacking, self.ours() + self.taken.get(OTHERS, 0) + needed - self.total)

    def ours(self) -> int:
        """Return how many calls of ours count."""
        return sum(count for kind, count in self.taken.items() if kind != OTHERS)

    def missing(self, kind: str, total: int, remaining: int) -> tuple[str, int]:
        """Compare what an answer says with what is known.

        Args:
            kind: Of the call that was answered.
            total: How many calls the account says that it allows.
            remaining: How many of these it says are left.

        Returns:
            As what, and how many calls count that nobody here knows of.
        """
        used = total - remaining
        if total == self.kinds.get(kind) and total != self.overall:
            # some answers speak of their kind's limit
            return kind, max(0, used - self.taken.get(kind, 0))
        return OTHERS, max(0, used - sum(self.taken.values()))

    def _could_go(self, kind: str, count: int) -> int:
        limit = self.kinds.get(kind)
        return count if limit is None else max(0, min(count, limit - self.taken.get(kind, 0)))

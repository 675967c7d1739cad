"""When made-up records were created and updated: ever more of them towards the end of the period.

Times are whole seconds (aware, UTC), none after the end of the period.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from elite_pipeline.sandbox.dice import Dice

#: The share of records that came in with the first import, all in the same second.
IMPORTED: Final = 0.3

_BUSIER: Final = 0.7
_RECENT: Final = timedelta(days=3)


@dataclass(frozen=True)
class Timeline:
    """A period, and how records spread over it.

    Attributes:
        start: Its first moment, aware.
        end: Its last moment, aware.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end must be aware times")
        if self.start >= self.end:
            raise ValueError("start must lie before end")

    def created(self, dice: Dice, index: int, count: int) -> datetime:
        """Return when record ``index`` of ``count`` was created; later records are younger."""
        share: float = ((index + dice.fraction()) / count) ** _BUSIER
        return self.start + (self.end - self.start) * share

    def imported_or_created(self, dice: Dice, index: int, count: int) -> datetime:
        """Return the same for records of which the first came in all at once."""
        imported = int(count * IMPORTED)
        if index < imported:
            return self.start
        return self.created(dice, index, count)

    def updated(self, dice: Dice, created: datetime, *, last: bool) -> datetime:
        """Return when a record was last updated: most were never, some lately, the last one just now."""
        if last:
            return max(created, self.end - timedelta(seconds=dice.between(30, 600)))
        throw = dice.fraction()
        if throw < 0.65:
            return created
        if throw < 0.98:
            return created + (self.end - created) * dice.fraction() ** 2
        return max(created, self.end - _RECENT * dice.fraction())

    def after(self, dice: Dice, moment: datetime, most: timedelta) -> datetime:
        """Return a moment within ``most`` after another, not after the end."""
        return min(self.end, moment + timedelta(seconds=1) + most * dice.fraction() ** 2)

"""Which files of a message are on the other side already (``spec/sync.md`` section 6).

A name is there only as often as it is there, and size tells two of one name apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a file is recognised by.

    Attributes:
        name: As both sides would show it.
        size: Bytes; None: not known on this side.
    """

    name: str
    size: int | None


def match(wanted: Sequence[Likeness], there: Sequence[Likeness]) -> list[int | None]:
    """Return for each wanted file the position of the one that it is; None: it is not there.

    Each file that is there stands for one wanted file. The same name with another size is another file;
    a size that one side does not know fits any.
    """
    found: list[int | None] = [None] * len(wanted)
    free = dict(enumerate(there))
    for is_fitting in (_is_equal, _may_be_equal):
        for position, one in enumerate(wanted):
            if found[position] is None:
                hit = next((at for at, other in free.items() if is_fitting(one, other)), None)
                if hit is not None:
                    found[position] = hit
                    del free[hit]
    return found


def _is_equal(one: Likeness, other: Likeness) -> bool:
    return one == other and one.size is not None


def _may_be_equal(one: Likeness, other: Likeness) -> bool:
    return one.name == other.name and None in (one.size, other.size)

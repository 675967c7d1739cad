"""Writing many records at once, with every record in a net of its own.

A batch is fast; a batch that fails because of one record must not fail for the others. So a batch that
cannot be written is cut in halves until the record that cannot be written stands alone. Reading again
what is there is part of every attempt, so a half that was already written is simply unchanged.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from elite_pipeline.errors import PermanentError, SystemicError, TransientError

T = TypeVar("T")
Outcome = TypeVar("Outcome")

logger = logging.getLogger(__name__)


def write_in_nets(
    items: Sequence[T],
    write: Callable[[Sequence[T]], Iterable[Outcome]],
    on_failure: Callable[[T, Exception], None],
) -> list[Outcome]:
    """Write a batch; what cannot be written is handed to ``on_failure``, item by item.

    Args:
        items: In the order in which they are to be written.
        write: Writes items, all or some, and returns their outcomes. May be called again with items
            that it has written already.
        on_failure: Told of each item that cannot be written, and why.

    Raises:
        SystemicError, TransientError: The database fails, not a record: everything stops here.
    """
    if not items:
        return []
    try:
        return list(write(items))
    except (SystemicError, TransientError):
        raise
    except Exception as error:
        if len(items) > 1:
            middle = len(items) // 2
            return [
                *write_in_nets(items[:middle], write, on_failure),
                *write_in_nets(items[middle:], write, on_failure),
            ]
        if not isinstance(error, PermanentError):
            # a defect of ours, met in one record: the others go on, and the trace must be seen
            logger.exception("an unforeseen error in one record")
        on_failure(items[0], error)
        return []

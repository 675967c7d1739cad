"""Whether rows can be stored, found out by all but storing one, and not more often than needed."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from elite_pipeline.errors import PipelineError
from elite_pipeline.inbox.writer import unforeseen

logger = logging.getLogger(__name__)

#: An answer is good for so long, in seconds: anybody may ask.
FRESH_SECONDS = 1.0


class Health:
    """Whether rows can be stored; asked in one event loop.

    Args:
        check: Raises what storing a row would.
        failed: Told why rows cannot be stored.
    """

    def __init__(self, check: Callable[[], None], failed: Callable[[PipelineError], None]) -> None:
        self._check = check
        self._failed = failed
        # a thread of its own: the one that stores rows may be stuck
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="healthz")
        self._asking: asyncio.Task[bool] | None = None
        self._asked = 0.0

    async def is_good(self) -> bool:
        """Tell whether rows can be stored; those who ask at once are told the same."""
        now = time.monotonic()
        if self._asking is None or (self._asking.done() and now - self._asked > FRESH_SECONDS):
            self._asking, self._asked = asyncio.create_task(self._ask()), now
        return await asyncio.shield(self._asking)

    def close(self) -> None:
        """End the thread; one that is stuck ends with the process."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._check)
        except PipelineError as error:
            self._failed(error)
            return False
        except Exception as error:
            logger.exception("healthz: an unforeseen failure")
            self._failed(unforeseen(error))
            return False
        return True

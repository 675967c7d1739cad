"""Storing webhooks: those that come while others are being committed are committed together.

One thread works on the database, so that a commit, which takes far longer than an insert, is paid once
for all who wait for it. Nobody is told that a row is stored before its commit is through.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import sqlalchemy as sa

from elite_pipeline.errors import PipelineError, SystemicError, database_error_kind
from elite_pipeline.inbox.rows import Webhook

logger = logging.getLogger(__name__)

#: The most that is committed together: rows, and characters of payloads.
BATCH = 500
BATCH_CHARS = 4 << 20

_Waiting = tuple[Webhook, "asyncio.Future[None]"]


class Writer:
    """Stores webhooks for one event loop; every method is called in it.

    Args:
        store: Stores some, all or none; they are committed when it returns.
    """

    def __init__(self, store: Callable[[Sequence[Webhook]], None]) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None

    async def put(self, webhook: Webhook) -> None:
        """Store a webhook and return when it is committed.

        One whose caller stops waiting before its turn came is not stored.

        Raises:
            PipelineError: It could not be stored, as far as is known.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (webhook, done)
        self._waiting.append(waiting)
        if self._work is None:
            self._work = asyncio.create_task(self._write())
        try:
            await done
        except asyncio.CancelledError:
            # else they would pile up before a database that does not answer
            with suppress(ValueError):
                self._waiting.remove(waiting)
            raise

    async def close(self) -> None:
        """Store what waits, and end the thread."""
        while self._work is not None:
            await self._work
        self._thread.shutdown()

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_some(self._next())
        finally:
            self._work = None

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        chars = 0
        while self._waiting and len(batch) < BATCH:
            chars += len(self._waiting[0][0].payload)
            if batch and chars > BATCH_CHARS:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _write_some(self, batch: Sequence[_Waiting]) -> None:
        error = await self._stored([webhook for webhook, _ in batch])
        if error is not None and len(batch) > 1 and not _is_of_all(error):
            # it may be the fault of one alone
            for one in batch:
                await self._write_some([one])
            return
        for _, done in batch:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    async def _stored(self, webhooks: Sequence[Webhook]) -> PipelineError | None:
        """Return why webhooks could not be stored; None: they are committed."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store, webhooks)
        except PipelineError as error:
            return error
        except Exception as error:
            # a defect; who waits must be told all the same, and may find it mended later
            logger.exception("webhooks could not be stored")
            return unforeseen(error)
        return None


def unforeseen(error: Exception) -> SystemicError:
    """Return what is told of a defect: its own words may be anybody's."""
    failure = SystemicError(f"an unforeseen {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _is_of_all(error: PipelineError) -> bool:
    """Tell whether it is the database that failed, and not a row that it refused."""
    cause = error.__cause__
    if not isinstance(cause, sa.exc.DBAPIError):
        return False
    arguments = cause.orig.args if cause.orig is not None else ()
    number = arguments[0] if arguments and isinstance(arguments[0], int) else None
    if number is None:
        return not isinstance(cause, sa.exc.DataError | sa.exc.IntegrityError)
    return cause.connection_invalidated or database_error_kind(number) != "permanent"

"""Many calls at once on a bounded pool of threads; one that fails spoils no other.

What does not belong here: what the calls are (``client``).
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError, TransientError

T = TypeVar("T")

#: So many calls in a row without an answer are not so many poor records: it is the host.
BREAKER_LIMIT = 10


class _Skipped:
    """What a job gives that was not started any more."""


class Workers:
    """A pool of threads that may also be shared by several callers.

    Args:
        most: Jobs at once, at most.
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="toga2")
        self._here = threading.local()

    def close(self) -> None:
        """End the threads; jobs that have not started never will."""
        self._pool.shutdown(cancel_futures=True)

    def run(self, jobs: Sequence[Callable[[], T]], what: str) -> list[T | PipelineError]:
        """Run jobs, and return when none of them is running any more.

        Args:
            jobs: Each may wait for calls of its own, and must not run jobs in turn.
            what: What to call them, in the plural.

        Returns:
            One entry per job, in their order: its result, or the transient or permanent error that it
            raised.

        Raises:
            SystemicError: A job raised it, or so many in a row failed for a passing reason that it must
                be the host. No further job is started, and the ones under way are waited for.
        """
        if getattr(self._here, "is_worker", False):
            # all threads could wait for each other
            raise RuntimeError("a job must not run jobs")
        stopped = threading.Event()

        def carry_out(job: Callable[[], T]) -> T | PipelineError | _Skipped:
            if stopped.is_set():
                return _Skipped()
            self._here.is_worker = True
            try:
                return job()
            except (TransientError, PermanentError) as error:
                return error
            except BaseException:
                stopped.set()
                raise

        futures = [self._pool.submit(carry_out, job) for job in jobs]
        try:
            return _gathered(futures, what)
        finally:
            stopped.set()
            for future in futures:
                future.cancel()
            wait(futures)


def _gathered(
    futures: Sequence[Future[T | PipelineError | _Skipped]], what: str
) -> list[T | PipelineError]:
    results: list[T | PipelineError] = []
    in_a_row = 0
    for future in futures:
        result = future.result()
        if isinstance(result, _Skipped):
            # further on is the one that stopped it
            continue
        in_a_row = in_a_row + 1 if isinstance(result, TransientError) else 0
        if in_a_row >= BREAKER_LIMIT:
            raise SystemicError(
                f"TOGA 2: {in_a_row} {what} in a row failed; the last one: {result} "
                "The run stops here, and goes on from its watermark when TOGA 2 answers."
            )
        results.append(result)
    return results

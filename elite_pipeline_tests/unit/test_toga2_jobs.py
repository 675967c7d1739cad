"""Many calls at once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from elite_pipeline.errors import PermanentError, SystemicError, TransientError
from elite_pipeline.toga2.jobs import BREAKER_LIMIT, Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(4)
    yield made
    made.close()


def failing(error: BaseException) -> Callable[[], int]:
    def job() -> int:
        raise error

    return job


def giving(number: int) -> Callable[[], int]:
    return lambda: number


def test_results_stand_in_the_order_of_the_jobs(workers: Workers) -> None:
    assert workers.run([giving(number) for number in range(50)], "jobs") == list(range(50))
    assert workers.run([], "jobs") == []
    assert workers.run([lambda: None] * 3, "jobs") == [None] * 3


def test_as_many_at_once_as_there_are_threads(workers: Workers) -> None:
    barrier = threading.Barrier(4)
    assert len(workers.run([lambda: barrier.wait(30)] * 12, "jobs")) == 12


def test_one_that_fails_spoils_no_other(workers: Workers) -> None:
    passing, lasting = TransientError("passing"), PermanentError("lasting")
    jobs = [giving(0), failing(passing), giving(2), failing(lasting)]
    assert workers.run(jobs, "jobs") == [0, passing, 2, lasting]


@pytest.mark.parametrize("error", [SystemicError("refused"), KeyError("a mistake")], ids=str)
def test_a_systemic_failure_stops_the_rest_and_waits_for_what_runs(
    workers: Workers, error: Exception
) -> None:
    started: list[int] = []
    is_failing, ended = threading.Event(), threading.Event()

    def slow() -> int:
        started.append(0)
        is_failing.wait(30)
        ended.set()
        return 0

    def fails() -> int:
        is_failing.set()
        raise error

    def counted() -> int:
        started.append(1)
        return 1

    jobs = [slow, fails, *[counted] * 2000]
    with pytest.raises(type(error), match=r"refused|a mistake"):
        workers.run(jobs, "jobs")
    assert ended.is_set()
    count = len(started)
    assert count < 2000
    assert workers.run([giving(1)], "jobs") == [1]
    assert len(started) == count


def test_so_many_in_a_row_without_an_answer_are_the_host(workers: Workers) -> None:
    jobs = [failing(TransientError("no answer"))] * 200
    with pytest.raises(SystemicError, match=f"{BREAKER_LIMIT} uploads in a row failed.*no answer"):
        workers.run(jobs, "uploads")
    mixed = [failing(TransientError("no answer")), giving(1)] * 50
    assert len(workers.run(mixed, "uploads")) == 100


def test_a_job_that_would_run_jobs_is_a_mistake_and_no_deadlock(workers: Workers) -> None:
    def nested() -> object:
        return workers.run([giving(1)], "jobs")

    with pytest.raises(RuntimeError, match="must not run jobs"):
        workers.run([nested] * 8, "jobs")


def test_several_callers_share_the_threads(workers: Workers) -> None:
    found: list[object] = []
    callers = [
        threading.Thread(
            target=lambda: found.append(workers.run([giving(n) for n in range(100)], "jobs"))
        )
        for _ in range(5)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [list(range(100))] * 5

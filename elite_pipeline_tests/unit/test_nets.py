"""Every record in a net of its own."""

import logging
from collections.abc import Sequence

import pytest

from elite_pipeline.errors import PermanentError, SystemicError, TransientError
from elite_pipeline.sync.nets import write_in_nets


class Writer:
    """Writes numbers; refuses the poisoned ones, as a statement would: all or nothing."""

    def __init__(self, *poisoned: int, error: type[Exception] = PermanentError) -> None:
        self.poisoned = set(poisoned)
        self.error = error
        self.statements: list[list[int]] = []
        self.failed: list[tuple[int, Exception]] = []

    def write(self, items: Sequence[int]) -> list[int]:
        self.statements.append(list(items))
        if self.poisoned & set(items):
            raise self.error("poisoned")
        return list(items)

    def run(self, *items: int) -> list[int]:
        return write_in_nets(items, self.write, self._fail)

    def _fail(self, item: int, error: Exception) -> None:
        self.failed.append((item, error))


def test_a_batch_is_one_statement() -> None:
    writer = Writer()
    assert writer.run(1, 2, 3) == [1, 2, 3]
    assert writer.statements == [[1, 2, 3]]


def test_nothing_is_no_statement() -> None:
    writer = Writer()
    assert writer.run() == []
    assert writer.statements == []


@pytest.mark.parametrize("poisoned", [0, 1, 499, 500, 998, 999])
def test_one_among_a_thousand_fails_alone_and_soon(poisoned: int) -> None:
    writer = Writer(poisoned)
    done = writer.run(*range(1000))
    assert done == [number for number in range(1000) if number != poisoned]
    assert [item for item, _ in writer.failed] == [poisoned]
    assert len(writer.statements) <= 2 * 10 + 1


def test_several_fail_each_with_its_own_error_and_the_order_stays() -> None:
    writer = Writer(2, 3, 7)
    assert writer.run(*range(9)) == [0, 1, 4, 5, 6, 8]
    assert [item for item, _ in writer.failed] == [2, 3, 7]
    assert len({id(error) for _, error in writer.failed}) == 3


@pytest.mark.parametrize("error", [SystemicError, TransientError])
def test_a_failing_database_is_nobodys_fault(error: type[Exception]) -> None:
    writer = Writer(3, error=error)
    with pytest.raises(error):
        writer.run(*range(9))
    assert writer.failed == []
    assert len(writer.statements) == 1


def test_a_defect_of_ours_is_one_records_failure_and_its_trace_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = Writer(3, error=KeyError)
    with caplog.at_level(logging.ERROR):
        assert writer.run(1, 2, 3, 4) == [1, 2, 4]
    assert isinstance(writer.failed[0][1], KeyError)
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_an_interrupt_is_no_records_failure() -> None:
    writer = Writer(3)

    def interrupted(_: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_in_nets([1, 2, 3], interrupted, writer._fail)
    assert writer.failed == []

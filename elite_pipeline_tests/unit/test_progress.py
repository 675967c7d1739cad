"""How far a run counts as done, whatever fails where."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from elite_pipeline.sync.watermarks import Progress

START = datetime(2026, 6, 10, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def seconds(*moments: int) -> list[datetime]:
    return [at(moment) for moment in moments]


def test_without_records_nothing_is_reached() -> None:
    progress = Progress()
    progress.add([])
    assert progress.reached is None
    assert not progress.is_blocked


def test_what_is_handled_is_reached() -> None:
    progress = Progress()
    progress.add(seconds(3, 1, 2))
    assert progress.reached == at(3)
    progress.add(seconds(5))
    assert progress.reached == at(5)


def test_a_failure_holds_it_before_itself_for_good() -> None:
    progress = Progress()
    progress.add(seconds(1, 2, 4), [at(3)])
    progress.add(seconds(5, 6))
    assert progress.reached == at(2)
    assert progress.is_blocked


def test_a_failure_in_the_second_of_a_done_one_holds_it_before_that_second() -> None:
    progress = Progress()
    progress.add(seconds(1, 2, 2), [at(2)])
    assert progress.reached == at(1)


def test_a_failure_in_the_last_second_of_the_batch_before_takes_that_second_back() -> None:
    progress = Progress()
    progress.add(seconds(1, 2))
    progress.add(seconds(3), [at(2)])
    assert progress.reached == at(1)


def test_a_failure_in_the_very_first_second_leaves_nothing() -> None:
    progress = Progress()
    progress.add(seconds(1, 1), [at(1)])
    assert progress.reached is None


def test_a_failure_without_a_time_holds_it_before_its_whole_batch() -> None:
    progress = Progress()
    progress.add(seconds(1, 2))
    progress.add(seconds(3, 4), [None])
    assert progress.reached == at(2)


def test_a_lone_failure_without_a_time_takes_the_last_second_back() -> None:
    progress = Progress()
    progress.add(seconds(1, 2))
    progress.add([], [None])
    assert progress.reached == at(1)


def test_a_failure_without_a_time_at_the_very_start_leaves_nothing() -> None:
    progress = Progress()
    progress.add([], [None])
    progress.add(seconds(1))
    assert progress.reached is None


def test_blocking_behind_everything_changes_nothing_but_the_future() -> None:
    progress = Progress()
    progress.add(seconds(1, 2))
    progress.block(at(9))
    progress.add(seconds(3))
    assert progress.reached == at(2)


@pytest.mark.parametrize("seed", range(30))
def test_it_never_passes_a_failure_and_never_falls_short_without_reason(seed: int) -> None:
    rng = random.Random(seed)
    records = sorted((rng.randrange(40), rng.random() < 0.05) for _ in range(60))
    progress = Progress()
    for start in range(0, len(records), 7):
        some = records[start : start + 7]
        progress.add(
            [at(moment) for moment, fails in some if not fails],
            [at(moment) for moment, fails in some if fails],
        )
    first_failed = min((moment for moment, fails in records if fails), default=None)
    before = [moment for moment, _ in records if first_failed is None or moment < first_failed]
    assert progress.reached == (at(max(before)) if before else None)

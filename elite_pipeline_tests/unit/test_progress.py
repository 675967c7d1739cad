"""How far a run counts as done."""

from datetime import UTC, datetime, timedelta

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


def test_what_is_handled_is_reached() -> None:
    progress = Progress()
    progress.add(seconds(3, 1, 2))
    assert progress.reached == at(3)
    progress.add(seconds(5))
    assert progress.reached == at(5)


def test_what_comes_again_later_takes_nothing_back() -> None:
    progress = Progress()
    progress.add(seconds(5))
    progress.add(seconds(2))
    assert progress.reached == at(5)


def test_what_changed_after_the_reading_began_counts_for_a_later_run() -> None:
    progress = Progress()
    progress.limit = at(4)
    progress.add(seconds(3, 4, 5, 9))
    assert progress.reached == at(4)


def test_what_changed_after_the_reading_began_hides_nothing_behind_it() -> None:
    progress = Progress()
    progress.limit = at(4)
    progress.add(seconds(9, 2))
    assert progress.reached == at(2)

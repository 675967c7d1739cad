"""What of the checks' findings is written down again, and in which order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from elite_pipeline.health import news
from elite_pipeline.health.findings import Finding
from elite_pipeline.health.news import (
    Told,
    begins_to_fail,
    is_news,
    is_repeated,
    key_of,
    news_of,
    passes_every,
)

MINUTE, HOUR = 60, 3600
NOW = 1_000_000
GOOD = Finding("elite", "contacts", "watermark_lag", passed=True, is_severe=True, text="good")
BAD = replace(GOOD, passed=False, text="bad")
OFF = replace(GOOD, is_watched=False, is_severe=False)


def told(finding: Finding, ago: int) -> Told:
    return Told.of(finding, NOW - ago)


def ran(finding: Finding, ago: int) -> Finding:
    return replace(finding, ran_at=datetime.fromtimestamp(NOW - ago, UTC))


@pytest.mark.parametrize(
    ("finding", "before", "news"),
    [
        (GOOD, None, True),
        (OFF, None, False),
        (GOOD, told(GOOD, HOUR), False),
        (GOOD, told(GOOD, 13 * HOUR), True),
        (GOOD, told(BAD, 1), True),
        (BAD, told(GOOD, 1), True),
        (BAD, told(BAD, MINUTE), False),
        (BAD, told(BAD, 15 * MINUTE), True),
        (BAD, told(replace(BAD, is_severe=False), 1), True),
        (GOOD, told(replace(GOOD, is_severe=False), 1), False),
        (replace(GOOD, gauge=2), told(GOOD, 4 * MINUTE), False),
        (replace(GOOD, gauge=2), told(GOOD, 5 * MINUTE), True),
        # a run of the flow has made Dagster forget what was said before
        (ran(BAD, ago=HOUR), told(BAD, 10 * MINUTE), False),
        (ran(BAD, ago=MINUTE), told(BAD, 4 * MINUTE), False),
        (ran(BAD, ago=MINUTE), told(BAD, 5 * MINUTE), True),
        (ran(GOOD, ago=HOUR), told(GOOD, 30 * MINUTE), False),
        (ran(GOOD, ago=MINUTE), told(GOOD, 30 * MINUTE), True),
        (OFF, told(BAD, 1), True),
        (OFF, told(GOOD, 100 * HOUR), False),
    ],
)
def test_what_changed_is_news_and_what_did_not_is_repeated_seldom(
    finding: Finding, before: Told | None, news: bool
) -> None:
    assert is_news(finding, before, NOW) == news


def test_passes_are_repeated_the_less_often_the_more_there_are() -> None:
    assert passes_every(10) == timedelta(minutes=1)
    assert passes_every(1600) == timedelta(minutes=57, seconds=36)
    passing, now = ran(GOOD, ago=MINUTE), NOW + HOUR
    after = replace(passing, ran_at=datetime.fromtimestamp(now - MINUTE, UTC))
    assert not is_news(after, Told.of(passing, NOW), now, timedelta(hours=2))
    assert is_news(after, Told.of(passing, NOW), now, timedelta(minutes=30))


def test_only_passes_that_were_passes_are_a_repetition() -> None:
    memory = {key_of(GOOD): told(GOOD, 1)}
    assert is_repeated([GOOD], memory)
    assert not is_repeated([GOOD], {})
    assert not is_repeated([GOOD, replace(BAD, client="wje")], memory)
    assert not is_repeated([GOOD], {key_of(GOOD): told(BAD, 1)})


def test_a_check_begins_to_fail_once() -> None:
    assert begins_to_fail(BAD, None)
    assert begins_to_fail(BAD, told(GOOD, HOUR))
    assert not begins_to_fail(BAD, told(BAD, HOUR))
    assert not begins_to_fail(GOOD, None)


def test_the_client_for_which_a_check_fails_is_written_down_last() -> None:
    # the page shows what came last
    failing = replace(BAD, client="wje")
    found = [failing, GOOD, replace(GOOD, client="zoe"), replace(GOOD, check="dead_letters")]
    memory = {key_of(failing): told(failing, 1)}
    assert [(one.client, one.check) for one in news_of(found, memory, NOW)] == [
        ("elite", "watermark_lag"),
        ("zoe", "watermark_lag"),
        ("wje", "watermark_lag"),
        ("elite", "dead_letters"),
    ]


def test_nothing_is_written_down_where_nothing_changed() -> None:
    found = [GOOD, replace(BAD, client="wje")]
    memory = {key_of(one): told(one, 1) for one in found}
    assert news_of(found, memory, NOW) == []


def test_what_is_too_much_for_one_look_is_left_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(news, "MOST", 5)
    found = [
        replace(BAD if client == "c1" else GOOD, client=client, flow=flow)
        for flow in ("contacts", "units", "teams")
        for client in ("c1", "c2", "c3", "c4")
    ]
    memory: dict[tuple[str, str, str], Told] = {}
    looks = []
    while written := news_of(found, memory, NOW):
        looks.append(len(written))
        memory.update({key_of(one): Told.of(one, NOW) for one in written})
    assert set(memory) == {key_of(one) for one in found}
    assert max(looks) <= 5

    many = [replace(GOOD, client=f"c{number}") for number in range(12)]
    assert 0 < len(news_of(many, {}, NOW)) <= 5

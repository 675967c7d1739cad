from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from elite_pipeline.togadesk import TogadeskStore, connect


@pytest.fixture
def chicago() -> Iterator[TogadeskStore]:
    engine = connect("sqlite://")
    with TogadeskStore(engine, client_id=2, timezone=ZoneInfo("America/Chicago")) as store:
        yield store
    engine.dispose()


@pytest.mark.parametrize(
    ("instant", "local", "fold"),
    [
        ("2026-01-15T18:00:00+00:00", "2026-01-15 12:00:00", 0),
        ("2026-07-15T18:00:00+00:00", "2026-07-15 13:00:00", 0),
        ("2026-03-08T07:59:59+00:00", "2026-03-08 01:59:59", 0),  # the hour that is left out
        ("2026-03-08T08:00:00+00:00", "2026-03-08 03:00:00", 0),
        ("2026-11-01T06:30:00+00:00", "2026-11-01 01:30:00", 0),  # the hour that comes twice
        ("2026-11-01T07:30:00+00:00", "2026-11-01 01:30:00", 1),
    ],
)
def test_instants_and_local_times(
    chicago: TogadeskStore, instant: str, local: str, fold: int
) -> None:
    aware = datetime.fromisoformat(instant)
    naive = chicago.to_local(aware)
    assert str(naive) == local
    assert chicago.from_local(naive, fold) == aware
    assert chicago.from_local(naive, fold).tzinfo is UTC


def test_parts_of_a_second_are_dropped(chicago: TogadeskStore) -> None:
    assert chicago.to_local(datetime.fromisoformat("2026-01-15T18:00:00.999999Z")).microsecond == 0


def test_an_instant_needs_a_zone(chicago: TogadeskStore) -> None:
    with pytest.raises(ValueError, match="time zone"):
        chicago.to_local(datetime.fromisoformat("2026-01-15T18:00:00"))


@pytest.mark.parametrize("zone", ["UTC", "America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("day", ["2026-03-08", "2026-04-04", "2026-06-10", "2026-11-01"])
def test_a_printed_time_is_recognised_as_it_is_printed(zone: str, day: str) -> None:
    engine = connect("sqlite://")
    with TogadeskStore(engine, client_id=1, timezone=ZoneInfo(zone)) as store:
        start = datetime.fromisoformat(f"{day} 00:00:00+00:00")
        instants = [start + timedelta(seconds=seconds) for seconds in range(0, 86_400, 599)]
        near = [timedelta(seconds=apart) for apart in (-3600, -1800, -1, 0, 1, 1800, 3600)]
        for instant in instants:
            text = store.local_text(instant)
            assert [store.is_local_text(text, instant + apart) for apart in near] == [
                store.local_text(instant + apart) == text for apart in near
            ]
    engine.dispose()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0000-00-00 00:00:00",
        "2026-06-10 13:00",
        "2026-06-10T13:00:00",
        "2026-06-10 13:00:00.000000",
        "2026-W24-3 13:00:00",
        "2026-06-10 13:00:0x",
    ],
)
def test_what_is_printed_in_another_way_is_not_recognised(
    chicago: TogadeskStore, text: str | None
) -> None:
    instant = datetime(2026, 6, 10, 18, tzinfo=UTC)
    assert chicago.is_local_text("2026-06-10 13:00:00", instant)
    assert not chicago.is_local_text(text, instant)

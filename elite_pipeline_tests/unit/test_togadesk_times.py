from collections.abc import Iterator
from datetime import UTC, datetime
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

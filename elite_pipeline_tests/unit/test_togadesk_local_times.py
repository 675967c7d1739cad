"""The earliest local time that anything written from an instant on can carry."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from elite_pipeline.togadesk import TogadeskStore, connect

#: Zone, and instants around which its clocks change.
ZONES = [
    ("America/Chicago", "2026-03-08T08:00:00+00:00"),
    ("America/Chicago", "2026-11-01T07:00:00+00:00"),
    ("Europe/London", "2026-03-29T01:00:00+00:00"),
    ("Europe/London", "2026-10-25T01:00:00+00:00"),
    ("UTC", "2026-10-25T01:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
]


def bound(zone: str, instant: str) -> str:
    engine = connect("sqlite://")
    with TogadeskStore(engine, client_id=1, timezone=ZoneInfo(zone)) as store:
        earliest = store.local_lower_bound(datetime.fromisoformat(instant))
    engine.dispose()
    return str(earliest)


@pytest.mark.parametrize(
    ("zone", "instant", "earliest"),
    [
        ("America/Chicago", "2026-01-15T18:00:00+00:00", "2026-01-15 12:00:00"),
        # spring: an hour is left out, nothing comes twice
        ("America/Chicago", "2026-03-08T07:59:59+00:00", "2026-03-08 01:59:59"),
        ("America/Chicago", "2026-03-08T08:00:00+00:00", "2026-03-08 03:00:00"),
        # autumn: from one o'clock on everything may be of the second pass
        ("America/Chicago", "2026-11-01T05:59:59+00:00", "2026-11-01 00:59:59"),
        ("America/Chicago", "2026-11-01T06:00:00+00:00", "2026-11-01 01:00:00"),
        ("America/Chicago", "2026-11-01T06:30:00+00:00", "2026-11-01 01:00:00"),
        ("America/Chicago", "2026-11-01T06:59:59.999+00:00", "2026-11-01 01:00:00"),
        ("America/Chicago", "2026-11-01T07:00:00+00:00", "2026-11-01 01:00:00"),
        ("America/Chicago", "2026-11-01T07:20:07+00:00", "2026-11-01 01:20:07"),
        ("America/Chicago", "2026-11-01T08:00:00+00:00", "2026-11-01 02:00:00"),
        ("Europe/London", "2026-10-25T00:30:00+00:00", "2026-10-25 01:00:00"),
        ("Europe/London", "2026-10-25T01:30:00+00:00", "2026-10-25 01:30:00"),
        ("UTC", "2026-10-25T00:30:00.9+00:00", "2026-10-25 00:30:00"),
        # half an hour comes twice, from half past one
        ("Australia/Lord_Howe", "2026-04-04T14:29:00+00:00", "2026-04-05 01:29:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:45:13+00:00", "2026-04-05 01:30:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:10:00+00:00", "2026-04-05 01:40:00"),
    ],
)
def test_known_bounds(zone: str, instant: str, earliest: str) -> None:
    assert bound(zone, instant) == earliest


@pytest.mark.parametrize(("zone", "change"), ZONES)
def test_no_later_instant_is_written_as_earlier(zone: str, change: str) -> None:
    """Compare with every second of three hours on, from places all around a change of the clocks."""
    moment = datetime.fromisoformat(change)
    engine = connect("sqlite://")
    with TogadeskStore(engine, client_id=1, timezone=ZoneInfo(zone)) as store:
        for minutes in range(-240, 121, 17):
            start = moment + timedelta(minutes=minutes, seconds=minutes % 60)
            written = [store.to_local(start + timedelta(seconds=s)) for s in range(3 * 3600 + 1)]
            assert store.local_lower_bound(start) == min(written)
    engine.dispose()


def test_an_instant_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        bound("UTC", "2026-01-15T18:00:00")


def test_the_zone_of_the_instant_does_not_matter() -> None:
    chicago = datetime(2026, 11, 1, 6, 30, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kolkata"))
    assert bound("America/Chicago", chicago.isoformat()) == "2026-11-01 01:00:00"

"""Stored watermarks: read once, moved forward only, wrong ones named."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.watermarks import BEGINNING, CONTACTS, UNITS, Watermarks
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Parameter

JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 8))


class Parameters:
    """TOGA 2's parameters in memory; notes every call."""

    def __init__(self, *pairs: tuple[str, str | None]) -> None:
        self.pairs = list(pairs)
        self.reads = 0
        self.writes: list[str] = []

    def parameters(self, names: Sequence[str]) -> list[Parameter]:
        self.reads += 1
        return [
            Parameter(
                uuid=str(number), name=name, value=value, created=JUNE_TEXT, updated=JUNE_TEXT
            )
            for number, (name, value) in enumerate(self.pairs)
            if name in names
        ]

    def create(self, _: wire.Resource, fields: Mapping[str, str]) -> None:
        self.writes.append("create")
        self.pairs.append((fields["name"], fields["value"]))

    def update(self, _: wire.Resource, uuid: str, fields: Mapping[str, str]) -> None:
        self.writes.append("update")
        self.pairs[int(uuid)] = (self.pairs[int(uuid)][0], fields["value"])

    def watermarks(self) -> Watermarks:
        return Watermarks(cast("Toga2Client", self))


JUNE_TEXT = cast("datetime", "2026-06-01 00:00:00")


def text(moment: datetime) -> str:
    return wire.format_time(moment)


def test_one_that_was_never_written_is_the_beginning() -> None:
    assert Parameters().watermarks().get(CONTACTS) == BEGINNING
    assert text(BEGINNING) == "2000-01-01 00:00:00"


def test_all_are_read_in_one_call() -> None:
    stored = Parameters((CONTACTS, text(JUNE)), (UNITS, f" {text(JULY)} "))
    marks = stored.watermarks()
    assert (marks.get(CONTACTS), marks.get(UNITS)) == (JUNE, JULY)
    assert [marks.get(name) for name in watermarks.ALL if name not in {CONTACTS, UNITS}] == [
        BEGINNING
    ] * (len(watermarks.ALL) - 2)
    assert stored.reads == 1


def test_the_names_are_the_documented_ones() -> None:
    assert watermarks.TICKETS == "TOGADESK_LAST_TICKET_INTEGRATION_DATETIME"
    assert watermarks.TOGADESK_TICKETS == "TOGA_LAST_TICKET_INTEGRATION_DATETIME"
    assert watermarks.CONTACTS == "TOGADESK_LAST_CONTACT_INTEGRATION_DATETIME"
    assert len(set(watermarks.ALL)) == len(watermarks.ALL) == 8


@pytest.mark.parametrize("value", [None, "", "soon", "2026-06-01", "2026-06-01T00:00:00", "0"])
def test_one_that_is_no_time_is_named_and_not_guessed_at(value: str | None) -> None:
    stored = Parameters((CONTACTS, value))
    with pytest.raises(ConfigurationError) as caught:
        stored.watermarks().get(CONTACTS)
    assert CONTACTS in str(caught.value)
    assert "YYYY-MM-DD HH:MM:SS" in str(caught.value)
    with pytest.raises(ConfigurationError):
        stored.watermarks().advance(CONTACTS, JULY)
    assert stored.writes == []


def test_one_that_is_no_time_is_no_other_flows_affair() -> None:
    stored = Parameters((CONTACTS, "soon"), (UNITS, text(JUNE)))
    assert stored.watermarks().get(UNITS) == JUNE


def test_it_is_made_when_there_is_none() -> None:
    stored = Parameters()
    marks = stored.watermarks()
    assert marks.get(CONTACTS) == BEGINNING
    assert marks.advance(CONTACTS, JULY) == JULY
    assert stored.pairs == [(CONTACTS, text(JULY))]
    assert marks.get(CONTACTS) == JULY
    assert stored.writes == ["create"]


def test_it_is_changed_when_there_is_one() -> None:
    stored = Parameters((UNITS, text(AUGUST)), (CONTACTS, text(JUNE)))
    assert stored.watermarks().advance(CONTACTS, JULY) == JULY
    assert stored.pairs == [(UNITS, text(AUGUST)), (CONTACTS, text(JULY))]
    assert stored.writes == ["update"]


def test_another_run_that_got_further_meanwhile_is_not_moved_back() -> None:
    stored = Parameters((CONTACTS, text(JUNE)))
    marks = stored.watermarks()
    assert marks.get(CONTACTS) == JUNE
    stored.pairs = [(CONTACTS, text(AUGUST))]
    assert marks.advance(CONTACTS, JULY) == AUGUST
    assert stored.pairs == [(CONTACTS, text(AUGUST))]
    assert stored.writes == []
    assert marks.get(CONTACTS) == AUGUST


def test_of_two_with_one_name_the_earlier_counts_and_neither_moves_back() -> None:
    stored = Parameters((CONTACTS, text(AUGUST)), (CONTACTS, text(JUNE)))
    marks = stored.watermarks()
    assert marks.get(CONTACTS) == JUNE
    assert marks.advance(CONTACTS, JULY) == JULY
    assert stored.pairs == [(CONTACTS, text(AUGUST)), (CONTACTS, text(JULY))]
    assert stored.watermarks().get(CONTACTS) == JULY


def test_since_and_full_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        Options(since=JUNE, full=True)


def test_since_needs_a_zone() -> None:
    with pytest.raises(ConfigurationError, match="'since' needs a time zone"):
        Options(since=JUNE.replace(tzinfo=None))

"""How Freshservice is spelled: times, ids, names."""

from datetime import UTC, datetime

import pytest

from elite_pipeline.freshservice import wire
from elite_pipeline.freshservice.limits import limits_of
from elite_pipeline.freshservice.models import (
    Conversation,
    Malformed,
    Person,
    Ticket,
    parse,
    parse_person,
)

EIGHT = datetime(2026, 6, 10, 8, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-10T08:00:00Z",
        "2026-06-10T08:00:00z",
        "2026-06-10 08:00:00Z",
        "2026-06-10T08:00:00.000Z",
        "2026-06-10T13:30:00+05:30",
        "2026-06-10T13:30:00+0530",
        "2026-06-10T13:30:00.000 +0530",
        "2026-06-10T00:00:00-08:00",
    ],
)
def test_a_time_is_read_in_every_spelling(text: str) -> None:
    assert wire.parse_time(text) == EIGHT


def test_fractions_are_kept() -> None:
    assert wire.parse_time("2026-06-10T08:00:00.123Z").microsecond == 123_000


@pytest.mark.parametrize(
    "text",
    ["", "2026-06-10", "2026-06-10T08:00:00", "2026-W24-3T08:00:00Z", "20260610T080000Z",
     "2026-13-10T08:00:00Z", "0001-01-01T00:00:00+14:00", "2026-06-10T08:00:00Z\n",
     "٢026-06-10T08:00:00Z"],
)  # fmt: skip
def test_what_would_be_a_guess_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.parse_time(text)


def test_a_time_is_written_in_utc() -> None:
    assert (
        wire.format_time(wire.parse_time("2026-06-10T13:30:00.9+05:30")) == "2026-06-10T08:00:00Z"
    )


@pytest.mark.parametrize(
    ("raw", "name"),
    [({"id": 7}, "7"), ({"id": 4_000_000_000}, "4000000000"), ({"id": "7"}, None), ({"id": True}, None),
     ({"id": 0}, None), ({"id": -1}, None), ({}, None), ([], None), (None, None),
     ({"id": 1 << 60}, None)],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_called_by_its_id_where_it_has_one(
    raw: object, name: str | None
) -> None:
    found = parse(Conversation, raw)
    assert isinstance(found, Malformed)
    assert found.name == name or (name is None and found.name.startswith("(without id, "))


def test_a_nameless_one_is_called_the_same_when_its_links_are_new() -> None:
    def named(signature: str) -> str:
        link = f"https://x.attachments.freshservice.com/a?Expires=1&Signature={signature}"
        found = parse(Conversation, {"body": "x", "attachments": [{"attachment_url": link}]})
        assert isinstance(found, Malformed)
        return found.name

    assert named("abc") == named("def")


def test_a_flag_that_is_text_is_read_as_it_is_meant() -> None:
    raw = {"id": 1, "created_at": "2026-06-10T08:00:00Z", "updated_at": "2026-06-10T08:00:00Z"}
    found = parse(Ticket, {**raw, "deleted": "false", "spam": None})
    assert isinstance(found, Ticket)
    assert (found.deleted, found.spam) == (False, False)
    assert isinstance(parse(Ticket, {**raw, "deleted": "perhaps"}), Malformed)


def test_a_person_without_a_name_has_none() -> None:
    found = parse_person({"id": 1, "mobile_phone_number": 123}, is_agent=False)
    assert isinstance(found, Person)
    assert (found.name, found.email, found.phone, found.title) == ("", "", "123", "")


def test_a_plan_can_be_used_in_part() -> None:
    assert limits_of("pro", None).overall == 400
    assert limits_of("pro", 50).overall == 50
    assert limits_of("pro", 50).kinds["view_ticket"] == 140

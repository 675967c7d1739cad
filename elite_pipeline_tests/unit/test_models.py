"""TOGA 2's answers: envelopes opened, records parsed at the edge, malformed ones set apart."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import (
    Contact,
    Malformed,
    RecordParser,
    Ticket,
    TicketNote,
    TicketTeam,
    Unit,
    uuid_of,
)

CONTACTS = RecordParser(Contact)
TIMES = {"_created": "2026-06-10 08:00:00", "_updated": "2026-06-10 09:30:15"}


def contact(**changes: Any) -> dict[str, Any]:
    return {"uuid": "c-1", **TIMES, "email": "ada@example.com", **changes}


class TestARecord:
    def test_its_times_are_aware_and_utc(self) -> None:
        record = CONTACTS.one(contact())
        assert isinstance(record, Contact)
        assert record.updated == datetime(2026, 6, 10, 9, 30, 15, tzinfo=UTC)
        assert record.updated.tzinfo is UTC

    def test_unknown_fields_are_ignored_and_absent_ones_neutral(self) -> None:
        record = CONTACTS.one({"uuid": "c-1", **TIMES, "c_eliteUserId": "7", "new": [1]})
        assert isinstance(record, Contact)
        assert record.first_name is None
        assert record.email is None
        assert record.is_active

    def test_a_number_where_a_text_is_meant_is_taken_as_one(self) -> None:
        record = CONTACTS.one(contact(phone=4915550123))
        assert isinstance(record, Contact)
        assert record.phone == "4915550123"

    def test_a_relation_is_its_uuid_expanded_or_not(self) -> None:
        units = RecordParser(Unit)
        for relation in ({"uuid": "c-1"}, contact()):
            unit = units.one({"uuid": "u-1", **TIMES, "contact": relation, "item": {"uuid": "i"}})
            assert isinstance(unit, Unit)
            assert unit.contact is not None
            assert unit.contact.uuid == "c-1"

    def test_a_note_that_does_not_say_whether_it_is_public_is_refused(self) -> None:
        notes = RecordParser(TicketNote)
        made = notes.one({"uuid": "n-1", **TIMES, "body": "x"})
        assert isinstance(made, Malformed)
        assert "isExternal" in made.reason


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (contact(_updated="2026-06-10T09:30:15Z"), "_updated"),
        (contact(_updated="2026-06-31 09:30:15"), "_updated"),
        (contact(_updated="0000-00-00 00:00:00"), "_updated"),
        (contact(_updated="2026-6-10 09:30:15"), "_updated"),
        (contact(_updated="٢٠٢٦-06-10 09:30:15"), "_updated"),
        (contact(_updated=None), "_updated"),
        (contact(_updated=1781083815), "_updated"),
        ({"uuid": "c-1", "_created": TIMES["_created"]}, "_updated"),
        (contact(uuid=""), "uuid"),
        (contact(uuid="x" * 65), "uuid"),
        (contact(email=["a@b"]), "email"),
        (contact(email={"a": "b"}), "email"),
        (contact(email=True), "email"),
        (contact(firstName="half \ud83d"), "firstName"),
        (contact(isActive="perhaps"), "isActive"),
        (None, "record"),
        ("text", "record"),
        ([], "record"),
    ],
)
def test_a_malformed_record_says_which_field_and_never_its_value(raw: object, field: str) -> None:
    made = CONTACTS.one(raw)
    assert isinstance(made, Malformed)
    assert field in made.reason
    assert "perhaps" not in made.reason
    assert "\ud83d" not in made.reason


def test_malformed_ones_are_set_apart_and_the_rest_keep_their_order() -> None:
    raws = [contact(uuid=f"c-{number}") for number in range(5)]
    raws[2]["_updated"] = "never"
    del raws[4]["uuid"]
    parsed = CONTACTS.many(raws)
    assert [record.uuid for record in parsed.records] == ["c-0", "c-1", "c-3"]
    named, nameless = parsed.malformed
    assert (named.name, named.is_nameless) == ("c-2", False)
    assert nameless.is_nameless
    # told from other nameless ones, and the same when it comes again
    assert CONTACTS.many(raws).malformed[1].name == nameless.name
    assert CONTACTS.many([*raws, {}]).malformed[2].name != nameless.name
    assert parsed.malformed[0].updated is None
    assert parsed.malformed[1].updated == datetime(2026, 6, 10, 9, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize("spoiled", [(), (2,), (0, 4), (0, 1, 2, 3, 4)])
def test_several_together_are_parsed_as_each_by_itself(spoiled: tuple[int, ...]) -> None:
    raws: list[Any] = [contact(uuid=f"c-{number}") for number in range(5)]
    for place in spoiled:
        raws[place] = {**raws[place], "_updated": "never"}
    assert [*CONTACTS.each(raws)] == [CONTACTS.one(raw) for raw in raws]
    lists = [raws[:2], [], raws[2:3], raws[3:], []]
    assert CONTACTS.lists(lists) == [CONTACTS.many(some) for some in lists]
    assert [len(one.malformed) for one in CONTACTS.lists([[], raws])] == [0, len(spoiled)]


def test_what_is_wrong_in_many_places_is_still_one_short_reason() -> None:
    teams = RecordParser(TicketTeam)
    made = teams.one({"uuid": 1.5, "_updated": 2, "name": None, "isActive": "x"})
    assert isinstance(made, Malformed)
    assert made.is_nameless
    for field in ("_updated", "name", "isActive"):
        assert f"{field}: " in made.reason
    assert len(made.reason) < 300


@pytest.mark.parametrize("levels", [3, 150])
def test_what_is_wrong_far_below_is_still_one_short_reason(levels: int) -> None:
    category: dict[str, Any] = {"uuid": None}
    for number in range(levels):
        category = {"uuid": f"c-{number}", "parent": category}
    made = RecordParser(Ticket).one({"uuid": "t-1", **TIMES, "ticketCategory": category})
    assert isinstance(made, Malformed)
    assert "ticketCategory.parent.parent.parent." in made.reason
    assert len(made.reason) < 300


@pytest.mark.parametrize("raw", [{}, [], None, {"uuid": 7}, {"uuid": ""}, {"uuid": "a\ud83d"}])
def test_a_record_without_a_usable_uuid_has_none(raw: object) -> None:
    assert uuid_of(raw) is None


class TestTheEnvelope:
    def test_a_list_and_one_object_stand_under_the_plural(self) -> None:
        assert wire.read_list(wire.TICKET_TEAMS, b'{"data": {"ticketTeams": [{}, 1]}}') == [{}, 1]
        assert wire.read_one(wire.CONTACTS, b'{"data": {"contacts": {"a": 1}}}') == {"a": 1}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"data": null}',
            b'{"data": []}',
            b'{"data": {"units": []}}',
            b'{"data": {"contacts": null}}',
            b'{"data": {"contacts": [{}',
            b"<html></html>",
            b'{"data": {"contacts": "\xff"}}',
        ],
    )
    def test_anything_else_is_never_an_empty_list(self, body: bytes) -> None:
        for read in (wire.read_list, wire.read_one):
            with pytest.raises(ValueError, match=r"data|JSON|utf|Expecting|column"):
                read(wire.CONTACTS, body)

    def test_one_is_not_a_list_nor_a_list_one(self) -> None:
        with pytest.raises(ValueError, match=r"data\.contacts is not a list"):
            wire.read_list(wire.CONTACTS, b'{"data": {"contacts": {}}}')
        with pytest.raises(ValueError, match=r"data\.contacts is not one object"):
            wire.read_one(wire.CONTACTS, b'{"data": {"contacts": []}}')

    def test_half_a_surrogate_pair_spoils_its_own_record_alone(self) -> None:
        raws = [contact(uuid="c-1"), contact(uuid="c-2", firstName="\ud83d"), contact(uuid="c-3")]
        body = json.dumps({"data": {"contacts": raws}}).encode()
        parsed = CONTACTS.many(wire.read_list(wire.CONTACTS, body))
        assert [record.uuid for record in parsed.records] == ["c-1", "c-3"]
        assert [made.name for made in parsed.malformed] == ["c-2"]

    @pytest.mark.parametrize("depth", [190, 250, 5_000, 100_000])
    @pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"parent": ', b"}")])
    def test_what_is_nested_without_end_spoils_its_own_record_alone(
        self, depth: int, opened: bytes, closed: bytes
    ) -> None:
        raws = [contact(uuid=f"c-{number}", email="HERE", c_new="") for number in range(3)]
        nested = opened * depth + b"1" + closed * depth
        body = json.dumps({"data": {"contacts": raws}}).encode()
        first, second, third, fourth = body.split(b'"HERE"')
        spoiled = b'"a@b"'.join([first, second]) + nested + b'"\\"]}"'.join([third, fourth])
        parsed = CONTACTS.many(wire.read_list(wire.CONTACTS, spoiled))
        assert [record.email for record in parsed.records] == ["a@b", '\\"]}'[1:]]
        assert [made.name for made in parsed.malformed] == ["c-1"]
        assert "email" in parsed.malformed[0].reason

    def test_what_is_nested_without_end_in_a_field_that_is_not_read_spoils_nothing(self) -> None:
        body = json.dumps({"data": {"contacts": contact(c_new="HERE")}}).encode()
        nested = body.replace(b'"HERE"', b"[" * 5_000 + b"]" * 5_000)
        assert isinstance(CONTACTS.one(wire.read_one(wire.CONTACTS, nested)), Contact)

    @pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 300 + b'"\\"]'])
    def test_what_is_nested_and_cut_is_not_valid(self, body: bytes) -> None:
        with pytest.raises(ValueError, match="cut"):
            wire.read_list(wire.CONTACTS, body)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"error": {"code": "EV-6", "message": "not found"}}', ("EV-6", "not found")),
            (b'{"error": {"code": 6}}', (None, "")),
            (b'{"error": "no"}', (None, "")),
            (b"[]", (None, "")),
            (b"<html>503</html>", (None, "")),
            (b"", (None, "")),
        ],
    )
    def test_an_error_is_read_as_far_as_it_can_be(
        self, body: bytes, said: tuple[str | None, str]
    ) -> None:
        assert wire.read_error(body) == said


def test_times_are_written_in_utc_and_whole_seconds() -> None:
    moment = datetime.fromisoformat("2026-06-10T02:00:00.999+02:00")
    assert wire.format_time(moment) == "2026-06-10 00:00:00"
    assert wire.parse_time(wire.format_time(moment)) == moment.replace(microsecond=0)

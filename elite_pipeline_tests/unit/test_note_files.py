"""A note's files as they are read, with the traps that hid them once."""

from typing import Any

import pytest

from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import NAMELESS, Malformed, NoteFile, RecordParser, TicketNote
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

KEYS = {"TICKETS": "ticketNoteFiles", "REPAIR_ORDERS": "repairOrderNoteFiles"}
FILE = {"uuid": "f-1", "name": "a.png", "contentType": "image/png", "size": 7}


@pytest.fixture(params=["TICKETS", "REPAIR_ORDERS"])
def integration_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def parser(integration_type: str) -> RecordParser[TicketNote]:
    return TICKET_ROUTES[integration_type].note_parser


@pytest.fixture
def key(integration_type: str) -> str:
    return KEYS[integration_type]


def note(parser: RecordParser[TicketNote], **fields: Any) -> TicketNote:
    times = {"_created": "2026-06-10 08:00:00", "_updated": "2026-06-10 09:30:15"}
    made = parser.one({"uuid": "n-1", **times, "isExternal": True, **fields})
    assert isinstance(made, TicketNote)
    return made


def test_files_come_with_what_is_known_of_them(parser: RecordParser[TicketNote], key: str) -> None:
    second = {"uuid": "f-2", "name": "", "contentType": None, "size": "0", "data": "YWJj"}
    files = note(
        parser, **{key: [{"uuid": "l-1", "file": FILE}, {"uuid": "l-2", "file": second}]}
    ).files
    assert files is not None
    assert [
        (link.uuid, link.file.uuid, link.file.name, link.file.content_type, link.file.size)
        for link in files
        if isinstance(link, NoteFile)
    ] == [("l-1", "f-1", "a.png", "image/png", 7), ("l-2", "f-2", "", None, 0)]


def test_the_keys_are_the_documented_ones(integration_type: str, key: str) -> None:
    notes = TICKET_ROUTES[integration_type].notes
    assert notes.children == key
    assert notes.file_links is not None
    assert notes.file_links.key == key
    assert wire.TICKETS.file_links is None


@pytest.mark.parametrize(
    "wrong", ["ticketNotesFiles", "repairOrderNotesFiles", "files", "noteFiles"]
)
def test_another_key_is_not_read(parser: RecordParser[TicketNote], wrong: str) -> None:
    assert note(parser, **{wrong: [{"uuid": "l-1", "file": FILE}]}).files is None


def test_the_other_kinds_key_is_not_read() -> None:
    for integration_type, key in zip(KEYS, reversed(KEYS.values()), strict=True):
        parser = TICKET_ROUTES[integration_type].note_parser
        assert note(parser, **{key: [{"uuid": "l-1", "file": FILE}]}).files is None


def test_none_at_all_and_nothing_said_are_told_apart(
    parser: RecordParser[TicketNote], key: str
) -> None:
    assert note(parser, **{key: []}).files == []
    assert note(parser).files is None
    assert note(parser, **{key: None}).files is None
    assert note(parser, **{key: [{"uuid": "l-1"}, {"uuid": "l-2"}]}).files is None
    assert note(parser, **{key: [{"uuid": "l-1", "file": {"uuid": "f-1"}}]}).files is None


@pytest.mark.parametrize(
    ("link", "name", "said"),
    [
        ({"uuid": "l-2"}, "l-2", "nothing but its uuid"),
        ({"uuid": "l-2", "file": {"uuid": "f-2"}}, "l-2", "file.name"),
        ({"uuid": "l-2", "file": None}, "l-2", "file"),
        ({"uuid": "l-2", "file": {**FILE, "size": -1}}, "l-2", "file.size"),
        ({"uuid": "l-2", "file": {**FILE, "name": None}}, "l-2", "file.name"),
        ({"file": FILE}, NAMELESS, "uuid"),
        (None, NAMELESS, "not what"),
        ("l-2", NAMELESS, "not what"),
    ],
)
def test_a_malformed_link_is_named_and_spoils_neither_note_nor_other_files(
    parser: RecordParser[TicketNote], key: str, link: object, name: str, said: str
) -> None:
    made = note(parser, body="x", **{key: [{"uuid": "l-1", "file": FILE}, link]})
    assert made.body == "x"
    assert made.files is not None
    good, bad = made.files
    assert isinstance(good, NoteFile)
    assert isinstance(bad, Malformed)
    assert bad.name.startswith(name)
    assert said in bad.reason


@pytest.mark.parametrize("raw", [{}, {"uuid": "l-1", "file": FILE}, "none", 0, True])
def test_what_is_no_list_is_never_no_files(
    parser: RecordParser[TicketNote], key: str, raw: object
) -> None:
    files = note(parser, **{key: raw}).files
    assert files is not None
    (bad,) = files
    assert isinstance(bad, Malformed)
    assert "not a list" in bad.reason

"""Which tickets verify passes at first sight: none with which anything is the matter.

Each way in which a ticket can be wrong, or special, is planted alone into one that had nothing of the
kind, so that nothing but the first look can find it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from elite_pipeline.sync.own_keys import OwnKey, note_field, ticket_field
from elite_pipeline.sync.signatures import signature
from elite_pipeline.sync.verify import judging
from elite_pipeline.sync.verify.findings import Finding
from elite_pipeline.sync.verify.judging import Judge
from elite_pipeline.sync.verify.plainly_equal import PlainlyEqual
from elite_pipeline.sync.verify.sides import Sides
from elite_pipeline.sync.verify.tickets import TicketVerifier, _bytes_of
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.typing import Typist
from elite_pipeline_tests.support.verifying import verified

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


@dataclass
class Plain:
    """Two tickets without anything special about them, the first to be spoilt, and the second as it was.

    Attributes:
        uuid, other: The tickets'.
        reply, comment: The first one's notes.
    """

    desk: Desk
    uuid: str
    other: str
    reply: str
    comment: str

    @property
    def systems(self) -> Systems:
        """Both sides."""
        return self.desk.systems

    def sql(self, statement: str, *values: Any) -> None:
        """Write into the helpdesk."""
        self.systems.helpdesk.execute(statement, *values)

    def id(self, table: str, reference: str) -> int:
        """Return the id of a row of the helpdesk."""
        rows = self.systems.helpdesk.rows(
            f"SELECT id FROM {table} WHERE referenceId = '{reference}'"
        )
        return int(rows[0][0])

    def double(self, table: str, reference: str, **columns: Any) -> None:
        """Write a row once more, with some columns changed."""
        names = [row[1] for row in self.systems.helpdesk.rows(f"PRAGMA table_info({table})")]
        names.remove("id")
        kept = ", ".join(columns.get(name, f'"{name}"') for name in names)
        quoted = ", ".join(f'"{name}"' for name in names)
        self.sql(
            f"INSERT INTO {table} ({quoted}) SELECT {kept} FROM {table} WHERE referenceId = :a",
            reference,
        )

    def looked_at(self) -> tuple[set[str], list[Finding]]:
        """Return what passes at first sight, and what is found."""
        passed: set[str] = set()
        among = PlainlyEqual.among

        def noting(self: PlainlyEqual, *given: Any) -> Any:
            equal = among(self, *given)
            passed.update(equal)
            return equal

        with patch.object(PlainlyEqual, "among", noting):
            _, findings = verified(self.systems)
        return passed, findings

    def looked_at_closely(self) -> Sequence[Finding]:
        """Return what is found where nothing passes at first sight."""
        with patch.object(PlainlyEqual, "among", lambda *_: {}):
            return verified(self.systems)[1]


@pytest.fixture
def plain(desk: Desk) -> Plain:
    ann = desk.contact("ann@example.com", first="Ann")
    desk.contact("bob@example.com", first="Bob")
    store = desk.systems.toga2_store
    unit = store.create("elite", "units", {"name": "Scanner", "tag": "T1"})["uuid"]
    team = store.create("elite", "ticket-teams", {"name": "Field"})["uuid"]
    named: dict[str, Any] = {
        "contact": {"uuid": ann},
        "unit": {"uuid": unit},
        "ticketTeam": {"uuid": team},
    }
    ticket, other = desk.ticket("One", **named), desk.ticket("Two", **named)
    author = {"authorName": "Ann", "authorEmail": "ann@example.com"}
    reply = desk.note(ticket, "<p>Reply</p>", 2, **author)
    comment = desk.note(ticket, "<p>Comment</p>", 3, isExternal=False, **author)
    desk.note(other, "<p>Of nobody</p>", 4, authorName="Nobody")
    for _ in range(2):
        desk.systems.sync_all()
    return Plain(desk, ticket, other, reply, comment)


SPOILT: dict[str, Callable[[Plain], object]] = {}


def spoil(function: Callable[[Plain], object]) -> Callable[[Plain], object]:
    SPOILT[function.__name__] = function
    return function


def _set(table: str, which: str, **columns: Any) -> Callable[[Plain], object]:
    def change(plain: Plain) -> None:
        for name, value in columns.items():
            plain.sql(
                f"UPDATE {table} SET {name} = :a WHERE referenceId = :b",
                value,
                getattr(plain, which),
            )

    return change


LATER = "2026-06-11 08:00:00"
SPOILT |= {
    f"{table} {which} {name}": _set(table, which, **{name: value})
    for table, which, columns in (
        (
            "tickets",
            "uuid",
            {
                "subject": "Another",
                "status": "Closed",
                "priority": "High",
                "userid": 3,
                "email": "x@example.com",
                "groupid": 0,
                "assetid": 0,
                "timestamp": LATER,
            },
        ),
        (
            "tickets_replies",
            "uuid",
            {"message": "<p>x</p>", "peopleid": 3, "timestamp": LATER, "ticketid": 2},
        ),
        (
            "tickets_replies",
            "reply",
            {"message": "<p>x</p>", "peopleid": 3, "timestamp": LATER, "ticketid": 2},
        ),
        (
            "comments",
            "comment",
            {"comment": "<p>x</p>", "peopleid": 3, "timestamp": LATER, "ticketid": 2},
        ),
    )
    for name, value in columns.items()
}


@spoil
def row_is_doubled(plain: Plain) -> None:
    plain.double("tickets", plain.uuid)


@spoil
def reply_is_doubled(plain: Plain) -> None:
    plain.double("tickets_replies", plain.reply)


@spoil
def reply_is_a_comment_too(plain: Plain) -> None:
    plain.sql(
        "INSERT INTO comments (peopleid, clientid, projectid, ticketid, comment, timestamp, "
        "referenceId) SELECT peopleid, 1, 0, ticketid, message, timestamp, referenceId "
        "FROM tickets_replies WHERE referenceId = :a",
        plain.reply,
    )


@spoil
def comment_is_public_too(plain: Plain) -> None:
    plain.sql(
        "INSERT INTO tickets_replies (ticketid, peopleid, message, timestamp, referenceId) "
        "SELECT ticketid, peopleid, comment, timestamp, referenceId FROM comments "
        "WHERE referenceId = :a",
        plain.comment,
    )


@spoil
def comment_stands_among_the_replies(plain: Plain) -> None:
    comment_is_public_too(plain)
    plain.sql("DELETE FROM comments WHERE referenceId = :a", plain.comment)


@spoil
def reply_is_missing(plain: Plain) -> None:
    plain.sql("DELETE FROM tickets_replies WHERE referenceId = :a", plain.reply)


def _insert_file(plain: Plain, **columns: Any) -> None:
    stored = {"file": "1-a.png", "filetype": "image/png", "filesize": 1}
    Typist(plain.systems).insert("files", **columns, **stored)


@spoil
def reply_has_a_file(plain: Plain) -> None:
    _insert_file(plain, ticketreplyid=plain.id("tickets_replies", plain.reply), name="a.png")


@spoil
def comment_has_a_file(plain: Plain) -> None:
    _insert_file(plain, clientid=1, name=f"{private_tag(plain.comment)}a.png")


@spoil
def contact_is_named_there_alone(plain: Plain) -> None:
    plain.desk.change(plain.desk.tickets_route, plain.uuid, 1, contact=None)


@spoil
def note_has_a_file(plain: Plain) -> None:
    attach(plain.desk, plain.reply)


@spoil
def note_was_edited(plain: Plain) -> None:
    plain.desk.change(plain.desk.notes_route, plain.reply, 2, body="<p>Edited</p>")


@spoil
def note_became_internal(plain: Plain) -> None:
    plain.desk.change(plain.desk.notes_route, plain.reply, 2, isExternal=False)


@spoil
def note_is_another_one_s(plain: Plain) -> None:
    plain.desk.change(plain.desk.notes_route, plain.reply, 2, authorEmail="bob@example.com")


@spoil
def note_cannot_be_read(plain: Plain) -> None:
    store, route = plain.systems.toga2_store, plain.desk.notes_route
    store.put_raw(
        "elite", route, {**store.get("elite", route, plain.reply), "authorName": {"x": 1}}
    )


@spoil
def note_carries_a_key_of_ours(plain: Plain) -> None:
    field = note_field(plain.systems.clients["elite"].custom_field_prefix)
    key = str(OwnKey("reply", plain.id("tickets_replies", plain.reply)))
    plain.desk.change(plain.desk.notes_route, plain.reply, 2, **{field: key})


@spoil
def ticket_carries_a_key_of_ours(plain: Plain) -> None:
    field = ticket_field(plain.systems.clients["elite"].custom_field_prefix)
    key = str(OwnKey("ticket", plain.id("tickets", plain.uuid)))
    plain.desk.change(plain.desk.tickets_route, plain.uuid, 1, **{field: key})


@spoil
def status_has_no_counterpart(plain: Plain) -> None:
    store, route = plain.systems.toga2_store, plain.desk.tickets_route
    store.update("elite", route, plain.uuid, {"status": "CLOSED"})
    plain.sql("UPDATE tickets SET status = 'On the moon' WHERE referenceId = :a", plain.uuid)


def test_nothing_special_passes(plain: Plain) -> None:
    passed, findings = plain.looked_at()
    assert passed == {plain.uuid, plain.other}
    assert not findings
    assert not plain.looked_at_closely()


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_the_matter_keeps_a_ticket_from_passing(plain: Plain, name: str) -> None:
    SPOILT[name](plain)
    passed, findings = plain.looked_at()
    assert plain.uuid not in passed
    assert plain.other in passed
    assert [*map(str, findings)] == [*map(str, plain.looked_at_closely())]


@pytest.mark.parametrize(
    ("table", "kind"), [("people", "contact"), ("assets", "unit"), ("groups", "team")]
)
def test_what_both_name_is_there_twice(plain: Plain, table: str, kind: str) -> None:
    changed = {"people": {"email": "'x@example.com'"}, "assets": {"tag": "'T2'"}}.get(table, {})
    ((reference,),) = plain.systems.helpdesk.rows(
        f'SELECT referenceId FROM "{table}" WHERE id = 1'
        if table != "people"
        else "SELECT referenceId FROM people WHERE email = 'ann@example.com'"
    )
    plain.double(f'"{table}"', reference, **changed)
    passed, findings = plain.looked_at()
    assert not passed
    assert [*map(str, findings)] == [*map(str, plain.looked_at_closely())]
    assert kind in {one.kind for one in findings}


def test_authors_are_known_however_few_are_remembered(
    plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, systems = plain.desk, plain.systems
    ann = {"authorName": "Ann", "authorEmail": "ann@example.com"}
    # she is remembered from the page before, and he is not
    third, fourth = desk.ticket("Three", minute=5), desk.ticket("Four", minute=6)
    desk.note(third, "<p>Hers</p>", 7, **ann)
    by_ann = desk.note(fourth, "<p>Hers</p>", 8, **ann)
    desk.note(fourth, "<p>His</p>", 9, authorName="Bob", authorEmail="bob@example.com")
    systems.sync_all()
    plain.sql(
        "UPDATE tickets_replies SET peopleid = 0, message = :a WHERE referenceId = :b",
        f"{signature('Ann', 'ann@example.com')}<p>Hers</p>",
        by_ann,
    )
    monkeypatch.setattr(judging, "MOST_AUTHORS", 0)
    # each ticket is a page of its own
    monkeypatch.setattr(systems, "open", partial(systems.open, page_size=1))
    passed, findings = plain.looked_at()
    assert passed == {plain.uuid, plain.other, third}
    assert [finding.record for finding in findings] == [by_ann]


def test_who_was_nobody_is_asked_for_again(plain: Plain) -> None:
    page: Any = [SimpleNamespace(notes=[SimpleNamespace(author_email=" New@Example.com ")])]
    with plain.systems.open() as context, Sides(()) as sides:
        judge = Judge(context, sides, with_bytes=False, tree=None)
        assert judge.authors_of(page) == {}
        id_ = Typist(plain.systems).person("new@example.com")
        assert judge.authors_of(page) == {"new@example.com": id_}
        reads = context.togadesk.statements.reads
        assert judge.authors_of(page) == {"new@example.com": id_}
        assert context.togadesk.statements.reads == reads


def test_a_page_weighs_what_it_takes(desk: Desk) -> None:
    desk.ticket("One", description="x" * 10_000)
    plain = _weight(desk)
    desk.change(desk.tickets_route, desk.ticket("Two"), 5, description="\U0001f600" * 10_000)
    assert 10_000 < plain < 20_000
    # each character takes four bytes as soon as one of them needs them
    assert _weight(desk) > plain + 40_000


def _weight(desk: Desk) -> int:
    with desk.systems.open() as context, Sides(()) as sides:
        verifier = TicketVerifier(context, sides, since=None, with_bytes=False, tree=None)
        return sum(_bytes_of(page) for page in verifier._pages())

"""A file of the helpdesk that could not be sent with its reply, and what people do with it until it can.

``spec/sync.md`` 10.1: in the end it hangs on its note in TOGA 2, wherever that note is by then, or is a
dead letter.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from elite_pipeline.sync.ticket_messages import MessageWriter
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline_tests.integration.test_outgoing import assert_quiet
from elite_pipeline_tests.support.note_files import attach, bring, shown, there
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.two_way_faults import Killed
from elite_pipeline_tests.support.typing import Typist

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)

NAMES = pytest.mark.parametrize("name", ["plan.png", "image001.png", "x" * 170 + ".png"])


@dataclass
class Late:
    """A reply with two files, of which one has no bytes for now.

    Attributes:
        note: The note that the reply was sent as.
        name: What both files are called.
    """

    typist: Typist
    note: str
    name: str
    stored: Path

    @property
    def desk(self) -> Desk:
        """The client's side of TOGA 2."""
        return self.typist.desk

    def change(self, minute: int, **fields: Any) -> None:
        """Change the note in TOGA 2."""
        self.desk.change(self.desk.notes_route, self.note, minute, **fields)

    def letters(self) -> list[str]:
        """Return what dead letters wait on the way out."""
        with self.typist.systems.open(self.typist.client) as context:
            found = context.ledger.dead_letters.listed()
        return [one.record for one in found if one.flow == "togadesk_to_toga2"]

    def mend(self) -> None:
        """Give the file its bytes, and let time pass until it is tried again."""
        self.stored.write_bytes(b"late")
        self.typist.systems.later += timedelta(days=2)

    def arrived(self) -> list[tuple[str, bytes]]:
        """Return the files of the note in TOGA 2."""
        return sorted((name, content) for name, _, content in there(self.typist))

    def expected(self) -> list[tuple[str, bytes]]:
        """Return what they are once everything is through."""
        return [(self.name, b"early"), (self.name, b"late")]


def late_file(typist: Typist, name: str = "plan.png", *, on_description: bool = False) -> Late:
    """Let a reply be sent without one of its two files."""
    systems = typist.systems
    id_, first = typist.ticket()
    reply = first if on_description else typist.reply(id_, "<p>Here</p>")
    typist.upload(reply, name, b"early")
    before = set(systems.uploads_dir.iterdir())
    typist.upload(reply, name, b"late")
    (stored,) = set(systems.uploads_dir.iterdir()) - before
    stored.unlink()
    typist.send()
    bring(systems)
    (note,) = typist.raw_notes()
    late = Late(typist, note["uuid"], name, stored)
    assert (late.arrived(), len(late.letters())) == ([(name, b"early")], 1)
    return late


@pytest.fixture(autouse=True)
def one_clock(typist: Typist) -> None:
    """Let TOGA 2 have the time at which people type, so that watermarks have the last word."""
    typist.systems.toga2_store.clock = typist.now


@NAMES
def test_arrives_at_a_note_that_was_made_internal(typist: Typist, name: str) -> None:
    late = late_file(typist, name)
    late.change(300, isExternal=False)
    bring(typist.systems)
    late.mend()
    typist.send()
    assert late.arrived() == late.expected()
    assert not late.letters()
    assert_quiet(typist)
    tag = private_tag(late.note)
    assert [one[:2] for one in shown(typist.systems)] == [(tag + name, "")] * 2
    late.change(400, isExternal=True)
    bring(typist.systems)
    assert [one[:2] for one in shown(typist.systems)] == [(name, "<p>Here</p>")] * 2
    assert_quiet(typist)


@pytest.mark.parametrize("is_external", [True, False])
def test_arrives_at_a_note_that_was_moved(typist: Typist, is_external: bool) -> None:
    late = late_file(typist)
    typist.ticket("Another")
    typist.send()
    (other,) = [one["uuid"] for one in typist.made() if one["subject"] == "Another"]
    late.change(300, isExternal=is_external, **late.desk.under(other))
    bring(typist.systems)
    late.mend()
    typist.send()
    assert late.arrived() == late.expected()
    assert not late.letters()
    assert_quiet(typist)


@pytest.mark.parametrize("is_readable", [True, False], ids=["readable", "malformed"])
def test_of_a_description_arrives_at_the_note_of_its_files(
    typist: Typist, is_readable: bool
) -> None:
    late = late_file(typist, on_description=True)
    store, route = typist.systems.toga2_store, late.desk.notes_route
    late.change(300, isExternal=False)
    if not is_readable:
        spoilt = {**store.get(typist.client, route, late.note), "authorName": {"x": 1}}
        store.put_raw(typist.client, route, spoilt)
        (made,) = typist.made()
        late.desk.change(late.desk.tickets_route, made["uuid"], 301, subject="Changed too")
    bring(typist.systems)
    late.mend()
    typist.send()
    if not is_readable:
        # nobody knows which of its files the note has, and no comment says where they are
        assert len(late.letters()) == 1
        return
    bring(typist.systems)
    assert late.arrived() == late.expected()
    assert not late.letters()
    assert not [one for one in shown(typist.systems) if one[1]]
    assert_quiet(typist)


def test_waits_while_its_message_is_nowhere(typist: Typist) -> None:
    late = late_file(typist)
    late.change(300, isExternal=False)

    def killed(*_: Any) -> None:
        raise Killed

    with patch.object(MessageWriter, "write", killed), pytest.raises(Killed):
        bring(typist.systems)
    # as where nothing is rolled back: out of the replies, and not among the comments yet
    execute, tag = typist.systems.helpdesk.execute, private_tag(late.note)
    execute("UPDATE files SET ticketreplyid = 0, clientid = 1, name = :a", tag + late.name)
    execute("DELETE FROM tickets_replies WHERE message = '<p>Here</p>'")
    late.mend()
    assert typist.send().dead_letters.waiting == 1
    assert late.arrived() == [(late.name, b"early")]
    bring(typist.systems)
    typist.send()
    assert late.arrived() == late.expected()
    assert not late.letters()
    assert_quiet(typist)


def test_nothing_else_is_sent_with_it(typist: Typist) -> None:
    late = late_file(typist)
    attach(late.desk, late.note, "theirs.png", b"theirs", minute=300)
    late.change(301, body="<p>Edited</p>")
    bring(typist.systems)
    links = late.desk.kind.link.route
    store = typist.systems.toga2_store
    (link,) = [
        one["uuid"]
        for one in store.all(typist.client, links, depth=5)
        if one["file"]["name"] == "theirs.png"
    ]
    store.delete(typist.client, links, link)
    late.mend()
    typist.send()
    # what was taken away in TOGA 2 stays away
    assert late.arrived() == late.expected()


def test_that_people_took_away_is_nobody_s(typist: Typist) -> None:
    late = late_file(typist)
    typist.systems.helpdesk.execute(
        "UPDATE files SET ticketreplyid = 0, name = 'kept.png' WHERE file = :a", late.stored.name
    )
    late.mend()
    typist.send()
    assert late.arrived() == [("plan.png", b"early")]
    assert not late.letters()

"""What a random history of both sides has found, or would hardly find: each by its name."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from elite_pipeline.sandbox.toga2 import Status
from elite_pipeline.sync import ticket_batch
from elite_pipeline.sync.incoming_files import FileWriter
from elite_pipeline.sync.outgoing_messages import FILES_TEXT
from elite_pipeline.sync.ticket_note_news import NoteNews
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline_tests.integration.test_outgoing import assert_quiet
from elite_pipeline_tests.support.note_files import attach, shown, there
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.two_way_faults import Killed
from elite_pipeline_tests.support.typing import Typist

ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


def bring(systems: Systems, **options: Any) -> Any:
    return systems.sync("toga2_to_togadesk", **options)


def forget(systems: Systems, *tables: str) -> None:
    """Leave the helpdesk as a run left it that was cut off before it wrote back."""
    for table in tables or ("tickets", "tickets_replies", "comments"):
        systems.helpdesk.execute(f"UPDATE {table} SET referenceId = NULL")


@pytest.fixture(autouse=True)
def one_clock(typist: Typist) -> None:
    """Let TOGA 2 have the time at which people type, so that watermarks have the last word."""
    typist.systems.toga2_store.clock = typist.now


@pytest.fixture(params=[True, False], ids=["notes-touch-ticket", "notes-do-not"])
def touching(request: pytest.FixtureRequest, systems: Systems) -> bool:
    systems.toga2.settings.notes_touch_ticket = request.param
    return bool(request.param)


@ONE_KIND
class TestChangedBeforeItIsWrittenBack:
    """A run was cut off, and people change in TOGA 2 what it has made there."""

    def test_edited_text_arrives(self, typist: Typist, desk: Desk, touching: bool) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.send()
        bring(typist.systems)
        forget(typist.systems, "tickets_replies")
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, body="<p>Uno</p>")
        bring(typist.systems)
        typist.send(full=True)
        bring(typist.systems)
        assert [row[2] for row in desk.replies()] == ["<p>It hums</p>", "<p>Uno</p>"]
        assert_quiet(typist)

    def test_what_became_private_does_not_stay_public(
        self, typist: Typist, desk: Desk, touching: bool
    ) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.send()
        bring(typist.systems)
        forget(typist.systems)
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, isExternal=False)
        bring(typist.systems)
        typist.send(full=True)
        bring(typist.systems)
        assert [row[2] for row in desk.replies()] == ["<p>It hums</p>"]
        assert [row[2] for row in desk.comments()] == ["<p>One</p>"]
        assert_quiet(typist)

    def test_edited_description_arrives(self, typist: Typist, desk: Desk) -> None:
        typist.ticket()
        typist.send()
        bring(typist.systems)
        forget(typist.systems)
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 300, description="<p>It roars</p>")
        bring(typist.systems)
        typist.send(full=True)
        bring(typist.systems)
        assert [row[2] for row in desk.replies()] == ["<p>It roars</p>"]
        assert_quiet(typist)

    @pytest.mark.parametrize("back_first", [True, False])
    def test_moved_note_is_not_made_anew(
        self, typist: Typist, desk: Desk, back_first: bool, touching: bool
    ) -> None:
        id_, _ = typist.ticket("One")
        typist.ticket("Two")
        reply = typist.reply(id_, "<p>Here</p>")
        typist.upload(reply, "plan.png", b"plan")
        typist.send()
        bring(typist.systems)
        forget(typist.systems, "tickets_replies")
        (note,) = typist.raw_notes()
        (other,) = [one["uuid"] for one in typist.made() if one["subject"] == "Two"]
        desk.change(desk.notes_route, note["uuid"], 300, **desk.under(other))
        if back_first:
            bring(typist.systems)
        typist.send(full=True)
        bring(typist.systems)
        assert typist.notes() == [(True, "<p>Here</p>")]
        rows = typist.systems.helpdesk.rows(
            "SELECT ticketid FROM tickets_replies WHERE message = '<p>Here</p>'"
        )
        assert rows == [(2,)]
        assert len(shown(typist.systems)) == len(there(typist)) == 1
        assert_quiet(typist)


@ONE_KIND
class TestThereAtLastWhileARunGoesOn:
    """What a ticket waits for comes while its notes are brought, which alone had changed."""

    @pytest.fixture(autouse=True)
    def notes_do_not_touch(self, systems: Systems) -> None:
        systems.toga2.settings.notes_touch_ticket = False

    def bring_and(self, systems: Systems, do: Callable[[], object]) -> None:
        """Run the flow; when it comes to the notes, do something."""
        among = NoteNews.among
        done: list[bool] = []

        def meanwhile(news: NoteNews, raws: Sequence[object]) -> Any:
            if not done:
                done.append(True)
                do()
            return among(news, raws)

        with patch.object(NoteNews, "among", meanwhile):
            bring(systems)
        assert done

    def test_edited_description_arrives(self, typist: Typist, desk: Desk) -> None:
        systems = typist.systems
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.send()
        (made,), (note,) = typist.made(), typist.raw_notes()
        forget(systems)
        typist.minute = 300
        desk.change(desk.tickets_route, made["uuid"], 300, description="<p>It roars</p>")
        desk.ticket("Another", minute=310)
        bring(systems)
        desk.change(desk.notes_route, note["uuid"], 320, body="<p>Uno</p>")
        self.bring_and(systems, lambda: typist.send(full=True))
        bring(systems)
        ours = systems.helpdesk.rows(
            f"SELECT message FROM tickets_replies WHERE ticketid = {id_} ORDER BY id"
        )
        assert ours == [("<p>It roars</p>",), ("<p>Uno</p>",)]
        assert_quiet(typist)

    def test_contact_is_named(self, typist: Typist, desk: Desk) -> None:
        systems = typist.systems
        contact = desk.contact("ada@example.com")
        uuid = desk.ticket(contact={"uuid": contact})
        note = desk.note(uuid)
        desk.ticket("Another", minute=310)
        bring(systems)
        desk.change(desk.notes_route, note, 320, body="<p>Uno</p>")
        self.bring_and(systems, lambda: systems.sync("contacts"))
        bring(systems)
        named = systems.helpdesk.rows(
            "SELECT p.email FROM tickets t JOIN people p ON p.id = t.userid "
            f"WHERE t.referenceId = '{uuid}'"
        )
        assert named == [("ada@example.com",)]
        assert_quiet(typist)


@ONE_KIND
class TestNoDescription:
    """A reply is not taken for the description of a ticket that has none, or whose row is gone."""

    @pytest.fixture
    def wordless(self, typist: Typist, desk: Desk) -> int:
        """Open a ticket of somebody whom TOGA 2 knows without a word, and send it."""
        desk.contact("ada@example.com")
        typist.systems.sync("contacts")
        ((ada,),) = typist.systems.helpdesk.rows("SELECT id FROM people")
        id_, first = typist.ticket(userid=ada)
        typist.systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", first)
        typist.send()
        return id_

    def cut_off(self, typist: Typist, ticket: int) -> None:
        typist.systems.helpdesk.execute(
            "UPDATE tickets SET referenceId = NULL WHERE id = :a", ticket
        )

    @pytest.mark.parametrize("before", [[], ["<p>Later</p>"]])
    def test_reply_that_is_but_a_file(
        self, typist: Typist, desk: Desk, wordless: int, before: list[str]
    ) -> None:
        for text in before:
            typist.reply(wordless, text)
            typist.send()
        typist.upload(typist.reply(wordless, ""), "plan.png", b"plan")
        typist.send()
        assert typist.notes() == [(True, text) for text in (*before, "")]
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 300, description="<p>Set there</p>")
        bring(typist.systems)
        assert [row[2] for row in desk.replies()] == [*before, "", "<p>Set there</p>"]
        assert_quiet(typist)

    @pytest.mark.parametrize("moved", [True, False], ids=["behind-another", "first"])
    def test_reply_before_the_ticket_is_known(
        self, typist: Typist, desk: Desk, moved: bool
    ) -> None:
        systems = typist.systems
        older = desk.note(desk.ticket("Older"), "<p>Moved</p>")
        bring(systems)
        id_, first = typist.ticket()
        systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", first)
        typist.send()
        self.cut_off(typist, id_)
        (made,) = [one["uuid"] for one in typist.made() if one["subject"] == "Scanner"]
        if moved:
            desk.change(desk.notes_route, older, 300, **desk.under(made))
            bring(systems)
        typist.minute = 310
        typist.reply(id_, "<p>Mine</p>")
        desk.change(desk.tickets_route, made, 320, description="<p>Set there</p>")
        bring(systems)
        typist.send(full=True)
        bring(systems)
        assert (True, "<p>Mine</p>") in typist.notes()
        texts = systems.helpdesk.rows(
            f"SELECT message FROM tickets_replies WHERE ticketid = {id_} AND message <> '<p>Moved</p>'"
        )
        assert sorted(texts) == [("<p>Mine</p>",), ("<p>Set there</p>",)]
        assert_quiet(typist)

    @pytest.mark.parametrize("is_cut_off", [True, False])
    def test_reply_where_the_description_was_deleted_and_came_again(
        self, typist: Typist, desk: Desk, is_cut_off: bool
    ) -> None:
        id_, first = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.send()
        bring(typist.systems)
        typist.systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", first)
        typist.minute = 200
        typist.reply(id_, "<p>Two</p>" if is_cut_off else "<p>It hums</p>")
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 210, subject="Scanner!")
        if is_cut_off:
            bring(typist.systems)
            self.cut_off(typist, id_)
        typist.send(full=True)
        bring(typist.systems)
        said = "<p>Two</p>" if is_cut_off else "<p>It hums</p>"
        assert typist.notes() == [(True, "<p>One</p>"), (True, said)]
        assert sorted(row[2] for row in desk.replies()) == sorted(
            ["<p>One</p>", said, "<p>It hums</p>"]
        )
        assert_quiet(typist)

    def test_reply_of_a_ticket_that_is_made_anew(self, typist: Typist, desk: Desk) -> None:
        systems = typist.systems
        id_, _ = typist.ticket()
        typist.send()
        bring(systems)
        (made,) = typist.made()
        systems.toga2_store.delete("elite", desk.tickets_route, made["uuid"])
        typist.reply(id_, "<p>New</p>")
        self.cut_off(typist, id_)
        systems.toga2.faults.add(Status(500), method="POST", route=f"/{desk.notes_route}", times=12)
        typist.send(full=True)
        systems.toga2.faults.clear()
        self.cut_off(typist, id_)
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 320, description="<p>Set there</p>")
        systems.later_by(days=2)
        bring(systems)
        typist.send(full=True)
        bring(systems)
        assert typist.notes() == [(True, "<p>New</p>")]
        assert sorted(row[2] for row in desk.replies())[1:] == ["<p>New</p>", "<p>Set there</p>"]


@ONE_KIND
class TestCutOffBeforeFilesFollowTheirNote:
    @pytest.mark.parametrize("again_private", [False, True])
    def test_file_is_not_doubled(self, typist: Typist, desk: Desk, again_private: bool) -> None:
        systems = typist.systems
        note = desk.note(desk.ticket(), isExternal=False)
        attach(desk, note)
        bring(systems)
        desk.change(desk.notes_route, note, 300, isExternal=True)
        with patch.object(FileWriter, "write", side_effect=Killed), pytest.raises(Killed):
            bring(systems)
        bring(systems)
        ((reply,),) = systems.helpdesk.rows(
            f"SELECT id FROM tickets_replies WHERE referenceId = '{note}'"
        )
        assert systems.helpdesk.rows("SELECT ticketreplyid FROM files") == [(reply,)]
        if again_private:
            desk.change(desk.notes_route, note, 310, isExternal=False)
            bring(systems)
            assert systems.helpdesk.rows("SELECT ticketreplyid FROM files") == [(0,)]
        assert len(shown(systems)) == 1
        assert_quiet(typist)


@ONE_KIND
class TestFilesOfADescriptionFailed:
    def test_edited_meanwhile_it_is_still_the_description(self, typist: Typist, desk: Desk) -> None:
        systems = typist.systems
        _, first = typist.ticket()
        typist.upload(first, "plan.png", b"plan")
        systems.toga2.faults.add(Status(500), method="POST", route=f"/{desk.notes_route}", times=12)
        typist.send()
        systems.toga2.faults.clear()
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 310, description="<p>It roars</p>")
        bring(systems)
        systems.later_by(days=2)
        typist.send(full=True)
        bring(systems)
        assert [text for _, text in typist.notes()] == [FILES_TEXT]
        assert [row[2] for row in desk.replies()] == ["<p>It roars</p>"]
        assert typist.references("tickets") == typist.references("tickets_replies")
        assert len(there(typist)) == len(shown(systems)) == 1
        assert_quiet(typist)


@ONE_KIND
class TestMovedBeforeTheDescriptionIsWrittenBack:
    """A run was cut off, and people move an older note under the ticket that it has made."""

    @pytest.fixture(params=["written there", "written here"])
    def moved(self, request: pytest.FixtureRequest, typist: Typist, desk: Desk) -> str:
        """Have an older note in both systems; return its text."""
        if request.param == "written there":
            desk.note(desk.ticket("Older"), "<p>Moved</p>")
            bring(typist.systems)
        else:
            id_, _ = typist.ticket("Older")
            typist.reply(id_, "<p>Moved</p>")
            typist.send()
        return "<p>Moved</p>"

    @pytest.mark.parametrize(
        ("forgotten", "has_file"),
        [
            pytest.param(("tickets", "tickets_replies"), False, id="cut-off"),
            pytest.param(("tickets", "tickets_replies"), True, id="cut-off-with-a-file"),
            # its file did not come through, so the ticket alone knows its name
            pytest.param(("tickets_replies",), True, id="file-failed"),
        ],
    )
    @pytest.mark.parametrize("steps", ["in", "in in", "in out in", "out in in"])
    @pytest.mark.parametrize("edited", [True, False], ids=["edited", "not-edited"])
    def test_nothing_is_doubled(
        self,
        typist: Typist,
        desk: Desk,
        moved: str,
        forgotten: tuple[str, ...],
        has_file: bool,
        steps: str,
        edited: bool,
    ) -> None:
        systems = typist.systems
        ticket, description = typist.ticket()
        if has_file:
            typist.upload(description, "plan.png", b"plan")
        typist.send()
        for table in forgotten:
            key = "id" if table == "tickets" else "ticketid"
            systems.helpdesk.execute(
                f"UPDATE {table} SET referenceId = NULL WHERE {key} = :a", ticket
            )
        (note,) = [one["uuid"] for one in typist.raw_notes() if one["body"] == moved]
        (made,) = [one["uuid"] for one in typist.made() if one["subject"] == "Scanner"]
        desk.change(desk.notes_route, note, 300, **desk.under(made))
        says = "<p>It roars</p>" if edited else "<p>It hums</p>"
        for minute, step in enumerate(steps.split(), start=301):
            if step == "out":
                typist.send(full=True)
                continue
            bring(systems)
            # and once more, now that what was moved is there
            desk.change(desk.tickets_route, made, minute, description=says)
            bring(systems)
        typist.send(full=True)
        bring(systems)
        rows = systems.helpdesk.rows(
            f"SELECT message, referenceId FROM tickets_replies WHERE ticketid = {ticket} ORDER BY id"
        )
        assert rows == [(moved, note), (says, made)]
        assert [text for _, text in typist.notes() if text != FILES_TEXT] == [moved]
        assert len(shown(systems)) == has_file
        assert_quiet(typist)


@pytest.mark.server
@pytest.mark.parametrize("helpdesk", ["mariadb-legacy-strict"], indirect=True)
class TestWrittenBackMeanwhile:
    """On MyISAM a run sees what another commits between two of its statements."""

    @pytest.mark.parametrize("step", ["find_messages", "find_own_tickets"])
    def test_nothing_is_doubled(self, typist: Typist, desk: Desk, step: str) -> None:
        systems = typist.systems
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.comment(id_, "<p>Two</p>")
        typist.send()
        kept = {
            table: systems.helpdesk.rows(f"SELECT id, referenceId FROM {table}")
            for table in ("tickets", "tickets_replies", "comments")
        }
        forget(systems)
        original = getattr(ticket_batch, step)

        def meanwhile(*arguments: Any) -> Any:
            found = original(*arguments) if step == "find_messages" else None
            for table, rows in kept.items():
                for row_id, uuid in rows:
                    systems.helpdesk.execute(
                        f"UPDATE {table} SET referenceId = :a WHERE id = :b", uuid, row_id
                    )
            return found if step == "find_messages" else original(*arguments)

        with patch.object(ticket_batch, step, meanwhile):
            bring(systems)
        counts = [desk.count(name) for name in ("tickets", "tickets_replies", "comments")]
        assert counts == [1, 2, 1]
        assert_quiet(typist)


@ONE_KIND
class TestWhoWroteIt:
    @pytest.mark.parametrize("author", [-1, 0])
    def test_author_stays_when_a_note_changes_sides(
        self, typist: Typist, desk: Desk, author: int
    ) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>", author)
        typist.send()
        (note,) = typist.raw_notes()
        for minute, is_external in ((300, False), (400, True), (500, False)):
            desk.change(desk.notes_route, note["uuid"], minute, isExternal=is_external)
            bring(typist.systems)
        assert [row[1:] for row in desk.comments()] == [(author, "<p>One</p>")]
        assert_quiet(typist)

    @pytest.mark.parametrize("author", [-1, 0])
    def test_author_stays_when_a_run_is_cut_off_while_a_note_changes_sides(
        self, typist: Typist, desk: Desk, author: int
    ) -> None:
        id_, _ = typist.ticket()
        reply = typist.reply(id_, "<p>One</p>", author)
        typist.send()
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, isExternal=False)
        # where nothing is rolled back, what was public is gone first
        typist.systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", reply)
        bring(typist.systems)
        assert [row[1:] for row in desk.comments()] == [(author, "<p>One</p>")]
        assert_quiet(typist)

    def test_person_of_another_client_is_nobody(self, typist: Typist) -> None:
        stranger = Typist(typist.systems, "wje").person("secret@wje.example", "Of WJE")
        id_, _ = typist.ticket(userid=stranger)
        typist.reply(id_, "<p>One</p>", stranger)
        typist.send()
        (note,) = typist.raw_notes()
        assert (note["authorName"], note["authorEmail"]) == (None, None)
        assert typist.made()[0]["description"] == "<p>It hums</p>"
        assert_quiet(typist)


@ONE_KIND
def test_notes_of_both_sides_are_edited_at_once(typist: Typist, desk: Desk) -> None:
    id_, _ = typist.ticket()
    typist.reply(id_, "<p>One</p>")
    typist.send()
    (made,), (sent,) = typist.made(), typist.raw_notes()
    note = desk.note(made["uuid"], "<p>Two</p>", 200)
    bring(typist.systems)
    for uuid in (sent["uuid"], note):
        desk.change(desk.notes_route, uuid, 300, body="<p>Edited</p>")
    assert not bring(typist.systems).failures
    assert [row[2] for row in desk.replies()][1:] == ["<p>Edited</p>"] * 2
    assert_quiet(typist)


@ONE_KIND
def test_text_that_begins_like_a_signature_stays(typist: Typist) -> None:
    text = "<p><strong>To whom it may concern:</strong></p><p>It hums</p>"
    typist.ticket(description=text)
    typist.send()
    bring(typist.systems)
    bring(typist.systems, full=True)
    assert [row[2] for row in typist.desk.replies()] == [text]
    assert_quiet(typist)


@ONE_KIND
class TestFiles:
    @pytest.mark.parametrize("name", ["image001.png", "x" * 170 + ".png"])
    def test_file_of_the_web_form_goes_with_its_note_and_is_not_doubled(
        self, typist: Typist, desk: Desk, name: str
    ) -> None:
        id_, _ = typist.ticket()
        typist.upload(typist.reply(id_, "<p>One</p>"), name)
        typist.send()
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, isExternal=False)
        bring(typist.systems)
        tag = private_tag(note["uuid"])
        assert shown(typist.systems) == [(tag + name, "", b"bytes")]
        desk.change(desk.notes_route, note["uuid"], 400, isExternal=True)
        bring(typist.systems)
        assert shown(typist.systems) == [(name, "<p>One</p>", b"bytes")]
        assert_quiet(typist)

    def test_longest_name_goes_with_its_note_and_is_not_doubled(
        self, typist: Typist, desk: Desk
    ) -> None:
        note = desk.note(desk.ticket())
        attach(desk, note, "x" * 251 + ".png")
        for minute, is_external in ((10, True), (20, False), (30, True), (40, False)):
            desk.change(desk.notes_route, note, minute, isExternal=is_external)
            bring(typist.systems)
            ((name, _, _),) = shown(typist.systems)
            assert len(name) <= 255
        assert_quiet(typist)

    def test_of_two_equal_ones_that_were_cut_off_both_arrive(self, typist: Typist) -> None:
        id_, _ = typist.ticket()
        reply = typist.reply(id_)
        typist.upload(reply)
        typist.upload(reply)
        original = Toga2Client.upload
        sent: list[tuple[Any, ...]] = []

        def dying(self: Toga2Client, *arguments: Any) -> str:
            if sent:
                raise Killed
            sent.append(arguments)
            return original(self, *arguments)

        with patch.object(Toga2Client, "upload", dying), pytest.raises(Killed):
            typist.send()
        typist.send(full=True)
        assert [name for name, _, _ in there(typist)] == ["image001.png"] * 2
        assert_quiet(typist)

    @pytest.mark.parametrize("on_description", [True, False])
    def test_one_that_failed_alone_is_not_forgotten_when_its_ticket_fails(
        self, typist: Typist, on_description: bool
    ) -> None:
        systems = typist.systems
        id_, first = typist.ticket()
        reply = first if on_description else typist.reply(id_)
        typist.upload(reply, "plan.png", b"plan")
        (stored,) = systems.uploads_dir.iterdir()
        stored.unlink()
        typist.send()
        stored.write_bytes(b"plan")
        systems.later += timedelta(days=2)
        # the ticket itself, and not the file, meets the next fault
        systems.toga2.faults.add(Status(500), method="GET", route="/tickets/{uuid}", times=12)
        typist.send()
        systems.toga2.faults.clear()
        for _ in range(2):
            systems.later += timedelta(days=2)
            typist.send()
        assert [(name, content) for name, _, content in there(typist)] == [("plan.png", b"plan")]
        assert_quiet(typist)

    @pytest.mark.parametrize("touches", [True, False])
    def test_file_that_is_added_to_a_private_note_of_a_description_s_files_stays_private(
        self, typist: Typist, desk: Desk, touches: bool
    ) -> None:
        typist.systems.toga2.settings.notes_touch_ticket = touches
        _, first = typist.ticket()
        typist.upload(first, "plan.png", b"plan")
        typist.send()
        bring(typist.systems)
        (note,) = typist.raw_notes()
        attach(desk, note["uuid"], "salary.png", b"secret", minute=300)
        desk.change(desk.notes_route, note["uuid"], 301, isExternal=False)
        bring(typist.systems)
        public = [content for _, message, content in shown(typist.systems) if message]
        assert b"secret" not in public
        assert_quiet(typist)

    @pytest.mark.parametrize("is_readable", [True, False], ids=["readable", "malformed"])
    def test_files_of_a_description_follow_their_note_into_privacy(
        self, typist: Typist, desk: Desk, touching: bool, is_readable: bool
    ) -> None:
        systems = typist.systems
        _, first = typist.ticket(description="<p>See</p>")
        typist.upload(first, "plan.png", b"plan")
        typist.upload(first, "plan.png", b"older plan")
        typist.send()
        bring(systems)
        typist.upload(first, "own.txt", b"never sent")
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, isExternal=False)
        if not is_readable:
            now = systems.toga2_store.get(typist.client, desk.notes_route, note["uuid"])
            spoilt = {**now, "authorName": {"x": 1}}
            systems.toga2_store.put_raw(typist.client, desk.notes_route, spoilt)
            (made,) = typist.made()
            desk.change(desk.tickets_route, made["uuid"], 301, subject="Changed too")
        bring(systems)
        public = [content for _, message, content in shown(systems) if message]
        assert public == ([b"never sent"] if is_readable else [])
        assert sorted(content for _, _, content in shown(systems)) == [
            b"never sent", b"older plan", b"plan",
        ]  # fmt: skip
        if not is_readable:
            return
        assert [row[0] for row in desk.comments()] == [note["uuid"]]
        assert_quiet(typist)
        assert len(shown(systems)) == 3
        desk.change(desk.notes_route, note["uuid"], 400, isExternal=True)
        bring(systems)
        assert all(message for _, message, _ in shown(systems))
        assert_quiet(typist)
        assert len(shown(systems)) == 3

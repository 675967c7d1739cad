"""Files, both ways: all of them, once, under the right message, and nowhere where they may not be."""

from typing import Any

import pytest

from elite_pipeline.sandbox.toga2 import Drop, Status
from elite_pipeline.sync.long_texts import full_text
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline.toga2.jobs import BREAKER_LIMIT
from elite_pipeline_tests.support.note_files import attach, bring, shown, there
from elite_pipeline_tests.support.systems import QUICK, Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


class TestIntoTheHelpdesk:
    def test_file_of_a_note_hangs_on_its_reply(self, systems: Systems, desk: Desk) -> None:
        note = desk.note(desk.ticket(), "<p>See</p>")
        attach(desk, note, "plan.png", b"\x89PNG")

        result = bring(systems)

        assert shown(systems) == [("plan.png", "<p>See</p>", b"\x89PNG")]
        assert result.details["files created"] == 1
        rows = systems.helpdesk.rows("SELECT id, clientid, file, filetype FROM files")
        assert rows == [(1, 1, "1-plan.png", "image/png")]
        again = bring(systems, full=True)
        assert (len(shown(systems)), again.sql_writes) == (1, 0)

    def test_two_of_one_name_both_arrive(self, systems: Systems, desk: Desk) -> None:
        note = desk.note(desk.ticket())
        attach(desk, note, content=b"one")
        attach(desk, note, content=b"three")
        attach(desk, note, content=b"three")
        bring(systems)
        bring(systems, full=True)
        assert sorted(content for _, _, content in shown(systems)) == [b"one", b"three", b"three"]

    def test_one_that_comes_later_arrives(self, systems: Systems, desk: Desk) -> None:
        note = desk.note(desk.ticket())
        attach(desk, note, "a.png")
        bring(systems)
        attach(desk, note, "b.png", minute=3)
        bring(systems)
        assert [name for name, _, _ in shown(systems)] == ["a.png", "b.png"]

    def test_empty_file_arrives(self, systems: Systems, desk: Desk) -> None:
        attach(desk, desk.note(desk.ticket()), "empty.png", b"")
        bring(systems)
        assert [(name, content) for name, _, content in shown(systems)] == [("empty.png", b"")]
        assert bring(systems, full=True).sql_writes == 0

    @pytest.mark.parametrize(
        "name",
        [
            "../../etc/passwd",
            "..\\..\\boot.ini",
            "shell.php",
            "a.php.jpg",
            ".htaccess",
            "x" * 400 + ".png",
            "smile \U0001f600.png",
            "na\x00me\n.png",
            "\u202egnp.exe",
            " ",
        ],
    )
    def test_hostile_name_stays_a_name(self, systems: Systems, desk: Desk, name: str) -> None:
        attach(desk, desk.note(desk.ticket()), name)
        bring(systems)
        ((_, _, content),) = shown(systems)
        assert content == b"bytes"
        (stored,) = systems.uploads_dir.iterdir()
        assert ".php" not in stored.name
        assert stored.name.startswith("1-")
        assert bring(systems, full=True).sql_writes == 0

    def test_private_note_s_files_are_never_under_a_reply(
        self, systems: Systems, desk: Desk
    ) -> None:
        ticket = desk.ticket()
        note = desk.note(ticket, "<p>Secret</p>", isExternal=False)
        attach(desk, note, "salary.png", b"secret")
        bring(systems)
        assert shown(systems) == [(f"{private_tag(note)}salary.png", "", b"secret")]
        assert systems.helpdesk.rows("SELECT clientid, ticketreplyid FROM files") == [(1, 0)]
        ((_, _, comment),) = desk.comments()
        assert private_tag(note) in comment
        assert bring(systems, full=True).sql_writes == 0
        assert bring(systems).sql_writes == 0

    def test_files_follow_a_note_into_privacy_and_back(self, systems: Systems, desk: Desk) -> None:
        note = desk.note(desk.ticket(), "<p>See</p>")
        attach(desk, note, "plan.png")
        bring(systems)
        desk.change(desk.notes_route, note, 20, isExternal=False)
        bring(systems)
        assert [(name, message) for name, message, _ in shown(systems)] == [
            (f"{private_tag(note)}plan.png", "")
        ]
        desk.change(desk.notes_route, note, 30, isExternal=True)
        bring(systems)
        assert shown(systems) == [("plan.png", "<p>See</p>", b"bytes")]
        assert bring(systems, full=True).sql_writes == 0

    def test_row_without_bytes_is_completed(self, systems: Systems, desk: Desk) -> None:
        note = desk.note(desk.ticket(), "<p>See</p>")
        attach(desk, note, "plan.png")
        bring(systems)
        (stored,) = systems.uploads_dir.iterdir()
        stored.unlink()
        bring(systems, full=True)
        assert shown(systems) == [("plan.png", "<p>See</p>", b"bytes")]
        systems.helpdesk.execute("UPDATE files SET file = '', filesize = 0")
        bring(systems, full=True)
        assert shown(systems) == [("plan.png", "<p>See</p>", b"bytes")]
        assert desk.count("files") == 1

    def test_file_that_cannot_be_read_is_a_dead_letter_and_the_rest_arrives(
        self, systems: Systems, desk: Desk
    ) -> None:
        ticket = desk.ticket()
        note = desk.note(ticket)
        names = {attach(desk, note, name): name for name in ("a.png", "b.png")}
        systems.toga2.faults.add(Status(422), method="GET", route="/files/{uuid}", times=1)
        systems.clients["elite"] = one_at_a_time(systems)
        result = bring(systems)
        (failure,) = result.failures
        assert failure.of == ticket
        lost = names.pop(failure.record.removeprefix("file "))
        assert [name for name, _, _ in shown(systems)] == [*names.values()]
        assert result.dead_letters.waiting == 1
        systems.toga2.faults.clear()
        systems.later = at(10) - at(0)
        assert bring(systems).dead_letters.waiting == 0
        assert sorted(name for name, _, _ in shown(systems)) == ["a.png", "b.png"]
        assert lost in {"a.png", "b.png"}

    @ONE_KIND
    def test_files_that_toga2_does_not_give_are_not_all_tried_in_vain(
        self, systems: Systems, desk: Desk
    ) -> None:
        count = 4 * BREAKER_LIMIT
        for number in range(count // 4):
            note = desk.note(desk.ticket(f"Ticket {number}"), f"<p>Note {number}</p>")
            for name in "abcd":
                attach(desk, note, f"{number}{name}.png", f"{number}{name}".encode())
        systems.clients["elite"] = one_at_a_time(systems)
        systems.toga2.faults.add(Status(500), method="GET", route="/files/{uuid}", times=None)
        systems.toga2.reset_stats()

        result = bring(systems)

        asked = [one for one in systems.toga2.requests if one.route == "/files/{uuid}"]
        assert len(asked) == BREAKER_LIMIT * QUICK.attempts
        # each is a dead letter, which says why; tickets and notes go on, and no row without bytes stays
        assert (result.failed, result.dead_letters.waiting) == (count, count)
        assert len([one for one in result.failures if "it was not tried" in one.reason]) > 0
        assert len(desk.replies()) == 2 * count // 4
        assert shown(systems) == []
        systems.toga2.faults.clear()
        systems.later = at(10) - at(0)
        assert bring(systems).dead_letters.waiting == 0
        assert len(shown(systems)) == count

    @ONE_KIND
    def test_missing_folder_is_a_dead_letter_per_file(self, systems: Systems, desk: Desk) -> None:
        attach(desk, desk.note(desk.ticket()))
        systems.uploads_dir.rmdir()
        result = bring(systems)
        (failure,) = result.failures
        assert "TOGADESK_UPLOADS_DIR" in failure.reason
        assert desk.count("files") == 0
        systems.uploads_dir.mkdir()
        systems.later = at(10) - at(0)
        bring(systems)
        assert len(shown(systems)) == 1

    def test_text_that_is_too_long_is_attached_whole(self, systems: Systems, desk: Desk) -> None:
        body = "<p>" + "größe & <b>mehr</b> \U0001f600 \r\n" * 12_000 + "</p>"
        desk.note(desk.ticket(), body)
        secret = desk.note(desk.ticket(), body, isExternal=False)
        bring(systems)
        files = {name: content.decode() for name, _, content in shown(systems)}
        assert files == {
            full_text(body).name: body,
            f"{private_tag(secret)}{full_text(body).name}": body,
        }
        texts = [row[2] for row in desk.replies() if len(row[2]) > 1000]
        assert len(texts) == 1
        assert full_text(body).name in texts[0]
        assert "größe &amp; mehr" in texts[0]
        assert bring(systems, full=True).sql_writes == 0


def one_at_a_time(systems: Systems) -> Any:
    entry = systems.clients["elite"]
    return entry.model_copy(update={"toga2": entry.toga2.model_copy(update={"max_in_flight": 1})})


class TestIntoToga2:
    def test_files_of_a_reply_hang_on_its_note(self, typist: Typist) -> None:
        id_, _ = typist.ticket()
        reply = typist.reply(id_, "<p>See</p>")
        typist.upload(reply, "image001.png", b"one")
        typist.upload(reply, "image001.png", b"other")
        typist.upload(reply, "empty.txt", b"")

        result = typist.send()

        assert sorted(there(typist)) == [
            ("empty.txt", "<p>See</p>", b""),
            ("image001.png", "<p>See</p>", b"one"),
            ("image001.png", "<p>See</p>", b"other"),
        ]
        assert result.details["files created"] == 3
        typist.send(full=True)
        assert len(there(typist)) == 3

    def test_files_of_a_description_hang_on_a_note_of_their_own(
        self, typist: Typist, desk: Desk
    ) -> None:
        _, description = typist.ticket()
        typist.upload(description, "scan.png", b"scan")
        typist.send()
        assert there(typist) == [("scan.png", "<p>Files of the description</p>", b"scan")]
        bring(typist.systems)
        typist.send()
        assert (desk.count("tickets_replies"), desk.count("files")) == (1, 1)
        assert len(typist.raw_notes()) == 1

    def test_nothing_comes_back(self, typist: Typist, desk: Desk) -> None:
        id_, _ = typist.ticket()
        typist.upload(typist.reply(id_), "a.png")
        typist.send()
        bring(typist.systems)
        assert bring(typist.systems, full=True).sql_writes == 0
        assert desk.count("files") == 1

    def test_file_that_toga2_adds_to_our_note_comes_here(self, typist: Typist, desk: Desk) -> None:
        id_, _ = typist.ticket()
        typist.upload(typist.reply(id_, "<p>See</p>"), "a.png", b"a")
        typist.send()
        (note,) = typist.raw_notes()
        attach(desk, note["uuid"], "b.png", b"b", minute=400)
        desk.change(desk.notes_route, note["uuid"], 401, body="<p>See both</p>")
        bring(typist.systems)
        assert [(one[0], one[1]) for one in shown(typist.systems)] == [
            # as the web form calls it
            ("1-a.png", "<p>See both</p>"),
            ("b.png", "<p>See both</p>"),
        ]

    def test_file_without_bytes_is_a_dead_letter_and_comes_when_it_is_there(
        self, typist: Typist
    ) -> None:
        id_, _ = typist.ticket()
        reply = typist.reply(id_)
        file = typist.upload(reply, "lost.png", b"found")
        typist.upload(reply, "fine.png")
        stored = typist.systems.uploads_dir / f"{file}-lost.png"
        stored.unlink()
        result = typist.send()
        (failure,) = result.failures
        assert (failure.record, failure.of) == (f"file {file}", f"ticket {id_}")
        assert "lost.png" in failure.reason
        assert [one[0] for one in there(typist)] == ["fine.png"]
        assert typist.references("tickets_replies")[1] is not None
        assert typist.send().waiting == 1
        stored.write_bytes(b"found")
        typist.systems.later = at(10) - at(0)
        assert typist.send().dead_letters.waiting == 0
        assert sorted(one[0] for one in there(typist)) == ["fine.png", "lost.png"]

    @pytest.mark.parametrize(
        "route", ["/files", "/ticket-notes/{uuid}/ticket-note-files", "/ticket-notes", "/tickets"]
    )
    @pytest.mark.parametrize("takes_effect", [True, False], ids=["applied", "not-applied"])
    def test_lost_answer_doubles_nothing(
        self, typist: Typist, desk: Desk, route: str, takes_effect: bool
    ) -> None:
        id_, description = typist.ticket()
        typist.upload(description, "d.png", b"d")
        typist.upload(typist.reply(id_, "<p>One</p>"), "a.png", b"a")
        typist.reply(id_, "<p>Two</p>")
        fault = Drop(takes_effect=takes_effect)
        typist.systems.toga2.faults.add(fault, method="POST", route=route, times=1)
        result = typist.send()
        assert result.failed == 1
        # the other direction meets what is half done
        bring(typist.systems)
        typist.systems.later = at(10) - at(0)
        again = typist.send()
        assert (again.failed, again.dead_letters.waiting) == (0, 0)
        bring(typist.systems)
        assert sorted(there(typist)) == [
            ("a.png", "<p>One</p>", b"a"),
            ("d.png", "<p>Files of the description</p>", b"d"),
        ]
        assert [body for _, body in typist.notes()] == [
            "<p>Files of the description</p>",
            "<p>One</p>",
            "<p>Two</p>",
        ]
        assert (len(typist.made()), typist.systems.toga2_store.count("elite", "files")) == (1, 2)
        assert (desk.count("tickets"), desk.count("tickets_replies"), desk.count("files")) == (
            1,
            3,
            2,
        )

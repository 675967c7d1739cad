"""Text, both ways, through every kind of helpdesk database (``spec/sync.md`` section 10, rule 11)."""

import html
from typing import Any

import pytest

from elite_pipeline.sync.long_texts import full_text, is_full_text
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline_tests.support.note_files import attach, shown
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.typing import Typist

IN = "toga2_to_togadesk"
#: What a ``TEXT`` column holds, in bytes.
MOST = 65_535

TEXTS = {
    "emoji": "<p>Fine \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f</p>",
    "combining": "e\u0301 \u0928\u093f Z\u0351\u036b\u0343\u0350 \u1112\u1161\u11ab",
    "right-to-left": "\u202b\u0645\u0631\u062d\u0628\u0627\u202c \u2067\u05e9\u05dc\u2069\u200f!",
    "line-ends": "one\r\ntwo\rthree\nfour\u2028five\x85six\r\n",
    "controls": "a\x00b\x01c\x1bd\x7fe\ufeff\ufffe",
    "one-long-word": "W\u00f6rt" * 3000,
    "percent": "100 % %s %(a)s %% :name ? {0} {a} ${HOME}",
    "backslashes": "C:\\new\\table \\' \\\" \\0 \\\\ \\u0041",
    "quotes": "'\"`\u2018\u201c ''; \"\"",
    "sql": "'; DROP TABLE tickets; -- /* */ #",
    "templates": "{{ 7*7 }} {% raw %} <?php echo 1 ?> <%= 1 %>",
    "markup": "</textarea><script>alert(1)</script><!-- <b>&amp;&lt;&#128512;",
    "blanks": "  \t leading and trailing \u00a0 ",
    "heading": "<p><strong>Note:</strong></p><p>typed so</p>",
}
ALL_TEXTS = pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
EMOJI = "\U0001f600"
LONG = (
    "<p>" + "gr\u00f6\u00dfe \U0001f600 \u05e9\u05dc\u05d5\u05dd <b>&amp;</b>\r\n" * 6_000 + "</p>"
)
OTHER = LONG[:-6] + "!</p>\r\n"


def is_written(stored: str, text: str) -> bool:
    """Tell whether a row holds a text: as it is, or what its charset lacks as references."""
    return stored == text or stored == "".join(
        one if one <= "\uffff" else f"&#{ord(one)};" for one in text
    )


def bring(systems: Systems, **options: Any) -> Any:
    return systems.sync(IN, **options)


def assert_quiet(systems: Systems) -> None:
    assert bring(systems, full=True).sql_writes == 0
    systems.toga2.reset_stats()
    systems.sync("togadesk_to_toga2", full=True)
    bring(systems, full=True)
    written = [one for one in systems.toga2.requests if one.method != "GET"]
    assert all(one.path.startswith("/parameters") for one in written)


def full_texts(systems: Systems) -> list[tuple[str, str]]:
    """Return the attached full texts: the name, and what is in it."""
    return [(name, content.decode()) for name, _, content in shown(systems) if "full-text" in name]


class TestIntoTheHelpdesk:
    @ALL_TEXTS
    def test_it_says_what_was_written(self, systems: Systems, desk: Desk, text: str) -> None:
        ticket = desk.ticket(text[:400], description=text)
        desk.note(ticket, text)
        desk.note(ticket, text, 3, isExternal=False)

        assert bring(systems).failed == 0

        (subject,) = desk.tickets("subject")[0]
        assert is_written(subject, text[:400])
        (_, _, described), (_, _, replied) = desk.replies()
        ((_, _, commented),) = desk.comments()
        assert all(is_written(one, text) for one in (described, replied, commented))
        assert_quiet(systems)

    def test_names_of_authors_and_files_do_too(self, systems: Systems, desk: Desk) -> None:
        name = f"\u05d3\u05df <b> {EMOJI} O'Neil \\ %s"
        note = desk.note(desk.ticket(), "<p>x</p>", authorName=name)
        attach(desk, note, f"\u05e7 100 % {EMOJI} e\u0301'\\.png")

        assert bring(systems).failed == 0

        text = desk.replies()[1][2]
        assert html.unescape(text) == f"<p><strong>{name}:</strong></p><p>x</p>"
        ((file, _, _),) = shown(systems)
        assert html.unescape(file) == f"\u05e7 100 % {EMOJI} e\u0301'_.png"
        assert_quiet(systems)

    def test_empty_texts_stay_empty(self, systems: Systems, desk: Desk) -> None:
        ticket = desk.ticket("", description="")
        desk.note(ticket, "")
        desk.note(ticket, "", 3, isExternal=False)
        assert bring(systems).failed == 0
        assert desk.tickets("subject") == [("",)]
        assert [row[2] for row in desk.replies() + desk.comments()] == ["", "", ""]
        assert_quiet(systems)

    @pytest.mark.parametrize("is_external", [True, False])
    @pytest.mark.parametrize("body", [LONG, LONG * 2], ids=["170 KB", "340 KB"])
    def test_long_one_is_attached_byte_for_byte(
        self, systems: Systems, desk: Desk, body: str, is_external: bool
    ) -> None:
        note = desk.note(desk.ticket(), body, isExternal=is_external)
        # what the helpdesk says beneath a comment is no part of its text
        attach(desk, note, "plan.png")
        assert bring(systems).failed == 0
        tag = "" if is_external else private_tag(note)
        name = tag + full_text(body).name
        assert full_texts(systems) == [(name, body)]
        text = (desk.replies()[1] if is_external else desk.comments()[0])[2]
        assert name in text
        assert len(text.encode()) <= MOST
        assert text.startswith("<p>gr\u00f6\u00dfe")
        assert_quiet(systems)

    @pytest.mark.parametrize("filler", ["x", "\u00e9", EMOJI], ids=["ascii", "bmp", "astral"])
    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_at_the_limit_nothing_is_lost(
        self, systems: Systems, desk: Desk, filler: str, over: int
    ) -> None:
        with systems.helpdesk.store() as store:
            size = len(store.fit("tickets_replies", "message", filler).encode())
            limit = store.limits("tickets_replies", "message").max_bytes or MOST
        count = (limit + over) // size
        body = filler * count + "y" * (limit + over - count * size)
        desk.note(desk.ticket(), body)
        assert bring(systems).failed == 0
        text = desk.replies()[1][2]
        if over > 0 and systems.helpdesk.kind != "sqlite":
            assert full_texts(systems) == [(full_text(body).name, body)]
            assert len(text.encode()) <= limit
        else:
            assert html.unescape(text) == body or full_texts(systems)[0][1] == body
        assert_quiet(systems)

    @pytest.mark.parametrize("is_external", [True, False])
    @pytest.mark.parametrize("touches", [True, False], ids=["with-ticket", "note-alone"])
    def test_edited_one_has_its_own_full_text_alone(
        self, systems: Systems, desk: Desk, is_external: bool, touches: bool
    ) -> None:
        systems.toga2.settings.notes_touch_ticket = touches
        note = desk.note(desk.ticket(), LONG, isExternal=is_external)
        attach(desk, note, "plan.png")
        desk.ticket("Much later", 90)
        bring(systems)
        # as long as the one before, and it begins the same
        edited = LONG[:-10] + "END</b></p>"[-10:]
        for minute, body in enumerate((edited, OTHER, "<p>Short</p>", LONG), start=100):
            desk.change(desk.notes_route, note, minute, body=body)
            assert bring(systems).failed == 0
            wanted = [body] if body != "<p>Short</p>" else []
            assert [text for _, text in full_texts(systems)] == wanted
            assert len([*systems.uploads_dir.iterdir()]) == 1 + len(wanted)
            assert_quiet(systems)

    def test_full_text_follows_into_privacy_and_goes_with_its_text(
        self, systems: Systems, desk: Desk
    ) -> None:
        note = desk.note(desk.ticket(), LONG)
        bring(systems)
        desk.change(desk.notes_route, note, 10, isExternal=False)
        bring(systems)
        assert full_texts(systems) == [(private_tag(note) + full_text(LONG).name, LONG)]
        desk.change(desk.notes_route, note, 20, isExternal=True, body=OTHER)
        bring(systems)
        assert full_texts(systems) == [(full_text(OTHER).name, OTHER)]
        desk.change(desk.notes_route, note, 30, isExternal=False, body="<p>Short</p>")
        bring(systems)
        assert full_texts(systems) == []
        assert [*systems.uploads_dir.iterdir()] == []
        assert_quiet(systems)

    def test_description_has_its_own_full_text_alone(self, systems: Systems, desk: Desk) -> None:
        ticket = desk.ticket("s" * 900, description=LONG)
        for minute, body in enumerate((OTHER, "<p>Short</p>", LONG), start=10):
            bring(systems)
            desk.change(desk.tickets_route, ticket, minute, description=body)
        bring(systems)
        if systems.helpdesk.kind == "sqlite":
            return
        ((_, text),) = full_texts(systems)
        assert text.endswith(LONG)
        assert_quiet(systems)

    def test_half_a_character_fails_by_name_and_the_rest_arrives(
        self, systems: Systems, desk: Desk
    ) -> None:
        ticket = desk.ticket()
        bad, good = desk.note(ticket), desk.note(ticket, "<p>Good</p>", 3)
        raw = systems.toga2_store.get("elite", desk.notes_route, bad)
        systems.toga2_store.put_raw("elite", desk.notes_route, {**raw, "body": "half \ud83d"})
        other = desk.ticket("Other", 5)
        result = bring(systems)
        assert ticket in {one.of for one in result.failures}
        assert all(bad in one.record and "unicode" in one.reason for one in result.failures)
        assert {row[0] for row in desk.replies()} == {ticket, good, other}


class TestOutOfTheHelpdesk:
    @ALL_TEXTS
    def test_row_arrives_as_it_stands_and_nothing_comes_back(
        self, typist: Typist, desk: Desk, text: str
    ) -> None:
        bob = typist.person(name=text[:100])
        id_, _ = typist.ticket(text[:400], text)
        typist.upload(typist.reply(id_, text, bob), "a \u05e7 100 %'.png")
        typist.comment(id_, text)
        rows = typist.systems.helpdesk.rows
        (subject,), (described,), (replied,), (commented,), (name,) = (
            rows(f"SELECT {column} FROM {table} ORDER BY id DESC LIMIT 1")[0]
            for column, table in (
                ("subject", "tickets"),
                ("message", "tickets_replies WHERE id = 1"),
                ("message", "tickets_replies"),
                ("comment", "comments"),
                ("name", "people"),
            )
        )

        assert typist.send().failed == 0

        (made,) = typist.made()
        assert made["subject"] == subject
        lead = "<p><strong>TOGaDesk:</strong></p>" if text == TEXTS["heading"] else ""
        assert made["description"] == lead + described
        assert typist.notes() == [(True, replied), (False, commented)]
        assert typist.raw_notes()[0]["authorName"] == name
        assert_quiet(typist.systems)
        (after,) = rows("SELECT message FROM tickets_replies ORDER BY id LIMIT 1")[0]
        assert after == described

    def test_heading_that_was_typed_stays_when_toga2_edits_it(
        self, typist: Typist, desk: Desk
    ) -> None:
        typist.ticket(description=TEXTS["heading"])
        typist.send()
        (made,) = typist.made()
        edited = made["description"] + "<p>more</p>"
        desk.change(desk.tickets_route, made["uuid"], 300, description=edited)
        bring(typist.systems)
        assert desk.replies()[0][2] == TEXTS["heading"] + "<p>more</p>"
        assert_quiet(typist.systems)

    def test_full_one_and_empty_one_arrive(self, typist: Typist) -> None:
        full = "<p>" + "\u00e9" * 32_764 + "</p>"
        id_, _ = typist.ticket("", "")
        typist.reply(id_, full)
        typist.reply(id_, "")
        typist.comment(id_, "")
        assert len(full.encode()) == MOST
        assert typist.send().failed == 0
        assert typist.notes() == [(True, full), (True, ""), (False, "")]
        assert [one["description"] for one in typist.made()] == [""]
        assert_quiet(typist.systems)


@pytest.mark.parametrize("name", ["Drucker \U0001f5a8", "\u05de\u05d3\u05e4\u05e1\u05ea, 100 %"])
def test_category_is_the_same_on_both_sides(typist: Typist, desk: Desk, name: str) -> None:
    systems = typist.systems
    category = systems.toga2_store.create(
        "elite", "ticket-categories", {"name": name, "isActive": True}
    )["uuid"]
    systems.sync("category_trees")
    desk.ticket(ticketCategory={"uuid": category})
    bring(systems)
    ((written,),) = desk.tickets("category")
    assert html.unescape(written).replace("\\", "") == name
    typist.ticket(category=written)
    typist.send()
    made = [one["ticketCategory"] for one in typist.made()]
    assert [one and one["uuid"] for one in made] == [category, category]
    assert_quiet(systems)


def test_real_file_is_no_full_text() -> None:
    assert is_full_text(full_text("x").name)
    assert not is_full_text("full-text.html.txt")

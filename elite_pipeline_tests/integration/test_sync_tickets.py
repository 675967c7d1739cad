"""Tickets and notes, TOGA 2 -> TOGaDesk: real HTTP, and a real database of every kind."""

from collections.abc import Callable

import pytest

from elite_pipeline.sandbox.toga2 import MalformedRecord, RequestInfo, Shift, Status
from elite_pipeline.sync import ticket_messages
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.long_texts import full_text, full_text_mark
from elite_pipeline.togadesk.sending import Sender
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

FLOW = "toga2_to_togadesk"
#: For what goes through names that each pair of routes has of its own.
BOTH_TYPES = pytest.mark.usefixtures("integration_type")


@BOTH_TYPES
def test_ticket_becomes_row_description_replies_comments_and_history(
    systems: Systems, desk: Desk, expand_lists: bool
) -> None:
    ada = desk.contact("Ada@example.com")
    systems.sync("contacts")
    ticket = desk.ticket("Printer", 1, contact={"uuid": ada}, priority="URGENT")
    public = desk.note(ticket, "<p>Seen</p>", 3, authorName="Ada", authorEmail="ada@example.com")
    private = desk.note(ticket, "<p>Why?</p>", 2, isExternal=False)

    result = systems.sync(FLOW)

    assert (result.created, result.failed) == (1, 0)
    person = systems.helpdesk.rows("SELECT id FROM people WHERE referenceId IS NOT NULL")[0][0]
    assert desk.tickets(
        "subject", "status", "priority", "userid", "email", "clientid", "departmentid", "adminid",
        "referenceId", "timestamp",
    ) == [
        ("Printer", "Open", "High", person, "ada@example.com", 1, 1, 0, ticket, stored(systems, 1))
    ]  # fmt: skip
    assert desk.replies() == [
        (ticket, person, "<p>Printer does not work</p>"),
        (public, person, "<p>Seen</p>"),
    ]
    assert desk.comments() == [(private, 0, "<p>Why?</p>")]
    assert systems.helpdesk.rows("SELECT peopleid, description FROM tickets_history") == [
        (person, f"{ticket_messages.HISTORY_TEXT}{public}")
    ]


def stored(systems: Systems, minute: float) -> object:
    """Return a time as plain SQL reads it back from this kind of database."""
    local = at(minute).replace(tzinfo=None)
    return local.isoformat(sep=" ") if systems.helpdesk.kind == "sqlite" else local


@BOTH_TYPES
def test_second_run_writes_nothing_and_reads_no_ticket_again(
    systems: Systems, desk: Desk, expand_lists: bool
) -> None:
    for number in range(5):
        desk.note(desk.ticket(f"Ticket {number}", number))
    assert systems.sync(FLOW).created == 5
    before = desk.end_state()
    systems.toga2.reset_stats()

    result = systems.sync(FLOW)

    assert result.sql_writes == 0
    assert result.watermark_after == result.watermark_before
    assert systems.toga2.count(method="GET", route=f"/{desk.tickets_route}/{{uuid}}") == 0
    assert systems.toga2.count(method="PATCH") == systems.toga2.count(method="POST") == 0
    assert desk.end_state() == before


@pytest.mark.usefixtures("expand_lists")
def test_full_run_over_a_synced_helpdesk_writes_nothing(systems: Systems, desk: Desk) -> None:
    for number in range(5):
        desk.note(desk.ticket(f"Ticket {number}", number), authorName="Stranger")
    systems.sync(FLOW)

    assert systems.sync(FLOW, full=True).sql_writes == 0


def test_calls_are_pages_alone_when_the_list_expands(systems: Systems, desk: Desk) -> None:
    for number in range(30):
        desk.note(desk.ticket(f"Ticket {number}", number), minute=number)
    systems.toga2.reset_stats()

    systems.sync(FLOW)

    assert systems.toga2.count(method="GET", route="/tickets/{uuid}") == 0
    systems.toga2.settings.expand_lists = False
    systems.toga2.reset_stats()
    systems.sync(FLOW, full=True)
    assert systems.toga2.count(method="GET", route="/tickets/{uuid}") == 30


@BOTH_TYPES
@pytest.mark.usefixtures("expand_lists")
def test_ticket_without_notes_under_a_list_that_says_nothing_is_not_taken_for_empty(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    note = desk.note(ticket)
    notes = desk.kind.note.envelope
    hidden = MalformedRecord(changes={notes: [], "contact": ..., "unit": ...})
    systems.toga2.faults.add(hidden, method="GET", route=f"/{desk.tickets_route}", times=None)

    systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket, note]


@BOTH_TYPES
@pytest.mark.usefixtures("expand_lists")
def test_note_changed_under_an_unchanged_ticket_arrives(systems: Systems, desk: Desk) -> None:
    systems.toga2.settings.notes_touch_ticket = False
    ticket = desk.ticket(minute=1)
    note = desk.note(ticket, "<p>first</p>", 2)
    desk.ticket("Much later", 600)
    systems.sync(FLOW)
    desk.change(desk.notes_route, note, 700, body="<p>second</p>")
    added = desk.note(ticket, "<p>added</p>", 701)

    result = systems.sync(FLOW)

    assert {row[0]: row[2] for row in desk.replies()}[note] == "<p>second</p>"
    assert added in [row[0] for row in desk.replies()]
    assert dict(result.details) == {"replies updated": 1, "replies created": 1}


@BOTH_TYPES
def test_ticket_set_by_the_helpdesk_stays_when_only_a_note_is_new(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.notes_touch_ticket = False
    ticket = desk.ticket(minute=1)
    desk.ticket("Much later", 600)
    systems.sync(FLOW)
    systems.helpdesk.execute(
        "UPDATE tickets SET status = 'In Progress' WHERE referenceId = :a", ticket
    )
    desk.note(ticket, minute=700)

    systems.sync(FLOW)

    statuses = dict(desk.tickets("referenceId", "status"))
    assert statuses[ticket] == "In Progress"


@BOTH_TYPES
def test_note_made_private_is_no_longer_public_anywhere(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket()
    note = desk.note(ticket, "<p>secret</p>", 2)
    systems.sync(FLOW)
    desk.change(desk.notes_route, note, 300, isExternal=False)

    systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket]
    assert desk.comments() == [(note, 0, "<p>secret</p>")]
    desk.change(desk.notes_route, note, 600, isExternal=True)
    systems.sync(FLOW)
    assert [row[0] for row in desk.replies()] == [ticket, note]
    assert desk.comments() == []


@BOTH_TYPES
@pytest.mark.usefixtures("expand_lists")
def test_note_that_does_not_say_whether_it_is_public_is_not_published(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    good = desk.note(ticket, "<p>good</p>", 2)
    raw = dict(systems.toga2_store.get("elite", desk.notes_route, good))
    del raw["isExternal"]
    hidden = {**raw, "uuid": "n-0", "body": "secret"}
    systems.toga2_store.put_raw("elite", desk.notes_route, hidden)

    result = systems.sync(FLOW)

    assert result.failed >= 1
    assert any("isExternal" in failure.reason for failure in result.failures)
    assert not any("secret" in str(row) for row in [*desk.replies(), *desk.comments()])
    assert good in [row[0] for row in desk.replies()]


@BOTH_TYPES
def test_status_without_counterpart_fails_alone_and_arrives_when_mended(
    systems: Systems, desk: Desk
) -> None:
    desk.ticket("First", 1)
    bad = "00000000-0000-4000-8000-0000000000bd"
    # the sandbox takes no such status from anybody, so it is put there past its checks
    systems.toga2_store.bulk_create(
        "elite",
        desk.tickets_route,
        [
            {
                "uuid": bad,
                "subject": "Second",
                "status": "WEIRD",
                "_created": at(10),
                "_updated": at(10),
            }
        ],
    )
    desk.ticket("Third", 20)

    result = systems.sync(FLOW)

    assert (result.created, result.failed) == (2, 1)
    assert result.failures[0].record == bad
    assert "status_map" in result.failures[0].reason
    assert result.watermark_after == at(20)
    assert [letter.record for letter in result.dead_letters.first] == [bad]
    desk.change(desk.tickets_route, bad, 30, status="CLOSED")
    again = systems.sync(FLOW)
    assert (again.created, again.failed) == (1, 0)
    assert again.watermark_after == at(30)
    assert again.dead_letters.first == ()


def test_reopened_by_the_helpdesk_says_the_same_as_open(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket(minute=1)
    systems.sync(FLOW)
    systems.helpdesk.execute("UPDATE tickets SET status = 'Reopened'")
    desk.change("tickets", ticket, 300, subject="Printer again")

    systems.sync(FLOW)

    assert desk.tickets("subject", "status") == [("Printer again", "Reopened")]


@BOTH_TYPES
def test_what_a_ticket_refers_to_is_filled_in_when_it_arrives(systems: Systems, desk: Desk) -> None:
    contact = desk.contact("ada@example.com")
    store = systems.toga2_store
    team = store.create("elite", "ticket-teams", {"name": "Field", "isActive": True})["uuid"]
    root = store.create("elite", "ticket-categories", {"name": "Hardware", "isActive": True})[
        "uuid"
    ]
    leaf = store.create(
        "elite",
        "ticket-categories",
        {"name": "Printers, big", "parent": {"uuid": root}, "isActive": True},
    )["uuid"]
    unit = store.create("elite", "units", {"name": "Printer", "tag": "P-1", "isActive": True})[
        "uuid"
    ]
    ticket = desk.ticket(
        contact={"uuid": contact},
        ticketTeam={"uuid": team},
        ticketCategory={"uuid": leaf},
        unit={"uuid": unit},
    )
    note = desk.note(ticket, "<p>mine</p>", authorName="Ada", authorEmail="ada@example.com")
    systems.sync(FLOW)
    columns = ("userid", "groupid", "assetid", "category")
    assert desk.tickets(*columns) == [(0, 0, 0, "")]
    assert "Ada &lt;ada@example.com&gt;" in {row[0]: row[2] for row in desk.replies()}[note]

    for flow in ("contacts", "units", "teams", "category_trees"):
        systems.sync(flow)
    systems.sync(FLOW)

    ids = [
        systems.helpdesk.rows(f"SELECT id FROM {table} WHERE referenceId IS NOT NULL")[0][0]
        for table in ("people", "`groups`", "assets")
    ]
    assert desk.tickets(*columns) == [(*ids, "Hardware > Printers&#44; big")]
    assert (note, ids[0], "<p>mine</p>") in desk.replies()
    assert systems.sync(FLOW, full=True).sql_writes == 0


def test_author_is_a_person_of_this_client_or_an_administrator(
    systems: Systems, desk: Desk
) -> None:
    with systems.open("wje") as other:
        other.togadesk.run(
            lambda tx: tx.insert(
                "people",
                [{"email": "wanda@example.com", "name": "W", "type": "user", "password": "!"}],
            )
        )
    systems.helpdesk.execute(
        "UPDATE people SET type = 'admin', clientid = 0, email = 'agent@example.com'"
    )
    agent = systems.helpdesk.rows("SELECT id FROM people")[0][0]
    with systems.open("wje") as other:
        other.togadesk.run(
            lambda tx: tx.insert(
                "people",
                [{"email": "wanda@example.com", "name": "W", "type": "user", "password": "!"}],
            )
        )
    ticket = desk.ticket()
    by_agent = desk.note(ticket, "<p>a</p>", 2, authorName="Agent", authorEmail="AGENT@example.com")
    foreign = desk.note(
        ticket, "<p>b</p>", 3, authorName="<b>Wanda</b>", authorEmail="wanda@example.com"
    )

    systems.sync(FLOW)

    assert desk.replies()[1:] == [
        (by_agent, agent, "<p>a</p>"),
        (
            foreign,
            0,
            "<p><strong>&lt;b&gt;Wanda&lt;/b&gt; &lt;wanda@example.com&gt;:</strong></p><p>b</p>",
        ),
    ]


def test_long_subject_is_shortened_with_a_mark_and_kept_whole_in_the_text(
    systems: Systems, desk: Desk
) -> None:
    subject = "Very long 😀 " * 60
    desk.ticket(subject, description="<p>d</p>")

    systems.sync(FLOW)

    stored_subject = str(desk.tickets("subject")[0][0])
    assert stored_subject.endswith("[…]")
    assert len(stored_subject) <= 500
    text = str(desk.replies()[0][2]).replace("&#128512;", "😀")
    assert text == f"<p><strong>{subject}</strong></p><p>d</p>"
    assert systems.sync(FLOW, full=True).sql_writes == 0


def test_text_that_is_too_long_stands_with_its_beginning_and_all_of_it_as_a_file(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    body = "<p>" + "x" * 70_000 + " the end 😀</p>"
    long = desk.note(ticket, body, 2)
    good = desk.note(ticket, "<p>ok</p>", 3)
    other = desk.ticket("Other", 4)

    result = systems.sync(FLOW)

    assert {row[0] for row in desk.replies()} == {ticket, long, good, other}
    assert (result.created, result.failed) == (2, 0)
    (text,) = [row[2] for row in desk.replies() if row[0] == long]
    assert text.startswith("<p>xxx")
    name = full_text(body).name
    assert text.endswith(full_text_mark(name))
    assert len(text) > 60_000
    ((shown, stored_as, size, reference),) = systems.helpdesk.rows(
        "SELECT f.name, f.file, f.filesize, r.referenceId FROM files f "
        "JOIN tickets_replies r ON r.id = f.ticketreplyid"
    )
    assert (shown, reference) == (name, long)
    content = (systems.uploads_dir / stored_as).read_bytes()
    assert content.decode("utf-8") == body
    assert int(size) == len(content)
    assert result.watermark_after == at(4)
    assert systems.sync(FLOW, full=True).sql_writes == 0


@pytest.mark.usefixtures("expand_lists")
def test_text_arrives_as_written(systems: Systems, desk: Desk) -> None:
    bodies = [
        "<p>😀 emoji</p>",
        "שלום עולם",
        "a\r\nb\r\n",
        "€ ž 漢字",
        " trailing ",
        "&amp; <i>x</i>",
    ]
    ticket = desk.ticket()
    for minute, body in enumerate(bodies, start=2):
        desk.note(ticket, body, minute)

    result = systems.sync(FLOW)

    assert result.failed == 0
    stored_texts = [str(row[2]).replace("&#128512;", "😀") for row in desk.replies()[1:]]
    assert stored_texts == bodies


def test_replies_stand_in_the_order_of_time(systems: Systems, desk: Desk) -> None:
    ticket = desk.ticket()
    late, early = desk.note(ticket, "late", 9), desk.note(ticket, "early", 5)

    systems.sync(FLOW)

    assert [row[0] for row in desk.replies()] == [ticket, early, late]


def test_ticket_that_is_gone_or_broken_when_it_is_read_stops_nothing(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.expand_lists = False
    tickets = [desk.ticket(f"Ticket {number}", number) for number in range(1, 7)]
    systems.toga2.faults.add(Status(500), method="GET", route="/tickets/{uuid}", skip=2, times=3)

    result = systems.sync(FLOW)

    assert result.created + result.failed == 6
    if result.failed:
        assert all(failure.kind == "transient" for failure in result.failures)
    systems.toga2.faults.clear()
    systems.sync(FLOW)
    assert desk.tickets("referenceId") == sorted((ticket,) for ticket in tickets)


def test_host_that_fails_throughout_is_one_error_and_moves_nothing(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.expand_lists = False
    for number in range(15):
        desk.ticket(f"Ticket {number}", number)
    systems.toga2.faults.add(Status(503), method="GET", route="/tickets/{uuid}", times=None)

    error = systems.failing_sync(FLOW)

    assert error.kind == "systemic"
    assert "in a row" in str(error)
    assert systems.toga2_store.count("elite", "parameters") == 0
    systems.toga2.faults.clear()
    assert systems.sync(FLOW).created == 15


def test_tickets_that_move_while_they_are_paged_through_are_neither_lost_nor_doubled(
    systems: Systems, desk: Desk
) -> None:
    store = systems.toga2_store
    count = 650
    store.bulk_create(
        "elite",
        "tickets",
        (
            # more than a page within one second, as after an import
            {
                "subject": f"T{number}",
                "status": "OPEN",
                "priority": "LOW",
                "_created": at(0),
                "_updated": at(0 if number < 450 else number),
            }
            for number in range(count)
        ),
    )
    for page in (1, 2, 3):
        systems.toga2.faults.add(Shift(count=3), method="GET", route="/tickets", skip=page)

    systems.sync(FLOW)
    systems.toga2.faults.clear()

    assert desk.count("tickets") == count
    assert len(set(desk.tickets("referenceId"))) == count
    assert desk.count("tickets_replies") == count
    systems.sync(FLOW)
    assert systems.sync(FLOW).sql_writes == 0


@BOTH_TYPES
def test_second_edit_within_the_second_of_the_first_is_not_taken_for_seen(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket("first", 5)
    systems.sync(FLOW)
    desk.change(desk.tickets_route, ticket, 5, subject="second")

    systems.sync(FLOW)

    assert desk.tickets("subject") == [("second",)]


@BOTH_TYPES
def test_ticket_that_changes_between_list_and_read_does_not_carry_the_watermark_along(
    systems: Systems, desk: Desk
) -> None:
    systems.toga2.settings.expand_lists = False
    ticket = desk.ticket("first", 5)

    def change(request: RequestInfo) -> None:
        if request.route == f"/{desk.tickets_route}/{{uuid}}":
            systems.toga2.on_request = None
            desk.change(desk.tickets_route, ticket, 900, subject="second")

    systems.toga2.on_request = change
    result = systems.sync(FLOW)

    assert desk.tickets("subject") == [("second",)]
    # what else was changed until then was not listed by this run
    assert result.watermark_after == at(5)
    assert systems.sync(FLOW).watermark_after == at(900)


def test_clients_do_not_meet(systems: Systems, desk: Desk) -> None:
    desk.note(desk.ticket("Elite's"))
    other = Desk(systems, "wje")
    other.note(other.ticket("WJE's"))

    systems.sync(FLOW, "elite")
    systems.sync(FLOW, "wje")

    assert sorted(desk.tickets("subject", "clientid", "departmentid")) == [
        ("Elite's", 1, 1),
        ("WJE's", 2, 3),
    ]


def test_row_of_another_client_with_the_same_reference_is_left_alone(
    systems: Systems, desk: Desk
) -> None:
    other = Desk(systems, "wje")
    theirs = other.ticket("WJE's")
    other.note(theirs, "theirs", 2)
    systems.sync(FLOW, "wje")
    reference = next(row[0] for row in desk.replies() if row[2] == "theirs")
    ticket = desk.ticket("Elite's")
    systems.toga2_store.create(
        "elite",
        "ticket-notes",
        {"ticket": {"uuid": ticket}, "isExternal": True, "body": "ours"},
        uuid=str(reference).upper(),
        created=at(3),
    )

    result = systems.sync(FLOW)

    assert result.failed == 1
    assert "not one of this client" in result.failures[0].reason
    assert "theirs" in [row[2] for row in desk.replies()]
    assert "ours" not in [row[2] for row in desk.replies()]


def test_times_are_the_helpdesks_own(systems: Systems) -> None:
    desk = Desk(systems, "wje")
    desk.ticket()

    systems.sync(FLOW, "wje")

    written = desk.tickets("timestamp")[0][0]
    # 08:01 UTC in Chicago, as it is stored: without a zone
    assert str(written) == "2026-06-10 03:01:00"


def test_a_full_run_leaves_a_memory_that_later_runs_go_by(systems: Systems, desk: Desk) -> None:
    desk.note(desk.ticket("First", 1), "<p>reply</p>", 2)
    systems.sync(FLOW, full=True)
    systems.sync(FLOW, full=True)
    again = systems.sync(FLOW)
    assert (again.remarks, again.updated, again.sql_writes) == ((), 0, 0)


class _PullThePlugError(BaseException):
    """Ends a run as a killed process ends: nothing in the engine may catch it."""


def test_run_that_dies_at_any_write_is_completed_by_the_next_one(
    systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On MyISAM nothing is rolled back: whatever a cut-off run leaves must be found and completed."""
    ada = desk.contact("ada@example.com")
    systems.sync("contacts")
    first = desk.ticket("First", 1, contact={"uuid": ada})
    flipped = desk.note(first, "<p>flips</p>", 2)
    systems.sync(FLOW)
    settled = desk.end_state()
    desk.change("ticket-notes", flipped, 200, isExternal=False)
    desk.note(first, "<p>more</p>", 201)
    desk.change("tickets", first, 202, status="CLOSED")
    desk.note(desk.ticket("Second", 203), "<p>reply</p>", 204)
    assert systems.helpdesk.kind

    write: Callable[..., int] = (
        Sender.write_rows
    )  # the one place through which every written row goes
    for survived in range(12):
        left = survived

        def dying(self: Sender, *arguments: object, **named: object) -> int:
            nonlocal left
            if left == 0:
                raise _PullThePlugError
            left -= 1
            return write(self, *arguments, **named)

        monkeypatch.setattr(Sender, "write_rows", dying)
        try:
            with systems.open() as context:
                run_flow(FLOW, context)
        except _PullThePlugError:
            continue
        finally:
            monkeypatch.setattr(Sender, "write_rows", write)
        break
    else:
        pytest.fail("the run never came through")
    assert survived > 0
    monkeypatch.undo()
    systems.sync(FLOW)

    state = desk.end_state()
    assert state != settled
    for table, rows in state.items():
        assert len(rows) == len(set(map(str, rows))), f"doubled in {table}"
    assert [len(state[table]) for table in ("tickets", "replies", "comments", "history")] == [
        2,
        4,
        1,
        3,
    ]
    assert systems.sync(FLOW, full=True).sql_writes == 0

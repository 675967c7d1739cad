"""Every kind of difference is planted in a pair of sides that agree: it is found, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from elite_pipeline_tests.support.dry_runs import everything
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.planting import LAST, NOBODY, Pair
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.verifying import said, verified

IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"

#: Flow, kind, reason, and fields where it says which.
Wanted = tuple[str, ...]
PLANTS: dict[str, tuple[Callable[[Pair], object], list[Wanted]]] = {}


def plant(*wanted: Wanted) -> Callable[[Callable[[Pair], object]], Callable[[Pair], object]]:
    """Register a plant with all that verify is to say of it."""

    def register(function: Callable[[Pair], object]) -> Callable[[Pair], object]:
        PLANTS[function.__name__] = (function, sorted(wanted))
        return function

    return register


# Reference data


@plant(("contacts", "contact", "missing"))
def contact_without_a_person(pair: Pair) -> None:
    pair.remove("people", pair.row("people", "bob"))


@plant(("contacts", "contact", "doubled"))
def two_people_of_one_contact(pair: Pair) -> None:
    pair.double("people", pair.row("people", "bob"), email="other@example.com")


@plant(("contacts", "contact", "different", "name"))
def person_of_another_name(pair: Pair) -> None:
    pair.set("people", pair.row("people", "bob"), name="Robert")


@plant(("contacts", "contact", "vanished"))
def contact_that_toga2_no_longer_has(pair: Pair) -> None:
    pair.systems.toga2_store.delete("elite", "contacts", pair.uuids["bob"])


@plant(("units", "unit", "different", "serial"))
def asset_of_another_serial_number(pair: Pair) -> None:
    pair.set("assets", pair.row("assets", "unit"), serial="S2")


@plant(("units", "unit", "doubled"))
def two_assets_of_one_unit(pair: Pair) -> None:
    pair.double("assets", pair.row("assets", "unit"), tag="other")


@plant(("teams", "team", "different", "name"))
def group_of_another_name(pair: Pair) -> None:
    pair.set("groups", pair.row("groups", "team"), name="Drive-in")


@plant(("predefined_replies", "predefined reply", "different", "content"))
def canned_answer_of_another_text(pair: Pair) -> None:
    pair.set("tickets_pr", pair.row("tickets_pr", "canned"), content="<b>Bye</b>")


@plant(("predefined_replies", "predefined reply", "missing"))
def canned_answer_without_a_row(pair: Pair) -> None:
    pair.remove("tickets_pr", pair.row("tickets_pr", "canned"))


@plant(("category_trees", "tree", "different", "choices"))
def category_that_is_no_choice(pair: Pair) -> None:
    pair.sql("UPDATE tickets_customfields SET options = 'Last'")


# Tickets of TOGA 2


@plant((IN, "ticket", "missing"))
def ticket_without_a_row(pair: Pair) -> None:
    pair.remove("tickets", pair.row("tickets", "ticket"))


@plant((IN, "ticket", "doubled"))
def two_rows_of_one_ticket(pair: Pair) -> None:
    pair.double("tickets", pair.row("tickets", "ticket"))


def differing(column: str, value: object, field: str) -> None:
    """Register a plant in one column of a ticket."""

    def change(pair: Pair) -> None:
        pair.set("tickets", pair.row("tickets", "ticket"), **{column: value})

    change.__name__ = f"ticket_of_another_{field}"
    plant((IN, "ticket", "different", field))(change)


for column, value, name in (
    ("subject", "Plotter", "subject"),
    ("status", "Closed", "status"),
    ("priority", "High", "priority"),
    ("category", "Last", "category"),
    ("email", "eve@example.com", "e-mail"),
    ("assetid", 0, "unit"),
    ("groupid", 0, "team"),
    ("timestamp", "2020-01-01 00:00:00", "time"),
):
    differing(column, value, name)


@plant((IN, "ticket", "different", "contact"))
def ticket_of_another_contact(pair: Pair) -> None:
    pair.set("tickets", pair.row("tickets", "ticket"), userid=pair.row("people", "bob"))


@plant((IN, "description", "different", "text"))
def another_description(pair: Pair) -> None:
    pair.set("tickets_replies", pair.row("tickets_replies", "ticket"), message="<p>Other</p>")


@plant((IN, "description", "missing"))
def no_description(pair: Pair) -> None:
    pair.remove("tickets_replies", pair.row("tickets_replies", "ticket"))


# Notes of TOGA 2


@plant((IN, "external note", "missing"))
def external_note_without_a_row(pair: Pair) -> None:
    pair.remove("tickets_replies", pair.row("tickets_replies", "external"))


@plant((IN, "internal note", "missing"))
def internal_note_without_a_row(pair: Pair) -> None:
    pair.remove("comments", pair.row("comments", "internal"))


@plant((IN, "external note", "doubled"))
def two_replies_of_one_note(pair: Pair) -> None:
    pair.double("tickets_replies", pair.row("tickets_replies", "external"))


@plant((IN, "internal note", "doubled"))
def two_comments_of_one_note(pair: Pair) -> None:
    pair.double("comments", pair.row("comments", "internal"))


@plant((IN, "external note", "different", "text"))
def another_body(pair: Pair) -> None:
    pair.set("tickets_replies", pair.row("tickets_replies", "external"), message="<p>Seen.</p>")


@plant((IN, "external note", "different", "text"))
def body_that_was_changed_in_toga2(pair: Pair) -> None:
    pair.quietly(pair.desk.notes_route, "external", body="<p>Seen again</p>")


@plant((IN, "external note", "different", "author"))
def another_author(pair: Pair) -> None:
    bob = pair.row("people", "bob")
    pair.set("tickets_replies", pair.row("tickets_replies", "external"), peopleid=bob)


@plant((IN, "external note", "different", "time"))
def another_time(pair: Pair) -> None:
    id_ = pair.row("tickets_replies", "external")
    pair.set("tickets_replies", id_, timestamp="2026-06-10 09:02:00")


@plant((IN, "internal note", "different", "ticket"))
def note_under_another_ticket(pair: Pair) -> None:
    pair.set("comments", pair.row("comments", "internal"), ticketid=pair.ids["ticket"])


@plant((IN, "internal note", "private shown public"))
def internal_note_as_a_public_reply(pair: Pair) -> None:
    id_ = pair.row("comments", "internal")
    pair.sql(
        "INSERT INTO tickets_replies (ticketid, peopleid, message, timestamp, referenceId) "
        "SELECT ticketid, peopleid, comment, timestamp, referenceId FROM comments WHERE id = :a",
        id_,
    )
    pair.remove("comments", id_)


@plant((IN, "external note", "different", "visibility"))
def external_note_as_an_internal_comment(pair: Pair) -> None:
    id_ = pair.row("tickets_replies", "external")
    pair.typed_long_ago(
        "comments", ticketid=pair.row("tickets", "ticket"), comment="<p>Seen</p>",
        referenceId=pair.uuids["external"],
    )  # fmt: skip
    pair.remove("tickets_replies", id_)


# Files of TOGA 2


@plant((IN, "file", "missing"))
def file_without_a_row(pair: Pair) -> None:
    pair.remove("files", pair.file("plan.png")[0])


@plant((IN, "file", "missing"))
def file_without_bytes(pair: Pair) -> None:
    pair.file("plan.png")[1].unlink()


@plant((IN, "file", "file bytes differ"))
def file_of_other_bytes(pair: Pair) -> None:
    pair.file("plan.png")[1].write_bytes(b"plam")


@plant((IN, "file", "file bytes differ"))
def file_of_an_internal_note_of_other_bytes(pair: Pair) -> None:
    pair.file("salary.png")[1].write_bytes(b"celery")


@plant((IN, "file", "doubled"))
def file_twice(pair: Pair) -> None:
    id_, path = pair.file("plan.png")
    again = pair.double("files", id_)
    pair.set("files", again, file=f"{again}-plan.png")
    path.with_name(f"{again}-plan.png").write_bytes(b"plan")


@plant((IN, "file", "different", "size"))
def file_that_says_another_size(pair: Pair) -> None:
    pair.set("files", pair.file("plan.png")[0], filesize=5)


@plant((IN, "file", "different", "stored name"))
def file_stored_under_another_name(pair: Pair) -> None:
    id_, path = pair.file("plan.png")
    path.rename(path.with_name("plan.png"))
    pair.set("files", id_, file="plan.png")


@plant((IN, "file", "different", "type"))
def file_of_another_type(pair: Pair) -> None:
    pair.set("files", pair.file("plan.png")[0], filetype="text/plain")


@plant((IN, "file", "private shown public"))
def private_file_under_a_public_reply(pair: Pair) -> None:
    reply = pair.row("tickets_replies", "external")
    pair.set("files", pair.file("salary.png")[0], ticketreplyid=reply, name="salary.png")


# What people typed in the helpdesk


@plant((OUT, "ticket", "missing"))
def ticket_that_was_never_sent(pair: Pair) -> None:
    ticket = pair.double("tickets", pair.ids["ticket"])
    pair.sql("UPDATE tickets SET referenceId = NULL WHERE id = :a", ticket)
    pair.typed_long_ago("tickets_replies", ticketid=ticket, message="<p>It hums</p>")


@plant((OUT, "external note", "missing"))
def reply_that_was_never_sent(pair: Pair) -> None:
    pair.typed_long_ago("tickets_replies", ticketid=pair.ids["ticket"], message="<p>Lost</p>")


@plant((OUT, "internal note", "missing"))
def comment_that_was_never_sent(pair: Pair) -> None:
    pair.typed_long_ago("comments", ticketid=pair.ids["ticket"], comment="<p>Lost</p>")


@plant((OUT, "external note", "missing"))
def reply_that_does_not_know_its_note(pair: Pair) -> None:
    pair.sql("UPDATE tickets_replies SET referenceId = NULL WHERE id = :a", pair.ids["reply"])


@plant((OUT, "ticket", "missing"))
def ticket_that_does_not_know_what_it_was_sent_as(pair: Pair) -> None:
    pair.sql("UPDATE tickets SET referenceId = '' WHERE id = :a", pair.ids["ticket"])


@plant((OUT, "external note", "missing"))
def reply_that_names_no_note(pair: Pair) -> None:
    pair.typed_long_ago(
        "tickets_replies", ticketid=pair.ids["ticket"], message="<p>Lost</p>", referenceId=NOBODY
    )


@plant((OUT, "internal note", "missing"))
def comment_whose_note_is_gone(pair: Pair) -> None:
    note = pair.sent_as(f"togadesk:comment:{pair.ids['comment']}")
    pair.systems.toga2_store.delete("elite", pair.desk.notes_route, note)


@plant((OUT, "ticket", "missing"))
def ticket_that_names_no_ticket(pair: Pair) -> None:
    pair.set("tickets", pair.double("tickets", pair.ids["ticket"]), referenceId=NOBODY)


@plant((OUT, "note", "doubled"))
def two_notes_of_one_reply(pair: Pair) -> None:
    uuid = pair.sent_as(f"togadesk:reply:{pair.ids['reply']}")
    note = pair.systems.toga2_store.all("elite", pair.desk.notes_route)
    (ticket,) = {one["ticket"]["uuid"] for one in note if one["uuid"] == uuid}
    key = f"togadesk:reply:{pair.ids['reply']}"
    pair.desk.note(ticket, "<p>Mine</p>", 40, c_eliteConversationId=key)


@plant((IN, "external note", "different", "text"))
def reply_that_toga2_has_otherwise(pair: Pair) -> None:
    pair.uuids["mine"] = pair.sent_as(f"togadesk:reply:{pair.ids['reply']}")
    pair.quietly(pair.desk.notes_route, "mine", body="<p>Yours</p>")


@plant((IN, "external note", "different", "author"))
def reply_that_toga2_has_by_somebody_else(pair: Pair) -> None:
    pair.uuids["mine"] = pair.sent_as(f"togadesk:reply:{pair.ids['reply']}")
    pair.quietly(pair.desk.notes_route, "mine", authorEmail="bob@example.com")


@plant((OUT, "file", "missing"))
def upload_that_was_never_sent(pair: Pair) -> None:
    pair.typist.upload(pair.ids["reply"], "new.txt", b"new")


@plant((OUT, "file", "doubled"))
def upload_that_was_sent_twice(pair: Pair) -> None:
    note = pair.sent_as(f"togadesk:reply:{pair.ids['reply']}")
    attach(pair.desk, note, "hum.txt", b"hum", minute=3)


@plant((IN, "file", "file bytes differ"))
def upload_of_other_bytes(pair: Pair) -> None:
    pair.file("hum.txt")[1].write_bytes(b"him")


@plant((IN, "file", "file bytes differ"))
def upload_of_the_description_of_other_bytes(pair: Pair) -> None:
    pair.file("scan.txt")[1].write_bytes(b"scam")


# What the next run carries


@plant(("contacts", "contact", "not yet due"))
def contact_that_was_made_just_now(pair: Pair) -> None:
    pair.make("contacts", {"firstName": "Eve", "lastName": "E", "email": "e@example.com"}, LAST + 9)


@plant((IN, "ticket", "not yet due"))
def ticket_that_was_made_just_now(pair: Pair) -> None:
    pair.desk.ticket("New", LAST + 9)


@plant((IN, "external note", "not yet due"))
def note_that_was_made_just_now(pair: Pair) -> None:
    pair.desk.note(pair.uuids["ticket"], "<p>New</p>", LAST + 9)


@plant((OUT, "external note", "not yet due"))
def reply_that_was_typed_just_now(pair: Pair) -> None:
    pair.typist.reply(pair.ids["ticket"], "<p>New</p>")


@plant((OUT, "ticket", "not yet due"))
def ticket_that_was_opened_just_now(pair: Pair) -> None:
    pair.typist.ticket("New here")


# What is as it should be


@plant()
def ticket_of_a_department_that_nobody_watches(pair: Pair) -> None:
    pair.typist.ticket("Elsewhere", departmentid=77)


@plant()
def status_that_says_the_same(pair: Pair) -> None:
    pair.set("tickets", pair.row("tickets", "ticket"), status="Reopened")


@plant()
def password_and_notes_of_a_person(pair: Pair) -> None:
    pair.set("people", pair.row("people", "bob"), password="x", notes="typed by hand")


@pytest.mark.parametrize(
    "helpdesk",
    [
        "sqlite",
        # nothing is rolled back, and nothing is indexed
        pytest.param("mariadb-legacy-lax", marks=pytest.mark.server),
    ],
    indirect=True,
)
def test_what_is_planted_is_found_and_nothing_else(systems: Systems, tmp_path: Path) -> None:
    pair = Pair(systems, tmp_path)
    _, findings = verified(systems)
    assert not findings, said(findings)
    wrong = []
    for name, (change, wanted) in PLANTS.items():
        pair.put_back()
        change(pair)
        before = everything(systems)
        verification, findings = verified(systems)
        if everything(systems) != before:
            wrong.append(f"{name}: something was written")
        found = sorted((one.flow, one.kind, str(one.reason), *one.fields) for one in findings)
        if found != wanted:
            wrong.append(f"{name}: {found} instead of {wanted}\n{said(findings)}")
        if verification.is_equal != all(not one.is_difference for one in findings):
            wrong.append(f"{name}: the sum says {verification.reasons}")
    assert not wrong, "\n".join(wrong)

"""Tickets of the helpdesk in TOGA 2: what is sent, as what, and that nothing comes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.toga2 import RequestInfo
from elite_pipeline.sync import outgoing
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


def counts(result: Any) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "failed", "waiting")
    return {name: count for name in names if (count := getattr(result, name))}


def everything(systems: Systems) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("tickets", "tickets_replies", "comments", "tickets_history", "files")
    return {table: systems.helpdesk.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables}


def assert_quiet(typist: Typist) -> None:
    """One more run in both directions writes nothing anywhere (sync.md 10.3)."""
    systems = typist.systems
    # the watermarks take in what the other direction wrote
    systems.sync("toga2_to_togadesk", typist.client)
    typist.send()
    before = everything(systems)
    systems.toga2.reset_stats()
    back = systems.sync("toga2_to_togadesk", typist.client)
    again = typist.send()
    assert everything(systems) == before
    assert [one for one in systems.toga2.requests if one.method != "GET"] == []
    assert (back.sql_writes, again.sql_writes) == (0, 0)
    assert back.watermark_before == back.watermark_after
    assert again.watermark_before == again.watermark_after


def test_ticket_is_made_with_its_description(typist: Typist) -> None:
    id_, reply = typist.ticket("Scanner", "<p>It hums</p>", priority="High")

    result = typist.send()

    assert counts(result) == {"created": 1}
    (made,) = typist.made()
    assert (made["subject"], made["description"]) == ("Scanner", "<p>It hums</p>")
    assert (made["status"], made["priority"]) == ("OPEN", "HIGH")
    assert made["c_eliteTicketId"] == f"togadesk:ticket:{id_}"
    assert typist.references("tickets") == [made["uuid"]]
    assert typist.references("tickets_replies") == [made["uuid"]]
    assert typist.notes() == []
    assert reply == 1
    assert_quiet(typist)


def test_replies_and_comments_become_notes_in_the_order_of_time(typist: Typist) -> None:
    bob = typist.person("bob@example.com", "Bob")
    id_, _ = typist.ticket(userid=bob)
    typist.reply(id_, "<p>One</p>", bob)
    typist.comment(id_, "<p>Two</p>")
    typist.reply(id_, "<p>Three</p>")

    typist.send()

    assert typist.notes() == [
        (True, "<p>One</p>"),
        (False, "<p>Two</p>"),
        (True, "<p>Three</p>"),
    ]
    first, second, third = typist.raw_notes()
    assert (first["authorName"], first["authorEmail"]) == ("Bob", "bob@example.com")
    assert first["c_eliteConversationId"] == "togadesk:reply:2"
    assert second["c_eliteConversationId"] == "togadesk:comment:1"
    assert typist.references("tickets_replies")[1:] == [first["uuid"], third["uuid"]]
    assert typist.references("comments") == [second["uuid"]]
    assert_quiet(typist)


def test_reply_to_a_ticket_of_toga2_goes_under_it(typist: Typist, desk: Desk) -> None:
    uuid = desk.ticket()
    desk.note(uuid)
    typist.systems.sync("toga2_to_togadesk")
    typist.reply(1, "<p>Mine</p>", status="Answered")

    result = typist.send()

    assert counts(result) == {"updated": 1}
    assert typist.notes() == [(True, "<p>Hello</p>"), (True, "<p>Mine</p>")]
    assert [ticket["status"] for ticket in typist.made()] == ["PENDING"]
    assert_quiet(typist)


def test_everything_is_sent_once_however_often_it_runs(typist: Typist) -> None:
    id_, _ = typist.ticket()
    typist.reply(id_)
    for _ in range(3):
        typist.send()
        typist.send(full=True)
    assert (len(typist.made()), len(typist.raw_notes())) == (1, 1)


def test_nothing_to_do_costs_the_watermark_alone(typist: Typist) -> None:
    id_, _ = typist.ticket()
    typist.reply(id_)
    typist.send()
    typist.send()
    typist.systems.toga2.reset_stats()
    again = typist.send()
    assert again.api_calls == 1
    # the server's clock, and the selection
    assert (again.sql_writes, again.sql_reads) == (0, 2)


def test_since_the_watermark_nothing_to_do_costs_no_call(typist: Typist) -> None:
    typist.ticket()
    typist.send()
    first = typist.send()
    again = typist.send(since=first.watermark_after)
    assert (again.api_calls, again.sql_writes, again.sql_reads) == (0, 0, 2)


def test_nothing_to_do_in_both_directions_costs_the_two_lists(typist: Typist, desk: Desk) -> None:
    desk.note(desk.ticket())
    id_, _ = typist.ticket()
    typist.upload(typist.reply(id_), "a.png")
    typist.send()
    assert_quiet(typist)
    systems = typist.systems
    since = {
        flow: systems.sync(flow).watermark_after
        for flow in ("toga2_to_togadesk", "togadesk_to_toga2")
    }
    with systems.open() as context:
        results = [run_flow(flow, context, Options(since=at)) for flow, at in since.items()]
    assert sum(result.api_calls for result in results) == 2
    # and what tables there are, once
    assert sum(result.sql_reads for result in results) == 2
    assert sum(result.sql_writes for result in results) == 0


class TestStatus:
    def test_it_travels_with_the_activity_alone(self, typist: Typist, desk: Desk) -> None:
        desk.ticket(status="OPEN")
        typist.systems.sync("toga2_to_togadesk")
        typist.application.set_status(1, "Closed")
        typist.send()
        assert [ticket["status"] for ticket in typist.made()] == ["OPEN"]
        typist.reply(1)
        typist.send()
        assert [ticket["status"] for ticket in typist.made()] == ["CLOSED"]

    def test_one_that_says_the_same_is_left_as_toga2_has_it(
        self, typist: Typist, desk: Desk
    ) -> None:
        desk.ticket(status="RESOLVED", priority="URGENT")
        typist.systems.sync("toga2_to_togadesk")
        typist.reply(1)
        typist.send()
        (ticket,) = typist.made()
        assert (ticket["status"], ticket["priority"]) == ("RESOLVED", "URGENT")

    def test_one_without_counterpart_is_a_dead_letter_and_the_reply_goes(
        self, typist: Typist
    ) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, status="On the moon")
        result = typist.send()
        assert len(typist.raw_notes()) == 1
        (failure,) = result.failures
        assert failure.full_name == f"status of ticket {id_}"
        assert "'On the moon' has no counterpart" in failure.reason

    def test_one_without_counterpart_stays_here_until_it_has_one_and_is_sent_then(
        self, typist: Typist, desk: Desk
    ) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, status="On the moon")
        typist.send()
        (made,) = typist.made()
        desk.change(desk.tickets_route, made["uuid"], 300, status="CLOSED", subject="Scanner!")
        typist.systems.sync("toga2_to_togadesk")
        assert desk.tickets("status", "subject") == [("On the moon", "Scanner!")]
        entry = typist.systems.clients["elite"]
        toga2 = entry.toga2.model_copy(update={"status_map": {"PENDING": "On the moon"}})
        typist.systems.clients["elite"] = entry.model_copy(update={"toga2": toga2})
        typist.systems.later = at(10) - at(0)
        assert typist.send().dead_letters.waiting == 0
        assert [ticket["status"] for ticket in typist.made()] == ["PENDING"]
        assert_quiet(typist)

    @pytest.mark.parametrize("order", [("in", "out"), ("out", "in")])
    def test_the_end_is_the_same_whichever_direction_runs_first(
        self, typist: Typist, desk: Desk, order: tuple[str, str]
    ) -> None:
        uuid = desk.ticket(status="OPEN")
        typist.systems.sync("toga2_to_togadesk")
        typist.reply(1, status="Answered")
        desk.change(desk.tickets_route, uuid, 200, status="IN_PROGRESS", subject="Printer!")
        for direction in order:
            flow = "toga2_to_togadesk" if direction == "in" else "togadesk_to_toga2"
            typist.systems.sync(flow)
        typist.systems.sync("toga2_to_togadesk")
        assert desk.tickets("status", "subject") == [("Answered", "Printer!")]
        assert [ticket["status"] for ticket in typist.made()] == ["PENDING"]


class TestSelection:
    def test_departments_that_are_not_monitored_stay_at_home(self, typist: Typist) -> None:
        typist.ticket(departmentid=1)
        typist.ticket(departmentid=2)
        typist.ticket(departmentid=9)
        assert counts(typist.send()) == {"created": 2}

    def test_other_clients_stay_at_home(self, typist: Typist) -> None:
        Typist(typist.systems, "wje").ticket()
        assert counts(typist.send()) == {}
        assert typist.made() == []

    def test_reply_that_was_only_just_written_is_left_for_the_next_run(
        self, typist: Typist, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        id_, _ = typist.ticket()
        typist.send()
        monkeypatch.setattr(Typist, "now", lambda _self: datetime.now(UTC))
        typist.reply(id_, "<p>Just now</p>")
        result = typist.send()
        assert typist.notes() == []
        assert result.details["left for the next run"] == 1
        assert result.watermark_after is not None
        assert result.watermark_after < datetime.now(UTC)
        entry = typist.systems.clients["elite"]
        togadesk = entry.togadesk.model_copy(update={"settle_seconds": 0})
        typist.systems.clients["elite"] = entry.model_copy(update={"togadesk": togadesk})
        typist.send()
        assert typist.notes() == [(True, "<p>Just now</p>")]

    def test_reply_that_is_written_while_a_run_goes_on_is_left_for_the_next_one(
        self, typist: Typist, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outgoing, "BATCH", 1)
        (first, _), (second, _) = typist.ticket("First"), typist.ticket("Second")
        typist.send()
        typist.reply(first, "<p>Long ago</p>")
        typist.reply(second, "<p>Long ago, too</p>")

        def write(info: RequestInfo) -> None:
            if info.method == "POST" and len(typist.references("tickets_replies")) == 4:
                # after the run has looked at the clock
                monkeypatch.setattr(
                    Typist, "now", lambda _: datetime.now(UTC) + timedelta(seconds=5)
                )
                typist.reply(second, "<p>Just now</p>")

        typist.systems.toga2.on_request = write
        typist.send()
        # its files are on their way
        assert {text for _, text in typist.notes()} == {"<p>Long ago</p>", "<p>Long ago, too</p>"}


class TestReferences:
    def test_what_is_mirrored_is_named(self, typist: Typist, desk: Desk) -> None:
        contact = desk.contact("ada@example.com")
        typist.systems.sync("contacts")
        (ada,) = typist.systems.helpdesk.rows("SELECT id FROM people")[0]
        typist.ticket(userid=ada)
        typist.send()
        (made,) = typist.made()
        assert made["contact"]["uuid"] == contact
        assert made["description"] == "<p>It hums</p>"
        assert_quiet(typist)

    def test_one_that_toga2_cannot_know_is_named_in_the_text_and_stays(
        self, typist: Typist, desk: Desk
    ) -> None:
        bob = typist.person("bob@example.com", "Bob <b>")
        typist.ticket(userid=bob, email="bob@example.com")
        typist.send()
        (made,) = typist.made()
        assert made["contact"] is None
        assert made["description"] == (
            "<p><strong>Bob &lt;b&gt; &lt;bob@example.com&gt;:</strong></p><p>It hums</p>"
        )
        desk.change(desk.tickets_route, made["uuid"], 300, subject="Scanner hums")
        typist.systems.sync("toga2_to_togadesk")
        assert desk.tickets("userid", "email", "subject") == [
            (bob, "bob@example.com", "Scanner hums")
        ]
        assert [row[2] for row in desk.replies()] == ["<p>It hums</p>"]
        assert_quiet(typist)


class TestEditedThere:
    def test_note_that_was_sent_and_is_edited_in_toga2_is_edited_here(
        self, typist: Typist, desk: Desk
    ) -> None:
        bob = typist.person()
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>", bob)
        typist.send()
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, body="<p>Uno</p>")
        typist.systems.sync("toga2_to_togadesk")
        assert [row[1:] for row in desk.replies()][1] == (bob, "<p>Uno</p>")
        assert_quiet(typist)

    def test_note_that_was_sent_and_became_private_is_private_here(
        self, typist: Typist, desk: Desk
    ) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.send()
        (note,) = typist.raw_notes()
        desk.change(desk.notes_route, note["uuid"], 300, isExternal=False)
        typist.systems.sync("toga2_to_togadesk")
        assert [row[2] for row in desk.replies()] == ["<p>It hums</p>"]
        assert [row[2] for row in desk.comments()] == ["<p>One</p>"]
        assert_quiet(typist)


class TestCutOff:
    """What a run that was cut off has left in TOGA 2 is recognised, in both directions."""

    def forget(self, systems: Systems) -> None:
        """Leave the helpdesk as it was before the run wrote back what things are called."""
        for table in ("tickets", "tickets_replies", "comments"):
            systems.helpdesk.execute(f"UPDATE {table} SET referenceId = NULL")

    @pytest.mark.parametrize("back_first", [True, False])
    def test_nothing_is_doubled(self, typist: Typist, desk: Desk, back_first: bool) -> None:
        id_, _ = typist.ticket()
        typist.reply(id_, "<p>One</p>")
        typist.comment(id_, "<p>Two</p>")
        typist.send()
        self.forget(typist.systems)
        if back_first:
            typist.systems.sync("toga2_to_togadesk")
        typist.send(full=True)
        assert (len(typist.made()), len(typist.raw_notes())) == (1, 2)
        assert (desk.count("tickets"), desk.count("tickets_replies"), desk.count("comments")) == (
            1,
            2,
            1,
        )
        first, second = typist.raw_notes()
        uuid = typist.made()[0]["uuid"]
        assert typist.references("tickets_replies") == [uuid, first["uuid"]]
        assert typist.references("comments") == [second["uuid"]]
        assert_quiet(typist)

    @pytest.mark.parametrize("back_first", [True, False])
    def test_without_a_first_reply_nothing_is_taken_for_the_description(
        self, typist: Typist, back_first: bool
    ) -> None:
        id_, reply = typist.ticket()
        typist.systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", reply)
        typist.send()
        assert [ticket["description"] for ticket in typist.made()] == [""]
        typist.reply(id_, "<p>Later</p>")
        if back_first:
            typist.systems.sync("toga2_to_togadesk")
        typist.send()
        assert typist.notes() == [(True, "<p>Later</p>")]
        assert_quiet(typist)

    @pytest.mark.parametrize("back_first", [True, False])
    def test_what_went_as_a_note_is_not_taken_for_a_description_that_was_added(
        self, typist: Typist, desk: Desk, back_first: bool
    ) -> None:
        id_, reply = typist.ticket()
        typist.systems.helpdesk.execute("DELETE FROM tickets_replies WHERE id = :a", reply)
        typist.reply(id_, "<p>Later</p>")
        typist.systems.helpdesk.execute("UPDATE tickets_replies SET referenceId = 'elsewhere'")
        typist.send()
        typist.systems.helpdesk.execute("UPDATE tickets_replies SET referenceId = NULL")
        typist.send(full=True)
        self.forget(typist.systems)
        (made,) = typist.made()
        assert (made["description"], typist.notes()) == ("", [(True, "<p>Later</p>")])
        desk.change(desk.tickets_route, made["uuid"], 300, description="<p>It hums</p>")
        if back_first:
            typist.systems.sync("toga2_to_togadesk")
        typist.send(full=True)
        typist.systems.sync("toga2_to_togadesk")
        assert typist.notes() == [(True, "<p>Later</p>")]
        assert [row[2] for row in desk.replies()] == ["<p>Later</p>", "<p>It hums</p>"]
        assert_quiet(typist)


@ONE_KIND
def test_repair_orders_have_the_same_way(typist: Typist, integration_type: str) -> None:
    assert integration_type
    id_, _ = typist.ticket()
    typist.reply(id_, "<p>One</p>")
    typist.send()
    (made,) = typist.made()
    assert typist.notes() == [(True, "<p>One</p>")]
    assert typist.references("tickets") == [made["uuid"]]
    assert_quiet(typist)


def test_watermark_is_the_newest_time_in_utc(typist: Typist) -> None:
    id_, _ = typist.ticket()
    typist.reply(id_)
    result = typist.send()
    assert result.watermark_after == at(typist.minute).replace(second=0)

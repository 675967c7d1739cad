"""What goes wrong on the way from Freshservice costs itself alone, and nothing is lost or doubled."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from elite_pipeline.errors import SystemicError, TransientError
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.sandbox.freshservice import Drop, MalformedAttachment, Status, WrongSize
from elite_pipeline_tests.support.service_desk import ServiceDesk, assert_quiet

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


class TestBadInput:
    def test_row_that_names_no_ticket_is_dead_and_stays_so(self, service_desk: ServiceDesk) -> None:
        number = service_desk.account.new_ticket()
        service_desk.hint("not a ticket at all")
        service_desk.hint(f'{{"ticket_id": "INC-{number}", "subject": "a "quote" breaks it"}}')
        result = service_desk.sync()
        assert service_desk.rows() == ["DEAD", "DONE"]
        assert result.details["webhooks that name no ticket"] == 1
        assert any("--status DEAD" in remark for remark in result.remarks)
        assert service_desk.sync().details.get("webhooks", 0) == 0

    def test_burst_of_rows_that_name_no_ticket_is_no_transaction_each(
        self, service_desk: ServiceDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun: list[int] = []
        original = LedgerDatabase.begin

        def counting(self: LedgerDatabase) -> Any:
            begun.append(1)
            return original(self)

        monkeypatch.setattr(LedgerDatabase, "begin", counting)
        transactions = []
        for number in (2, 60):
            for one in range(number):
                service_desk.hint(f'{{"subject": "Number {one} of a workflow without the id"}}')
            begun.clear()
            service_desk.sync()
            transactions.append(len(begun))
        assert set(service_desk.rows()) == {"DEAD"}
        assert transactions[0] == transactions[1]

    def test_ticket_that_is_gone_is_one_dead_letter(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        gone, fine = account.new_ticket(), account.new_ticket()
        account.vanish(gone)
        service_desk.hint(gone)
        service_desk.hint(fine)
        result = service_desk.sync()
        assert result.failed == 1
        assert service_desk.letters() == [(f"ticket {gone}", "permanent", False)]
        assert service_desk.rows() == ["FAILED", "DONE"]
        assert service_desk.ticket(fine)
        # nothing is due: nothing is asked
        service_desk.sandbox.reset_stats()
        service_desk.sync()
        assert service_desk.sandbox.requests == []

    def test_failed_row_is_tried_again_when_due(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        service_desk.sandbox.fault(Status(503), route="/tickets/{id}", times=3)
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.rows() == ["FAILED"]
        assert service_desk.tickets() == []
        service_desk.systems.later_by(minutes=5)
        service_desk.sync()
        assert service_desk.rows() == ["DONE"]
        assert service_desk.letters() == []
        assert service_desk.ticket(number)

    def test_row_that_was_given_up_is_done_when_a_person_has_its_ticket_tried_again(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number, other = account.new_ticket(), account.new_ticket()
        service_desk.sandbox.fault(Status(403), route=f"/tickets/{number}")
        service_desk.sandbox.fault(Status(403), route=f"/tickets/{other}", times=None)
        rows = [service_desk.hint(ticket) for ticket in (number, other)]
        service_desk.sync()
        for row, ticket in zip(rows, (number, other), strict=True):
            service_desk.inbox.dead([row], f"ticket {ticket}: given up", datetime.now(UTC))
        service_desk.systems.later_by(minutes=5)
        service_desk.sync()
        assert service_desk.rows() == ["DONE", "DEAD"]
        assert service_desk.ticket(number)

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (
                MalformedAttachment(changes={"attachment_url": "https://files.example.com/a.txt"}),
                "permanent",
            ),
            (MalformedAttachment(changes={"name": None}), "permanent"),
            (MalformedAttachment(changes={"size": 50 << 20}), "permanent"),
            (WrongSize(), "transient"),
            (WrongSize(by=5), "transient"),
        ],
    )
    def test_file_that_cannot_be_carried_is_one_dead_letter(
        self, service_desk: ServiceDesk, fault: Any, kind: str
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        account.reply(number, files=[("a.txt", b"a")])
        account.reply(number, "<div>Goes on</div>")
        route = "/attachments/{id}" if isinstance(fault, WrongSize) else None
        service_desk.sandbox.fault(fault, route=route, times=None)
        service_desk.hint(number)
        service_desk.sync()
        assert [found for _, found, _ in service_desk.letters()] == [kind]
        assert [note["body"] for note in service_desk.notes(number)][1:] == ["<div>Goes on</div>"]
        assert service_desk.rows() == ["DONE"]

    def test_ticket_that_the_key_may_not_see_is_one_dead_letter(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        hidden, fine = account.new_ticket(), account.new_ticket()
        service_desk.sandbox.fault(Status(403), route=f"/tickets/{hidden}", times=None)
        service_desk.hint(hidden)
        service_desk.hint(fine)
        service_desk.sync()
        assert service_desk.letters() == [(f"ticket {hidden}", "permanent", False)]
        assert service_desk.ticket(fine)

    def test_refused_key_stops_the_run_and_leaves_the_rows(self, service_desk: ServiceDesk) -> None:
        service_desk.hint(service_desk.account.new_ticket())
        service_desk.sandbox.fault(Status(401), times=None)
        with pytest.raises(SystemicError, match="credentials are refused"):
            service_desk.sync()
        assert service_desk.rows() == ["PENDING"]
        assert service_desk.letters() == []


class TestLostAnswers:
    """Whatever is written into TOGA 2, its answer may be lost; then it is there all the same."""

    def play(self, desk: ServiceDesk) -> None:
        account = desk.account
        path = next(one for one in account.categories if len(one) == 3)
        first = account.new_ticket(
            "One", files=[("a.txt", b"a"), ("a.txt", b"b")], images=[("i.png", b"1")], category=path,
            group_id=account.groups[0],
        )  # fmt: skip
        account.reply(first, "<div>Public</div>", files=[("c.txt", b"c")])
        account.reply(first, "<div>Private</div>", private=True, images=[("j.png", b"2")])
        second = account.new_ticket("Two", requester=account.requesters[1])
        account.reply(second, "<div>Other</div>")
        for ticket in (first, second):
            desk.hint(ticket)

    def until_quiet(self, desk: ServiceDesk) -> None:
        for _ in range(6):
            try:
                result = desk.sync()
            except TransientError:
                continue
            desk.systems.later_by(hours=7)
            if not result.failed and not result.dead_letters.waiting:
                return
        raise AssertionError(f"not quiet: {desk.letters()}")

    @pytest.mark.parametrize("takes_effect", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_every_write_once(
        self, service_desk: ServiceDesk, method: str, takes_effect: bool
    ) -> None:
        files = service_desk.systems.toga2_store.count("elite", "files")
        self.play(service_desk)
        lost = 0
        while True:
            # each write in turn, until there is none left to be lost
            rule = service_desk.systems.toga2.faults.add(
                Drop(takes_effect=takes_effect), method=method, times=3, skip=lost
            )
            with suppress(SystemicError):
                service_desk.sync()
            service_desk.systems.later_by(hours=7)
            service_desk.systems.toga2.faults.remove(rule.id)
            if not rule.fired:
                break
            lost += 1
        self.until_quiet(service_desk)
        assert lost or method == "PATCH"
        one, two = sorted(service_desk.tickets(), key=lambda ticket: ticket["subject"])
        first, second = int(one["c_eliteTicketId"]), int(two["c_eliteTicketId"])
        assert service_desk.files_of(service_desk.carrier(first)) == [
            ("a.txt", b"a"),
            ("a.txt", b"b"),
            ("i.png", b"1"),
        ]
        notes = service_desk.notes(first)
        assert [note["isExternal"] for note in notes] == [True, False]
        assert [service_desk.files_of(note) for note in notes] == [
            [("c.txt", b"c")],
            [("j.png", b"2")],
        ]
        assert [note["body"] for note in service_desk.notes(second)] == ["<div>Other</div>"]
        assert service_desk.systems.toga2_store.count("elite", "files") - files == 5
        for route in ("contacts", "ticket-teams", "ticket-categories"):
            keys = [
                value
                for record in service_desk.keyed(route)
                for name, value in record.items()
                if name.startswith("c_elite") and value
            ]
            assert len(keys) == len(set(keys))
        assert_quiet(service_desk)

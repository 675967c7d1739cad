"""What no webhook told is found by asking Freshservice what was changed."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from elite_pipeline.ledger.dead_letter_office import DeadLetterOffice, Selection
from elite_pipeline.sandbox.freshservice import MalformedRecord
from elite_pipeline_tests.support.service_desk import ServiceDesk, writes

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


class TestSweep:
    def test_sweep_finds_what_no_webhook_told(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        numbers = [account.new_ticket(age_seconds=600) for _ in range(3)]
        result = service_desk.sweep()
        carried = sorted(int(one["c_eliteTicketId"]) for one in service_desk.tickets())
        assert carried == numbers
        assert result.details["tickets listed by the sweep"] == 3
        assert result.watermark_after is not None

    def test_nothing_new_costs_the_list_alone(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        for _ in range(3):
            account.new_ticket(age_seconds=600)
        service_desk.sweep()
        service_desk.sandbox.reset_stats()
        service_desk.systems.toga2.reset_stats()
        service_desk.sweep()
        assert [one.route for one in service_desk.sandbox.requests] == ["/tickets"]
        assert writes(service_desk) == []

    def test_what_webhooks_told_is_not_fetched_again(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket(age_seconds=600)
        service_desk.sweep()
        account.reply(number)
        service_desk.clock.later += timedelta(seconds=10)
        service_desk.hint(number)
        service_desk.sync()
        service_desk.sandbox.reset_stats()
        service_desk.sweep()
        assert [one.route for one in service_desk.sandbox.requests] == ["/tickets"]

    def test_listed_ticket_that_cannot_be_read_is_asked_for_itself(
        self, service_desk: ServiceDesk
    ) -> None:
        number = service_desk.account.new_ticket(age_seconds=600)
        service_desk.sandbox.fault(
            MalformedRecord(0, {"updated_at": "yesterday"}), route="/tickets"
        )
        service_desk.sweep()
        assert service_desk.ticket(number)
        assert service_desk.letters() == []

    def test_listed_ticket_without_id_waits_for_a_person_and_stops_no_run(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        account.new_ticket(age_seconds=600)
        service_desk.sandbox.fault(MalformedRecord(0, {"id": None}), route="/tickets")
        service_desk.sweep()
        ((name, kind, is_parked),) = service_desk.letters()
        assert (name.startswith("listed ticket "), kind, is_parked) == (True, "permanent", True)
        with closing(DeadLetterOffice(service_desk.systems.ledger_url)) as office:
            office.retry(Selection(), datetime.now(UTC))
        fine = account.new_ticket()
        service_desk.hint(fine)
        service_desk.sync()
        assert service_desk.ticket(fine)
        assert service_desk.letters() == [(name, "permanent", True)]

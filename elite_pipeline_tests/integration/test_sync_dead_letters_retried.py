"""A dead letter is tried again when it is due, and left alone once it is parked (``spec/sync.md`` 8)."""

from datetime import timedelta

import pytest

from elite_pipeline.ledger import DeadLetterOffice
from elite_pipeline.ledger.dead_letter import LIMIT, delay
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.sandbox.toga2 import Status
from elite_pipeline_tests.support.failing import (
    Sort,
    letters,
    only,
    wait_for,
)
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import at

#: The rules are the engine's: they are tried on one kind beside SQLite, that of production.
pytestmark = pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0], ALL_PARAMS[2]], indirect=True)


class TestTryingAgain:
    def test_it_is_tried_when_it_is_due_and_the_delay_grows(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        sort.add(systems, 60)
        systems.sync(sort.flow)
        for attempts in range(1, 5):
            letter = only(office)
            assert letter.attempts == attempts
            assert letter.next_attempt == letter.last_failed + delay(attempts)
            # not a moment before: nothing is read of it, nothing is asked
            systems.later += delay(attempts) - timedelta(seconds=20)
            quiet = systems.sync(sort.flow)
            assert (quiet.failed, quiet.waiting, quiet.sql_writes) == (0, 0, 0)
            assert only(office) == letter
            systems.later += timedelta(seconds=20)
            assert systems.sync(sort.flow).failed == 1
        sort.mend(systems, bad, 1)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert bad in sort.there(systems)
        assert letters(office) == []

    def test_it_is_tried_at_once_when_it_changed(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        sort.change(systems, bad, 2, sort.bad)
        assert systems.sync(sort.flow).failed == 1
        letter = only(office)
        assert (letter.attempts, letter.updated) == (2, at(2))
        sort.mend(systems, bad, 3)
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert letters(office) == []

    def test_a_full_run_tries_it_once_whether_it_is_due_or_not(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).attempts == 2
        wait_for(systems, only(office))
        # due, and in the list as well
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).attempts == 3
        sort.mend(systems, bad, 1)
        assert systems.sync(sort.flow, full=True).created == 1
        assert letters(office) == []

    def test_one_that_cannot_be_read_keeps_its_delay(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        systems.toga2.faults.add(Status(422), route=f"/{sort.route}/{{uuid}}", times=None)
        assert systems.sync(sort.flow).failed == 1
        letter = only(office)
        assert (letter.entity, letter.attempts, letter.updated) == (bad, 2, at(1))
        # the overlap brings it again, as it was
        result = systems.sync(sort.flow)
        assert (result.failed, result.waiting) == (0, 1)
        assert only(office) == letter

    def test_one_that_is_gone_from_toga2_is_over(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        bad = sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        systems.toga2_store.delete("elite", sort.route, bad)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.failed, result.vanished, result.dead_letters.first) == (0, 1, ())
        assert letters(office) == []

    def test_a_404_that_does_not_say_so_is_not_taken_for_that(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        systems.toga2.faults.add(
            Status(404, body="html"), route=f"/{sort.route}/{{uuid}}", times=None
        )
        result = systems.sync(sort.flow)
        assert (result.failed, result.vanished) == (1, 0)
        assert only(office).attempts == 2


class TestParked:
    @pytest.fixture
    def parked(self, systems: Systems, sort: Sort, office: DeadLetterOffice) -> str:
        """A record that was tried until nobody tries it any more."""
        bad = sort.add_bad(systems, 1)
        for attempts in range(1, LIMIT + 1):
            result = systems.sync(sort.flow)
            assert result.failed == 1
            assert only(office).attempts == attempts
            if attempts < LIMIT:
                wait_for(systems, only(office))
        assert (result.dead_letters.waiting, result.dead_letters.parked) == (0, 1)
        return bad

    def test_it_is_told_once_at_first_and_once_when_it_is_parked(
        self, systems: Systems, sort: Sort, parked: str
    ) -> None:
        assert [(flow, failure.record) for flow, failure, _ in systems.reported] == [
            (sort.flow, parked)
        ] * 2
        systems.sync(sort.flow, full=True)
        assert len(systems.reported) == 2

    def test_it_is_left_alone_until_a_person_asks_for_it(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        letter = only(office)
        sort.mend(systems, parked, 1)
        for _ in range(2):
            systems.later += timedelta(days=30)
            result = systems.sync(sort.flow)
            assert (result.created, result.failed, result.waiting) == (0, 0, 1)
            assert result.dead_letters.parked == 1
        assert only(office) == letter
        with systems.open() as context:
            now = context.now()
        assert office.retry([letter], now) == 1
        result = systems.sync(sort.flow)
        assert (result.created, result.failed, result.dead_letters.first) == (1, 0, ())
        assert letters(office) == []

    def test_asked_for_in_vain_it_starts_again(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        with systems.open() as context:
            now = context.now()
        office.retry(Selection(parked=True), now)
        result = systems.sync(sort.flow)
        assert (result.failed, result.dead_letters.waiting) == (1, 1)
        letter = only(office)
        assert (letter.entity, letter.attempts, letter.parked) == (parked, 1, False)
        assert letter.next_attempt == letter.last_failed + delay(1)

    def test_it_is_tried_when_it_changed(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        sort.change(systems, parked, 2, sort.bad)
        assert systems.sync(sort.flow).failed == 1
        assert only(office).parked
        sort.mend(systems, parked, 3)
        assert systems.sync(sort.flow).created == 1
        assert letters(office) == []

    def test_it_is_tried_by_a_full_run(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice, parked: str
    ) -> None:
        assert systems.sync(sort.flow, full=True).failed == 1
        assert only(office).parked
        sort.mend(systems, parked, 1)
        assert systems.sync(sort.flow, full=True).created == 1
        assert letters(office) == []

"""What failed is a dead letter, passed by the watermark, never forgotten.

Follows ``spec/sync.md`` section 8 for what flows from TOGA 2 into the helpdesk. When letters are tried
again is tested in ``test_sync_dead_letters_retried``, parts of tickets and what they refer to in
``test_sync_dead_letters_of_tickets``; how letters are kept in ``test_dead_letters``; how people see them
in ``test_dead_letter_commands``.
"""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from elite_pipeline.demo import demo_credentials
from elite_pipeline.errors import PermanentError, PipelineError, SystemicError
from elite_pipeline.ledger import DeadLetterOffice, DeadLetters
from elite_pipeline.ledger.tables import dead_letters
from elite_pipeline.sandbox.toga2 import MalformedRecord, Status
from elite_pipeline.sync.ticket_rows import TicketRows
from elite_pipeline_tests.support.failing import (
    TICKETS,
    Sort,
    letters,
    only,
    seen,
    stored,
    wait_for,
)
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

#: The rules are the engine's: they are tried on one kind beside SQLite, that of production.
pytestmark = pytest.mark.parametrize("helpdesk", [ALL_PARAMS[0], ALL_PARAMS[2]], indirect=True)


class TestAccounting:
    def test_everything_that_was_seen_is_done_or_failed_or_waits(
        self, systems: Systems, sort: Sort
    ) -> None:
        for minute in range(3):
            sort.add(systems, minute / 10)
        bad = [sort.add_bad(systems, minute / 10) for minute in (3, 4)]
        first = systems.sync(sort.flow)
        assert (seen(first), first.created, first.failed, first.waiting) == (5, 3, 2, 0)
        # all within the overlap: seen again, and left alone
        second = systems.sync(sort.flow)
        assert (seen(second), second.unchanged, second.failed, second.waiting) == (5, 3, 0, 2)
        assert second.sql_writes == 0
        systems.later += timedelta(minutes=5)
        # the two that are due are tried for themselves, and then come with the list
        third = systems.sync(sort.flow)
        assert (seen(third), third.unchanged, third.failed, third.waiting) == (7, 3, 2, 2)
        sort.mend(systems, bad[0], 0.5)
        fourth = systems.sync(sort.flow)
        assert (seen(fourth), fourth.created, fourth.failed, fourth.waiting) == (5, 1, 0, 1)
        full = systems.sync(sort.flow, full=True)
        assert (seen(full), full.unchanged, full.failed, full.waiting) == (5, 4, 1, 0)
        assert full.dead_letters.waiting == 1
        assert sort.there(systems) | {bad[1]} == {
            one["uuid"] for one in systems.toga2_store.all("elite", sort.route)
        }

    def test_the_watermark_passes_what_failed_and_what_waits(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add(systems, 1)
        bad = sort.add_bad(systems, 2)
        result = systems.sync(sort.flow)
        assert result.watermark_after == at(2)
        letter = only(office)
        assert (letter.client, letter.flow, letter.entity, letter.record) == (
            "elite",
            sort.flow,
            bad,
            bad,
        )
        assert (letter.attempts, letter.updated, letter.kind) == (1, at(2), "permanent")
        (failure,) = result.failures
        assert (failure.record, failure.of, failure.updated) == (bad, bad, at(2))
        assert letter.error == failure.reason
        sort.add(systems, 3)
        assert systems.sync(sort.flow).watermark_after == at(3)
        assert only(office) == letter

    def test_of_another_client_and_another_flow_it_holds_up_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        results = systems.sync_all()
        assert {flow: result.failed for flow, result in results.items() if result.failed} == {
            sort.flow: 1
        }
        assert [
            (flow, result.dead_letters.waiting)
            for flow, result in results.items()
            if result.dead_letters.waiting
        ] == [(sort.flow, 1)]
        before = letters(office)
        assert all(not result.dead_letters.first for result in systems.sync_all("wje").values())
        assert letters(office) == before


class TestMalformed:
    def test_with_a_uuid_it_is_read_again(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        uuid = sort.add(systems, 1)
        fault = MalformedRecord(changes={"isActive": "perhaps", "subject": {"perhaps": 1}})
        systems.toga2.faults.add(fault, route=f"/{sort.route}", times=1)
        result = systems.sync(sort.flow)
        assert (seen(result), result.failed, result.watermark_after) == (1, 1, at(1))
        assert (only(office).entity, only(office).updated) == (uuid, at(1))
        assert "perhaps" not in only(office).error
        again = systems.sync(sort.flow)
        assert (seen(again), again.waiting) == (1, 1)
        wait_for(systems, only(office))
        result = systems.sync(sort.flow)
        assert (result.created, result.dead_letters.first) == (1, ())

    def test_without_one_it_is_parked_and_told_once(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add(systems, 1)
        rule = systems.toga2.faults.add(
            MalformedRecord(changes={"uuid": ...}), route=f"/{sort.route}", times=None
        )
        result = systems.sync(sort.flow)
        assert (seen(result), result.failed, result.watermark_after) == (1, 1, at(1))
        letter = only(office)
        assert letter.parked
        assert letter.entity.startswith("(a record without uuid")
        for _ in range(2):
            again = systems.sync(sort.flow)
            assert (seen(again), again.failed, again.waiting) == (1, 0, 1)
        assert only(office) == letter
        assert len(systems.reported) == 1
        systems.toga2.faults.remove(rule.id)
        assert systems.sync(sort.flow).created == 1

    def test_several_without_one_are_told_apart(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        for minute in (0.1, 0.2):
            sort.add(systems, minute)
        for index in (0, 1):
            systems.toga2.faults.add(
                MalformedRecord(index, {"uuid": ...}), route=f"/{sort.route}", times=1
            )
        systems.sync(sort.flow)
        systems.sync(sort.flow)
        assert len({letter.entity for letter in letters(office)}) == 2


class TestWhatStopsARun:
    def test_a_systemic_error_records_nothing_and_moves_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.toga2.faults.add(Status(401), route=f"/{sort.route}", times=None)
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (letters(office), stored(systems), systems.reported) == ([], [], [])
        systems.toga2.faults.clear()
        assert systems.sync(sort.flow).failed == 1

    def test_a_systemic_error_counts_for_no_letter_that_is_due(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        letter, before = only(office), stored(systems)
        wait_for(systems, letter)
        systems.toga2.faults.add(Status(401), route=f"/{sort.route}/{{uuid}}", times=None)
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (only(office), stored(systems)) == (letter, before)

    def test_a_ledger_that_cannot_be_written_stops_it_and_the_watermark_stays(
        self,
        systems: Systems,
        sort: Sort,
        office: DeadLetterOffice,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        sort.add(systems, 1)
        assert systems.sync(sort.flow).watermark_after == at(1)
        sort.add_bad(systems, 2)
        sort.add(systems, 3)
        before = stored(systems)

        def refuse(*_: object) -> None:
            raise SystemicError("The pipeline's own database failed: disk full.")

        with monkeypatch.context() as patched:
            patched.setattr(DeadLetters, "record", refuse)
            assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert (stored(systems), letters(office)) == (before, [])
        result = systems.sync(sort.flow)
        assert (result.failed, result.watermark_after) == (1, at(3))
        assert len(sort.there(systems)) == 2

    def test_a_ledger_that_is_not_there_stops_it_before_anything_is_written(
        self, systems: Systems, sort: Sort
    ) -> None:
        sort.add_bad(systems, 1)
        systems.ledger_url = "sqlite:////nowhere/at/all/ledger.sqlite"
        assert isinstance(systems.failing_sync(sort.flow), SystemicError)
        assert stored(systems) == []

    def test_a_report_that_fails_fails_nothing(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        class Deaf(list[Any]):
            def append(self, _: object) -> None:
                raise OSError("nobody listens")

        systems.reported = Deaf()
        sort.add_bad(systems, 1)
        assert systems.sync(sort.flow).watermark_after == at(1)
        assert len(letters(office)) == 1


class TestSecrets:
    def test_a_secret_in_an_answer_is_in_no_letter(
        self, systems: Systems, sort: Sort, office: DeadLetterOffice
    ) -> None:
        secret = demo_credentials("elite").api_secret
        sort.add_bad(systems, 1)
        systems.sync(sort.flow)
        wait_for(systems, only(office))
        # the code of an answer is repeated in the reason
        fault = Status(422, code=f"EV-{secret}")
        systems.toga2.faults.add(fault, route=f"/{sort.route}/{{uuid}}", times=None)
        result = systems.sync(sort.flow)
        assert result.failed == 1
        shown = [only(office).error, *(failure.reason for failure in result.failures)]
        assert not [text for text in shown if secret in text]
        assert "EV-" in only(office).error
        engine = sa.create_engine(systems.ledger_url)
        with engine.connect() as connection:
            rows = connection.execute(sa.select(dead_letters)).all()
        engine.dispose()
        assert rows
        assert secret not in repr(rows)

    def test_a_secret_in_an_error_of_ours_is_in_no_letter(
        self,
        systems: Systems,
        desk: Desk,
        office: DeadLetterOffice,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        secret = demo_credentials("elite").api_secret

        def refuse(*_: object) -> PipelineError:
            raise PermanentError(f"cannot be stored: {secret}")

        monkeypatch.setattr(TicketRows, "note", refuse)
        desk.note(desk.ticket())
        assert systems.sync(TICKETS).failed == 1
        assert secret not in only(office).error
        assert "cannot be stored" in only(office).error

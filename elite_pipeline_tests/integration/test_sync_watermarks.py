"""Where a flow goes on: what its watermark passes, what it never passes, and what that costs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError, SystemicError, TransientError
from elite_pipeline.sandbox.toga2 import Drop, MalformedRecord, RequestInfo, Shift, Status
from elite_pipeline.sync import reference, watermarks
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync.watermarks import BEGINNING
from elite_pipeline.toga2 import wire
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.reference_data import (
    add_contact,
    at,
    bulk_contacts,
    by_hand,
    change,
    counts,
    reasons,
    rows,
)
from elite_pipeline_tests.support.systems import Systems

pytestmark = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)

NAME = watermarks.CONTACTS

#: The flows that list records of TOGA 2 by their time, one resource each.
REFERENCE_FLOWS = ("contacts", "units", "teams", "predefined_replies", "category_trees")


def stored(systems: Systems, name: str = NAME, client: str = "elite") -> list[str]:
    """Return the values of a parameter, one for each record of that name."""
    return [
        parameter["value"]
        for parameter in systems.toga2_store.all(client, "parameters")
        if parameter["name"] == name
    ]


def store(systems: Systems, value: str, name: str = NAME) -> None:
    systems.toga2_store.create("elite", "parameters", {"name": name, "value": value})


def text(moment: datetime) -> str:
    return wire.format_time(moment)


def emails(systems: Systems) -> set[str]:
    return {row["email"] for row in rows(systems, "people", "email")}


def sync(systems: Systems, page_size: int, **options: Any) -> FlowResult:
    """Run the contacts' flow with small pages."""
    with systems.open("elite", page_size=page_size) as context:
        return run_flow("contacts", context, Options(**options))


class TestMovingForward:
    def test_the_first_run_starts_at_the_beginning_and_stores_the_newest(
        self, systems: Systems
    ) -> None:
        for seconds in (5, 3, 9):
            add_contact(systems, f"p{seconds}@example.com", seconds=seconds)
        result = systems.sync("contacts")
        assert result.watermark_before == BEGINNING
        assert result.watermark_after == at(9)
        assert result.started_from == BEGINNING - timedelta(seconds=120)
        assert stored(systems) == [text(at(9))]

    def test_nothing_there_stores_nothing(self, systems: Systems) -> None:
        result = systems.sync("contacts")
        assert result.watermark_after == BEGINNING
        assert stored(systems) == []

    @pytest.mark.parametrize("flow", REFERENCE_FLOWS)
    def test_unchanged_it_costs_two_calls_and_no_write(self, systems: Systems, flow: str) -> None:
        route = {
            "teams": "ticket-teams",
            "predefined_replies": "predefined-replies",
            "category_trees": "ticket-categories",
        }.get(flow, flow)
        for number in range(3):
            body = (
                {"email": f"p{number}@example.com"}
                if flow == "contacts"
                else {"name": f"N{number}"}
            )
            systems.toga2_store.create("elite", route, body, updated=at(number))
        systems.sync(flow)
        systems.toga2.reset_stats()
        again = systems.sync(flow)
        assert [request.route for request in systems.toga2.requests] == ["/parameters", f"/{route}"]
        assert (again.api_calls, again.sql_writes) == (2, 0)
        assert again.watermark_after == at(2)
        started = systems.sync(flow, since=again.watermark_after)
        assert started.api_calls == 1
        assert started.sql_writes == 0
        assert started.failed == started.created == started.updated == 0

    def test_only_what_changed_is_read_again(self, systems: Systems) -> None:
        bulk_contacts(systems, range(1000))
        systems.sync("contacts")
        change(
            systems,
            "contacts",
            "00000000-0000-4000-9000-000000000007",
            {"title": "T"},
            seconds=2000,
        )
        result = systems.sync("contacts")
        assert result.updated == 1
        # the last 120 seconds come again, and cost nothing
        assert result.unchanged == 120
        assert result.sql_writes == 1
        assert stored(systems) == [text(at(2000))]

    def test_one_that_was_committed_late_is_found_within_the_overlap(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "early@example.com", seconds=500)
        systems.sync("contacts")
        add_contact(systems, "late@example.com", seconds=500 - 119)
        add_contact(systems, "same@example.com", seconds=500)
        add_contact(systems, "too-late@example.com", seconds=500 - 121)
        systems.sync("contacts")
        assert emails(systems) == {"early@example.com", "late@example.com", "same@example.com"}
        assert stored(systems) == [text(at(500))]
        assert systems.sync("contacts", full=True).created == 1

    def test_how_far_back_it_goes_is_the_clients_own(self, systems: Systems) -> None:
        client = systems.clients["elite"]
        toga2 = client.toga2.model_copy(update={"lag_seconds": 1000})
        systems.clients["elite"] = client.model_copy(update={"toga2": toga2})
        add_contact(systems, "early@example.com", seconds=500)
        systems.sync("contacts")
        add_contact(systems, "late@example.com", seconds=-400)
        assert systems.sync("contacts").created == 1

    def test_the_flows_of_a_client_and_the_clients_have_their_own(self, systems: Systems) -> None:
        add_contact(systems, "a@example.com", seconds=1)
        add_contact(systems, "b@example.com", seconds=2, client="wje")
        systems.toga2_store.create("elite", "units", {"tag": "T"}, updated=at(3))
        for flow, client in (("contacts", "elite"), ("contacts", "wje"), ("units", "elite")):
            systems.sync(flow, client)
        assert stored(systems) == [text(at(1))]
        assert stored(systems, client="wje") == [text(at(2))]
        assert stored(systems, watermarks.UNITS) == [text(at(3))]


class TestFailures:
    def test_it_passes_one_that_failed_which_arrives_when_it_is_mended(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "a@example.com", seconds=1)
        broken = add_contact(systems, None, seconds=350)
        add_contact(systems, "c@example.com", seconds=400)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 2, "failed": 1}
        assert result.watermark_after == at(400)
        assert result.failures[0].updated == at(350)
        assert [letter.entity for letter in result.dead_letters.first] == [broken]
        again = systems.sync("contacts")
        assert (counts(again), again.waiting) == ({"unchanged": 1}, 1)
        assert again.sql_writes == 0
        assert again.dead_letters == result.dead_letters
        assert stored(systems) == [text(at(400))]
        change(systems, "contacts", broken, {"email": "b@example.com"}, seconds=600)
        assert systems.sync("contacts").created == 1
        assert stored(systems) == [text(at(600))]
        assert emails(systems) == {f"{name}@example.com" for name in "abc"}

    def test_mended_in_the_helpdesk_it_arrives_without_a_change_in_toga2(
        self, systems: Systems
    ) -> None:
        admin = by_hand(systems, "people", email="boss@example.com", type="admin")
        add_contact(systems, "boss@example.com", seconds=1)
        add_contact(systems, "later@example.com", seconds=1000)
        assert systems.sync("contacts").failed == 1
        assert stored(systems) == [text(at(1000))]
        systems.helpdesk.execute("DELETE FROM people WHERE id = :a", admin)
        assert systems.sync("contacts").created == 0
        systems.later += timedelta(minutes=5)
        assert systems.sync("contacts").created == 1
        assert emails(systems) == {"boss@example.com", "later@example.com"}
        assert stored(systems) == [text(at(1000))]

    @pytest.mark.parametrize("when", ["never", None, 7])
    def test_it_passes_a_malformed_one_which_is_read_again(
        self, systems: Systems, when: object
    ) -> None:
        for number in range(30):
            add_contact(systems, f"p{number}@example.com", seconds=number)
        fault = MalformedRecord(index=20, changes={"_updated": when})
        systems.toga2.faults.add(fault, route="/contacts", times=1)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 29, "failed": 1}
        assert result.dead_letters.waiting == 1
        assert result.watermark_after == at(29)
        systems.later += timedelta(minutes=5)
        again = systems.sync("contacts")
        assert (again.created, again.failed, again.dead_letters.first) == (1, 0, ())
        assert stored(systems) == [text(at(29))]

    def test_it_passes_one_that_does_not_say_who_it_is_which_waits_for_a_person(
        self, systems: Systems
    ) -> None:
        for number in range(30):
            add_contact(systems, f"p{number}@example.com", seconds=number)
        fault = MalformedRecord(index=20, changes={"uuid": ...})
        systems.toga2.faults.add(fault, route="/contacts", times=1)
        result = systems.sync("contacts")
        assert (result.watermark_after, result.dead_letters.parked) == (at(29), 1)
        # what the overlap brings again is whole, and arrives
        assert systems.sync("contacts").created == 1

    def test_a_failure_on_the_seam_of_two_batches_is_passed_and_recorded(
        self, systems: Systems, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reference, "PAGES_PER_BATCH", 1)
        monkeypatch.setattr(reference, "BATCHES_PER_CHECKPOINT", 1)
        uuids = [
            add_contact(systems, f"p{number}@example.com" if number != 6 else None, seconds=number)
            for number in range(12)
        ]
        result = sync(systems, 3)
        assert (result.created, result.failed) == (11, 1)
        assert [letter.entity for letter in result.dead_letters.first] == [uuids[6]]
        assert stored(systems) == [text(at(11))]

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Status(503), TransientError),
            (Status(401), SystemicError),
            (Status(500, body="html"), TransientError),
            (Drop(), TransientError),
        ],
    )
    def test_a_run_that_dies_half_way_leaves_it_at_what_is_wholly_done(
        self,
        systems: Systems,
        monkeypatch: pytest.MonkeyPatch,
        fault: Status | Drop,
        error: type[Exception],
    ) -> None:
        monkeypatch.setattr(reference, "PAGES_PER_BATCH", 1)
        monkeypatch.setattr(reference, "BATCHES_PER_CHECKPOINT", 2)
        bulk_contacts(systems, range(60))
        rule = systems.toga2.faults.add(fault, route="/contacts", skip=4, times=None)
        with pytest.raises(error):
            sync(systems, 10)
        (value,) = stored(systems)
        there = {int(email[6:].split("@")[0]) for email in emails(systems)}
        reached = max(number for number in range(60) if text(at(number)) <= value)
        assert set(range(reached + 1)) <= there
        assert reached < 59
        systems.toga2.faults.remove(rule.id)
        assert sync(systems, 10).failed == 0
        assert len(emails(systems)) == 60
        assert stored(systems) == [text(at(59))]

    def test_a_run_that_dies_before_its_first_checkpoint_leaves_it_where_it_was(
        self, systems: Systems
    ) -> None:
        store(systems, text(at(0)))
        bulk_contacts(systems, range(60))
        systems.toga2.faults.add(Status(503), route="/contacts", skip=2, times=None)
        with pytest.raises(TransientError):
            sync(systems, 10)
        assert stored(systems) == [text(at(0))]
        systems.toga2.faults.clear()
        sync(systems, 10)
        assert len(emails(systems)) == 60

    def test_a_watermark_that_cannot_be_stored_fails_the_run(self, systems: Systems) -> None:
        add_contact(systems, "a@example.com", seconds=1)
        systems.toga2.faults.add(Status(503), method="POST", route="/parameters")
        assert isinstance(systems.failing_sync("contacts"), TransientError)
        assert stored(systems) == []
        assert systems.sync("contacts").watermark_after == at(1)

    def test_one_that_was_stored_though_nobody_said_so_is_not_stored_twice(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "a@example.com", seconds=1)
        fault = Status(503, takes_effect=True)
        systems.toga2.faults.add(fault, method="POST", route="/parameters")
        systems.failing_sync("contacts")
        add_contact(systems, "b@example.com", seconds=2)
        assert systems.sync("contacts").watermark_after == at(2)
        assert stored(systems) == [text(at(2))]


class TestSinceAndFull:
    @pytest.fixture(autouse=True)
    def _synced(self, systems: Systems) -> None:
        for number in range(5):
            add_contact(systems, f"p{number}@example.com", seconds=1000 * number)
        systems.sync("contacts")

    def test_since_an_older_one_reads_from_there_and_leaves_the_stored_alone(
        self, systems: Systems
    ) -> None:
        result = systems.sync("contacts", since=at(1000))
        assert result.started_from == at(1000 - 120)
        assert counts(result) == {"unchanged": 4}
        assert stored(systems) == [text(at(4000))]

    def test_since_an_older_one_moves_the_stored_when_it_gets_past_it(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "new@example.com", seconds=5000)
        result = systems.sync("contacts", since=at(1000))
        assert result.created == 1
        assert stored(systems) == [text(at(5000))]
        assert (result.watermark_before, result.watermark_after) == (at(4000), at(5000))

    def test_since_a_newer_one_never_moves_it(self, systems: Systems) -> None:
        add_contact(systems, "skipped@example.com", seconds=5000)
        add_contact(systems, "read@example.com", seconds=9000)
        result = systems.sync("contacts", since=at(8000))
        assert result.created == 1
        assert stored(systems) == [text(at(4000))]
        assert "left where it was" in result.remarks[0]
        assert systems.sync("contacts").created == 1
        assert stored(systems) == [text(at(9000))]

    def test_full_compares_everything_whatever_is_stored(self, systems: Systems) -> None:
        add_contact(systems, "old@example.com", seconds=-99999)
        assert systems.sync("contacts").created == 0
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"created": 1, "unchanged": 5}
        assert result.started_from is None
        assert stored(systems) == [text(at(4000))]

    def test_full_moves_it_when_it_gets_past_it(self, systems: Systems) -> None:
        add_contact(systems, "new@example.com", seconds=5000)
        systems.sync("contacts", full=True)
        assert stored(systems) == [text(at(5000))]

    def test_full_with_a_failure_does_not_move_it_back(self, systems: Systems) -> None:
        broken = add_contact(systems, None, seconds=-5000)
        result = systems.sync("contacts", full=True)
        assert list(reasons(result)) == [broken]
        assert stored(systems) == [text(at(4000))]


class TestWhatIsStored:
    def test_a_value_that_is_no_time_is_one_clear_message(self, systems: Systems) -> None:
        store(systems, "yesterday")
        add_contact(systems, "a@example.com")
        error = systems.failing_sync("contacts")
        assert isinstance(error, ConfigurationError)
        assert NAME in str(error)
        assert "YYYY-MM-DD HH:MM:SS" in str(error)
        assert emails(systems) == set()
        assert stored(systems) == ["yesterday"]

    def test_a_value_that_is_no_time_stops_its_own_flow_alone(self, systems: Systems) -> None:
        store(systems, "yesterday", watermarks.UNITS)
        add_contact(systems, "a@example.com")
        assert systems.sync("contacts").created == 1

    def test_of_two_parameters_of_one_name_the_earlier_counts(self, systems: Systems) -> None:
        store(systems, text(at(9000)))
        store(systems, text(at(1000)))
        add_contact(systems, "between@example.com", seconds=5000)
        result = systems.sync("contacts")
        assert (result.created, result.watermark_before) == (1, at(1000))
        assert sorted(stored(systems)) == [text(at(5000)), text(at(9000))]

    def test_another_run_that_got_further_meanwhile_is_not_moved_back(
        self, systems: Systems
    ) -> None:
        store(systems, text(at(0)))
        add_contact(systems, "a@example.com", seconds=5)
        (parameter,) = systems.toga2_store.all("elite", "parameters")

        def other_run(request: RequestInfo) -> None:
            if request.route == "/contacts":
                systems.toga2_store.update(
                    "elite", "parameters", parameter["uuid"], {"value": text(at(999))}
                )

        systems.toga2.on_request = other_run
        result = systems.sync("contacts")
        assert result.created == 1
        assert result.watermark_after == at(999)
        assert stored(systems) == [text(at(999))]


class TestMovingPages:
    def test_thousands_in_one_second_all_arrive(self, systems: Systems) -> None:
        bulk_contacts(systems, range(2500), spread=False)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 2500}
        assert systems.toga2.count(route="/contacts") == 14
        assert stored(systems) == [text(at(0))]

    @pytest.mark.parametrize("page", [1, 2, 3, 6])
    def test_records_that_move_to_the_end_take_nothing_with_them(
        self, systems: Systems, page: int
    ) -> None:
        bulk_contacts(systems, range(70))
        rule = systems.toga2.faults.add(Shift(count=5), route="/contacts", skip=page, times=1)
        result = sync(systems, 10)
        assert rule.fired == 1
        assert result.created == 70
        assert result.failed == 0
        assert len(emails(systems)) == 70

    @pytest.mark.parametrize("spread", [True, False])
    @pytest.mark.parametrize("page_size", [7, 50])
    def test_edits_between_the_pages_are_all_carried_over(
        self, systems: Systems, spread: bool, page_size: int
    ) -> None:
        bulk_contacts(systems, range(200), spread=spread)
        edits = _edits(systems)
        systems.toga2.on_request = edits
        sync(systems, page_size)
        systems.toga2.on_request = None
        sync(systems, page_size)
        expected = {
            contact["email"]: contact["title"] or ""
            for contact in systems.toga2_store.all("elite", "contacts")
        }
        found = {row["email"]: row["title"] for row in rows(systems, "people", "email", "title")}
        assert {email: found.get(email) for email in expected} == expected
        again = sync(systems, page_size)
        assert (again.created, again.updated, again.failed, again.sql_writes) == (0, 0, 0, 0)


def _edits(systems: Systems) -> Callable[[RequestInfo], None]:
    """Change, add and remove contacts before every page."""
    pages = 0

    def edit(request: RequestInfo) -> None:
        nonlocal pages
        if request.route != "/contacts" or pages >= 12:
            return
        pages += 1
        moment = at(1000 + pages)
        numbers = (pages * 3, 199 - pages)
        for number in numbers:
            uuid = f"00000000-0000-4000-9000-{number:012}"
            systems.toga2_store.update(
                "elite", "contacts", uuid, {"title": f"T{pages}"}, updated=moment
            )
        body = {"email": f"new{pages}@example.com"}
        systems.toga2_store.create("elite", "contacts", body, updated=moment)
        gone = f"00000000-0000-4000-9000-{100 + pages:012}"
        systems.toga2_store.delete("elite", "contacts", gone)

    return edit


def test_a_client_without_this_flow_reads_no_watermark(systems: Systems) -> None:
    client: Client = systems.clients["elite"]
    off = client.flows.model_copy(update={"contacts": False})
    systems.clients["elite"] = client.model_copy(update={"flows": off})
    assert systems.sync("contacts").watermark_after is None
    assert systems.toga2.requests == []

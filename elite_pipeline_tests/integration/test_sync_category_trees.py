"""Category trees -> one row of tickets_customfields a client."""

from datetime import timedelta
from typing import Any

import pytest

from elite_pipeline.ledger import Ledger
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, SERVER_PARAMS
from elite_pipeline_tests.support.reference_data import (
    TEXTS,
    add,
    at,
    by_hand,
    change,
    counts,
    reasons,
    rows,
    set_columns,
)
from elite_pipeline_tests.support.systems import Systems

ROUTE = "ticket-categories"
#: For what does not depend on the database.
ONE_KIND = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)


def category(
    systems: Systems,
    name: str,
    parent: str | None = None,
    *,
    seconds: int = 0,
    client: str = "elite",
    **fields: Any,
) -> str:
    body = {"name": name, **fields} | ({"parent": {"uuid": parent}} if parent else {})
    return add(systems, ROUTE, body, seconds=seconds, client=client)


def fields(systems: Systems) -> list[tuple[Any, ...]]:
    columns = ("clientid", "name", "options")
    return [tuple(row.values()) for row in rows(systems, "tickets_customfields", *columns)]


def options(systems: Systems) -> str:
    (field,) = fields(systems)
    return str(field[2])


def ticket_categories(systems: Systems) -> list[str]:
    return [row["category"] for row in rows(systems, "tickets", "category")]


def test_a_tree_becomes_one_string_of_paths(systems: Systems) -> None:
    hardware = category(systems, "Hardware")
    laptop = category(systems, "Laptop", hardware, seconds=1)
    category(systems, "Battery", laptop, seconds=2)
    category(systems, "Cables, adapters ", hardware, seconds=3)
    category(systems, "Software", seconds=4)
    assert counts(systems.sync("category_trees")) == {"created": 5}
    columns = ("clientid", "name", "type", "options", "referenceId")
    assert rows(systems, "tickets_customfields", *columns) == [
        {
            "clientid": 1,
            "name": "Category",
            "type": "select",
            "options": (
                "Hardware,Hardware > Cables&#44; adapters&#32;,Hardware > Laptop,"
                "Hardware > Laptop > Battery,Software"
            ),
            "referenceId": str(systems.clients["elite"].toga2.client_uuid),
        }
    ]


def test_unchanged_it_is_one_list_and_no_write(systems: Systems) -> None:
    for number in range(3):
        category(systems, f"C{number}", seconds=number)
    systems.sync("category_trees")
    systems.toga2.reset_stats()
    again = systems.sync("category_trees")
    assert (again.sql_writes, again.sql_reads) == (0, 0)
    assert systems.toga2.count(route="/ticket-categories") == 1
    assert again.api_calls == 2
    full = systems.sync("category_trees", full=True)
    assert (counts(full), full.sql_writes) == ({"unchanged": 3}, 0)


def test_no_categories_at_all_is_no_row(systems: Systems) -> None:
    assert counts(systems.sync("category_trees")) == {}
    assert fields(systems) == []


def test_a_field_made_by_hand_is_adopted_with_its_own_choices(systems: Systems) -> None:
    by_hand(systems, "tickets_customfields", 2, name="Category", type="select", options="Theirs")
    by_hand(systems, "tickets_customfields", name="Colour", type="text", options="red,green")
    row_id = by_hand(
        systems, "tickets_customfields", name="category", type="select", options="Old, Hardware,Own"
    )
    category(systems, "Hardware")
    systems.sync("category_trees")
    assert rows(systems, "tickets_customfields", "id", "options")[-1] == {
        "id": row_id,
        "options": "Hardware,Old,Own",
    }
    assert fields(systems)[:2] == [(2, "Category", "Theirs"), (1, "Colour", "red,green")]
    again = systems.sync("category_trees", full=True)
    assert again.sql_writes == 0


def test_a_renamed_category_is_renamed_in_its_tickets_too(systems: Systems) -> None:
    hardware = category(systems, "Hardware")
    category(systems, "Laptop", hardware, seconds=1)
    systems.sync("category_trees")
    for client_id, held in [(1, "Hardware"), (1, "Hardware > Laptop"), (1, "Own"), (2, "Hardware")]:
        by_hand(systems, "tickets", client_id, subject="s", category=held)
    change(systems, ROUTE, hardware, {"name": "Devices & more"}, seconds=2)
    result = systems.sync("category_trees")
    assert counts(result) == {"updated": 2}
    assert options(systems) == "Devices &#38; more,Devices &#38; more > Laptop"
    assert ticket_categories(systems) == [
        "Devices &#38; more",
        "Devices &#38; more > Laptop",
        "Own",
        "Hardware",
    ]


def test_names_that_were_exchanged_are_exchanged_in_tickets(systems: Systems) -> None:
    first, second = category(systems, "A"), category(systems, "B", seconds=1)
    systems.sync("category_trees")
    for held in ("A", "B", "A"):
        by_hand(systems, "tickets", subject="s", category=held)
    change(systems, ROUTE, first, {"name": "B"}, seconds=2)
    change(systems, ROUTE, second, {"name": "A"}, seconds=3)
    assert counts(systems.sync("category_trees")) == {"updated": 2}
    assert ticket_categories(systems) == ["B", "A", "B"]
    assert options(systems) == "A,B"
    again = systems.sync("category_trees", full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 2}, 0)


@ONE_KIND
def test_a_category_that_moved_is_one_that_was_renamed(systems: Systems) -> None:
    old, new = category(systems, "Old"), category(systems, "New")
    moved = category(systems, "Item", old)
    systems.sync("category_trees")
    by_hand(systems, "tickets", subject="s", category="Old > Item")
    change(systems, ROUTE, moved, {"parent": {"uuid": new}}, seconds=2)
    assert systems.sync("category_trees").updated == 1
    assert options(systems) == "New,New > Item,Old"
    assert ticket_categories(systems) == ["New > Item"]


def test_one_that_vanished_stays_a_choice_and_is_counted(systems: Systems) -> None:
    gone = category(systems, "Gone")
    stays = category(systems, "Stays", seconds=1)
    systems.sync("category_trees")
    systems.toga2_store.delete("elite", ROUTE, gone)
    result = systems.sync("category_trees", full=True)
    assert counts(result) == {"unchanged": 1, "vanished": 1}
    assert options(systems).split(",") == ["Stays", "Gone"]
    change(systems, ROUTE, stays, {"name": "Stays on"}, seconds=2)
    systems.sync("category_trees")
    assert options(systems).split(",") == ["Stays on", "Gone"]
    again = systems.sync("category_trees", full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 1, "vanished": 1}, 0)


@ONE_KIND
def test_a_choice_added_by_hand_stays(systems: Systems) -> None:
    uuid = category(systems, "B")
    systems.sync("category_trees")
    (row,) = rows(systems, "tickets_customfields", "id", "options")
    set_columns(systems, "tickets_customfields", row["id"], options="B,By hand")
    change(systems, ROUTE, uuid, {"name": "C"}, seconds=2)
    category(systems, "A", seconds=3)
    systems.sync("category_trees")
    assert options(systems) == "A,C,By hand"


@ONE_KIND
def test_one_that_is_switched_off_is_not_offered_anew_and_not_taken_away(systems: Systems) -> None:
    off = category(systems, "Off", isActive=False)
    on = category(systems, "On", seconds=1)
    assert counts(systems.sync("category_trees")) == {"created": 1, "inactive": 1}
    assert options(systems) == "On"
    change(systems, ROUTE, on, {"isActive": False, "name": "On no more"}, seconds=2)
    systems.sync("category_trees")
    assert options(systems) == "On no more"
    change(systems, ROUTE, off, {"isActive": True}, seconds=3)
    assert systems.sync("category_trees").created == 1
    assert options(systems) == "Off,On no more"


class TestABrokenTree:
    def test_what_is_broken_is_reported_and_the_rest_goes_on(self, systems: Systems) -> None:
        fine = category(systems, "Fine")
        twin = category(systems, "Fine", seconds=2)
        missing = category(systems, "Lost", fine, seconds=3)
        below = category(systems, "Below", missing, seconds=4)
        loop = [category(systems, f"Loop {number}", seconds=5) for number in range(2)]
        change(systems, ROUTE, loop[0], {"parent": {"uuid": loop[1]}}, seconds=6)
        change(systems, ROUTE, loop[1], {"parent": {"uuid": loop[0]}}, seconds=7)
        gone = category(systems, "Gone", seconds=8)
        change(systems, ROUTE, missing, {"parent": {"uuid": gone}}, seconds=9)
        systems.toga2_store.delete("elite", ROUTE, gone)
        result = systems.sync("category_trees")
        assert counts(result) == {"created": 1, "failed": 5}
        said = reasons(result)
        assert "loop" in said[loop[0]]
        assert "loop" in said[loop[1]]
        assert f"its parent {gone} does not exist" in said[missing]
        assert f"below {missing}" in said[below]
        names = {fine, twin}
        (refused,) = names & said.keys()
        assert "same name under the same parent" in said[refused]
        assert options(systems) == "Fine"
        assert len(systems.reported) == 5

    @ONE_KIND
    def test_mended_it_arrives(self, systems: Systems) -> None:
        category(systems, "First")
        lost = category(systems, "Lost", seconds=5)
        change(systems, ROUTE, lost, {"parent": {"uuid": lost}}, seconds=6)
        category(systems, "Later", seconds=7)
        result = systems.sync("category_trees")
        assert counts(result) == {"created": 2, "failed": 1}
        assert result.watermark_after == at(7)
        change(systems, ROUTE, lost, {"parent": None}, seconds=8)
        result = systems.sync("category_trees")
        assert (result.created, result.failed) == (1, 0)
        assert result.watermark_after == at(8)
        assert result.dead_letters.first == ()

    @ONE_KIND
    def test_broken_it_stays_quiet(self, systems: Systems) -> None:
        category(systems, "Fine")
        loop = category(systems, "Loop", seconds=1)
        change(systems, ROUTE, loop, {"parent": {"uuid": loop}}, seconds=2)
        systems.sync("category_trees")
        for _ in range(2):
            again = systems.sync("category_trees")
            assert counts(again) == {}
            assert again.dead_letters.waiting == 1
            assert again.sql_writes == 0
        systems.later += timedelta(minutes=5)
        again = systems.sync("category_trees")
        assert counts(again) == {"unchanged": 1, "failed": 1}
        assert again.sql_writes == 0
        assert len(systems.reported) == 1

    @ONE_KIND
    def test_one_that_breaks_stays_a_choice(self, systems: Systems) -> None:
        uuid = category(systems, "Was fine")
        systems.sync("category_trees")
        change(systems, ROUTE, uuid, {"parent": {"uuid": uuid}}, seconds=1)
        assert counts(systems.sync("category_trees")) == {"failed": 1}
        assert options(systems) == "Was fine"
        change(systems, ROUTE, uuid, {"parent": None, "name": "Fine again"}, seconds=2)
        by_hand(systems, "tickets", subject="s", category="Was fine")
        systems.sync("category_trees")
        assert options(systems) == "Fine again"
        assert ticket_categories(systems) == ["Fine again"]

    @ONE_KIND
    def test_a_malformed_one_is_named_and_the_rest_goes_on(self, systems: Systems) -> None:
        category(systems, "Fine")
        uuid = category(systems, "Odd", seconds=1)
        raw = systems.toga2_store.get("elite", ROUTE, uuid)
        systems.toga2_store.put_raw("elite", ROUTE, {**raw, "name": None})
        result = systems.sync("category_trees")
        assert counts(result) == {"created": 1, "failed": 1}
        assert "name" in reasons(result)[uuid]

    def test_a_path_too_long_for_a_ticket_stops_nothing(self, systems: Systems) -> None:
        uuid = category(systems, "Short")
        other = category(systems, "Other", seconds=1)
        systems.sync("category_trees")
        by_hand(systems, "tickets", subject="s", category="Short")
        by_hand(systems, "tickets", subject="s", category="Other")
        change(systems, ROUTE, uuid, {"name": "x" * 600}, seconds=2)
        change(systems, ROUTE, other, {"name": "Another"}, seconds=3)
        result = systems.sync("category_trees")
        assert counts(result) == {"updated": 1, "failed": 1}
        assert "tickets.category" in reasons(result)[uuid]
        # what its ticket holds stays as it was, and stays a choice
        assert ticket_categories(systems) == ["Short", "Another"]
        assert options(systems) == "Another,Short"


@pytest.mark.parametrize("helpdesk", SERVER_PARAMS[-1:], indirect=True)
def test_a_tree_too_long_for_its_column_is_one_dead_letter_and_changes_nothing(
    systems: Systems,
) -> None:
    systems.helpdesk.execute("ALTER TABLE tickets_customfields MODIFY options varchar(20) NOT NULL")
    first = category(systems, "First")
    assert counts(systems.sync("category_trees")) == {"created": 1}
    by_hand(systems, "tickets", subject="s", category="First")
    change(systems, ROUTE, first, {"name": "Renamed"}, seconds=1)
    later = category(systems, "Many more letters", seconds=2)
    for minutes in (0, 5):
        systems.later = timedelta(minutes=minutes)
        result = systems.sync("category_trees")
        assert counts(result) == {"failed": 1}
        assert result.dead_letters.waiting == 1
        (failure,) = result.failures
        assert (failure.record, failure.kind) == ("the whole tree", "permanent")
        assert "tickets_customfields.options" in failure.reason
        assert "2 categories" in failure.reason
        assert (result.watermark_after, result.sql_writes) == (at(2), 0)
        assert options(systems) == "First"
        assert ticket_categories(systems) == ["First"]
    assert counts(systems.sync("category_trees")) == {}
    change(systems, ROUTE, later, {"name": "Few letters"}, seconds=3)
    result = systems.sync("category_trees")
    assert (result.failed, result.watermark_after) == (0, at(3))
    assert result.dead_letters.waiting == 0
    assert options(systems) == "Few letters,Renamed"
    assert ticket_categories(systems) == ["Renamed"]


def test_names_of_every_kind_stay_apart_and_unchanged(systems: Systems) -> None:
    parent = category(systems, "😀 top")
    for number, text in enumerate([*TEXTS, ",", "a > b", ">", "&#44;", "trailing "]):
        category(systems, text, parent, seconds=number + 1)
    result = systems.sync("category_trees")
    assert counts(result) == {"created": len(TEXTS) + 6}
    again = systems.sync("category_trees", full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": len(TEXTS) + 6}, 0)
    assert len(set(options(systems).split(","))) == len(TEXTS) + 6


def test_every_client_has_a_field_of_its_own(systems: Systems) -> None:
    category(systems, "Shared", client="elite")
    theirs = category(systems, "Shared", client="wje")
    systems.sync("category_trees", "elite")
    systems.sync("category_trees", "wje")
    assert fields(systems) == [(1, "Category", "Shared"), (2, "Category", "Shared")]
    for client_id in (1, 2):
        by_hand(systems, "tickets", client_id, subject="s", category="Shared")
    change(systems, ROUTE, theirs, {"name": "Theirs"}, seconds=1, client="wje")
    systems.sync("category_trees", "wje")
    assert ticket_categories(systems) == ["Shared", "Theirs"]
    assert fields(systems) == [(1, "Category", "Shared"), (2, "Category", "Theirs")]


@ONE_KIND
def test_without_its_memory_it_writes_nothing_new(systems: Systems) -> None:
    category(systems, "A")
    systems.sync("category_trees")
    ledger = Ledger(systems.ledger_url, "elite")
    ledger.set_category_paths({})
    ledger.close()
    again = systems.sync("category_trees", full=True)
    assert (again.failed, again.sql_writes) == (0, 0)
    assert options(systems) == "A"

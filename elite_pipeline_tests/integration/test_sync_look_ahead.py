"""Batches that depend on the one before them, on every kind of helpdesk.

Their rows are looked up while the batch before is still being written: what it writes must count.
"""

import pytest

from elite_pipeline.sync import reference
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.reference_data import (
    add,
    add_contact,
    by_hand,
    change,
    reasons,
    rows,
)
from elite_pipeline_tests.support.systems import Systems

#: Records in a batch, and batches.
SIZE, BATCHES = 5, 6


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAGES_PER_BATCH", 1)


def sync(systems: Systems, flow: str = "contacts", *, full: bool = False) -> FlowResult:
    with systems.open(page_size=SIZE) as context:
        return run_flow(flow, context, Options(full=full))


def mirrored(systems: Systems, table: str, column: str) -> dict[str, str]:
    """Return the text that each reference's row holds."""
    return {row["referenceId"]: row[column] for row in rows(systems, table, "referenceId", column)}


def test_an_address_given_up_in_one_batch_is_free_in_the_next(systems: Systems) -> None:
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number)
        for number in range(SIZE * BATCHES)
    ]
    assert sync(systems).created == len(uuids)
    for number, uuid in enumerate(uuids):
        email = f"p{number - SIZE}@example.com" if number >= SIZE else f"new{number}@example.com"
        change(systems, "contacts", uuid, {"email": email}, seconds=1_000 + number)
    moved = sync(systems)
    assert (moved.updated, moved.failed, systems.reported) == (len(uuids), 0, [])
    assert mirrored(systems, "people", "email") == {
        uuid: f"p{number - SIZE}@example.com" if number >= SIZE else f"new{number}@example.com"
        for number, uuid in enumerate(uuids)
    }
    quiet = sync(systems, full=True)
    assert (quiet.unchanged, quiet.sql_writes) == (len(uuids), 0)


def test_an_address_taken_in_one_batch_is_taken_in_the_next(systems: Systems) -> None:
    uuids = [
        add_contact(systems, f"p{number % SIZE}@EXAMPLE.com", seconds=number)
        for number in range(SIZE * 3)
    ]
    result = sync(systems)
    assert (result.created, result.failed) == (SIZE, 2 * SIZE)
    assert set(mirrored(systems, "people", "email")) == set(uuids[:SIZE])
    assert set(reasons(result)) == set(uuids[SIZE:])


def test_a_person_adopted_in_one_batch_belongs_to_it_in_the_next(systems: Systems) -> None:
    for number in range(SIZE):
        by_hand(systems, "people", email=f"p{number}@example.com", name="By hand")
    uuids = [
        add_contact(systems, f"p{number % SIZE}@example.com", seconds=number)
        for number in range(SIZE * 3)
    ]
    result = sync(systems)
    assert (result.adopted, result.created, result.failed) == (SIZE, 0, 2 * SIZE)
    assert set(mirrored(systems, "people", "email")) == set(uuids[:SIZE])


def test_one_group_is_adopted_once_where_names_may_stand_twice(systems: Systems) -> None:
    by_hand(systems, "groups", name="Team 0")
    uuids = [
        add(systems, "ticket-teams", {"name": f"Team {number % SIZE}"}, seconds=number)
        for number in range(SIZE * 3)
    ]
    result = sync(systems, "teams")
    assert (result.adopted, result.created, result.failed) == (1, len(uuids) - 1, 0)
    assert set(mirrored(systems, "groups", "name")) == set(uuids)

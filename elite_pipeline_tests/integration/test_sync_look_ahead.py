"""Batches that depend on the one before them, on every kind of helpdesk.

Their rows are looked up while the batch before is still being written: what it writes must count, and
so must what people do meanwhile.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from elite_pipeline.sync import reference
from elite_pipeline.sync.contacts import Contacts
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.look_ahead import Glimpse, LookAhead
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.toga2.models import Contact
from elite_pipeline.togadesk import TogadeskStore, TransientDatabaseError, Tx
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.reference_data import (
    add,
    add_contact,
    by_hand,
    change,
    reasons,
    rows,
    set_columns,
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


@pytest.fixture
def _second_is_seen_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first batch be written only when the second one has been looked up."""
    seen: list[bool] = []
    second = threading.Event()
    glimpse: Callable[..., Glimpse | None] = LookAhead.glimpse
    write: Callable[..., None] = reference.ReferenceFlow.write_batch

    def counted(self: LookAhead[Contact], *arguments: Sequence[object]) -> Glimpse | None:
        found = glimpse(self, *arguments)
        seen.append(found is not None)
        if len(seen) > 1:
            second.set()
        return found

    def held_back(*arguments: object) -> None:
        assert second.wait(10)
        write(*arguments)

    monkeypatch.setattr(LookAhead, "glimpse", counted)
    monkeypatch.setattr(reference.ReferenceFlow, "write_batch", held_back)


def in_pairs(systems: Systems) -> FlowResult:
    with systems.open(page_size=2) as context:
        return run_flow("contacts", context)


@pytest.mark.usefixtures("_second_is_seen_first")
def test_what_half_a_batch_wrote_before_it_failed_counts(systems: Systems) -> None:
    """A duplicate that only the server sees (é = e) stands behind a move that MyISAM does not undo."""
    by_hand(systems, "people", 2, email="jose@example.com")
    moves = "00000000-0000-4000-9000-000000000001"
    by_hand(systems, "people", email="k1@example.com", referenceId=moves)
    add_contact(systems, "k2@example.com", seconds=1, uuid=moves)
    equal = add_contact(systems, "jos\N{LATIN SMALL LETTER E WITH ACUTE}@example.com", seconds=2)
    takes = add_contact(systems, "k1@example.com", seconds=3)
    add_contact(systems, "k3@example.com", seconds=4)
    result = in_pairs(systems)
    assert moves in mirrored(systems, "people", "email")
    assert mirrored(systems, "people", "email")[takes] == "k1@example.com"
    assert set(reasons(result)) <= {equal}


@pytest.mark.usefixtures("_second_is_seen_first")
def test_a_reference_in_the_other_case_is_the_same_one(systems: Systems) -> None:
    gives = "aaaaaaaa-0000-4000-9000-000000000001"
    by_hand(systems, "people", email="a@example.com", referenceId=gives.upper())
    add_contact(systems, "z@example.com", seconds=1, uuid=gives)
    add_contact(systems, "y@example.com", seconds=2)
    takes = add_contact(systems, "a@example.com", seconds=3)
    add_contact(systems, "x@example.com", seconds=4)
    assert reasons(in_pairs(systems)) == {}
    assert mirrored(systems, "people", "email")[takes] == "a@example.com"


@pytest.mark.usefixtures("_second_is_seen_first")
def test_a_defect_in_one_record_hides_nothing_of_the_others(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: Callable[..., dict[str, object]] = Contacts.values

    def with_a_defect(self: Contacts, record: Contact, *more: object) -> dict[str, object]:
        if record.title == "boom":
            raise RuntimeError("a defect")
        return values(self, record, *more)

    monkeypatch.setattr(Contacts, "values", with_a_defect)
    by_hand(systems, "people", email="team@example.com")
    broken = add_contact(systems, "boom@example.com", seconds=1, title="boom")
    first = add_contact(systems, "team@example.com", seconds=2)
    second = add_contact(systems, "team@example.com", seconds=3)
    other = add_contact(systems, "other@example.com", seconds=4)
    result = in_pairs(systems)
    assert set(reasons(result)) == {broken, second}
    assert set(mirrored(systems, "people", "email")) >= {first, other}


def test_an_unforeseen_error_while_looking_ahead_stops_nothing(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise RuntimeError(f"{len(arguments)}")

    monkeypatch.setattr("elite_pipeline.togadesk.TogadeskStore.run_beside", failing)
    add_contact(systems, "ada@example.com")
    assert sync(systems).created == 1


def meanwhile(monkeypatch: pytest.MonkeyPatch, edit: Callable[[], object]) -> None:
    """Let people do something between the look ahead and the write."""
    write: Callable[..., None] = reference.ReferenceFlow.write_batch

    def edited(*arguments: object) -> None:
        edit()
        write(*arguments)

    monkeypatch.setattr(reference.ReferenceFlow, "write_batch", edited)


def test_one_who_became_an_administrator_meanwhile_is_not_adopted(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = by_hand(systems, "people", email="boss@example.com", name="Boss")
    add_contact(systems, "boss@example.com")
    meanwhile(monkeypatch, lambda: set_columns(systems, "people", row, type="admin"))
    assert sync(systems).failed == 1
    assert rows(systems, "people", "name", "referenceId") == [{"name": "Boss", "referenceId": None}]


def test_one_who_was_deleted_meanwhile_is_made_anew(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(systems, "people", email="gone@example.com", name="Gone")
    uuid = add_contact(systems, "gone@example.com")
    meanwhile(monkeypatch, lambda: systems.helpdesk.execute("DELETE FROM people"))
    assert sync(systems).created == 1
    assert mirrored(systems, "people", "email") == {uuid: "gone@example.com"}


def test_an_address_that_is_typed_while_a_batch_of_new_people_is_on_its_way(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(SIZE)
    ]
    meanwhile(monkeypatch, lambda: by_hand(systems, "people", email="p3@example.com"))
    result = sync(systems)
    assert (result.adopted, result.failed, systems.reported) == (1, 0, [])
    # MyISAM has kept what was written before it came to that one
    assert result.created + result.unchanged == SIZE - 1
    assert mirrored(systems, "people", "email") == {
        uuid: f"p{number}@example.com" for number, uuid in enumerate(uuids)
    }


def test_an_address_of_another_client_that_is_typed_meanwhile_spoils_no_other(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(SIZE)
    ]
    meanwhile(monkeypatch, lambda: by_hand(systems, "people", 2, email="p0@example.com"))
    result = sync(systems)
    assert list(reasons(result)) == uuids[:1]
    assert set(mirrored(systems, "people", "email")) == {None, *uuids[1:]}


def test_a_batch_of_new_people_whose_commit_nobody_heard_of(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert: Callable[..., None] = Tx.insert_columns
    told: list[int] = []

    def unheard(*arguments: Any) -> None:
        insert(*arguments)
        told.append(1)
        if len(told) == 1:
            raise TransientDatabaseError("the connection was lost")

    monkeypatch.setattr(Tx, "insert_columns", unheard)
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(SIZE)
    ]
    result = sync(systems)
    assert (result.created + result.unchanged, result.failed) == (SIZE, 0)
    assert mirrored(systems, "people", "email") == {
        uuid: f"p{number}@example.com" for number, uuid in enumerate(uuids)
    }
    assert len(rows(systems, "people", "id")) == SIZE


def test_new_people_of_whom_only_the_server_knows_that_two_are_one(systems: Systems) -> None:
    emails = ["a@example.com", "jos\N{LATIN SMALL LETTER E WITH ACUTE}@example.com"]
    emails += ["jose@example.com", "b@example.com", "c@example.com"]
    uuids = [add_contact(systems, email, seconds=place) for place, email in enumerate(emails)]
    result = sync(systems)
    assert set(reasons(result)) <= {uuids[2]}
    assert set(mirrored(systems, "people", "email")) >= {*uuids[:2], *uuids[3:]}


def test_a_defect_met_while_new_people_are_written_is_one_records(
    systems: Systems, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    insert: Callable[..., None] = Tx.insert_columns

    def with_a_defect(tx: Tx, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        if "p2@example.com" in columns["email"]:
            raise TypeError("a defect")
        insert(tx, table, columns)

    monkeypatch.setattr(Tx, "insert_columns", with_a_defect)
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(SIZE)
    ]
    result = sync(systems)
    assert (result.created, list(reasons(result))) == (SIZE - 1, [uuids[2]])
    assert "an unforeseen error in new records" in caplog.text


def test_a_defect_met_while_texts_are_fitted_is_one_records(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit: Callable[..., str] = TogadeskStore.fit

    def with_a_defect(store: TogadeskStore, table: str, column: str, value: str) -> str:
        if value == "Bo\N{LATIN SMALL LETTER O WITH DIAERESIS}m":
            raise TypeError("a defect")
        return fit(store, table, column, value)

    monkeypatch.setattr(TogadeskStore, "fit", with_a_defect)
    monkeypatch.setattr(TogadeskStore, "fit_row", lambda *_: 1 / 0)
    broken = add_contact(
        systems, "a@example.com", seconds=1, title="Bo\N{LATIN SMALL LETTER O WITH DIAERESIS}m"
    )
    other = add_contact(systems, "b@example.com", seconds=2)
    result = sync(systems)
    assert (result.created, list(reasons(result))) == (1, [broken])
    assert set(mirrored(systems, "people", "email")) == {other}


@pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)
def test_columns_of_new_rows_do_not_say_whose_they_are(systems: Systems) -> None:
    columns: dict[str, list[object]] = {"email": ["a@example.com"], "clientid": [2]}
    with systems.helpdesk.store() as store, pytest.raises(ValueError, match="Whose a row is"):
        store.run(lambda tx: tx.insert_columns("people", columns))
    assert rows(systems, "people", "id") == []


def test_one_of_two_new_people_of_one_address_is_refused(systems: Systems) -> None:
    first = add_contact(systems, "one@example.com", seconds=1)
    second = add_contact(systems, "ONE@example.com", seconds=2)
    other = add_contact(systems, "other@example.com", seconds=3)
    result = sync(systems)
    assert (result.created, list(reasons(result))) == (2, [second])
    assert set(mirrored(systems, "people", "email")) == {first, other}


def test_new_people_are_told_of_in_detail(systems: Systems) -> None:
    uuids = [
        add_contact(systems, f"p{number}@example.com", seconds=number, isActive=number != 2)
        for number in range(SIZE)
    ]
    result = sync(systems)
    assert [(one.record, one.label, one.action) for one in result.changes] == [
        (uuid, f"p{number}@example.com", "created") for number, uuid in enumerate(uuids)
    ]
    assert (result.created, result.inactive) == (SIZE, 0)
    passwords = {row["password"] for row in rows(systems, "people", "password")}
    assert len(passwords) == SIZE
    assert all(len(password) == 49 and password[0] == "!" for password in passwords)


def test_a_group_of_that_name_made_meanwhile_is_adopted(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = add(systems, "ticket-teams", {"name": "Team"})
    meanwhile(monkeypatch, lambda: by_hand(systems, "groups", name="Team"))
    assert sync(systems, "teams").adopted == 1
    assert mirrored(systems, "groups", "name") == {uuid: "Team"}


@pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)
@pytest.mark.parametrize(("seconds", "is_believed"), [(0.5, True), (1.5, False)])
def test_what_was_seen_long_ago_is_read_again(
    systems: Systems, seconds: float, is_believed: bool
) -> None:
    now = [100.0]
    with systems.helpdesk.store() as store:
        ahead: LookAhead[Contact] = LookAhead(Contacts(), store, clock=lambda: now[0])
        glimpse = Glimpse([], frozenset({"a@example.com"}), after=0, taken=now[0])
        now[0] += seconds
        assert (ahead.rows(glimpse) is not None) is is_believed


@pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)
@pytest.mark.parametrize(
    ("uuids", "keys", "is_believed"),
    [
        (["u1"], ["b@example.com"], True),
        (["u1"], [" A@Example.com"], False),
        (["U7"], ["b@example.com"], False),
        ([], [], True),
    ],
)
def test_what_new_people_were_written_as_since_it_was_seen_counts(
    systems: Systems, uuids: list[str], keys: list[str], is_believed: bool
) -> None:
    with systems.helpdesk.store() as store:
        ahead: LookAhead[Contact] = LookAhead(Contacts(), store, clock=lambda: 1.0)
        seen: list[Sequence[object]] = [(1, 1, "u7", "Name", "c@example.com", "", "", "user")]
        glimpse = Glimpse(seen, frozenset({"a@example.com"}), after=0, taken=1.0)
        ahead.wrote_new(uuids, keys)
        assert (ahead.rows(glimpse) is not None) is is_believed

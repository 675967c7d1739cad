from collections.abc import Iterator

import pytest

from elite_pipeline.togadesk import reference_index
from elite_pipeline.togadesk.reference_index import ReferenceIndex

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"


class Rows:
    """A table in a dictionary; counts how often it is read."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}
        self.reads = 0

    def highest_id(self, table: str) -> int:
        return max(self.rows, default=0)

    def references(self, table: str, after: int, until: int, most: int) -> list[tuple[int, str]]:
        self.reads += 1
        found = sorted(row for row in self.rows.items() if after < row[0] <= until)
        return found[:most]


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def index(clock: list[float]) -> Iterator[ReferenceIndex]:
    made = ReferenceIndex(spill_after=2, clock=lambda: clock[0])
    yield made
    made.close()


def test_the_first_lookups_of_each_table_may_scan(index: ReferenceIndex) -> None:
    assert [index.scan_is_due("people") for _ in range(4)] == [True, True, False, False]
    assert index.scan_is_due("assets")


def test_references_are_read_once_in_chunks(
    index: ReferenceIndex, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_index, "CHUNK", 10)
    rows.rows = {number: f"ref-{number}" for number in range(1, 36)}
    assert index.candidates(rows, "people", ["ref-35", "ref-1", "no"]).ids == [1, 35]
    assert rows.reads == 4
    assert index.candidates(rows, "people", ["ref-2"]).ids == [2]
    assert rows.reads == 4


def test_references_compare_as_on_the_server(index: ReferenceIndex, rows: Rows) -> None:
    rows.rows = {1: A.upper(), 2: "Odd Key ", 3: "z" * 36}
    wanted = [A, "odd key", "Z" * 36]
    assert index.candidates(rows, "people", wanted).ids == [1, 2, 3]


def test_all_rows_with_a_reference_are_named(index: ReferenceIndex, rows: Rows) -> None:
    rows.rows = {7: A, 3: A, 5: B}
    assert index.candidates(rows, "people", [A]).ids == [3, 7]


def test_new_rows_are_topped_up(index: ReferenceIndex, rows: Rows) -> None:
    assert index.candidates(rows, "people", [A]).ids == []
    assert not index.top_up(rows, "people")
    rows.rows[9] = A
    assert index.top_up(rows, "people")
    assert index.candidates(rows, "people", [A]).ids == [9]


def test_a_reference_written_into_an_old_row_is_learnt(index: ReferenceIndex, rows: Rows) -> None:
    index.learn("people", [(4, A)])  # before the table was read: nothing to keep
    rows.rows = {5: B}
    assert index.candidates(rows, "people", [A]).ids == []
    index.learn("people", [(4, A), (4, A)])
    assert index.candidates(rows, "people", [A]).ids == [4]


def test_ids_that_were_rolled_back_are_read_again(index: ReferenceIndex, rows: Rows) -> None:
    index.candidates(rows, "people", [])
    mark = index.mark()
    rows.rows = {1: A}
    index.top_up(rows, "people")
    index.rewind(mark)
    rows.rows = {1: B}
    assert index.top_up(rows, "people")
    assert index.candidates(rows, "people", [B]).ids == [1]


def test_a_table_first_read_in_a_rolled_back_transaction_is_forgotten(
    index: ReferenceIndex, rows: Rows
) -> None:
    mark = index.mark()
    rows.rows = {1: A}
    index.candidates(rows, "people", [A])
    index.rewind(mark)
    rows.rows = {1: B}
    assert index.candidates(rows, "people", [A, B]).ids == [1]


def test_own_inserts_are_not_read_back_before_one_of_them_is_asked_for(
    index: ReferenceIndex, rows: Rows
) -> None:
    rows.rows = {1: A}
    index.candidates(rows, "people", [A])
    reads = rows.reads
    rows.rows |= {2: B, 3: "C"}
    index.note_inserts("people", 2, [B, "C"])
    assert not index.top_up(rows, "people", may_be_own=False)
    assert rows.reads == reads
    assert index.candidates(rows, "people", ["another"]).may_be_own is False
    assert index.candidates(rows, "people", ["another", B]) == ([], True)
    assert index.top_up(rows, "people", may_be_own=True)
    assert index.candidates(rows, "people", [B, "c"]).ids == [2, 3]


def test_rows_of_somebody_else_among_own_inserts_are_read(
    index: ReferenceIndex, rows: Rows, clock: list[float]
) -> None:
    rows.rows = {1: "x"}
    index.candidates(rows, "people", [])
    rows.rows |= {2: B, 3: A}
    index.note_inserts("people", 1, [B])
    # asked a moment ago, and again once that is a second ago
    assert not index.top_up(rows, "people", may_be_own=False)
    clock[0] += reference_index.BELIEVED_SECONDS
    assert index.top_up(rows, "people", may_be_own=False)
    assert index.candidates(rows, "people", [A]).ids == [3]


def test_who_inserts_nothing_asks_every_time(index: ReferenceIndex, rows: Rows) -> None:
    rows.rows = {1: "x"}
    index.candidates(rows, "people", [])
    rows.rows[2] = A
    assert index.top_up(rows, "people", may_be_own=False)


def test_after_a_rollback_nothing_is_taken_for_an_own_insert(
    index: ReferenceIndex, rows: Rows
) -> None:
    rows.rows = {1: "x"}
    index.candidates(rows, "people", [])
    mark = index.mark()
    index.note_inserts("people", 1, [B])  # rolled back; its id is somebody else's now
    index.rewind(mark)
    rows.rows[2] = A
    assert index.top_up(rows, "people", may_be_own=False)
    assert index.candidates(rows, "people", [A]).ids == [2]


def test_inserts_into_a_table_that_was_not_read_are_not_noted(
    index: ReferenceIndex, rows: Rows
) -> None:
    index.note_inserts("people", 1, [A])
    rows.rows = {1: A}
    assert index.candidates(rows, "people", [A]).ids == [1]

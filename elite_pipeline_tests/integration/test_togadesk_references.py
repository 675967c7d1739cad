"""Finding rows by ``referenceId``: by scanning, by the spilled index, by the server's index."""

import random
import tracemalloc
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

import pytest

from elite_pipeline.togadesk import TogadeskStore, Tx
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk, Opener

#: How a store is made to answer: only by scans, or from its first lookup on by the spilled index.
SCAN = 10**9
SPILL = 0


def look_up(store: TogadeskStore, table: str, uuids: list[str]) -> dict[str, int]:
    rows = store.run(lambda tx: tx.select_by_reference(table, ["id"], uuids))
    return {uuid: row.id for uuid, row in rows.items()}


class Truth:
    """What the table holds, read whole with plain SQL."""

    def __init__(self, helpdesk: Helpdesk) -> None:
        self._helpdesk = helpdesk

    def look_up(self, client_id: int, uuids: list[str]) -> dict[str, int]:
        rows = self._helpdesk.rows("SELECT id, clientid, referenceId FROM people ORDER BY id DESC")
        found = {reference: id_ for id_, client, reference in rows if client == client_id}
        return {uuid: found[uuid] for uuid in uuids if uuid in found}


class History:
    """A random history of one table, by two clients and by people with plain SQL."""

    def __init__(self, helpdesk: Helpdesk, store: TogadeskStore, chance: random.Random) -> None:
        self._helpdesk = helpdesk
        self._store = store
        self._chance = chance
        self._number = 0
        self.uuids = [str(UUID(int=chance.getrandbits(128))) for _ in range(60)]

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            self._insert,
            self._insert_referenced,
            self._insert_by_others,
            self._adopt,
            self._delete,
            self._roll_back,
        ]
        self._chance.choice(steps)()

    def _rows(self, uuids: list[str]) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for uuid in uuids:
            self._number += 1
            rows.append({"email": f"n{self._number}", "referenceId": uuid})
        return rows

    def _some(self) -> list[str]:
        return self._chance.sample(self.uuids, self._chance.randrange(1, 6))

    def _ids(self) -> list[int]:
        ids = [row[0] for row in self._helpdesk.rows("SELECT id FROM people WHERE clientid = 1")]
        return self._chance.sample(ids, min(len(ids), 3))

    def _insert(self) -> None:
        rows = self._rows(self._some())
        self._store.run(lambda tx: tx.insert("people", rows))

    def _insert_referenced(self) -> None:
        rows = self._rows(self._some())
        ids = self._store.run(lambda tx: tx.insert_referenced("people", rows))
        assert set(ids) == {row["referenceId"] for row in rows}

    def _insert_by_others(self) -> None:
        with self._helpdesk.store(client_id=self._chance.choice([1, 2])) as other:
            rows = self._rows(self._some())
            other.run(lambda tx: tx.insert("people", rows))

    def _adopt(self) -> None:
        changes: list[dict[str, object]] = [
            {"id": id_, "referenceId": self._chance.choice([*self.uuids, None])}
            for id_ in self._ids()
        ]
        self._store.run(lambda tx: tx.update("people", changes))

    def _delete(self) -> None:
        for id_ in self._ids():
            self._helpdesk.execute("DELETE FROM people WHERE id = :a", id_)

    def _roll_back(self) -> None:
        rows = self._rows(self._some())

        def work(tx: Tx) -> None:
            tx.insert("people", rows)
            tx.select_by_reference("people", ["id"], self.uuids)
            raise KeyError("roll back")

        with pytest.raises(KeyError, match="roll back"):
            self._store.run(work)


@pytest.mark.parametrize("indexes", [False, True], ids=["unindexed", "indexed"])
@pytest.mark.parametrize("spill_after", [SCAN, SPILL, 3], ids=["scan", "spill", "spill-late"])
@pytest.mark.parametrize("kind", ALL_PARAMS)
def test_all_ways_give_the_same_answers(
    open_helpdesk: Opener, kind: str, spill_after: int, indexes: bool
) -> None:
    helpdesk = open_helpdesk(kind, indexes=indexes)
    truth = Truth(helpdesk)
    chance = random.Random(f"{kind}/{spill_after}")
    with helpdesk.store(spill_after=spill_after) as store:
        history = History(helpdesk, store, chance)
        for _ in range(80):
            history.step()
            asked = [*chance.sample(history.uuids, 20), str(uuid4())]
            assert look_up(store, "people", asked) == truth.look_up(1, asked)
        assert look_up(store, "people", history.uuids) == truth.look_up(1, history.uuids)


def test_a_scan_until_the_spill_and_then_keys_alone(helpdesk: Helpdesk) -> None:
    uuids = [str(uuid4()) for _ in range(300)]
    rows: list[dict[str, object]] = [{"email": uuid, "referenceId": uuid} for uuid in uuids]
    with helpdesk.store(spill_after=2) as store:
        store.run(lambda tx: tx.insert("people", rows))
        reads: list[int] = []
        for _ in range(4):
            before = store.statements.reads
            assert len(look_up(store, "people", uuids)) == 300
            reads.append(store.statements.reads - before)
    # two scans; then the highest id, the references, the rows; then the rows alone
    assert reads == [1, 1, 3, 1]


def test_duplicates_are_counted_and_the_lowest_id_stands_for_them(helpdesk: Helpdesk) -> None:
    uuid = str(uuid4())
    rows: list[dict[str, object]] = [{"email": str(n), "referenceId": uuid} for n in range(3)]
    for spill_after in (SCAN, SPILL):
        with helpdesk.store(spill_after=spill_after) as store:
            if spill_after == SCAN:
                store.run(lambda tx: tx.insert("people", rows))
            found = store.run(lambda tx: tx.select_by_reference("people", ["email"], [uuid]))
            assert found == {uuid: {"email": "0"}}
            assert found.duplicates == 2


@pytest.mark.parametrize("spill_after", [SCAN, SPILL])
def test_a_reference_is_found_in_any_spelling(helpdesk: Helpdesk, spill_after: int) -> None:
    uuid = str(uuid4())
    with helpdesk.store(spill_after=spill_after) as store:
        store.run(lambda tx: tx.insert("people", [{"email": "a", "referenceId": uuid.upper()}]))
        asked = [uuid, uuid.upper(), "", "none"]
        assert look_up(store, "people", asked) == {uuid: 1, uuid.upper(): 1}


@pytest.mark.parametrize("spill_after", [SCAN, SPILL])
def test_replies_belong_to_no_client(helpdesk: Helpdesk, spill_after: int) -> None:
    with helpdesk.store(2, spill_after=spill_after) as theirs, helpdesk.store(1) as ours:
        ours.run(lambda tx: tx.insert("tickets_replies", [{"message": "m", "referenceId": "r"}]))
        ours.run(lambda tx: tx.insert("comments", [{"comment": "c", "referenceId": "r"}]))
        assert look_up(theirs, "tickets_replies", ["r"]) == {"r": 1}
        # nor do comments: what the helpdesk's own pages write into their clientid may be 0
        assert look_up(theirs, "comments", ["r"]) == {"r": 1}


@pytest.mark.parametrize("kind", [ALL_PARAMS[0], ALL_PARAMS[2]])
def test_memory_does_not_grow_with_the_table(open_helpdesk: Opener, kind: str) -> None:
    helpdesk = open_helpdesk(kind)

    def fill(first: int, last: int) -> None:
        with helpdesk.store() as store:
            for start in range(first, last, 10_000):
                rows: list[dict[str, object]] = [
                    {"ticketid": n, "referenceId": str(UUID(int=n))}
                    for n in range(start, start + 10_000)
                ]
                store.run(partial(Tx.insert, table="tickets_replies", rows=rows))

    def peak() -> int:
        with helpdesk.store(spill_after=SPILL) as store:
            look_up(store, "people", ["warm"])  # imports and caches
            tracemalloc.start()
            assert look_up(store, "tickets_replies", [str(UUID(int=7))]) == {str(UUID(int=7)): 8}
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

    fill(0, 20_000)
    small = peak()
    fill(20_000, 100_000)
    assert peak() <= small * 1.25

"""Every read and write of a transaction, on every kind of helpdesk."""

from datetime import date, datetime
from functools import partial
from uuid import uuid4

import pytest

from elite_pipeline.errors import PermanentError
from elite_pipeline.togadesk import DuplicateKeyError, Row, Tx
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk

SERVERS_ONLY = pytest.mark.parametrize("helpdesk", ALL_PARAMS[1:], indirect=True)


def person(number: int, **more: object) -> dict[str, object]:
    return {"name": f"Person {number}", "email": f"p{number}@elite.example", **more}


def test_an_insert_gives_neutral_values_to_the_rest(helpdesk: Helpdesk) -> None:
    with helpdesk.store(client_id=7) as store:
        store.run(lambda tx: tx.insert("people", [person(1)]))
        columns = ["clientid", "roleid", "type", "theme", "sidebar", "lang", "notes", "referenceId"]
        (row,) = store.run(lambda tx: tx.select("people", columns))
    assert row == {
        "clientid": 7,
        "roleid": 2,
        "type": "user",
        "theme": "skin-blue",
        "sidebar": "opened",
        "lang": "en",
        "notes": "",
        "referenceId": None,
    }
    assert row.theme == row["theme"]


def test_every_table_takes_a_row_of_neutral_values(helpdesk: Helpdesk) -> None:
    givens: dict[str, dict[str, object]] = {
        "people": {"email": "a"},
        "assets": {"tag": "a"},
        "assetcategories": {"name": "a"},
        "manufacturers": {"name": "a"},
        "models": {"name": "a"},
        "groups": {"name": "a"},
        "tickets_pr": {"name": "a"},
        "tickets_customfields": {"name": "a"},
        "tickets": {"ticket": 123456},
        "tickets_replies": {"ticketid": 1},
        "comments": {"ticketid": 1},
        "tickets_history": {"ticketid": 1},
        "files": {"name": "a"},
    }

    def work(tx: Tx) -> None:
        for table, given in givens.items():
            tx.insert(table, [given])
            assert len(tx.select(table, ["id", *given], where=given)) == 1

    with helpdesk.store() as store:
        store.run(work)


def test_ids_ascend_in_the_order_given(helpdesk: Helpdesk) -> None:
    names = [f"Person {number}" for number in range(2_500, 0, -1)]
    rows: list[dict[str, object]] = [{"name": name, "email": name} for name in names]
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", rows))
        found = store.run(lambda tx: tx.select("people", ["id", "name"]))
    assert [row.name for row in found] == names


def test_select_by_values_and_by_many_values(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(n, title="T") for n in range(2_100)]))
        emails = [f"P{number}@ELITE.example" for number in range(2_050)]
        found = store.run(
            lambda tx: tx.select("people", ["id", "email"], in_=("email", [*emails, emails[0]]))
        )
        assert len(found) == 2_050
        assert [row.id for row in found] == sorted(row.id for row in found)
        none = store.run(lambda tx: tx.select("people", ["id"], in_=("email", [])))
        assert none == []
        where = {"referenceId": None, "title": "t", "clientid": 1}
        few = store.run(
            lambda tx: tx.select("people", ["name"], where=where, in_=("email", emails[:2]))
        )
        assert [row.name for row in few] == ["Person 0", "Person 1"]


def test_one_row_is_found_once_by_two_spellings(helpdesk: Helpdesk) -> None:
    spellings = ["p0@elite.example", *map(str, range(1_500)), "P0@ELITE.EXAMPLE"]
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(0)]))
        found = store.run(lambda tx: tx.select("people", ["id"], in_=("email", spellings)))
    assert found == [{"id": 1}]


def test_an_unknown_column_is_a_mistake_of_the_caller(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        with pytest.raises(KeyError, match="shoe"):
            store.run(lambda tx: tx.select("people", ["shoe"]))
        with pytest.raises(KeyError, match="shoe"):
            store.run(lambda tx: tx.insert("people", [person(1, shoe=44)]))
        with pytest.raises(ValueError, match="beside the id"):
            store.run(lambda tx: tx.update("people", [{"id": 1}]))
        (row,) = store.run(lambda tx: [*tx.select("people", ["id"]), Row(id=1)])[:1]
        with pytest.raises(AttributeError, match="no column 'shoe'"):
            _ = row.shoe


def test_insert_referenced_tells_the_ids(helpdesk: Helpdesk) -> None:
    uuids = [str(uuid4()) for _ in range(1_500)]
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(-1)]))
        before = store.statements.reads
        ids = store.run(
            lambda tx: tx.insert_referenced(
                "people", [person(n, referenceId=uuid) for n, uuid in enumerate(uuids)]
            )
        )
        assert store.statements.reads - before == 3
        rows = store.run(lambda tx: tx.select_by_reference("people", ["id", "name"], uuids))
    assert ids == {uuid: row.id for uuid, row in rows.items()}
    assert [rows[uuid].name for uuid in uuids] == [f"Person {n}" for n in range(1_500)]


def test_an_update_of_thousands_takes_few_statements(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(n) for n in range(5_000)]))
        rows = store.run(lambda tx: tx.select("people", ["id"]))
        changes = [
            {
                "id": row.id,
                "name": f"New {row.id}",
                "roleid": row.id % 7,
                "title": "x" * (row.id % 9),
            }
            for row in rows
        ]
        before = store.statements.writes
        assert store.run(lambda tx: tx.update("people", changes)) == 5_000
        assert store.statements.writes - before <= 6
        after = store.run(
            lambda tx: tx.select("people", ["id", "name", "roleid", "title", "email"])
        )
    assert [{k: row[k] for k in ("id", "name", "roleid", "title")} for row in after] == changes
    assert {row.email for row in after} == {f"p{n}@elite.example" for n in range(5_000)}


def test_an_insert_of_thousands_takes_few_statements(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(n) for n in range(5_000)]))
        assert store.statements.writes <= 6


def test_an_update_takes_every_kind_of_value(helpdesk: Helpdesk) -> None:
    moment = datetime.fromisoformat("2026-03-08 02:30:00")
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("tickets", [{"ticket": n} for n in range(3)]))
        store.run(lambda tx: tx.insert("assets", [{"tag": f"t{n}"} for n in range(2)]))
        tickets: list[dict[str, object]] = [
            {"id": 1, "referenceId": None, "subject": "", "timestamp": moment, "userid": -1},
            {"id": 2, "referenceId": "r", "subject": "it's 100% \\ \"q\" %s", "timestamp": moment,
             "userid": 2},
        ]  # fmt: skip
        assets: list[dict[str, object]] = [
            {"id": 1, "purchase_date": None, "condition": "good"},
            {"id": 2, "purchase_date": date(2025, 2, 3), "condition": ""},
        ]
        assert store.run(lambda tx: tx.update("tickets", tickets)) == 2
        assert store.run(lambda tx: tx.update("assets", assets)) == 2
        assert store.run(lambda tx: tx.select("tickets", list(tickets[0])))[:2] == tickets
        assert store.run(lambda tx: tx.select("assets", list(assets[0]))) == assets
        untouched = store.run(lambda tx: tx.select("tickets", ["subject"], where={"id": 3}))
        assert untouched == [{"subject": ""}]


def test_updating_with_the_same_values_counts_too(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(1)]))
        same: list[dict[str, object]] = [{"id": 1, "name": "Person 1"}, {"id": 99, "name": "x"}]
        assert store.run(lambda tx: tx.update("people", same)) == 1


def test_of_two_updates_of_one_row_the_last_counts(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(1)]))
        store.run(lambda tx: tx.update("people", [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]))
        assert store.run(lambda tx: tx.select("people", ["name"])) == [{"name": "b"}]


def test_writes_stay_within_the_client(helpdesk: Helpdesk) -> None:
    with helpdesk.store(client_id=1) as ours, helpdesk.store(client_id=2) as theirs:
        theirs.run(lambda tx: tx.insert("people", [person(1, referenceId="r")]))
        assert ours.run(lambda tx: tx.update("people", [{"id": 1, "name": "stolen"}])) == 0
        assert ours.run(lambda tx: tx.delete("people", [1])) == 0
        assert ours.run(lambda tx: tx.select_by_reference("people", ["id"], ["r"])) == {}
        with pytest.raises(ValueError, match="another client"):
            ours.run(lambda tx: tx.insert("people", [person(2, clientid=2)]))
        with pytest.raises(ValueError, match="another client"):
            ours.run(lambda tx: tx.update("people", [{"id": 1, "clientid": 2}]))
        (row,) = theirs.run(lambda tx: tx.select("people", ["name", "clientid"]))
    assert row == {"name": "Person 1", "clientid": 2}


def test_delete_in_chunks(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("models", [{"name": str(n)} for n in range(2_100)]))
        assert store.run(lambda tx: tx.delete("models", list(range(2, 3_000)))) == 2_099
        assert store.run(lambda tx: tx.select("models", ["id", "name"])) == [{"id": 1, "name": "0"}]
        assert store.run(lambda tx: tx.delete("models", [])) == 0


def test_nothing_to_write_sends_nothing(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", []))
        assert store.run(lambda tx: tx.update("people", [])) == 0
        assert store.run(lambda tx: tx.insert_referenced("people", [])) == {}
        assert store.statements.writes == 0


def test_names_are_found_or_made(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("manufacturers", [{"name": "Dell"}, {"name": "HP "}]))
        names = ["dell", "HP", "Lenovo", "LENOVO", "100% &#128512;", ""]
        for _ in range(2):
            ids = store.run(lambda tx: tx.find_or_create_names("manufacturers", names))
            assert ids["dell"] == 1
            assert ids["Lenovo"] == ids["LENOVO"]
            assert len(set(ids.values())) == 5
        assert helpdesk.rows("SELECT COUNT(*) FROM manufacturers") in ([(5,)], [(6,)])
        store.run(lambda tx: tx.find_or_create_names("assetcategories", ["Laptop"]))
        assert helpdesk.rows("SELECT name, color FROM assetcategories") == [("Laptop", "#3c8dbc")]


@pytest.mark.parametrize(("table", "key"), [("people", "email"), ("assets", "tag")])
def test_a_unique_value_is_taken_in_any_case(helpdesk: Helpdesk, table: str, key: str) -> None:
    with helpdesk.store(client_id=1) as ours, helpdesk.store(client_id=2) as theirs:
        theirs.run(lambda tx: tx.insert(table, [{key: "ann@x.example"}]))
        with pytest.raises(DuplicateKeyError) as caught:
            ours.run(lambda tx: tx.insert(table, [{key: "ANN@x.example"}]))
        assert (caught.value.table, caught.value.key) == (table, key)
        assert "ann" not in str(caught.value).lower()
        ours.run(lambda tx: tx.insert(table, [{key: "bob@x.example"}]))
        ((bob,),) = helpdesk.rows(f"SELECT MAX(id) FROM {table}")
        with pytest.raises(DuplicateKeyError):
            ours.run(lambda tx: tx.update(table, [{"id": bob, key: "ann@x.example"}]))


def test_what_failed_is_rolled_back_where_that_is_possible(helpdesk: Helpdesk) -> None:
    def work(tx: Tx) -> None:
        tx.insert("people", [person(1)])
        raise KeyError("the engine changed its mind")

    with helpdesk.store() as store:
        with pytest.raises(KeyError, match="changed its mind"):
            store.run(work)
        left = store.run(lambda tx: tx.select("people", ["id"]))
    assert len(left) == (1 if helpdesk.shape == "legacy" else 0)


def test_rows_may_leave_every_column_to_its_neutral_value(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("groups", [{}, {}]))
        assert len(store.run(lambda tx: tx.select("groups", ["id"]))) == 2


@SERVERS_ONLY
def test_a_further_column_may_have_any_name(helpdesk: Helpdesk) -> None:
    assert helpdesk.server is not None
    database = helpdesk.engine.url.database
    helpdesk.server.execute(f"ALTER TABLE {database}.people ADD COLUMN `share %% of` int NOT NULL")
    with helpdesk.store() as store:
        store.run(lambda tx: tx.insert("people", [person(1)]))
    assert helpdesk.rows("SELECT COUNT(*) FROM people WHERE email = 'p1@elite.example'") == [(1,)]


def test_a_transaction_does_not_nest(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store, pytest.raises(RuntimeError, match="already running"):
        store.run(lambda _: store.run(lambda tx: tx.select("people", ["id"])))


def test_half_a_surrogate_pair_that_was_not_fitted_is_a_record_error(helpdesk: Helpdesk) -> None:
    with helpdesk.store() as store, pytest.raises(PermanentError, match=r"'people'.*not valid"):
        store.run(lambda tx: tx.insert("people", [person(1, title="\ud83d")]))


@SERVERS_ONLY
def test_what_was_not_fitted_is_refused_and_never_cut(helpdesk: Helpdesk) -> None:
    unfit = [{"title": "x" * 129}]
    if helpdesk.shape == "legacy":
        unfit.append({"name": "emoji \N{GRINNING FACE}"})
    with helpdesk.store() as store:
        for row in unfit:
            (column,) = row
            refused = pytest.raises(PermanentError, match=rf"people\.{column}")
            with refused:
                store.run(partial(Tx.insert, table="people", rows=[{**person(1), **row}]))
            assert helpdesk.rows("SELECT id FROM people") == []
        store.run(lambda tx: tx.insert("people", [person(1)]))
        (made,) = store.run(lambda tx: tx.select("people", ["id"]))
        for row in unfit:
            with pytest.raises(PermanentError, match=r"people\.(name|title)"):
                store.run(partial(Tx.update, table="people", rows=[{"id": made.id, **row}]))
    assert helpdesk.rows("SELECT name, title FROM people") == [("Person 1", "")]

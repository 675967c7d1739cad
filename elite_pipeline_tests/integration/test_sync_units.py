"""Units -> assets, with the look-up tables and the contacts that they refer to."""

from typing import Any

import pytest

from elite_pipeline.sandbox.toga2 import MalformedRecord, Status
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.reference_data import (
    TEXTS,
    add,
    add_contact,
    by_hand,
    change,
    counts,
    reasons,
    rows,
    set_columns,
)
from elite_pipeline_tests.support.systems import Systems

#: For what does not depend on the database.
ONE_KIND = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)


def add_unit(
    systems: Systems,
    tag: str | None,
    *,
    seconds: int = 0,
    client: str = "elite",
    contact: str | None = None,
    **item: str,
) -> str:
    body: dict[str, Any] = {"name": f"Unit {tag}", "serialNumber": "SN1", "tag": tag}
    if contact is not None:
        body["contact"] = {"uuid": contact}
    if item:
        body["item"] = item
    return add(systems, "units", body, seconds=seconds, client=client)


def assets(systems: Systems) -> dict[str, dict[str, Any]]:
    """Return assets by tag, with the names that they refer to."""
    names = {
        table: {row["id"]: row["name"] for row in rows(systems, table, "id", "name")}
        for table in ("models", "manufacturers", "assetcategories")
    }
    emails = {row["id"]: row["email"] for row in rows(systems, "people", "id", "email")}
    columns = ("id", "clientid", "name", "serial", "tag", "userid", "referenceId")
    ids = ("modelid", "manufacturerid", "categoryid")
    return {
        row["tag"]: {
            **row,
            "model": names["models"].get(row["modelid"]),
            "maker": names["manufacturers"].get(row["manufacturerid"]),
            "category": names["assetcategories"].get(row["categoryid"]),
            "user": emails.get(row["userid"]),
        }
        for row in rows(systems, "assets", *columns, *ids)
    }


def test_a_unit_becomes_an_asset_with_all_that_it_refers_to(systems: Systems) -> None:
    contact = add_contact(systems, "ada@example.com")
    uuid = add_unit(
        systems, "T-1", contact=contact, name="ThinkPad", manufacturer="Lenovo", category="Laptop"
    )
    systems.sync("contacts")
    assert counts(systems.sync("units")) == {"created": 1}
    asset = assets(systems)["T-1"]
    assert (asset["referenceId"], asset["clientid"]) == (uuid, 1)
    assert (asset["name"], asset["serial"]) == ("Unit T-1", "SN1")
    assert (asset["model"], asset["maker"], asset["category"]) == ("ThinkPad", "Lenovo", "Laptop")
    assert asset["user"] == "ada@example.com"
    again = systems.sync("units", full=True)
    assert counts(again) == {"unchanged": 1}
    assert again.sql_writes == 0


def test_names_are_found_whatever_their_case_and_made_once(systems: Systems) -> None:
    by_hand(systems, "manufacturers", name="LENOVO")
    by_hand(systems, "models", name="thinkpad")
    for number, (maker, model) in enumerate(
        [("Lenovo", "ThinkPad"), ("lenovo ", "THINKPAD"), ("Dell", "Latitude"), ("DELL", "XPS")]
    ):
        unit = {"name": model, "manufacturer": maker, "category": "Laptop"}
        add_unit(systems, f"T-{number}", seconds=number, **unit)
    assert counts(systems.sync("units")) == {"created": 4}
    assert [row["name"] for row in rows(systems, "manufacturers", "name")] == ["LENOVO", "Dell"]
    assert [row["name"] for row in rows(systems, "models", "name")] == [
        "thinkpad",
        "Latitude",
        "XPS",
    ]
    assert [row["name"] for row in rows(systems, "assetcategories", "name")] == ["Laptop"]
    again = systems.sync("units", full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 4}, 0)


def test_what_a_unit_says_nothing_of_is_empty_not_invented(systems: Systems) -> None:
    add_unit(systems, "T-1", name=" ", manufacturer="", category="Laptop")
    add_unit(systems, "T-2")
    systems.sync("units")
    for asset in assets(systems).values():
        assert (asset["model"], asset["maker"], asset["userid"]) == (None, None, 0)
    assert rows(systems, "models", "name") == []


def test_units_without_a_tag_have_one_of_their_own(systems: Systems) -> None:
    uuids = [add_unit(systems, tag, seconds=n) for n, tag in enumerate([None, "", "  "])]
    assert counts(systems.sync("units")) == {"created": 3}
    assert {row["referenceId"] for row in assets(systems).values()} == set(uuids)
    change(systems, "units", uuids[0], {"tag": "T-9"}, seconds=300)
    assert systems.sync("units").updated == 1
    assert assets(systems)["T-9"]["referenceId"] == uuids[0]


def test_a_tag_used_twice_belongs_to_who_came_first(systems: Systems) -> None:
    first = add_unit(systems, "T-1", seconds=1)
    second = add_unit(systems, " t-1 ", seconds=2)
    fine = add_unit(systems, "T-2", seconds=3)
    result = systems.sync("units")
    assert counts(result) == {"created": 2, "failed": 1}
    assert first in reasons(result)[second]
    assert {row["referenceId"] for row in assets(systems).values()} == {first, fine}


def test_a_tag_of_another_client_is_left_alone(systems: Systems) -> None:
    ours = add_unit(systems, "T-1", client="elite")
    theirs = add_unit(systems, "T-1", client="wje")
    systems.sync("units", "elite")
    result = systems.sync("units", "wje")
    assert counts(result) == {"failed": 1}
    assert "client 1 of the helpdesk" in reasons(result)[theirs]
    assert assets(systems)["T-1"]["referenceId"] == ours


def test_tags_exchanged_by_two_units(systems: Systems) -> None:
    uuids = [add_unit(systems, "T-1"), add_unit(systems, "T-2")]
    systems.sync("units")
    change(systems, "units", uuids[0], {"tag": "T-2"}, seconds=300)
    change(systems, "units", uuids[1], {"tag": "T-1"}, seconds=301)
    assert counts(systems.sync("units")) == {"updated": 2}
    assert [assets(systems)[tag]["referenceId"] for tag in ("T-2", "T-1")] == uuids


def test_an_asset_made_by_hand_is_adopted_and_keeps_what_is_its_own(systems: Systems) -> None:
    row_id = by_hand(
        systems,
        "assets",
        tag="T-1",
        name="By hand",
        notes="lent from the cupboard",
        value="99",
        statusid=3,
        warranty_months=24,
    )
    uuid = add_unit(systems, "t-1", manufacturer="Dell")
    assert counts(systems.sync("units")) == {"adopted": 1}
    columns = ("id", "tag", "notes", "value", "statusid", "warranty_months", "referenceId")
    assert rows(systems, "assets", *columns) == [
        {
            "id": row_id,
            "tag": "t-1",
            "notes": "lent from the cupboard",
            "value": "99",
            "statusid": 3,
            "warranty_months": 24,
            "referenceId": uuid,
        }
    ]
    set_columns(systems, "assets", row_id, notes="still mine", adminid=4)
    change(systems, "units", uuid, {"name": "New name"}, seconds=1)
    result = systems.sync("units")
    assert result.changes[0].fields == ("name",)
    assert rows(systems, "assets", "notes", "adminid") == [{"notes": "still mine", "adminid": 4}]


def test_one_too_long_for_its_column_fails_and_is_never_cut(systems: Systems) -> None:
    uuids = [
        add_unit(systems, "x" * 256),
        add_unit(systems, "T-1", manufacturer="m" * 256),
        add_unit(systems, "T-2", name="n" * 256),
    ]
    add_unit(systems, "T-3", manufacturer="m" * 255)
    result = systems.sync("units")
    assert counts(result) == {"created": 1, "failed": 3}
    for uuid, place in zip(
        uuids, ("assets.name", "manufacturers.name", "models.name"), strict=True
    ):
        assert place in reasons(result)[uuid]
    assert list(assets(systems)) == ["T-3"]
    assert len(rows(systems, "manufacturers", "name")) == 1


def test_texts_of_every_kind_arrive_and_stay_unchanged(systems: Systems) -> None:
    for number, text in enumerate(TEXTS):
        add_unit(systems, f"{number} {text}", name=text, manufacturer=text, category=text)
    assert counts(systems.sync("units")) == {"created": len(TEXTS)}
    again = systems.sync("units", full=True)
    assert counts(again) == {"unchanged": len(TEXTS)}
    assert again.sql_writes == 0
    assert len(rows(systems, "models", "name")) == len(TEXTS)


def test_thousands_are_written_in_few_statements(systems: Systems) -> None:
    systems.toga2_store.bulk_create(
        "elite",
        "units",
        (
            {
                "name": f"Unit {number}",
                "tag": f"T-{number}",
                "isActive": True,
                "item": {"uuid": "i", "name": f"Model {number % 7}", "manufacturer": "Dell"},
            }
            for number in range(2500)
        ),
    )
    result = systems.sync("units")
    assert counts(result) == {"created": 2500}
    # a statement per thousand rows, and one for each of the two kinds of names
    assert result.sql_writes == 3 + 2
    # beside the batches' own reads, one per kind of names to see whether any is to be made
    assert result.sql_reads <= 1 + 3 * 6 + 3 * 2
    again = systems.sync("units", full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 2500}, 0)


class TestAContactThatComesLater:
    def test_the_unit_waits_and_is_completed(self, systems: Systems) -> None:
        contact = add_contact(systems, "ada@example.com")
        add_unit(systems, "T-1", contact=contact)
        assert counts(systems.sync("units")) == {"created": 1}
        assert assets(systems)["T-1"]["userid"] == 0
        systems.sync("contacts")
        assert systems.sync("units").updated == 1
        assert assets(systems)["T-1"]["user"] == "ada@example.com"
        again = systems.sync("units")
        assert again.sql_writes == 0
        assert systems.toga2.count(route="/units/{uuid}") == 1

    @ONE_KIND
    def test_it_waits_beyond_the_overlap_and_until_it_comes(self, systems: Systems) -> None:
        contact = add_contact(systems, None)
        add_unit(systems, "T-1", contact=contact)
        add_unit(systems, "T-2", seconds=9999)
        systems.sync("units")
        systems.sync("contacts")
        assert systems.sync("units").updated == 0
        change(systems, "contacts", contact, {"email": "ada@example.com"}, seconds=1)
        systems.sync("contacts")
        assert systems.sync("units").updated == 1
        assert assets(systems)["T-1"]["user"] == "ada@example.com"

    @ONE_KIND
    def test_one_that_no_longer_refers_to_it_waits_no_more(self, systems: Systems) -> None:
        contact = add_contact(systems, "ada@example.com")
        uuid = add_unit(systems, "T-1", contact=contact)
        systems.sync("units")
        change(systems, "units", uuid, {"contact": None}, seconds=1)
        systems.sync("units")
        systems.sync("contacts")
        systems.sync("units")
        assert systems.toga2.count(route="/units/{uuid}") == 0

    @ONE_KIND
    def test_one_that_is_gone_is_asked_for_once(self, systems: Systems) -> None:
        contact = add_contact(systems, "ada@example.com")
        uuid = add_unit(systems, "T-1", contact=contact)
        systems.sync("units")
        systems.sync("contacts")
        systems.toga2_store.delete("elite", "units", uuid)
        for _ in range(3):
            assert counts(systems.sync("units")) == {}
        assert systems.toga2.count(route="/units/{uuid}") == 1

    @ONE_KIND
    def test_one_that_cannot_be_read_now_goes_on_waiting(self, systems: Systems) -> None:
        contact = add_contact(systems, "ada@example.com")
        add_unit(systems, "T-1", contact=contact)
        add_unit(systems, "T-2", seconds=9999)
        systems.sync("units")
        systems.sync("contacts")
        systems.toga2.faults.add(Status(503), route="/units/{uuid}", times=3)
        assert systems.sync("units").updated == 0
        assert systems.sync("units").updated == 1

    @ONE_KIND
    def test_what_one_client_waits_for_another_does_not_give(self, systems: Systems) -> None:
        uuid = "00000000-0000-4000-8000-00000000abcd"
        add_contact(systems, "ours@example.com", uuid=uuid, client="elite")
        add_contact(systems, "theirs@example.com", uuid=uuid, client="wje")
        add_unit(systems, "T-1", contact=uuid, client="elite")
        systems.sync("units", "elite")
        systems.sync("contacts", "wje")
        assert counts(systems.sync("units", "elite")) == {"unchanged": 1}
        assert assets(systems)["T-1"]["userid"] == 0


@ONE_KIND
def test_one_that_is_switched_off_is_kept_and_one_that_vanished_counted(systems: Systems) -> None:
    off, gone = add_unit(systems, "T-1"), add_unit(systems, "T-2")
    systems.sync("units")
    change(systems, "units", off, {"isActive": False}, seconds=1)
    systems.toga2_store.delete("elite", "units", gone)
    assert counts(systems.sync("units")) == {"inactive": 1}
    assert counts(systems.sync("units", full=True)) == {"inactive": 1, "vanished": 1}
    assert set(assets(systems)) == {"T-1", "T-2"}


@ONE_KIND
def test_a_unit_whose_item_the_list_does_not_expand_is_read_by_itself(systems: Systems) -> None:
    stub = {"item": {"uuid": "i-1"}}
    add_unit(systems, "T-1", name="ThinkPad", manufacturer="Lenovo", category="Laptop")
    lost = add_unit(systems, "T-2", seconds=9, name="XPS", manufacturer="Dell", category="Laptop")
    systems.toga2.faults.add(MalformedRecord(index=0, changes=stub), method="GET", route="/units")
    result = systems.sync("units")
    assert counts(result) == {"created": 2}
    assert assets(systems)["T-1"]["model"] == "ThinkPad"
    systems.toga2.faults.clear()
    systems.toga2.faults.add(
        MalformedRecord(index=1, changes=stub), method="GET", route="/units", times=None
    )
    systems.toga2.faults.add(Status(404), method="GET", route="/units/{uuid}", times=None)
    result = systems.sync("units", full=True)
    # not written with its item emptied, and not passed by the watermark
    assert counts(result) == {"unchanged": 1, "failed": 1}
    assert list(reasons(result)) == [lost]
    assert assets(systems)["T-1"]["model"] == "ThinkPad"
    assert assets(systems)["T-2"]["model"] == "XPS"

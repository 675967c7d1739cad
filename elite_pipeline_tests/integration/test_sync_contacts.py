"""Contacts -> people, on every kind of helpdesk."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from elite_pipeline.sandbox.toga2 import Shift
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.watermarks import BEGINNING
from elite_pipeline.toga2.calls import Calls
from elite_pipeline.toga2.wire import Resource
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.reference_data import (
    START,
    TEXTS,
    add,
    add_contact,
    at,
    bulk_contacts,
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


def people(systems: Systems) -> dict[str, dict[str, Any]]:
    """Return people by e-mail address."""
    columns = ("id", "clientid", "type", "name", "email", "title", "mobile", "referenceId")
    return {row["email"]: row for row in rows(systems, "people", *columns)}


def rename(systems: Systems, uuid: str, email: str, seconds: int) -> None:
    change(systems, "contacts", uuid, {"email": email}, seconds=seconds)


class TestFirstLoad:
    def test_a_contact_becomes_a_person(self, systems: Systems) -> None:
        uuid = add_contact(systems, " Ada@Example.COM ", phone="+44 1", title="Countess")
        result = systems.sync("contacts")
        assert counts(result) == {"created": 1}
        (change,) = result.changes
        assert (change.record, change.label, change.action) == (uuid, "ada@example.com", "created")
        person = people(systems)["ada@example.com"]
        assert person["referenceId"] == uuid
        assert (person["clientid"], person["type"]) == (1, "user")
        assert (person["name"], person["title"], person["mobile"]) == (
            "Ada Lovelace",
            "Countess",
            "+44 1",
        )

    def test_one_that_is_there_unchanged_is_not_written(self, systems: Systems) -> None:
        for number in range(5):
            add_contact(systems, f"p{number}@example.com", seconds=number)
        systems.sync("contacts")
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": 5}
        assert again.sql_writes == 0
        assert again.changes == ()

    @pytest.mark.parametrize(
        ("field", "column"),
        [("firstName", "name"), ("title", "title"), ("phone", "mobile")],
    )
    def test_one_column_of_one_among_many_is_written(
        self, systems: Systems, field: str, column: str
    ) -> None:
        bulk_contacts(systems, range(20))
        systems.sync("contacts")
        uuid = f"00000000-0000-4000-9000-{19:012}"
        # no later than before: only a full compare comes by it
        change(systems, "contacts", uuid, {field: "Another"}, seconds=0)
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"updated": 1, "unchanged": 19}
        assert [one.fields for one in result.changes] == [(column,)]
        assert systems.sync("contacts", full=True).sql_writes == 0

    @ONE_KIND
    def test_nobody_can_log_in_and_no_two_passwords_are_alike(self, systems: Systems) -> None:
        for number in range(3):
            add_contact(systems, f"p{number}@example.com")
        systems.sync("contacts")
        passwords = [row["password"] for row in rows(systems, "people", "password")]
        assert len(set(passwords)) == 3
        for password in passwords:
            assert password.startswith("!")
            assert len(password) > 40

    @ONE_KIND
    def test_names_are_put_together_as_far_as_they_are_known(self, systems: Systems) -> None:
        add_contact(systems, "a@example.com", firstName=" Ada ", lastName=None)
        add_contact(systems, "b@example.com", firstName=None, lastName=" ")
        systems.sync("contacts")
        assert people(systems)["a@example.com"]["name"] == "Ada"
        assert people(systems)["b@example.com"]["name"] == "b@example.com"

    @pytest.mark.server
    @pytest.mark.parametrize("helpdesk", ["mariadb-modern-strict"], indirect=True)
    def test_an_address_stands_in_for_a_name_as_the_name_can_be_held(
        self, systems: Systems
    ) -> None:
        systems.helpdesk.execute(
            "ALTER TABLE people MODIFY email VARCHAR(128) CHARACTER SET latin1 NOT NULL"
        )
        add_contact(systems, "\u4e2d@example.com", firstName=None, lastName=None)
        systems.sync("contacts")
        ((name, email),) = [(one["name"], one["email"]) for one in people(systems).values()]
        assert (name, email) == ("\u4e2d@example.com", "&#20013;@example.com")

    def test_thousands_are_written_in_few_statements(self, systems: Systems) -> None:
        bulk_contacts(systems, range(2500))
        first = systems.sync("contacts")
        assert counts(first) == {"created": 2500}
        # three batches: rows by e-mail, rows by reference, and a statement per thousand rows
        assert first.sql_writes == 3
        assert first.sql_reads <= 1 + 3 * 2
        assert first.api_calls <= 13 + 3
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": 2500}
        assert again.sql_writes == 0
        for number in range(0, 2500, 2):
            uuid = f"00000000-0000-4000-9000-{number:012}"
            change(systems, "contacts", uuid, {"title": "T"}, seconds=5000 + number)
        changed = systems.sync("contacts")
        assert changed.updated == 1250
        assert (changed.created, changed.failed) == (0, 0)
        assert changed.sql_writes == 2


class TestChanges:
    def test_only_the_columns_of_the_sync_are_written(self, systems: Systems) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        row_id = people(systems)["ada@example.com"]["id"]
        theirs = {
            "password": "a-real-hash",
            "signature": "Ada, with a heart",
            "notes": "calls at nine",
            "lang": "de",
            "theme": "skin-red",
        }
        set_columns(systems, "people", row_id, **theirs)
        change(systems, "contacts", uuid, {"lastName": "King", "phone": "7"}, seconds=1)
        result = systems.sync("contacts")
        assert counts(result) == {"updated": 1}
        assert set(result.changes[0].fields) == {"name", "mobile"}
        (row,) = rows(systems, "people", "name", "mobile", *theirs)
        assert row == {"name": "Ada King", "mobile": "7", **theirs}

    def test_an_address_that_changed_keeps_its_person(self, systems: Systems) -> None:
        uuid = add_contact(systems, "old@example.com")
        systems.sync("contacts")
        row_id = people(systems)["old@example.com"]["id"]
        rename(systems, uuid, "new@example.com", 1)
        assert counts(systems.sync("contacts")) == {"updated": 1}
        assert [(key, row["id"]) for key, row in people(systems).items()] == [
            ("new@example.com", row_id)
        ]

    @ONE_KIND
    def test_what_somebody_changed_in_the_helpdesk_is_set_right_by_a_full_run(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        set_columns(systems, "people", people(systems)["ada@example.com"]["id"], name="Somebody")
        assert counts(systems.sync("contacts", full=True)) == {"updated": 1}
        assert people(systems)["ada@example.com"]["name"] == "Ada Lovelace"

    @ONE_KIND
    @pytest.mark.parametrize("first", [0, 1])
    def test_an_address_that_is_handed_on(self, systems: Systems, first: int) -> None:
        given = add_contact(systems, "b@example.com", seconds=1)
        takes = add_contact(systems, "a@example.com", seconds=2)
        systems.sync("contacts")
        ids = {row["referenceId"]: row["id"] for row in people(systems).values()}
        rename(systems, given, "c@example.com", 200 + first)
        rename(systems, takes, "b@example.com", 201 - first)
        assert counts(systems.sync("contacts")) == {"updated": 2}
        now = {row["referenceId"]: (key, row["id"]) for key, row in people(systems).items()}
        assert now == {
            given: ("c@example.com", ids[given]),
            takes: ("b@example.com", ids[takes]),
        }

    @pytest.mark.parametrize("step", [1, -1])
    def test_a_chain_of_addresses_handed_on(self, systems: Systems, step: int) -> None:
        uuids = [add_contact(systems, f"p{number}@example.com") for number in range(6)]
        systems.sync("contacts")
        for number, uuid in enumerate(uuids):
            rename(systems, uuid, f"p{number + 1}@example.com", 300 + step * number)
        assert counts(systems.sync("contacts")) == {"updated": 6}
        assert {row["referenceId"]: key for key, row in people(systems).items()} == {
            uuid: f"p{number + 1}@example.com" for number, uuid in enumerate(uuids)
        }
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": 6}
        assert again.sql_writes == 0

    @pytest.mark.parametrize("size", [2, 4])
    def test_addresses_exchanged_in_a_ring(self, systems: Systems, size: int) -> None:
        uuids = [add_contact(systems, f"p{number}@example.com") for number in range(size)]
        other = add_contact(systems, "other@example.com")
        systems.sync("contacts")
        before = {row["referenceId"]: row["id"] for row in people(systems).values()}
        for number, uuid in enumerate(uuids):
            rename(systems, uuid, f"p{(number + 1) % size}@example.com", 300 + number)
        result = systems.sync("contacts")
        assert counts(result) == {"updated": size, "unchanged": 1}
        assert {row["referenceId"]: (key, row["id"]) for key, row in people(systems).items()} == {
            **{
                uuid: (f"p{(number + 1) % size}@example.com", before[uuid])
                for number, uuid in enumerate(uuids)
            },
            other: ("other@example.com", before[other]),
        }
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": size + 1}
        assert again.sql_writes == 0

    @ONE_KIND
    def test_an_address_freed_by_one_goes_to_a_new_one(self, systems: Systems) -> None:
        old = add_contact(systems, "desk@example.com")
        systems.sync("contacts")
        new = add_contact(systems, "desk@example.com", seconds=10)
        rename(systems, old, "elsewhere@example.com", 11)
        assert counts(systems.sync("contacts")) == {"created": 1, "updated": 1}
        assert people(systems)["desk@example.com"]["referenceId"] == new
        assert people(systems)["elsewhere@example.com"]["referenceId"] == old


class TestAdoption:
    def test_a_person_made_by_hand_is_adopted_whatever_the_case(self, systems: Systems) -> None:
        row_id = by_hand(
            systems,
            "people",
            email="ADA@Example.com",
            name="Ada by hand",
            password="a-real-hash",
            notes="hers",
        )
        uuid = add_contact(systems, "ada@example.com")
        assert counts(systems.sync("contacts")) == {"adopted": 1}
        (row,) = rows(systems, "people", "id", "email", "name", "password", "notes", "referenceId")
        assert row == {
            "id": row_id,
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "password": "a-real-hash",
            "notes": "hers",
            "referenceId": uuid,
        }
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": 1}
        assert again.sql_writes == 0

    def test_an_empty_reference_is_none(self, systems: Systems) -> None:
        by_hand(systems, "people", email="ada@example.com", referenceId="")
        by_hand(systems, "people", email="bob@example.com", referenceId="")
        add_contact(systems, "ada@example.com")
        assert counts(systems.sync("contacts", full=True)) == {"adopted": 1}

    @pytest.mark.parametrize(
        ("holder", "said"),
        [
            ({"type": "admin"}, "an administrator of the helpdesk"),
            ({"type": "admin", "client_id": 2}, "an administrator of the helpdesk"),
            ({"client_id": 2}, "client 2 of the helpdesk"),
            ({"referenceId": "another-record"}, "another-record"),
            ({"client_id": 2, "referenceId": "theirs"}, "client 2 of the helpdesk"),
        ],
    )
    def test_whose_row_it_is_not_is_left_alone_and_named(
        self, systems: Systems, holder: dict[str, Any], said: str
    ) -> None:
        values = {"email": "Boss@Example.com", "name": "The Boss", **holder}
        row_id = by_hand(systems, "people", values.pop("client_id", 1), **values)
        before = people(systems)
        uuid = add_contact(systems, "boss@example.com", seconds=1)
        add_contact(systems, "fine@example.com", seconds=2)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 1, "failed": 1}
        assert said in reasons(result)[uuid]
        assert f"people {row_id}" in reasons(result)[uuid]
        assert result.failures[0].kind == "permanent"
        after = people(systems)
        assert {key: after[key] for key in before} == before

    def test_an_administrator_is_not_overwritten_behind_others_who_are(
        self, systems: Systems
    ) -> None:
        uuids = [add_contact(systems, f"p{number}@example.com") for number in range(4)]
        systems.sync("contacts")
        id_ = people(systems)["p2@example.com"]["id"]
        set_columns(systems, "people", id_, type="admin")
        for uuid in uuids:
            change(systems, "contacts", uuid, {"phone": "+44 2"}, seconds=60)
        result = systems.sync("contacts")
        assert counts(result) == {"updated": 3, "failed": 1}
        assert "administrator" in reasons(result)[uuids[2]]
        mobiles = [person["mobile"] for person in people(systems).values()]
        assert sorted(mobiles, reverse=True)[:3] == ["+44 2"] * 3
        assert people(systems)["p2@example.com"]["mobile"] != "+44 2"

    def test_a_contact_who_was_made_an_administrator_is_not_overwritten(
        self, systems: Systems
    ) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        set_columns(systems, "people", people(systems)["ada@example.com"]["id"], type="admin")
        assert counts(systems.sync("contacts", full=True)) == {"unchanged": 1}
        rename(systems, uuid, "takeover@example.com", 9)
        result = systems.sync("contacts")
        assert counts(result) == {"failed": 1}
        assert "administrator" in reasons(result)[uuid]
        assert list(people(systems)) == ["ada@example.com"]

    @ONE_KIND
    def test_an_address_that_moves_onto_a_row_made_by_hand_is_refused(
        self, systems: Systems
    ) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        by_hand(systems, "people", email="taken@example.com", name="By hand")
        rename(systems, uuid, "taken@example.com", 9)
        result = systems.sync("contacts")
        assert counts(result) == {"failed": 1}
        assert "without a reference" in reasons(result)[uuid]
        assert people(systems)["taken@example.com"]["name"] == "By hand"


class TestConflicts:
    def test_of_two_contacts_with_one_address_the_first_gets_it(self, systems: Systems) -> None:
        first = add_contact(systems, "desk@example.com", seconds=1)
        second = add_contact(systems, "Desk@Example.com", seconds=2)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 1, "failed": 1}
        assert first in reasons(result)[second]
        assert people(systems)["desk@example.com"]["referenceId"] == first

    def test_one_who_has_an_address_keeps_it_whoever_claims_it(self, systems: Systems) -> None:
        owner = add_contact(systems, "desk@example.com", seconds=5)
        systems.sync("contacts")
        claims = add_contact(systems, "desk@example.com", seconds=4)
        change(systems, "contacts", owner, {"title": "Owner"}, seconds=6)
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"updated": 1, "failed": 1}
        assert list(reasons(result)) == [claims]
        assert owner in reasons(result)[claims]
        assert people(systems)["desk@example.com"]["title"] == "Owner"

    @ONE_KIND
    def test_a_claim_that_is_refused_claims_nothing(self, systems: Systems) -> None:
        # what the first would take is an administrator's; the second is refused for that, too
        by_hand(systems, "people", email="boss@example.com", type="admin")
        uuids = [add_contact(systems, "boss@example.com", seconds=number) for number in range(2)]
        result = systems.sync("contacts")
        assert counts(result) == {"failed": 2}
        for uuid in uuids:
            assert "administrator" in reasons(result)[uuid]

    @ONE_KIND
    @pytest.mark.parametrize("email", [None, "", "   "])
    def test_a_contact_without_an_address_is_named(
        self, systems: Systems, email: str | None
    ) -> None:
        uuid = add_contact(systems, email)
        add_contact(systems, "fine@example.com")
        result = systems.sync("contacts")
        assert counts(result) == {"created": 1, "failed": 1}
        assert "no e-mail address" in reasons(result)[uuid]

    def test_addresses_that_only_the_server_takes_for_one_fail_alone(
        self, systems: Systems
    ) -> None:
        add_contact(systems, "jose@example.com", seconds=1)
        accented = add_contact(systems, "josé@example.com", seconds=2)
        for number in range(20):
            add_contact(systems, f"p{number}@example.com", seconds=3 + number)
        result = systems.sync("contacts")
        if systems.helpdesk.kind == "sqlite":
            assert counts(result) == {"created": 22}
            return
        assert result.failed == 1
        assert "people.email" in reasons(result)[accented]
        assert len(people(systems)) == 21

    def test_one_that_is_too_long_for_its_column_fails_and_is_never_cut(
        self, systems: Systems
    ) -> None:
        fields = {
            "firstName": "x" * 200,
            "email": "x" * 120 + "@example.com",
            "title": "漢" * 129,
            "phone": "1" * 101,
        }
        uuids = {
            name: add(
                systems,
                "contacts",
                {"lastName": "x", "email": f"{name}@example.com", name: value},
            )
            for name, value in fields.items()
        }
        add_contact(systems, "exact@example.com", title="漢" * 128, phone="1" * 100)
        result = systems.sync("contacts")
        assert counts(result) == {"created": 1, "failed": 4}
        columns = {"firstName": "name", "email": "email", "title": "title", "phone": "mobile"}
        for name, uuid in uuids.items():
            assert f"people.{columns[name]}" in reasons(result)[uuid]
        assert list(people(systems)) == ["exact@example.com"]

    def test_texts_of_every_kind_arrive_and_stay_unchanged(self, systems: Systems) -> None:
        for number, text in enumerate(TEXTS):
            add_contact(systems, f"p{number}@example.com", title=text, phone=text)
        result = systems.sync("contacts")
        assert counts(result) == {"created": len(TEXTS)}
        found = people(systems)
        for number, text in enumerate(TEXTS):
            shown = text
            if systems.helpdesk.shape == "legacy":
                shown = "".join(c if c <= "\uffff" else f"&#{ord(c)};" for c in text)
            assert found[f"p{number}@example.com"]["title"] == shown
        again = systems.sync("contacts", full=True)
        assert counts(again) == {"unchanged": len(TEXTS)}
        assert again.sql_writes == 0

    @ONE_KIND
    @pytest.mark.parametrize("poisoned", [0, 499, 999])
    def test_one_malformed_record_among_a_thousand_fails_alone(
        self, systems: Systems, poisoned: int
    ) -> None:
        bulk_contacts(systems, range(1000))
        uuid = f"00000000-0000-4000-9000-{poisoned:012}"
        raw = systems.toga2_store.get("elite", "contacts", uuid)
        systems.toga2_store.put_raw("elite", "contacts", {**raw, "email": {"not": "a text"}})
        result = systems.sync("contacts")
        assert counts(result) == {"created": 999, "failed": 1}
        assert "email" in reasons(result)[uuid]
        assert [flow for flow, _, _ in systems.reported] == ["contacts"]


class TestAddresses:
    @ONE_KIND
    @pytest.mark.parametrize("wrong", ["5", "not an address", "ada"])
    def test_what_is_no_address_never_takes_the_place_of_one(
        self, systems: Systems, wrong: str
    ) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        rename(systems, uuid, wrong, 1)
        result = systems.sync("contacts")
        assert counts(result) == {"failed": 1}
        assert "without an @" in reasons(result)[uuid]
        assert set(people(systems)) == {"ada@example.com"}

    @ONE_KIND
    def test_a_full_run_shows_the_watermark_also_when_a_record_fails(
        self, systems: Systems
    ) -> None:
        add_contact(systems, None)
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"failed": 1}
        assert (result.watermark_before, result.watermark_after) == (BEGINNING, START)


class TestTheirTickets:
    @ONE_KIND
    def test_they_follow_addresses_that_were_exchanged(self, systems: Systems) -> None:
        uuids = [
            add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(2)
        ]
        systems.sync("contacts")
        ids = {row["referenceId"]: row["id"] for row in people(systems).values()}
        for number, uuid in enumerate(uuids):
            by_hand(
                systems,
                "tickets",
                userid=ids[uuid],
                email=f"p{number}@example.com",
                referenceId=uuid,
            )
            rename(systems, uuid, f"p{1 - number}@example.com", 100 + number)
        assert counts(systems.sync("contacts")) == {"updated": 2}
        found = rows(systems, "tickets", "referenceId", "email")
        assert {row["referenceId"]: row["email"] for row in found} == {
            uuid: f"p{1 - number}@example.com" for number, uuid in enumerate(uuids)
        }


class TestInactiveAndVanished:
    @ONE_KIND
    def test_one_that_is_switched_off_is_kept_and_counted(self, systems: Systems) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        change(systems, "contacts", uuid, {"isActive": False}, seconds=1)
        result = systems.sync("contacts")
        assert counts(result) == {"inactive": 1}
        assert result.sql_writes == 0
        assert "ada@example.com" in people(systems)

    def test_one_that_vanished_is_counted_by_a_full_run_and_left_alone(
        self, systems: Systems
    ) -> None:
        gone = add_contact(systems, "gone@example.com")
        add_contact(systems, "stays@example.com")
        by_hand(systems, "people", email="hand@example.com")
        by_hand(systems, "people", 2, email="theirs@example.com", referenceId="theirs")
        systems.sync("contacts")
        systems.toga2_store.delete("elite", "contacts", gone)
        assert counts(systems.sync("contacts")) == {"unchanged": 1}
        before = people(systems)
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"unchanged": 1, "vanished": 1}
        assert "TOGA 2 no longer has" in result.remarks[0]
        assert people(systems) == before

    @ONE_KIND
    def test_one_that_is_listed_twice_does_not_stand_for_one_that_vanished(
        self, systems: Systems
    ) -> None:
        uuids = [
            add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(7)
        ]
        systems.sync("contacts")
        systems.toga2_store.delete("elite", "contacts", uuids[-1])
        # before the second page is answered one of the first page is changed, and moves to the end
        systems.toga2.faults.add(Shift(), method="GET", route="/contacts", skip=1)
        with systems.open(page_size=3) as context:
            result = run_flow("contacts", context, Options(full=True))
        assert counts(result) == {"unchanged": 6, "vanished": 1}

    @ONE_KIND
    def test_one_that_changed_just_before_the_first_answer_may_come_twice_too(
        self, systems: Systems, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uuids = [
            add_contact(systems, f"p{number}@example.com", seconds=number) for number in range(7)
        ]
        systems.sync("contacts")
        systems.toga2_store.delete("elite", "contacts", uuids[-1])
        fetch: Callable[..., list[object]] = Calls.page

        def fetch_and_edit(
            self: Calls, resource: Resource, *more: object, **options: object
        ) -> list[object]:
            page = fetch(self, resource, *more, **options)
            started = self.list_started.get(resource.route)
            if resource.route == "contacts" and started is not None and uuids:
                second_before = started - timedelta(seconds=1)
                body = {"title": "T"}
                systems.toga2_store.update(
                    "elite", "contacts", uuids[0], body, updated=second_before
                )
                uuids.clear()
            return page

        monkeypatch.setattr(Calls, "page", fetch_and_edit)
        with systems.open(page_size=3) as context:
            result = run_flow("contacts", context, Options(full=True))
        assert result.vanished == 1

    @ONE_KIND
    def test_a_malformed_one_has_not_vanished(self, systems: Systems) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        raw = systems.toga2_store.get("elite", "contacts", uuid)
        systems.toga2_store.put_raw("elite", "contacts", {**raw, "email": []})
        assert counts(systems.sync("contacts", full=True)) == {"failed": 1}


class TestTenants:
    @ONE_KIND
    def test_a_flow_that_is_off_does_nothing_and_says_so(self, systems: Systems) -> None:
        add_contact(systems, "ada@example.com")
        client = systems.clients["elite"]
        flows = client.flows.model_copy(update={"contacts": False})
        systems.clients["elite"] = client.model_copy(update={"flows": flows})
        result = systems.sync("contacts")
        assert not result.is_on
        assert counts(result) == {}
        assert systems.toga2.requests == []
        assert people(systems) == {}

    def test_one_address_in_two_clients_belongs_to_who_came_first(self, systems: Systems) -> None:
        ours = add_contact(systems, "shared@example.com", client="elite")
        theirs = add_contact(systems, "shared@example.com", client="wje", lastName="Theirs")
        mine = add_contact(systems, "own@example.com", client="wje", seconds=1)
        assert counts(systems.sync("contacts", "elite")) == {"created": 1}
        result = systems.sync("contacts", "wje")
        assert counts(result) == {"created": 1, "failed": 1}
        assert "client 1 of the helpdesk" in reasons(result)[theirs]
        found = people(systems)
        assert found["shared@example.com"]["referenceId"] == ours
        assert found["shared@example.com"]["name"] == "Ada Lovelace"
        assert (found["own@example.com"]["referenceId"], found["own@example.com"]["clientid"]) == (
            mine,
            2,
        )

    def test_one_uuid_in_two_clients_is_two_records(self, systems: Systems) -> None:
        uuid = "00000000-0000-4000-8000-00000000abcd"
        add_contact(systems, "a@example.com", uuid=uuid, client="elite")
        add_contact(systems, "b@example.com", uuid=uuid, client="wje")
        systems.sync("contacts", "elite")
        assert counts(systems.sync("contacts", "wje")) == {"created": 1}
        found = people(systems)
        assert (found["a@example.com"]["clientid"], found["b@example.com"]["clientid"]) == (1, 2)

    def test_a_row_that_was_moved_to_another_client_is_not_pulled_back(
        self, systems: Systems
    ) -> None:
        uuid = add_contact(systems, "ada@example.com")
        systems.sync("contacts")
        set_columns(systems, "people", people(systems)["ada@example.com"]["id"], clientid=2)
        result = systems.sync("contacts", full=True)
        assert counts(result) == {"failed": 1}
        assert "client 2 of the helpdesk" in reasons(result)[uuid]
        assert people(systems)["ada@example.com"]["clientid"] == 2

    @ONE_KIND
    def test_what_was_updated_when_is_where_the_watermark_ends(self, systems: Systems) -> None:
        add_contact(systems, "ada@example.com", seconds=77)
        assert systems.sync("contacts").watermark_after == at(77)

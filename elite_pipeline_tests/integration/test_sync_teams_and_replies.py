"""Ticket teams -> groups, and predefined replies -> tickets_pr: what is known by name in a client."""

from datetime import timedelta
from typing import Any

import pytest

from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.reference_data import (
    TEXTS,
    add,
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
#: Flow, route, table.
BOTH = pytest.mark.parametrize(
    ("flow", "route", "table"),
    [
        ("teams", "ticket-teams", "groups"),
        ("predefined_replies", "predefined-replies", "tickets_pr"),
    ],
)


def named(systems: Systems, table: str) -> list[tuple[int, str, Any]]:
    """Return client, name and reference of every row."""
    return [tuple(row.values()) for row in rows(systems, table, "clientid", "name", "referenceId")]


@BOTH
def test_first_load_change_and_quiet(systems: Systems, flow: str, route: str, table: str) -> None:
    names = ("Night Shift", "VIP")
    uuids = [add(systems, route, {"name": name}, seconds=n) for n, name in enumerate(names)]
    assert counts(systems.sync(flow)) == {"created": 2}
    assert named(systems, table) == [(1, "Night Shift", uuids[0]), (1, "VIP", uuids[1])]
    change(systems, route, uuids[1], {"name": "VIP Desk"}, seconds=2)
    result = systems.sync(flow)
    assert result.updated == 1
    assert named(systems, table)[1] == (1, "VIP Desk", uuids[1])
    again = systems.sync(flow, full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 2}, 0)


@BOTH
@ONE_KIND
def test_names_exchanged_are_exchanged(systems: Systems, flow: str, route: str, table: str) -> None:
    uuids = [add(systems, route, {"name": name}, seconds=n) for n, name in enumerate("AB")]
    systems.sync(flow)
    change(systems, route, uuids[0], {"name": "B"}, seconds=2)
    change(systems, route, uuids[1], {"name": "A"}, seconds=3)
    assert counts(systems.sync(flow)) == {"updated": 2}
    assert named(systems, table) == [(1, "B", uuids[0]), (1, "A", uuids[1])]


@BOTH
def test_one_made_by_hand_is_adopted_within_its_client(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    by_hand(systems, table, 2, name="VIP Desk")
    by_hand(systems, table, name="vip desk")
    by_hand(systems, table, name="Other")
    uuid = add(systems, route, {"name": "VIP Desk"})
    assert counts(systems.sync(flow)) == {"adopted": 1}
    assert named(systems, table) == [
        (2, "VIP Desk", None),
        (1, "VIP Desk", uuid),
        (1, "Other", None),
    ]


@BOTH
def test_two_of_one_name_do_not_share_a_row_made_by_hand(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    by_hand(systems, table, name="Desk")
    first = add(systems, route, {"name": "Desk"}, seconds=1)
    second = add(systems, route, {"name": "Desk"}, seconds=2)
    assert counts(systems.sync(flow)) == {"adopted": 1, "created": 1}
    assert named(systems, table) == [(1, "Desk", first), (1, "Desk", second)]
    again = systems.sync(flow, full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": 2}, 0)


@BOTH
@ONE_KIND
def test_which_of_two_made_by_hand_is_meant_is_not_guessed(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    for _ in range(2):
        by_hand(systems, table, name="Desk")
    uuid = add(systems, route, {"name": "Desk"})
    result = systems.sync(flow)
    assert counts(result) == {"failed": 1}
    assert "stands 2 times" in reasons(result)[uuid]
    set_columns(systems, table, rows(systems, table, "id")[0]["id"], name="Desk (old)")
    assert counts(systems.sync(flow)) == {}
    systems.later += timedelta(minutes=5)
    # once for itself, and once for the list that brings it again
    assert counts(systems.sync(flow)) == {"adopted": 1, "unchanged": 1}


@BOTH
@ONE_KIND
def test_the_same_name_in_two_clients_is_two_rows(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    ours = add(systems, route, {"name": "Desk"}, client="elite")
    theirs = add(systems, route, {"name": "Desk"}, client="wje")
    assert counts(systems.sync(flow, "elite")) == {"created": 1}
    assert counts(systems.sync(flow, "wje")) == {"created": 1}
    assert named(systems, table) == [(1, "Desk", ours), (2, "Desk", theirs)]
    assert counts(systems.sync(flow, "elite", full=True)) == {"unchanged": 1}


@BOTH
@ONE_KIND
@pytest.mark.parametrize("name", ["", "  "])
def test_one_without_a_name_is_named_by_its_uuid(
    systems: Systems, flow: str, route: str, table: str, name: str
) -> None:
    uuid = add(systems, route, {"name": name})
    add(systems, route, {"name": "Fine"})
    result = systems.sync(flow)
    assert counts(result) == {"created": 1, "failed": 1}
    assert "has no name" in reasons(result)[uuid]


@BOTH
def test_one_too_long_fails_and_is_never_cut(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    exact = add(systems, route, {"name": "x" * 255})
    uuids = [add(systems, route, {"name": "y" * 256})]
    if systems.helpdesk.shape == "legacy":
        # fits as it is, and not in the form that the column needs
        uuids.append(add(systems, route, {"name": "😀" * 100}))
    result = systems.sync(flow)
    assert counts(result) == {"created": 1, "failed": len(uuids)}
    for uuid in uuids:
        assert f"{table}.name" in reasons(result)[uuid]
    assert named(systems, table) == [(1, "x" * 255, exact)]


@BOTH
def test_texts_of_every_kind_arrive_and_stay_unchanged(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    uuids = {add(systems, route, {"name": f"{n} {text}"}): text for n, text in enumerate(TEXTS)}
    assert counts(systems.sync(flow)) == {"created": len(TEXTS)}
    found = {row["referenceId"]: row["name"] for row in rows(systems, table, "name", "referenceId")}
    for uuid, text in uuids.items():
        if systems.helpdesk.shape == "modern":
            assert found[uuid].endswith(text)
    again = systems.sync(flow, full=True)
    assert (counts(again), again.sql_writes) == ({"unchanged": len(TEXTS)}, 0)


@BOTH
@ONE_KIND
def test_one_that_is_switched_off_gets_no_row_until_it_is_on(
    systems: Systems, flow: str, route: str, table: str
) -> None:
    uuid = add(systems, route, {"name": "Later", "isActive": False})
    assert counts(systems.sync(flow)) == {"inactive": 1}
    assert named(systems, table) == []
    change(systems, route, uuid, {"isActive": True}, seconds=1)
    assert counts(systems.sync(flow)) == {"created": 1}
    change(systems, route, uuid, {"isActive": False}, seconds=2)
    result = systems.sync(flow)
    assert (counts(result), result.sql_writes) == ({"inactive": 1}, 0)
    assert named(systems, table) == [(1, "Later", uuid)]
    systems.toga2_store.delete("elite", route, uuid)
    assert counts(systems.sync(flow, full=True)) == {"vanished": 1}
    assert named(systems, table) == [(1, "Later", uuid)]


def test_a_replys_content_is_wrapped_as_the_helpdesk_does(systems: Systems) -> None:
    contents = {"A": "<p>Hello</p>", "B": None, "C": "café €5 … “ok”"}
    for name, content in contents.items():
        add(systems, "predefined-replies", {"name": name, "content": content})
    systems.sync("predefined_replies")
    found = {row["name"]: row["content"] for row in rows(systems, "tickets_pr", "name", "content")}
    assert found == {
        "A": "<div><p>Hello</p></div>",
        "B": "<div></div>",
        "C": "<div>café €5 … “ok”</div>",
    }


def test_what_latin1_cannot_hold_is_written_in_another_form(systems: Systems) -> None:
    text = "Łódź 漢 😀 שלום é€"
    add(systems, "predefined-replies", {"name": text, "content": text})
    assert counts(systems.sync("predefined_replies")) == {"created": 1}
    (row,) = rows(systems, "tickets_pr", "name", "content")
    shown = text
    if systems.helpdesk.shape == "legacy":
        shown = "".join(c if c in " źé€Łód" and c not in "Łź" else f"&#{ord(c)};" for c in text)
    assert row == {"name": shown, "content": f"<div>{shown}</div>"}


def test_a_reply_too_long_for_its_column_fails_and_is_never_cut(systems: Systems) -> None:
    uuid = add(systems, "predefined-replies", {"name": "long", "content": "x" * 65_536})
    add(systems, "predefined-replies", {"name": "exact", "content": "x" * (65_535 - 11)})
    result = systems.sync("predefined_replies")
    assert counts(result) == {"created": 1, "failed": 1}
    assert "tickets_pr.content" in reasons(result)[uuid]
    assert [row["name"] for row in rows(systems, "tickets_pr", "name")] == ["exact"]

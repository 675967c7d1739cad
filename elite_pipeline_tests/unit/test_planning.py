"""A plan counts everything, shows the first of it, and never shows a secret."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from elite_pipeline import plan_tables
from elite_pipeline.planning import (
    MAX_EFFECTS,
    MAX_OF_A_KIND,
    MOST_CHARS,
    Draft,
    Effect,
    EffectKind,
    FieldChange,
    Planner,
)

PEOPLE = EffectKind("TOGaDesk", "people", "create")
TICKETS = EffectKind("TOGaDesk", "tickets", "change")


@pytest.fixture
def planner() -> Planner:
    return Planner(lambda text: text.replace("hunter2", "***"))


def only(planner: Planner) -> Effect:
    (effect,) = planner.plan().effects
    return effect


def shown(planner: Planner, value: object, name: str = "it") -> str | None:
    planner.add(PEOPLE, 1, lambda: {name: value})
    return planner.plan().effects[-1].fields[0].new


def test_change_shows_what_is_there_and_what_would_be(planner: Planner) -> None:
    planner.add(TICKETS, 7, lambda: {"status": "Closed"}, lambda: {"status": "Open"})
    assert only(planner) == Effect(TICKETS, "7", (FieldChange("status", "Open", "Closed"),))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        (5, "5"),
        (True, "yes"),
        (datetime.fromisoformat("2026-06-10 08:00:00"), "2026-06-10 08:00:00"),
        (b"\x00\x01", "(2 bytes)"),
        ({"uuid": "u-1", "name": "more"}, "u-1"),
        (["a", 'b"'], '["a", "b\\""]'),
        ("it is hunter2", "it is ***"),
    ],
)
def test_values_become_text(planner: Planner, value: object, text: str | None) -> None:
    assert shown(planner, value) == text


def test_long_text_is_cut_with_its_length_and_after_secrets_are_out(planner: Planner) -> None:
    text = shown(planner, "x" * (MOST_CHARS - 3) + "hunter2" + "y" * 5_000)
    assert text is not None
    assert text.endswith("characters)")
    assert "hunt" not in text
    assert len(text) < MOST_CHARS + 40


@pytest.mark.parametrize("name", ["password", "sessionid", "resetKey"])
def test_what_nobody_may_read_is_hidden(planner: Planner, name: str) -> None:
    assert shown(planner, "!abc", name) == "(hidden)"
    assert shown(planner, None, name) is None


def test_what_is_made_up_is_called_what_it_is_wherever_it_stands(planner: Planner) -> None:
    first, second = planner.new_id("tickets"), planner.new_id("tickets")
    note = planner.new_uuid("ticket-notes")
    assert second > first > planner.before_made_up("tickets")
    assert planner.is_made_up("tickets", first)
    assert not planner.is_made_up("tickets", 2**31)
    assert shown(planner, second) == "new tickets 2"
    assert shown(planner, f"{first}-logo.png") == "new tickets 1-logo.png"
    assert shown(planner, {"uuid": note}) == "new ticket-notes 1"
    assert shown(planner, f'<img src="https://x/files/{note}">') == (
        '<img src="https://x/files/new ticket-notes 1">'
    )
    # the milliseconds of some day are nothing that was made up
    assert shown(planner, "1718000000000") == "1718000000000"


def test_memory_is_bounded_and_counts_are_whole(planner: Planner) -> None:
    asked = 0

    def values() -> Mapping[str, object]:
        nonlocal asked
        asked += 1
        return {"name": "x"}

    for number in range(10_000):
        planner.add(PEOPLE, number, values)
    for number in range(100):
        planner.add(TICKETS, number, values)
    plan = planner.plan()
    assert plan.counts == {PEOPLE: 10_000, TICKETS: 100}
    assert (len(plan.effects), plan.left_out) == (
        MAX_EFFECTS + MAX_OF_A_KIND,
        10_100 - len(plan.effects),
    )
    assert asked == len(plan.effects)
    assert not planner.has_room(PEOPLE)


def test_what_is_made_and_filled_in_is_one_effect_and_made_and_removed_is_none(
    planner: Planner,
) -> None:
    for name in ("kept", "gone"):
        planner.add(PEOPLE, name, lambda: {"file": "", "size": 0}, name=name)
    planner.amend("kept", lambda: {"file": "1-a.txt"})
    planner.withdraw(PEOPLE, "gone")
    planner.amend("never kept", dict)
    plan = planner.plan()
    assert plan.counts == {PEOPLE: 1}
    assert plan.effects[0].fields == (
        FieldChange("file", None, "1-a.txt"),
        FieldChange("size", None, "0"),
    )


def test_draft_that_is_not_published_leaves_nothing(planner: Planner) -> None:
    Draft(planner).add(PEOPLE, 1, dict)
    assert planner.plan().total == 0
    draft = Draft(planner)
    draft.add(PEOPLE, 1, dict, name="one")
    draft.amend("one", lambda: {"a": 1})
    draft.publish()
    draft.publish()
    assert planner.plan().counts == {PEOPLE: 1}


class TestTables:
    def test_every_kind_is_shown_before_there_is_more_of_any(self, planner: Planner) -> None:
        for number in range(100):
            planner.add(PEOPLE, number, lambda: {"a": 1, "b": 2})
        for number in range(3):
            planner.add(TICKETS, number, lambda: {"status": "Open"})
        rows, left_out = plan_tables.details(planner.plan(), 40)
        shown_kinds = [row["what"] for row in rows]
        assert shown_kinds.count("tickets") == 3
        assert shown_kinds.count("people") == 36
        assert left_out == 103 - 18 - 3
        assert rows[0] == {
            "system": "TOGaDesk", "what": "people", "action": "create", "record": "0",
            "field": "a", "now": "", "then": "1",
        }  # fmt: skip

    def test_effect_without_fields_has_a_row(self, planner: Planner) -> None:
        planner.add(TICKETS, 7, dict)
        rows, left_out = plan_tables.details(planner.plan(), 10)
        assert [(row["record"], row["field"]) for row in rows] == [("7", "")]
        assert left_out == 0

    def test_counts_are_in_order_and_readable(self, planner: Planner) -> None:
        planner.add(TICKETS, 7, dict)
        for _ in range(1_234):
            planner.add(PEOPLE, 7, dict)
        assert [(row["what"], row["number"]) for row in plan_tables.counts(planner.plan())] == [
            ("people", "1,234"),
            ("tickets", "1"),
        ]

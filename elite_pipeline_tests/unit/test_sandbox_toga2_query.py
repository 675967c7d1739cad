"""Splitting query strings, and the plan of a fault: what needs no server."""

from collections.abc import Sequence

import pytest

from elite_pipeline.sandbox.toga2 import Delay, FaultPlan, FaultRule, RequestInfo, Shift, Status
from elite_pipeline.sandbox.toga2.clock import from_wire, to_wire
from elite_pipeline.sandbox.toga2.query import split_query


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a", [("a", "")]),
        ("a=&&b=", [("a", ""), ("b", "")]),
        ("where[name =]=A=B", [("where[name =]", "A=B")]),
        ("where[_updated >=]=2026-06-10+00:00:00", [("where[_updated >=]", "2026-06-10 00:00:00")]),
        ("where%5Bname+%3D%5D=%C3%BC%26", [("where[name =]", "ü&")]),
        ("where[a=1", [("where[a", "1")]),
    ],
)
def test_split_query(text: str, pairs: list[tuple[str, str]]) -> None:
    assert split_query(text) == pairs


def test_times_on_the_wire() -> None:
    moment = from_wire("2026-06-10 12:00:01")

    assert to_wire(moment) == "2026-06-10 12:00:01"
    assert to_wire(moment.replace(microsecond=999_999)) == "2026-06-10 12:00:01"
    for text in ("2026-06-10", "2026-06-10T12:00:01", "2026-06-10 12:00:1", "2026-02-30 00:00:00"):
        with pytest.raises(ValueError, match=r"time data|unconverted|range"):
            from_wire(text)


def strike(plan: FaultPlan) -> Sequence[FaultRule]:
    return plan.decide(plan.matching(RequestInfo("GET", "/contacts", "/contacts", (), "elite")))


def test_the_first_rule_that_answers_wins() -> None:
    plan = FaultPlan()
    plan.add(Status(500), method="POST")
    delay = plan.add(Delay(1), times=None)
    first = plan.add(Status(501))
    second = plan.add(Status(502))

    assert list(strike(plan)) == [delay, first]
    assert list(strike(plan)) == [delay, second]
    assert list(strike(plan)) == [delay]


def test_rules_are_taken_away() -> None:
    plan = FaultPlan()
    rule = plan.add(Status(500))

    assert plan.remove(rule.id)
    assert not plan.remove(rule.id)
    plan.add(Status(500))
    plan.clear()
    assert list(strike(plan)) == []


def test_a_shift_touches_what_was_shown() -> None:
    plan = FaultPlan()
    rule = plan.add(Shift(count=2))
    other = plan.add(Status(500))
    for each in (rule, other):
        each.remember(["a", "b", "c"])

    assert len(set(rule.shift_targets())) == 2
    assert set(rule.shift_targets()) <= {"a", "b", "c"}
    assert other.shift_targets() == []


@pytest.mark.parametrize("status", [0, 99, 600])
def test_a_status_is_one_of_http(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        Status(status)

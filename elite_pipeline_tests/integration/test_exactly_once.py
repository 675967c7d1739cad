"""Exactly once: no death between two outside effects, and no lost answer, loses or doubles anything.

The run under test is the whole exchange of ``two_way``, in a process of its own that is killed at one of
its effects, or with one of its requests answered badly; the runs after it must come to the same end on
both sides as if nothing had happened. One test goes through all points, and names those that fail.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.ledger.uploads import Uploads
from elite_pipeline.sandbox.toga2 import Action, CutBody, Drop, Stall, Status
from elite_pipeline.sync import outgoing_sender, ticket_note_news, ticket_reading
from elite_pipeline.sync.incoming_files import FileWriter
from elite_pipeline.sync.outgoing import _Outgoing
from elite_pipeline_tests.support.child_runs import FLOWS
from elite_pipeline_tests.support.effects import Point
from elite_pipeline_tests.support.end_states import State, difference, end_state
from elite_pipeline_tests.support.systems import QUICK, Systems
from elite_pipeline_tests.support.two_way import BACKWARDS, TwoWay

# many runs in each: more than others, where the machine is slow
pytestmark = pytest.mark.timeout(1200)

ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)
#: What was written stays there (MyISAM), and what was not committed is gone (InnoDB).
EVERY_ENGINE = pytest.mark.parametrize(
    "helpdesk",
    [
        pytest.param("sqlite", id="sqlite"),
        pytest.param("mariadb-legacy-strict", id="myisam", marks=pytest.mark.server),
        pytest.param("mariadb-modern-strict", id="innodb", marks=pytest.mark.server),
    ],
    indirect=True,
)
#: What goes wrong with a request that writes.
FAULTS: Mapping[str, Action] = {
    "timeout, applied": Stall(takes_effect=True),
    "timeout, not applied": Stall(),
    "lost, applied": Drop(takes_effect=True),
    "lost, not applied": Drop(),
    "cut, applied": CutBody(),
    "503, applied": Status(503, takes_effect=True),
    "503": Status(503),
}


@pytest.fixture
def exchange(systems: Systems, tmp_path: Path) -> TwoWay:
    exchange = TwoWay(systems, tmp_path)
    exchange.prepare()
    return exchange


def undisturbed(exchange: TwoWay) -> tuple[list[str], State]:
    """Return the effects of the run under test, and its end state when nothing happens to it."""
    code, effects = exchange.run.carry_out()
    assert code == 0
    assert exchange.recover() == []
    return effects, end_state(exchange.systems)


def wrong_in_the_end(exchange: TwoWay, expected: State, first: Any = FLOWS) -> list[str]:
    """Run until quiet; return what is not as it should be."""
    return exchange.recover(first) + difference(expected, end_state(exchange.systems))


def judge(failed: Mapping[str, list[str]]) -> None:
    points = "\n".join("\n    ".join([point, *wrong]) for point, wrong in failed.items() if wrong)
    if points:
        pytest.fail(f"Not exactly once:\n{points}", pytrace=False)


@EVERY_ENGINE
def test_run_under_test_has_effects_of_every_kind(exchange: TwoWay) -> None:
    effects, end = undisturbed(exchange)

    commits = {"COMMIT helpdesk"} if exchange.run.commits else set()
    assert set(effects) == commits | {
        "INSERT people",
        "INSERT tickets",
        "UPDATE tickets",
        "INSERT tickets_replies",
        "UPDATE tickets_replies",
        "DELETE tickets_replies",
        "INSERT comments",
        "UPDATE comments",
        "INSERT tickets_history",
        "INSERT files",
        "UPDATE files",
        "COMMIT ledger",
        "a file is made",
        "a file is written",
        "a file is moved into place",
        "POST /tickets",
        "PATCH /tickets/…",
        "POST /ticket-notes",
        "POST /ticket-notes/…",
        "POST /files",
        "PATCH /parameters/…",
    }
    assert {what: len(found) for what, found in end.items()} == {
        "TOGA 2 contacts": 2,
        "TOGA 2 tickets": 3,
        "TOGA 2 notes": 8,
        "TOGA 2 files that hang nowhere": 0,
        "TOGA 2 files that hang twice": 0,
        "TOGA 2 watermarks": 3,
        "people": 2,
        "tickets": 3,
        "replies": 7,
        "comments": 3,
        "history": 3,
        "files": 7,
        "stray files": 0,
    }
    exchange.put_back()
    again, same = undisturbed(exchange)
    assert (again, difference(end, same)) == (effects, [])


# What is there right after an effect is there right before the next one, too: so the two tests show
# each state to either direction first.


@EVERY_ENGINE
def test_death_right_before_each_effect(exchange: TwoWay) -> None:
    judge(dict(die_at_each_effect(exchange, "before", FLOWS)))


@EVERY_ENGINE
def test_death_right_after_each_effect_and_the_other_direction_first(exchange: TwoWay) -> None:
    judge(dict(die_at_each_effect(exchange, "after", BACKWARDS)))


def die_at_each_effect(exchange: TwoWay, side: Any, first: Any) -> Iterator[tuple[str, list[str]]]:
    effects, expected = undisturbed(exchange)
    for number, what in enumerate(effects):
        exchange.put_back()
        code, until = exchange.run.carry_out(Point(side, number))
        assert (code, until) == (-signal.SIGKILL, effects[: number + 1])
        wrong = wrong_in_the_end(exchange, expected, first)
        yield f"{side} effect {number} ({what})", wrong


@EVERY_ENGINE
def test_death_of_one_run_after_the_other(exchange: TwoWay) -> None:
    _, expected = undisturbed(exchange)
    failed = {}
    # what is only through as a whole (the files of one step, after what runs note of start and end) has
    # fewer effects: each run gets on
    for number in range(14, 20):
        exchange.put_back()
        codes = Counter[int | None]()
        while not codes[0]:
            code, _ = exchange.run.carry_out(Point("after", number))
            codes[code] += 1
            assert codes.total() < 20
        assert set(codes) == {0, -signal.SIGKILL}
        failed[f"each after its effect {number}"] = wrong_in_the_end(exchange, expected)
    judge(failed)


@EVERY_ENGINE
@pytest.mark.parametrize("fault", ["timeout, applied", "lost, applied", "lost, not applied"])
def test_each_write_is_answered_badly(exchange: TwoWay, fault: str) -> None:
    answer_each_write(exchange, FAULTS[fault])


@ONE_KIND
@pytest.mark.parametrize("fault", ["timeout, not applied", "cut, applied", "503, applied", "503"])
def test_each_write_is_answered_badly_in_other_ways(exchange: TwoWay, fault: str) -> None:
    answer_each_write(exchange, FAULTS[fault])


def answer_each_write(exchange: TwoWay, fault: Action) -> None:
    effects, expected = undisturbed(exchange)
    failed = {}
    # a POST is not repeated within the call, because that is not harmless
    for method, times in (("POST", 1), ("PATCH", QUICK.attempts)):
        writes = [what for what in effects if what.startswith(f"{method} ")]
        assert writes
        for number, what in enumerate(writes):
            exchange.put_back()
            rule = exchange.systems.toga2.faults.add(fault, method=method, skip=number, times=times)
            exchange.run_against_faults()
            exchange.systems.toga2.faults.clear()
            assert rule.fired >= 1
            first = BACKWARDS if number % 2 else FLOWS
            failed[f"{method} {number} ({what})"] = wrong_in_the_end(exchange, expected, first)
    judge(failed)


# The tests above can fail: an engine that forgot one of its precautions would be found out.


def tickets_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Outgoing, "_known_by_key", lambda *_: {})


def notes_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outgoing_sender, "own_keys", lambda *_: {})
    patch.setattr(_Outgoing, "_notes_by_key", lambda *_: {})


def files_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Uploads, "begin", lambda *_: None)


def own_records_are_not_recognised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ticket_reading, "own_key", lambda *_: None)
    for module in (ticket_reading, ticket_note_news):
        patch.setattr(module, "own_keys", lambda *_: {})


def rows_without_bytes_are_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FileWriter, "_carry", lambda *_: None)


@ONE_KIND
@pytest.mark.parametrize(
    ("sabotage", "what", "found"),
    [
        (tickets_are_not_looked_for, "POST /tickets", "TOGA 2 tickets: has too much"),
        (notes_are_not_looked_for, "POST /ticket-notes", "TOGA 2 notes: has too much"),
        (files_are_not_looked_for, "POST /files", "TOGA 2 files that hang nowhere: has too much"),
        (own_records_are_not_recognised, "POST /tickets", "tickets: has too much"),
        (rows_without_bytes_are_left, "a file is made", "files: lacks"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_engine_without_a_precaution_is_found_out(
    exchange: TwoWay,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Callable[[pytest.MonkeyPatch], None],
    what: str,
    found: str,
) -> None:
    effects, expected = undisturbed(exchange)
    exchange.put_back()
    exchange.run.carry_out(Point("after", effects.index(what)))
    sabotage(monkeypatch)
    wrong = wrong_in_the_end(exchange, expected)
    assert any(one.startswith(found) for one in wrong), wrong

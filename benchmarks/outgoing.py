"""Changed tickets of the helpdesk on their way to TOGA 2, where every answer takes its time."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.data import make_tickets
from benchmarks.surroundings import (
    ContestantError,
    Helpdesk,
    Surroundings,
    Tell,
    Toga2,
    run_contestant,
)
from benchmarks.table import Figure
from benchmarks.tickets import IN_FLIGHT, LATENCY_SECONDS
from elite_pipeline.sandbox.togadesk.application import Application
from elite_pipeline.togadesk import connect

REPLIES = 2
_FLOW = "togadesk_to_toga2"
_BOTH = ("toga2_to_togadesk", _FLOW)
_START = datetime(2026, 6, 1, tzinfo=UTC)


def measure_outgoing(
    here: Surroundings, *, count: int, loop_tickets: int, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Measure ``count`` tickets with two new replies each, and then a run with nothing to do."""
    source = here.folder / "outgoing.sqlite"
    make_tickets(source, 10)
    times: defaultdict[str, list[float]] = defaultdict(list)
    calls = 0
    for number in range(1, rounds + 1):
        tell(f"outgoing: round {number} of {rounds}")
        with here.toga2(source) as toga2, here.helpdesk() as desk:
            given = _given(here, toga2, desk)
            tickets = _open_tickets(desk, count)
            run_contestant("engine", {**given, "flow": _FLOW}, expect={"created": count})
            _reply(desk, tickets)
            toga2.configure(latency_seconds=LATENCY_SECONDS)
            toga2.reset_stats()
            result = run_contestant("engine", {**given, "flow": _FLOW}, expect={"updated": count})
            times["ours"].append(result["seconds"])
            calls = sum(sum(each.values()) for each in toga2.stats()["routes"].values())
            # the same calls in the same order, but for the few of the run itself
            loop = run_contestant(
                "one_reply_by_one", {**toga2.credentials, "tickets": loop_tickets}
            )
            times["loop"].append(loop["seconds"] / loop["tickets"] * count)
    ours, theirs = times["ours"], times["loop"]
    yield Figure(
        f"{count:,} changed helpdesk tickets, {REPLIES} replies each",
        "the same calls one by one",
        median(ours) / median(theirs),
        1 / 8,
        (min(ours) / max(theirs), max(ours) / min(theirs)),
        note=f"{calls / count:.2f} calls a ticket; loop: {loop_tickets} tickets, scaled",
    )
    quiet = _quiet(here, source)
    for what, most in (("api_calls", 2), ("sql_reads", 3), ("sql_writes", 0)):
        yield Figure(
            "nothing to do, both directions",
            "",
            quiet[what],
            most,
            unit=what.replace("_", " "),
            note="since the watermarks" if what == "api_calls" else "",
        )


def _given(here: Surroundings, toga2: Toga2, desk: Helpdesk) -> dict[str, Any]:
    uploads = here.folder / "uploads"
    uploads.mkdir(exist_ok=True)
    return {
        **desk.for_engine,
        "max_in_flight": IN_FLIGHT,
        "toga2_url": toga2.url,
        "uploads_dir": str(uploads),
    }


def _quiet(here: Surroundings, source: Path) -> dict[str, int]:
    """Return what a run of both directions costs when nothing has changed."""
    with here.toga2(source) as toga2, here.helpdesk() as desk:
        given = _given(here, toga2, desk)
        # else tickets would wait for their people, who are looked for in every run
        run_contestant("engine", {**given, "flow": "contacts"})
        _reply(desk, _open_tickets(desk, 10))
        watermarks: list[str] = []
        # until nothing is left to be taken in
        for _ in range(4):
            watermarks = [
                run_contestant("engine", {**given, "flow": flow})["watermark"] for flow in _BOTH
            ]
        result = run_contestant("engine", {**given, "flows": _BOTH, "sinces": watermarks})
        if result["created"] or result["updated"]:
            raise ContestantError("there was something to do where nothing was meant to be")
        return {name: result[name] for name in ("api_calls", "sql_reads", "sql_writes")}


class _Clock:
    def __init__(self) -> None:
        self.moment = _START

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=20)
        return self.moment


def _application(desk: Helpdesk, clock: _Clock) -> Application:
    engine = connect(desk.url.render_as_string(hide_password=False))
    return Application(engine, client_id=1, timezone=ZoneInfo("UTC"), clock=clock)


def _open_tickets(desk: Helpdesk, count: int) -> list[int]:
    pages = _application(desk, _Clock())
    row = {"ticket": 123456, "departmentid": 1, "userid": 0, "priority": "Normal", "email": ""}
    return [
        pages.open_ticket({**row, "subject": f"Scanner {number}"}, f"<p>It hums, {number}</p>")[0]
        for number in range(count)
    ]


def _reply(desk: Helpdesk, tickets: list[int]) -> None:
    clock = _Clock()
    clock.moment = _START + timedelta(days=30)
    pages = _application(desk, clock)
    for ticket in tickets:
        for number in range(REPLIES):
            pages.reply(ticket, 0, f"<p>We have looked at it, reply {number}.</p>", status=None)

"""Changed tickets with their notes, over a line on which every answer takes its time."""

from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.data import NOTES, make_tickets
from benchmarks.surroundings import Surroundings, Tell, Toga2, run_contestant
from benchmarks.table import Figure

LATENCY_SECONDS = 0.05
IN_FLIGHT = 16
_LOOP = "the old system's calls, one by one"


def measure_tickets(
    here: Surroundings, *, count: int, loop_tickets: int, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Measure ``count`` tickets; the loop makes the calls of ``loop_tickets`` and is scaled up."""
    before, after = here.folder / "tickets.sqlite", here.folder / "tickets_changed.sqlite"
    make_tickets(before, count)
    make_tickets(after, count, changed=True)
    times: defaultdict[str, list[float]] = defaultdict(list)
    calls: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    pages = 0
    for number in range(1, rounds + 1):
        tell(f"tickets: round {number} of {rounds}")
        for expands in (False, True):
            with here.toga2(before) as toga2, here.toga2(after) as changed, here.helpdesk() as desk:
                given = {**desk.for_engine, "max_in_flight": IN_FLIGHT}
                run_contestant("engine", {**given, "flow": "contacts", "toga2_url": toga2.url})
                for key, source in (("new", toga2), ("changed", changed)):
                    source.configure(latency_seconds=LATENCY_SECONDS, expand_lists=expands)
                    source.reset_stats()
                    result = run_contestant(
                        "engine",
                        {**given, "flow": "toga2_to_togadesk", "toga2_url": source.url},
                        expect={"created" if key == "new" else "updated": count},
                    )
                    times[f"{key} {expands}"].append(result["seconds"])
                    calls[expands].append(source.stats()["routes"])
        with here.toga2(after) as toga2:
            times["loop"].append(_loop(toga2, loop_tickets))
    scaled = "" if loop_tickets >= count else f"loop: {loop_tickets} tickets, scaled"
    for key in ("new", "changed"):
        for expands in (False, True):
            note = "lists expand" if expands else "lists do not expand"
            ours, loop = times[f"{key} {expands}"], times["loop"]
            yield Figure(
                f"{count:,} {key} tickets, {NOTES} notes each",
                _LOOP,
                median(ours) / median(loop),
                1 / 10,
                (min(ours) / max(loop), max(ours) / min(loop)),
                note="; ".join(part for part in (note, scaled) if part),
            )
    for expands in (False, True):
        reads = max(_calls(routes, "GET /tickets/{uuid}") for routes in calls[expands])
        pages = max(
            _calls(routes, "GET /tickets") + _calls(routes, "GET /ticket-notes")
            for routes in calls[expands]
        )
        yield Figure(
            "the same", "", reads / count, 0 if expands else 1, unit="calls a ticket",
            note=f"beside {pages} pages; lists {'expand' if expands else 'do not expand'}",
        )  # fmt: skip


def _loop(toga2: Toga2, tickets: int) -> float:
    toga2.configure(latency_seconds=LATENCY_SECONDS)
    result = run_contestant("one_by_one", {**toga2.credentials, "tickets": tickets})
    return float(result["seconds"])


def _calls(routes: dict[str, dict[str, int]], route: str) -> int:
    return sum(routes.get(route, {}).values())

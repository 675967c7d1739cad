"""Contacts from a TOGA 2 that is far away: every answer takes its time."""

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.data import make_contacts
from benchmarks.surroundings import Surroundings, Tell, run_contestant
from benchmarks.table import Figure, ratio

LATENCY_SECONDS = 0.05
_OTHER = "bare loop: one page after the other"


def measure_far(here: Surroundings, *, count: int, rounds: int, tell: Tell) -> Iterator[Figure]:
    """Measure a first load and a pass over what is unchanged, of ``count`` contacts."""
    path = here.folder / "far.sqlite"
    tell(f"far: making {count:,} contacts")
    make_contacts(path, count)
    times: defaultdict[str, list[float]] = defaultdict(list)
    calls: list[int] = []
    for number in range(1, rounds + 1):
        tell(f"far: round {number} of {rounds}")
        with here.toga2(path) as toga2, here.helpdesk() as ours, here.helpdesk() as bare:
            toga2.configure(latency_seconds=LATENCY_SECONDS)
            engine = {**ours.for_engine, "flow": "contacts", "toga2_url": toga2.url}
            loop = {**toga2.credentials, "database": bare.for_pymysql}
            first = run_contestant("engine", engine, expect={"created": count})
            times["first"].append(first["seconds"])
            calls.append(first["api_calls"])
            again = run_contestant("engine", {**engine, "full": True}, expect={"updated": 0})
            times["again"].append(again["seconds"])
            for title in ("bare first", "bare again"):
                done = run_contestant("bare_loop", loop, expect={"copied": count})
                times[title].append(done["seconds"])
    work = f"{count:,} contacts, {LATENCY_SECONDS * 1000:g} ms an answer"
    yield ratio(
        f"{work}, first load",
        _OTHER,
        times["first"],
        times["bare first"],
        None,
        note=f"{max(calls)} calls",
    )
    yield ratio(f"{work}, nothing changed", _OTHER, times["again"], times["bare again"], None)

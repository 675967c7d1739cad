"""Comparing two sides that are equal: its time beside reading both of them, and its memory."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product

from benchmarks.data import NOTES, make_tickets
from benchmarks.surroundings import Surroundings, Tell, run_contestant
from benchmarks.table import Figure, ratio

#: One of so many tickets has a file.
FILE_EVERY = 50
#: Seconds that an answer is held back: none, and as for the other work with tickets.
LATENCIES = (0.0, 0.05)
_OTHER = "reading both sides whole"


def measure_verify(here: Surroundings, *, count: int, rounds: int, tell: Tell) -> Iterator[Figure]:
    """Measure with ``count`` tickets; the peak of memory also with a tenth of them."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    peaks: dict[int, int] = {}
    for size in (count // 10, count):
        path = here.folder / f"verify-{size}.sqlite"
        uploads = here.folder / f"uploads-{size}"
        uploads.mkdir()
        tell(f"verify: making {size:,} tickets")
        make_tickets(path, size, file_every=FILE_EVERY)
        with here.toga2(path) as toga2, here.helpdesk() as desk:
            given = {**desk.for_engine, "toga2_url": toga2.url, "uploads_dir": str(uploads)}
            tell(f"verify: bringing {size:,} tickets into the helpdesk")
            run_contestant("engine", {**given, "flow": "contacts"})
            run_contestant(
                "engine", {**given, "flow": "toga2_to_togadesk"}, expect={"created": size}
            )
            run_contestant("engine", {**given, "flow": "togadesk_to_toga2"})
            files = len(range(0, size, FILE_EVERY))
            ours = {"differences": 0, "files_compared": files}
            theirs = {"tickets": size, "rows": size, "files": files}
            reader = {
                **toga2.credentials,
                "database": desk.for_pymysql,
                "uploads_dir": str(uploads),
            }
            if size < count:
                peaks[size] = run_contestant("verifier", given, expect=ours)["peak_kib"]
                continue
            for number, latency in product(range(1, rounds + 1), LATENCIES):
                tell(f"verify: {size:,} tickets, round {number}, {latency * 1000:g} ms an answer")
                toga2.configure(latency_seconds=latency)
                done = run_contestant("verifier", given, expect=ours)
                peaks[size] = max(peaks.get(size, 0), done["peak_kib"])
                times[f"ours {latency}"].append(done["seconds"])
                read = run_contestant("both_sides_reader", reader, expect=theirs)
                times[f"theirs {latency}"].append(read["seconds"])
    for latency in LATENCIES:
        yield ratio(
            f"verify, {count:,} tickets, {NOTES} notes each, both sides equal",
            _OTHER,
            times[f"ours {latency}"],
            times[f"theirs {latency}"],
            1.5,
            note=f"an answer takes {latency * 1000:g} ms; one ticket in {FILE_EVERY} with a file",
        )
    yield Figure(
        f"peak memory of verify, {count:,} tickets",
        f"{count // 10:,} tickets",
        peaks[count] / peaks[count // 10],
        1.25,
    )

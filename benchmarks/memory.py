"""Peak memory: ten times the contacts, hardly more memory."""

from collections.abc import Iterator

from benchmarks.data import make_contacts
from benchmarks.surroundings import Surroundings, Tell, run_contestant
from benchmarks.table import Figure


def measure_memory(here: Surroundings, *, count: int, tell: Tell) -> Iterator[Figure]:
    """Measure the engine's process with ``count`` contacts and with a tenth of them."""
    peaks: dict[int, tuple[int, int]] = {}
    for size in (count // 10, count):
        path = here.folder / "memory.sqlite"
        tell(f"memory: making {size:,} contacts")
        make_contacts(path, size)
        tell(f"memory: {size:,} contacts, first load and a full pass")
        with here.toga2(path) as toga2, here.helpdesk() as desk:
            given = {**desk.for_engine, "flow": "contacts", "toga2_url": toga2.url}
            first = run_contestant("engine", given, expect={"created": size})
            again = run_contestant("engine", {**given, "full": True}, expect={"updated": 0})
        path.unlink()
        peaks[size] = (first["peak_kib"], again["peak_kib"])
    small, large = peaks[count // 10], peaks[count]
    yardstick = f"{count // 10:,} contacts"
    for place, title in enumerate(("first load", "nothing changed, full pass")):
        yield Figure(
            f"peak memory, {count:,} contacts, {title}",
            yardstick,
            large[place] / small[place],
            1.25,
        )

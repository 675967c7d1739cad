"""Contacts into ``people``: first load, a pass over what is unchanged, one over what all changed.

The same records, the same server, all contestants in turns, each round from an empty database.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.data import make_contacts
from benchmarks.surroundings import Surroundings, Tell, run_contestant
from benchmarks.table import Figure, ratio

_BARE = "bare loop: requests + pymysql executemany"
_DLT = {
    "dlt": "dlt rest_api → sqlalchemy, merge, as it comes",
    "tuned": "the same dlt, tuned",
}


def measure_contacts(
    here: Surroundings, *, count: int, rounds: int, tell: Tell, with_dlt: bool = True
) -> Iterator[Figure]:
    """Measure all passes over ``count`` contacts."""
    before, after = here.folder / "contacts.sqlite", here.folder / "changed.sqlite"
    tell(f"making {count:,} contacts, and the same ones changed")
    make_contacts(before, count)
    make_contacts(after, count, changed=True)
    times: defaultdict[str, list[float]] = defaultdict(list)
    quiet: list[tuple[int, int, int, int]] = []
    for number in range(1, rounds + 1):
        tell(f"contacts: round {number} of {rounds}")
        quiet.append(_one_round(here, (before, after), count, times, with_dlt=with_dlt))
    work = f"{count:,} contacts"
    yield ratio(f"{work}, first load", _BARE, times["engine first"], times["bare first"], 1.5)
    if with_dlt:
        passes = (("first load", 1 / 3), ("nothing changed", 1 / 5), ("all changed", 1 / 3))
        for peer, yardstick in _DLT.items():
            for title, target in passes:
                key = title.split()[0]
                ours, theirs = times[f"engine {key}"], times[f"{peer} {key}"]
                yield ratio(f"{work}, {title}", yardstick, ours, theirs, target)
    calls, further, writes, books = (max(column) for column in zip(*quiet, strict=True))
    again = f"{work}, again from the watermark"
    yield Figure(again, "", calls, 1, unit="API calls", note="`since` names the watermark")
    yield Figure(
        again, "", further, 2, unit="API calls", note="one of them reads the stored watermarks"
    )
    yield Figure(
        again,
        "",
        writes,
        0,
        unit="SQL writes",
        note="into the helpdesk, as the database server counts; "
        f"{books} a run into the pipeline's own tables: who is at it, and what came of it",
    )


def _one_round(
    here: Surroundings,
    files: tuple[Path, Path],
    count: int,
    times: dict[str, list[float]],
    *,
    with_dlt: bool,
) -> tuple[int, int, int, int]:
    """Run everybody once; return calls with ``since``, calls without, and the writes of the latter.

    The writes are those into the helpdesk, and those into the pipeline's own tables.
    """
    before, after = files
    with (
        here.toga2(before) as toga2,
        here.toga2(after) as changed,
        here.helpdesk() as ours,
        here.helpdesk() as bare,
        here.dataset() as plain,
        here.dataset() as tuned,
    ):
        engine = {**ours.for_engine, "flow": "contacts"}
        peers = {
            name: {**here.for_dlt(*dataset), "tuned": name == "tuned"}
            for name, dataset in zip(_DLT, (plain, tuned), strict=True)
        }

        def take(key: str, name: str, given: Mapping[str, Any], **expect: int) -> None:
            times[key].append(run_contestant(name, given, expect=expect)["seconds"])

        def take_dlt(key: str, source: Mapping[str, Any]) -> None:
            for name, peer in peers.items() if with_dlt else ():
                take(f"{name} {key}", "dlt_rest_api", {**source, **peer}, rows=count)

        same = {**engine, "toga2_url": toga2.url}
        take("engine first", "engine", same, created=count)
        take(
            "bare first",
            "bare_loop",
            {**toga2.credentials, "database": bare.for_pymysql},
            copied=count,
        )
        take_dlt("first", toga2.credentials)
        take("engine nothing", "engine", {**same, "full": True}, created=0, updated=0)
        take_dlt("nothing", toga2.credentials)
        later = {**engine, "toga2_url": changed.url, "full": True}
        take("engine all", "engine", later, updated=count)
        take_dlt("all", changed.credentials)

        # back to the first file: its watermark is stored, and behind it nothing is new
        run_contestant("engine", {**same, "full": True}, expect={"updated": count})
        toga2.reset_stats()
        with here.counting_writes() as written:
            result = run_contestant("engine", same, expect={"updated": 0})
        further = toga2.stats()["requests"]
        toga2.reset_stats()
        run_contestant("engine", {**same, "since": result["watermark"]}, expect={"updated": 0})
        calls = toga2.stats()["requests"]
        return calls, further, written[str(ours.url.database)], written[str(ours.ledger.database)]

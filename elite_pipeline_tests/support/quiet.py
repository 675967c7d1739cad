"""Running both directions of both clients until nothing happens any more (``spec/sync.md`` 10.3).

What does not belong here: what both sides must look like then (``two_way_state``).
"""

import pytest

from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.two_way_history import FLOWS

CLIENTS = ("elite", "wje")
#: So many rounds of all flows have to be enough: what waits for something waits for the next round.
MOST_ROUNDS = 10


def settle(systems: Systems) -> None:
    """Run all flows until a whole round is quiet; dead letters are due every time."""
    for _ in range(MOST_ROUNDS):
        systems.later_by(days=2)
        before = contents(systems)
        systems.toga2.reset_stats()
        results = [systems.sync(flow, client) for client in CLIENTS for flow in FLOWS]
        moved = [one for one in results if one.watermark_after != one.watermark_before]
        if not moved and contents(systems) == before and not written(systems):
            return
    pytest.fail(f"never quiet: {[one.changes for one in results]}, {written(systems)}")


def check_quiet(systems: Systems, *, full: bool = False) -> None:
    """One more run of each flow writes nothing anywhere and moves no watermark (10.3)."""
    before = contents(systems)
    systems.toga2.reset_stats()
    for client in CLIENTS:
        for flow in FLOWS:
            result = systems.sync(flow, client, full=full)
            # a file whose bytes are missing has its row made and taken away again
            if not result.failures:
                assert result.sql_writes == 0, f"{client} {flow} full={full}: {result.changes}"
            assert result.watermark_after == result.watermark_before, f"{client} {flow} {full}"
    assert contents(systems) == before
    assert written(systems) == []


def written(systems: Systems) -> list[str]:
    """Return the requests that wrote into TOGA 2."""
    return [f"{one.method} {one.path}" for one in systems.toga2.requests if one.method != "GET"]


def contents(systems: Systems) -> dict[str, object]:
    """Return everything that the helpdesk holds, the folder included."""
    tables = ("tickets", "tickets_replies", "comments", "tickets_history", "files", "people")
    return {
        **{name: systems.helpdesk.rows(f"SELECT * FROM {name} ORDER BY id") for name in tables},
        "folder": sorted(
            (one.name, one.stat().st_mtime_ns) for one in systems.uploads_dir.iterdir()
        ),
    }

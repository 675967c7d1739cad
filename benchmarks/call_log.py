"""What logging every call costs: the same runs with and without the call log, in turns."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.data import NOTES, make_contacts, make_tickets
from benchmarks.surroundings import ContestantError, Surroundings, Tell, run_contestant
from benchmarks.table import Figure, ratio
from benchmarks.tickets import IN_FLIGHT, LATENCY_SECONDS
from elite_pipeline.observability.call_log_tables import api, metadata
from elite_pipeline.own_tables import bring_up_to_date, connect

#: Loading contacts takes a few seconds in which three programs share the processors: what is to be
#: measured is a fraction of what it differs by from run to run. So it gets so many times the rounds.
_OFTEN = 3
_SETTING = "CLIENT_LOGS_DATABASE_URL"


def measure_call_log(
    here: Surroundings, *, contacts: int, tickets: int, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Measure a first load of contacts, and one of tickets that are read one by one."""
    few_calls, many_calls = here.folder / "logged.sqlite", here.folder / "logged_tickets.sqlite"
    make_contacts(few_calls, contacts)
    make_tickets(many_calls, tickets)
    works = {
        f"{contacts:,} contacts, first load, logged": (few_calls, "contacts", contacts, 0.0),
        f"{tickets:,} new tickets, {NOTES} notes each, logged": (
            many_calls, "toga2_to_togadesk", tickets, LATENCY_SECONDS,
        ),
    }  # fmt: skip
    times: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
    for number in range(1, _OFTEN * rounds + 1):
        tell(f"call log: round {number} of {_OFTEN * rounds}")
        for work, (source, flow, count, latency) in works.items():
            if latency and number > rounds:
                # it waits most of the time, and is steady
                continue
            # who goes first takes turns too: the second one finds warmer caches
            for is_logged in (number % 2 == 0, number % 2 == 1):
                seconds = _run(here, source, flow, count, latency=latency, is_logged=is_logged)
                times[work, is_logged].append(seconds)
    for work in works:
        yield ratio(work, "the same without", times[work, True], times[work, False], 1.05)


def _run(
    here: Surroundings, source: Path, flow: str, count: int, *, latency: float, is_logged: bool
) -> float:
    with here.toga2(source) as toga2, here.helpdesk() as desk, _log(here) as log:
        toga2.configure(latency_seconds=latency, expand_lists=False)
        given = {
            **desk.for_engine,
            "flow": flow,
            "toga2_url": toga2.url,
            "max_in_flight": IN_FLIGHT,
        }
        if is_logged:
            given["call_log_url"] = log.url.render_as_string(hide_password=False)
        result = run_contestant("engine", given, expect={"created": count})
        with log.connect() as connection:
            rows = connection.scalar(sa.select(sa.func.count()).select_from(api))
        expected = result["api_calls"] if is_logged else 0
        if rows != expected:
            raise ContestantError(f"{rows} calls are in the log, not {expected}")
        return float(result["seconds"])


@contextmanager
def _log(here: Surroundings) -> Iterator[sa.Engine]:
    """Make an empty call log, as ``init-db`` does."""
    with here.server.database() as url:
        engine = connect(url.render_as_string(hide_password=False), _SETTING, timeout_seconds=60)
        bring_up_to_date(engine, metadata.sorted_tables, _SETTING)
        try:
            yield engine
        finally:
            engine.dispose()

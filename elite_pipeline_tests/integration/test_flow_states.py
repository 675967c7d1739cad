"""What each flow last did, in the ledger: as runs write it, and as those read it who watch."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from elite_pipeline import assembly
from elite_pipeline.ledger import FlowState, FlowStateReader, Ledger, Outcome
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flows import run_flow
from elite_pipeline_tests.support.call_logs import logged_run
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import at

FLOW = "contacts"
NOW = datetime(2026, 6, 10, 8, 0, 0, tzinfo=UTC)
QUIET, BUSY = Outcome(is_quiet=True), Outcome(is_quiet=False, created=1)


def minutes(count: int) -> datetime:
    return NOW + timedelta(minutes=count)


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    return empty_database(request.param, tmp_path, open_helpdesk)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(Ledger(url, "elite")) as ledger:
        yield ledger


@contextmanager
def reading(url: str) -> Iterator[FlowStateReader]:
    with closing(FlowStateReader(url)) as reader:
        yield reader


def state(url: str, client: str = "elite", flow: str = FLOW) -> FlowState:
    with reading(url) as reader:
        return reader.all()[client, flow]


def test_a_run_is_written_down_as_it_was(ledger: Ledger, url: str) -> None:
    outcome = Outcome(
        is_quiet=False,
        watermark=NOW - timedelta(hours=1),
        created=1,
        updated=2,
        failed=3,
        waiting=4,
        parked=5,
        oldest_letter=NOW - timedelta(days=1),
        calls=6,
        seconds=1.5,
        log_lost=7,
        run_id="run-1",
    )
    ledger.flow_states.came_through(FLOW, outcome, NOW.replace(microsecond=999_999))
    assert state(url) == FlowState(
        client="elite",
        flow=FLOW,
        last_run=NOW,
        last_failed=None,
        last_error=None,
        last_quiet=None,
        busy_since=NOW,
        busy_runs=1,
        watermark=NOW - timedelta(hours=1),
        nothing_new_at=None,
        created=1,
        updated=2,
        failed=3,
        waiting=4,
        parked=5,
        oldest_letter=NOW - timedelta(days=1),
        calls=6,
        seconds=1.5,
        log_lost=7,
        log_lost_at=NOW,
        run_id="run-1",
    )


def test_a_run_that_stops_leaves_what_is_known_and_the_next_good_one_clears_its_error(
    ledger: Ledger, url: str
) -> None:
    states = ledger.flow_states
    states.stopped(FLOW, "TOGA 2 is down", minutes(0), "run-1")
    assert (state(url).last_run, state(url).last_error) == (None, "TOGA 2 is down")

    states.came_through(FLOW, Outcome(is_quiet=True, watermark=NOW, created=0), minutes(1))
    states.stopped(FLOW, "x" * 5000, minutes(2), "run-2")
    stopped = state(url)
    assert (stopped.last_run, stopped.last_failed) == (minutes(1), minutes(2))
    assert (stopped.watermark, stopped.last_quiet, stopped.run_id) == (NOW, minutes(1), "run-2")
    assert stopped.last_error == "x" * 1999 + "…"

    states.came_through(FLOW, QUIET, minutes(3))
    good = state(url)
    assert (good.last_error, good.last_failed, good.last_run) == (None, minutes(2), minutes(3))
    # this run did not look at it
    assert good.watermark == NOW


def test_a_flow_is_busy_since_the_first_run_that_was_not_quiet(ledger: Ledger, url: str) -> None:
    for minute, outcome in enumerate([BUSY, QUIET, BUSY, BUSY, BUSY]):
        ledger.flow_states.came_through(FLOW, outcome, minutes(minute))
    busy = state(url)
    assert (busy.last_quiet, busy.busy_since, busy.busy_runs) == (minutes(1), minutes(2), 3)

    ledger.flow_states.came_through(FLOW, QUIET, minutes(9))
    quiet = state(url)
    assert (quiet.last_quiet, quiet.busy_since, quiet.busy_runs) == (minutes(9), None, 0)


def test_losses_of_the_call_log_add_up_until_a_day_is_without_any(ledger: Ledger, url: str) -> None:
    losing = Outcome(is_quiet=True, log_lost=5)
    ledger.flow_states.came_through(FLOW, losing, minutes(0))
    ledger.flow_states.came_through(FLOW, QUIET, minutes(1))
    ledger.flow_states.log_lost(FLOW, 2, minutes(2))
    ledger.flow_states.log_lost(FLOW, 0, minutes(3))
    assert (state(url).log_lost, state(url).log_lost_at) == (7, minutes(2))

    ledger.flow_states.came_through(FLOW, losing, minutes(3 + 24 * 60))
    assert (state(url).log_lost, state(url).log_lost_at) == (5, minutes(3 + 24 * 60))


def test_that_nothing_is_new_is_written_for_all_clients_at_once(ledger: Ledger, url: str) -> None:
    ledger.flow_states.came_through(FLOW, BUSY, NOW)
    many = [(f"client-{number}", FLOW) for number in range(300)]
    with reading(url) as reader:
        reader.nothing_new([("elite", FLOW), *many], minutes(1))
        reader.nothing_new([("elite", FLOW)], minutes(6))
        reader.nothing_new([], minutes(7))
        states = reader.all()
    assert len(states) == 301
    elite, other = states["elite", FLOW], states["client-299", FLOW]
    assert elite.nothing_new_at == minutes(6)
    assert (elite.last_run, elite.created, elite.busy_runs) == (NOW, 1, 1)
    assert other.nothing_new_at == minutes(1)
    assert (other.last_run, other.created) == (None, 0)


def test_each_write_is_one_statement(tmp_path: Path) -> None:
    statements: list[str] = []
    with closing(Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "elite")) as ledger:
        ledger.flow_states.came_through(FLOW, QUIET, NOW)
        sa.event.listen(
            ledger.flow_states._database._engine,
            "before_cursor_execute",
            lambda _1, _2, statement, *_3: statements.append(statement),
        )
        ledger.flow_states.came_through(FLOW, BUSY, NOW)
        ledger.flow_states.stopped(FLOW, "no", NOW)
    assert len(statements) == 2


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


def contact(systems: Systems, **fields: str) -> None:
    person = {"firstName": "Ada", "lastName": "L", "email": "ada@example.com", **fields}
    systems.toga2_store.create("elite", "contacts", person, created=at(1))


def test_runs_of_the_engine_are_written_down(systems: Systems) -> None:
    contact(systems)
    first = systems.sync(FLOW)
    done = state(systems.ledger_url)
    assert (done.created, done.failed, done.busy_runs, done.calls) == (1, 0, 1, first.api_calls)
    assert done.watermark == first.watermark_after
    assert done.last_quiet is None

    systems.sync(FLOW)
    quiet = state(systems.ledger_url)
    assert (quiet.busy_runs, quiet.created) == (0, 0)
    assert quiet.last_quiet == quiet.last_run

    contact(systems, email="")
    systems.sync(FLOW)
    failed = state(systems.ledger_url)
    assert (failed.failed, failed.waiting, failed.parked, failed.busy_runs) == (1, 1, 0, 1)
    assert failed.oldest_letter is not None


def test_why_the_engine_stopped_is_written_down(systems: Systems) -> None:
    systems.toga2.stop()
    error = systems.failing_sync(FLOW)
    stopped = state(systems.ledger_url)
    assert stopped.last_error == str(error)
    assert (stopped.last_run, stopped.busy_runs) == (None, 0)


def test_what_an_unforeseen_error_quotes_is_not_written_down(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("ada@example.com")

    monkeypatch.setattr(FlowContext, "lag", property(broken))
    with pytest.raises(KeyError):
        systems.sync(FLOW)
    assert (state(systems.ledger_url).last_error or "").startswith("an unforeseen KeyError")


def test_a_flow_that_is_off_is_not_written_down(systems: Systems) -> None:
    entry = systems.clients["elite"]
    off = entry.flows.model_copy(update={FLOW: False})
    systems.clients["elite"] = entry.model_copy(update={"flows": off})
    systems.sync(FLOW)
    with reading(systems.ledger_url) as reader:
        assert reader.all() == {}


def test_a_sync_does_not_fail_where_it_cannot_be_written_down(
    systems: Systems, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(systems.ledger_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sync_flow_states (somebody TEXT)")
    engine.dispose()
    contact(systems)

    result = systems.sync(FLOW)
    assert result.created == 1
    assert "do not know of this run" in result.remarks[-1]

    systems.toga2.stop()
    assert "TOGA 2" in str(systems.failing_sync(FLOW))
    assert "do not know that it stopped" in caplog.text


def test_calls_that_the_call_log_lost_are_counted_whenever_that_is_found(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "CallLog", partial(CallLog, capacity=0))
    with logged_run(systems, "sqlite://") as context:
        first = run_flow(FLOW, context)
        lost = state(systems.ledger_url)
        assert (lost.log_lost, lost.run_id) == (first.api_calls, context.run_id)
        second = run_flow(FLOW, context)
        context.toga2.parameters(["X"])
    assert state(systems.ledger_url).log_lost == first.api_calls + second.api_calls + 1

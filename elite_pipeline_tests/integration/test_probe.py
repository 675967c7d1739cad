"""Looks at both sides: when they are worth a run, and what they cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from elite_pipeline.errors import ConfigurationError, SystemicError
from elite_pipeline.sandbox.serving.clock import utc_now
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.probe import Finding, ProbedSystems, probe
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.calls import Calls
from elite_pipeline_tests.support.helpdesks import ALL_PARAMS, Helpdesk, Opener
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"
#: One of each dialect: which texts a column holds makes no difference here.
DIALECTS = [ALL_PARAMS[0], ALL_PARAMS[1]]


@pytest.fixture
def helpdesk(request: pytest.FixtureRequest, open_helpdesk: Opener) -> Helpdesk:
    """One kind of database is enough where none is named."""
    return open_helpdesk(getattr(request, "param", "sqlite"))


@contextmanager
def opened(systems: Systems, client: str = "elite") -> Iterator[ProbedSystems]:
    with systems.open(client) as context:
        yield ProbedSystems(context.client, context.toga2, context.togadesk)


def look(
    systems: Systems,
    cursor: dict[str, datetime] | None = None,
    left: dict[str, datetime] | None = None,
    client: str = "elite",
) -> Finding:
    """Look once; by default at a cursor that nobody has touched since it was written."""
    cursor = cursor or {}
    with opened(systems, client) as some:
        return probe(some, cursor, cursor if left is None else left)


def both(minute: float) -> dict[str, datetime]:
    return {IN: at(minute), OUT: at(minute)}


def sync(systems: Systems) -> None:
    for flow in (IN, OUT):
        systems.sync(flow)


def test_a_quiet_client_costs_two_calls_and_one_statement(systems: Systems) -> None:
    with opened(systems) as some:
        probe(some, both(0), both(0))
        systems.toga2.reset_stats()
        reads = some.togadesk.statements.reads

        found = probe(some, both(0), both(0))

        assert some.togadesk.statements.reads - reads == 1
    assert not found.is_worth_a_run
    assert dict(found.seen) == both(0)
    requests = systems.toga2.requests
    assert [(one.method, one.path.rsplit("/", 1)[-1]) for one in requests] == [
        ("GET", "tickets"),
        ("GET", "ticket-notes"),
    ]
    assert [one.parameters["limit"] for one in requests] == ["1", "1"]


def test_an_empty_cursor_goes_by_the_stored_watermark(systems: Systems, desk: Desk) -> None:
    desk.ticket()

    first = look(systems)

    assert list(first.news) == [IN]
    assert first.is_first
    sync(systems)
    again = look(systems)
    assert not again.is_worth_a_run
    # from now on no call for it is needed
    assert again.seen[IN] == at(1)
    systems.toga2.reset_stats()
    look(systems, dict(again.seen))
    assert systems.toga2.count(route="/parameters") == 0


def test_a_note_is_news_where_its_ticket_is_as_it_was(systems: Systems, desk: Desk) -> None:
    systems.toga2.settings.notes_touch_ticket = False
    ticket = desk.ticket(minute=1)
    cursor = both(5)
    assert not look(systems, cursor).is_worth_a_run

    desk.note(ticket, minute=6)

    found = look(systems, cursor)
    assert list(found.news) == [IN]
    assert "2026-06-10 08:05:00" in found.news[IN]


def test_many_changes_are_seen_at_once(systems: Systems, desk: Desk) -> None:
    for minute in range(6, 12):
        desk.ticket(minute=minute)
    cursor = both(5)

    found = look(systems, cursor)

    # all that had changed when TOGA 2 answered, not the oldest of it alone
    assert found.seen[IN] > at(11)
    assert not look(systems, dict(found.seen)).is_worth_a_run


def test_what_changed_a_moment_ago_is_looked_at_once_more(systems: Systems, desk: Desk) -> None:
    systems.toga2_store.create("elite", "tickets", {"subject": "Now"}, created=utc_now())
    answered = datetime.now(UTC)

    found = look(systems, both(0))

    assert found.seen[IN] <= answered + timedelta(seconds=1)
    assert found.seen[IN] >= answered - timedelta(seconds=10)


@pytest.mark.parametrize("helpdesk", DIALECTS, indirect=True)
def test_what_people_type_is_news_until_it_is_sent(systems: Systems, typist: Typist) -> None:
    ticket, _ = typist.ticket()
    found = look(systems, both(100))
    assert list(found.news) == [OUT]
    assert found.seen[OUT] == at(101)

    sync(systems)
    assert look(systems, {**both(100), IN: utc_now()}).is_worth_a_run is False

    typist.reply(ticket)
    assert list(look(systems, dict(found.seen) | {IN: utc_now()}).news) == [OUT]
    typist.send()
    typist.comment(ticket)
    assert list(look(systems, dict(found.seen) | {IN: utc_now()}).news) == [OUT]


@pytest.mark.parametrize("helpdesk", DIALECTS, indirect=True)
def test_what_the_sync_wrote_into_the_helpdesk_is_no_news_there(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    desk.note(ticket)
    desk.note(ticket, isExternal=False)
    sync(systems)

    assert OUT not in look(systems, both(0)).news


def test_a_note_that_was_sent_is_seen_once_and_then_it_is_quiet(
    systems: Systems, typist: Typist
) -> None:
    typist.ticket()
    sync(systems)
    cursor = dict(look(systems, both(0)).seen)
    assert IN in look(systems, both(0)).news

    sync(systems)

    assert not look(systems, cursor).is_worth_a_run


@pytest.mark.parametrize("helpdesk", DIALECTS, indirect=True)
def test_what_has_only_just_been_typed_waits_until_its_files_are_there(
    systems: Systems, typist: Typist
) -> None:
    # the server's own time, which a test cannot set
    now = utc_now().replace(microsecond=0)
    typist.minute = (now - at(0)) / timedelta(minutes=1) - 1
    typist.ticket()
    cursor = {IN: now, OUT: now - timedelta(minutes=5)}

    young = look(systems, cursor)

    assert not young.is_worth_a_run
    assert young.seen[OUT] == cursor[OUT]
    # one that is older is news all the same, and the young one stays to be seen
    typist.minute -= 3
    typist.ticket()
    found = look(systems, cursor)
    assert list(found.news) == [OUT]
    assert at(typist.minute) <= found.seen[OUT] < now


def test_what_is_ahead_of_its_time_hides_nothing(systems: Systems, typist: Typist) -> None:
    ahead = utc_now() + timedelta(days=400)
    typist.minute = (ahead - at(0)) / timedelta(minutes=1)
    typist.ticket()
    assert not look(systems, both(0)).is_worth_a_run

    typist.minute = 100
    typist.ticket()

    found = look(systems, both(0))
    assert list(found.news) == [OUT]
    assert found.seen[OUT] < utc_now()


def test_other_clients_and_other_departments_do_not_count(systems: Systems) -> None:
    Typist(systems, "wje").ticket()
    Typist(systems).ticket(departmentid=9)

    assert not look(systems, both(0)).is_worth_a_run
    assert list(look(systems, both(0), client="wje").news) == [OUT]


def test_times_of_another_zone_are_compared_as_instants(systems: Systems) -> None:
    # America/Chicago
    Typist(systems, "wje").ticket()

    found = look(systems, both(100), client="wje")

    assert found.seen[OUT] == at(101)
    assert not look(systems, both(101), client="wje").is_worth_a_run


def test_a_cursor_that_was_set_back_is_worth_a_run_also_where_nothing_is_new(
    systems: Systems,
) -> None:
    found = look(systems, {IN: at(5), OUT: at(10)}, both(10))

    assert dict(found.since) == {IN: at(5)}
    assert found.news == {IN: "the cursor was set back from 2026-06-10 08:10:00"}
    # once the run was asked for, what was seen before is seen again
    assert dict(found.seen) == both(10)


def test_a_cursor_before_the_stored_watermark_was_set_by_a_person(
    systems: Systems, desk: Desk
) -> None:
    desk.ticket()
    sync(systems)

    assert dict(look(systems, {IN: at(0)}, {}).since) == {IN: at(0)}
    assert dict(look(systems, {IN: at(1)}, {}).since) == {}


def test_a_cursor_that_was_set_forward_is_respected_and_remarked_on(
    systems: Systems, desk: Desk
) -> None:
    desk.ticket(minute=6)

    found = look(systems, both(20), both(5))

    assert not found.is_worth_a_run
    assert "set forward from 2026-06-10 08:05:00 to 2026-06-10 08:20:00" in found.remarks[0]


def test_a_direction_that_is_switched_off_is_not_looked_at(systems: Systems, desk: Desk) -> None:
    desk.ticket(minute=6)
    entry = systems.clients["elite"]
    flows = entry.flows.model_copy(update={IN: False})
    systems.clients["elite"] = entry.model_copy(update={"flows": flows})
    systems.toga2.reset_stats()

    found = look(systems, both(5))

    assert not found.is_worth_a_run
    assert dict(found.seen) == both(5)
    assert systems.toga2.requests == []


def test_repair_orders_are_looked_at_where_they_are(systems: Systems) -> None:
    systems.become("REPAIR_ORDERS")
    Desk(systems).ticket(minute=6)

    assert list(look(systems, both(5)).news) == [IN]


def test_a_stored_watermark_that_is_no_time_is_named(systems: Systems) -> None:
    systems.toga2_store.create(
        "elite", "parameters", {"name": watermarks.TICKETS, "value": "yesterday"}
    )
    with pytest.raises(ConfigurationError, match=watermarks.TICKETS):
        look(systems)


def test_filters_that_are_ignored_are_noticed(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"uuid": "1", "_updated": wire.format_time(at(1))}
    monkeypatch.setattr(Calls, "page", lambda *_, **__: [old])
    with opened(systems) as some, pytest.raises(SystemicError, match="filters seem to be ignored"):
        some.toga2.oldest_after(wire.TICKETS, at(5))

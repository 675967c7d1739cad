"""What the checks say of what was found: each of them fails, passes, and says what to do."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elite_pipeline.clients import Registry, parse_registry
from elite_pipeline.health.findings import FLOWS, Finding, checks_of
from elite_pipeline.health.look import findings
from elite_pipeline.health.spoken import span
from elite_pipeline.health.watched import Look
from elite_pipeline.inbox.rows import Backlog
from elite_pipeline.ledger import Counts, FlowState

NOW = datetime(2026, 6, 10, 8, 0, 0, tzinfo=UTC)
TICKETS, CONTACTS, FRESHSERVICE = "toga2_to_togadesk", "contacts", "freshservice_to_toga2"

REGISTRY = """
clients:
  elite:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000001}
    togadesk: {client_id: 1, ticket_department_id: 1}
    custom_field_prefix: c_elite
    flows: {contacts: true, toga2_to_togadesk: true, freshservice_to_toga2: true}
    freshservice: {base_url: "https://elite.freshservice.com", webhook_action: Elite/Webhook}
    CHECKS
"""


def registry(checks: str = "") -> Registry:
    return parse_registry(REGISTRY.replace("CHECKS", checks), source="clients.yaml")


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def state(flow: str = TICKETS, **changed: Any) -> FlowState:
    """Return one of a run that came through five minutes ago and found nothing to do."""
    counts = ("busy_runs", "created", "updated", "failed", "waiting", "parked", "calls", "log_lost")
    values: dict[str, Any] = {
        **dict.fromkeys(one.name for one in fields(FlowState)),
        **dict.fromkeys(counts, 0),
        "seconds": 0.0,
        "client": "elite",
        "flow": flow,
        "last_run": ago(minutes=5),
    }
    return FlowState(**{**values, **changed})


def found(
    check: str,
    *states: FlowState,
    flow: str = TICKETS,
    checks: str = "",
    letters: Counts | None = None,
    inbox: Mapping[str, Backlog] | None = None,
) -> Finding:
    look = Look(
        NOW,
        {(one.client, one.flow): one for one in states},
        {("elite", flow): letters} if letters else {},
        inbox or {},
    )
    (finding,) = (
        one
        for one in findings(registry(checks), look)
        if (one.check, one.flow, one.client) == (check, flow, "elite")
    )
    return finding


def test_every_check_of_every_flow_is_found_once() -> None:
    all_of_them = [(one.flow, one.check) for one in findings(registry(), Look(NOW))]
    assert all_of_them == [(flow, check) for flow in FLOWS for check in checks_of(flow)]


def test_a_flow_that_came_through_lately_is_fresh() -> None:
    finding = found("watermark_lag", state(watermark=ago(hours=30), calls=3))
    assert finding.passed
    assert finding.numbers["lag (minutes)"] == 5
    # nothing has changed for a day: no reason to wake anybody
    assert finding.numbers["age of the watermark (minutes)"] == 1800


def test_a_flow_that_nothing_starts_is_behind_and_says_where_to_look() -> None:
    finding = found("watermark_lag", state(last_run=ago(minutes=61)))
    assert not finding.passed
    assert finding.is_severe
    assert not finding.is_told
    assert "since 2026-06-10 06:59:00 UTC, 1 hour 1 minute ago" in finding.text
    assert "at most 1 hour are allowed" in finding.text
    assert "ticket_watermarks" in finding.text
    assert finding.text.endswith(": elite-pipeline sync elite toga2_to_togadesk")


def test_a_flow_that_stops_says_why_and_was_told_already() -> None:
    stopping = state(last_run=ago(hours=3), last_failed=ago(minutes=1), last_error="TOGA 2 is down")
    finding = found("watermark_lag", stopping)
    assert not finding.passed
    assert finding.is_told
    assert "stopped at 2026-06-10 07:59:00 UTC: TOGA 2 is down." in finding.text
    assert "Automation" not in finding.text


def test_a_look_that_finds_nothing_new_is_as_good_as_a_run() -> None:
    quiet = state(last_run=ago(hours=9), nothing_new_at=ago(minutes=1))
    assert found("watermark_lag", quiet).passed
    # but not where the last run stopped: what that one wanted is still to be carried
    assert not found("watermark_lag", replace(quiet, last_error="no")).passed


def test_a_flow_that_never_came_through_says_so() -> None:
    never = found("watermark_lag")
    assert (never.passed, never.is_severe) == (False, False)
    assert "never come through" in never.text
    assert "To start it now: elite-pipeline sync elite toga2_to_togadesk" in never.text

    stopped = found("watermark_lag", state(last_run=None, last_error="it is down"))
    assert (stopped.passed, stopped.is_severe, stopped.is_told) == (False, True, True)
    assert "it is down" in stopped.text


def test_reference_data_has_a_limit_of_its_own() -> None:
    day = state(CONTACTS, last_run=ago(hours=5))
    assert found("watermark_lag", day, flow=CONTACTS).passed
    limited = "checks: {reference_lag_minutes: 60}"
    assert not found("watermark_lag", day, flow=CONTACTS, checks=limited).passed


@pytest.mark.parametrize(
    ("letters", "checks", "passed", "is_severe", "says"),
    [
        (Counts(0, 0, None), "", True, False, "has 0 dead letters"),
        (Counts(20, 0, ago(hours=2)), "", True, False, "has 20 dead letters"),
        (Counts(21, 0, ago(hours=2)), "", False, False, "dead-letters list --client elite --flow"),
        (Counts(0, 1, ago(hours=2)), "", False, True, "dead-letters retry --all --client elite"),
        (Counts(0, 1, ago(hours=2)), "checks: {dead_letters_parked: 1}", True, False, "1 parked"),
        (Counts(99, 1, None), "checks: {dead_letters_parked: null}", False, False, "At most 20"),
    ],
)
def test_dead_letters_have_limits(
    letters: Counts, checks: str, passed: bool, is_severe: bool, says: str
) -> None:
    finding = found("dead_letters", state(), letters=letters, checks=checks)
    assert (finding.passed, finding.is_severe) == (passed, is_severe)
    assert says in finding.text
    assert (finding.numbers["waiting"], finding.numbers["parked"]) == (
        letters.waiting,
        letters.parked,
    )


def test_webhooks_that_nobody_works_on_are_told_of() -> None:
    fresh = state(FRESHSERVICE)

    def age(backlog: Backlog | None, known: FlowState = fresh) -> Finding:
        inbox = {"Elite/Webhook": backlog} if backlog else {}
        return found("inbox_age", known, flow=FRESHSERVICE, inbox=inbox)

    assert age(None).passed
    assert age(Backlog(3, ago(minutes=15), 0)).passed
    old = age(Backlog(3, ago(minutes=16), 2))
    assert not old.passed
    assert old.numbers == {
        "age (minutes)": 16,
        "at most (minutes)": 15,
        "webhooks": 3,
        "given up": 2,
    }
    assert "webhook_inbox" in old.text
    stopped = age(Backlog(3, ago(minutes=16), 2), replace(fresh, last_error="it is down"))
    assert "it is down" in stopped.text
    assert "webhook_inbox" not in stopped.text


def test_a_flow_that_never_rests_may_be_an_echo() -> None:
    busy = state(busy_since=ago(hours=13), busy_runs=9, last_quiet=ago(hours=14))
    finding = found("quiet_state", busy)
    assert (finding.passed, finding.is_severe) == (False, False)
    assert "an echo" in finding.text
    assert "checks.quiet_hours" in finding.text
    assert finding.numbers["busy runs"] == 9

    assert found("quiet_state", replace(busy, busy_since=ago(hours=11))).passed
    # two runs, a day apart, say nothing
    assert found("quiet_state", replace(busy, busy_runs=2)).passed
    # what stands still is not busy
    assert found("quiet_state", replace(busy, last_run=ago(hours=2))).passed
    assert found("quiet_state", state(last_quiet=ago(minutes=5))).passed
    assert found("quiet_state").passed
    assert "records failed" in found("quiet_state", replace(busy, failed=2)).text


def test_calls_missing_in_the_call_log_count_for_a_day() -> None:
    losing = state(log_lost=3, log_lost_at=ago(hours=23))
    finding = found("call_log", losing)
    assert (finding.passed, finding.numbers["missing"]) == (False, 3)
    assert "CLIENT_LOGS_DATABASE_URL" in finding.text

    assert found("call_log", replace(losing, log_lost_at=ago(hours=25))).passed
    assert found("call_log", losing, checks="checks: {call_log_losses: 3}").passed
    assert found("call_log", state()).passed


def test_what_is_off_passes_and_says_so() -> None:
    off = found("watermark_lag", state("units", last_run=ago(days=9)), flow="units")
    assert (off.passed, off.is_watched) == (True, False)
    assert "switched off" in off.text
    for check, limit in (
        ("watermark_lag", "watermark_lag_minutes"),
        ("inbox_age", "inbox_age_minutes"),
        ("quiet_state", "quiet_hours"),
        ("call_log", "call_log_losses"),
    ):
        old = state(FRESHSERVICE, last_run=ago(days=9))
        none = found(check, old, flow=FRESHSERVICE, checks=f"checks: {{{limit}: null}}")
        assert (none.passed, none.is_watched) == (True, False), check


def test_a_client_whose_entry_is_broken_is_behind_in_what_ran_before() -> None:
    broken = registry("checks: {quiet_hours: soon}")
    look = Look(NOW, {("elite", TICKETS): state()})
    (finding,) = findings(broken, look)
    assert (finding.flow, finding.check, finding.passed) == (TICKETS, "watermark_lag", False)
    assert "checks.quiet_hours: expected a whole number" in finding.text


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=2, minutes=5), "2 hours 5 minutes"),
        (timedelta(days=3, hours=4, minutes=5), "3 days 4 hours"),
        (timedelta(days=1, minutes=5), "1 day 5 minutes"),
    ],
)
def test_lengths_of_time_are_said_as_people_do(length: timedelta, said: str) -> None:
    assert span(length) == said

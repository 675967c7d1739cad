"""Failures as Sentry gets them: real envelopes, sent to a stand-in on loopback."""

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import requests
import sentry_sdk
import sqlalchemy as sa
from pydantic import SecretStr

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.observability import sentry
from elite_pipeline.observability.events import event_of
from elite_pipeline.observability.sentry import Report, open_sentry
from elite_pipeline.settings import Settings
from elite_pipeline.toga2 import wire
from elite_pipeline_tests.support.scripted_http import Reply, closed_port, scripted
from elite_pipeline_tests.support.sentry_collector import Collector
from elite_pipeline_tests.support.systems import demo_client, toga2_client

SECRET = "very-secret-value"
PRIVATE = "ada.lovelace@example.com"


@pytest.fixture
def open_report(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Report]:
    monkeypatch.setenv("ELITE_TOGA2_API_SECRET", SECRET)
    monkeypatch.setenv("SENTRY_DSN", collector.dsn)
    return lambda: open_sentry(Settings())


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return the error as it is after it was raised."""
    local = SECRET  # what stands in a frame must not travel
    assert local
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_failed_record_arrives_with_where_it_happened_and_nothing_else(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        error = raised(PermanentError(f"refused with {SECRET}"))
        report.record_failed(error, client="elite", flow="contacts", record="u-1", kind="permanent")

    (event,) = collector.events
    assert event["tags"] == {
        "client": "elite",
        "flow": "contacts",
        "record": "u-1",
        "kind": "permanent",
        "state": "failed",
    }
    assert event["fingerprint"] == ["elite", "contacts", "PermanentError"]
    (value,) = event["exception"]["values"]
    assert value["value"] == "refused with [redacted]"
    (frame,) = value["stacktrace"]["frames"]
    assert frame.pop("lineno") > 0
    assert frame == {
        "module": __name__,
        "filename": f"{__name__.replace('.', '/')}.py",
        "function": "raised",
        "in_app": False,
    }
    assert set(event) <= {
        *("event_id", "timestamp", "level", "platform", "exception", "tags", "fingerprint"),
        *("release", "environment", "sdk"),
    }
    assert event["release"].startswith("elite-pipeline@")
    for private in (SECRET, socket.gethostname(), str(Path.cwd()), str(Path(__file__).parent)):
        assert private not in collector.raw


def driver_error() -> Exception:
    orig = sqlite3.IntegrityError(f"UNIQUE constraint failed for {PRIVATE}")
    return sa.exc.IntegrityError(f"INSERT … {PRIVATE}", {"email": PRIVATE}, orig)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid literal: {PRIVATE}"),
        KeyError(PRIVATE),
        requests.ConnectionError(f"Max retries exceeded with url: /contacts?email={PRIVATE}"),
        driver_error(),
        ExceptionGroup(PRIVATE, [ValueError(PRIVATE)]),
        UnicodeDecodeError("utf-8", PRIVATE.encode(), 0, 1, PRIVATE),
    ],
    ids=lambda error: type(error).__name__,
)
def test_nothing_that_an_unforeseen_error_or_a_cause_quotes_leaves_the_house(
    collector: Collector, open_report: Callable[[], Report], error: Exception
) -> None:
    with closing(open_report()) as report:
        report(raised(error), {"client": "elite", "flow": "contacts", "record": "1"})
        report(
            raised(PermanentError("it failed"), cause=raised(error)),
            {"client": "elite", "flow": "contacts", "record": "2"},
        )

    alone, chained = (event["exception"]["values"] for event in collector.events)
    assert alone[-1]["type"] == type(error).__name__
    assert [value["type"] for value in chained] == [type(error).__name__, "PermanentError"]
    assert PRIVATE not in collector.raw


def test_number_of_an_error_is_told() -> None:
    told = event_of(OSError(28, f"No space left on device: {PRIVATE}"), {}, str)
    assert told["exception"]["values"][0]["value"] == "error 28"


def test_causes_are_told_as_python_would_print_them() -> None:
    try:
        try:
            raise ValueError(PRIVATE)
        except ValueError:
            raise PermanentError("hidden") from None
    except PermanentError as error:
        hidden = error
    loop = PermanentError("a")
    loop.__cause__ = PermanentError("b")
    loop.__cause__.__cause__ = loop

    def types(error: Exception) -> list[str]:
        return [value["value"] for value in event_of(error, {}, str)["exception"]["values"]]

    assert types(hidden) == ["hidden"]
    assert types(loop) == ["b", "a"]


def test_answers_of_a_server_are_not_sent_on(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    body = f'{{"error": {{"code": "E-{PRIVATE}", "message": "cannot store {PRIVATE}"}}}}'.encode()
    errors: list[PipelineError] = []
    with scripted(Reply(422, body), Reply(404, body)) as server:
        toga2 = toga2_client(demo_client("elite"), server.url)
        for call in (
            partial(toga2.create, wire.PARAMETERS, {"name": "x"}),
            partial(toga2.parameters, ["x"]),
        ):
            with pytest.raises(PipelineError, match=PRIVATE) as caught:
                _ = call()
            errors.append(caught.value)
        toga2.close()

    with closing(open_report()) as report:
        for number, error in enumerate(errors):
            report(error, {"client": "elite", "flow": "contacts", "record": str(number)})

    assert "answered 422" in collector.events[0]["exception"]["values"][-1]["value"]
    assert "check TOGA2_BASE_URL" in collector.events[1]["exception"]["values"][-1]["value"]
    assert PRIVATE not in collector.raw


def test_words_of_the_ledgers_driver_are_not_sent_on(
    collector: Collector, open_report: Callable[[], Report], tmp_path: Path
) -> None:
    database = LedgerDatabase(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with pytest.raises(SystemicError) as caught, database.begin() as connection:
        connection.execute(sa.text(f"SELECT '{PRIVATE}' FROM nowhere"), {"email": PRIVATE})
    database.close()

    with closing(open_report()) as report:
        report(caught.value, {})

    assert "nowhere" in str(caught.value)
    assert "OperationalError" in collector.events[0]["exception"]["values"][-1]["value"]
    assert PRIVATE not in collector.raw
    assert "nowhere" not in collector.raw


def test_hostile_names_and_endless_messages_are_cut_after_they_were_redacted(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        report(
            PermanentError("x" * 495 + SECRET),
            {"client": "elite", "record": f"a\nb\x1b {'y' * 190}{SECRET}", "flow": ""},
        )

    (event,) = collector.events
    assert len(event["exception"]["values"][0]["value"]) == 500
    assert len(event["tags"]["record"]) <= 200
    assert "\n" not in event["tags"]["record"]
    assert "flow" not in event["tags"]
    assert SECRET[:6] not in collector.raw


def test_error_is_told_once_of_each_record_and_once_of_a_run(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        shared = PermanentError("its ticket cannot be read")
        for record in ("note 1", "note 2", "note 1"):
            report.record_failed(
                shared, client="elite", flow="tickets", record=record, kind="permanent"
            )
        report.record_failed(
            shared, client="elite", flow="tickets", record="note 1", kind="permanent", parked=True
        )
        with pytest.raises(SystemicError), report.run("elite"), report.run("elite", "contacts"):
            raise SystemicError("refused")
        with pytest.raises(ZeroDivisionError), report.run("elite", "contacts"):
            _ = 1 / 0

    assert [(one.get("record"), one["kind"], one["state"]) for one in collector.tags()] == [
        ("note 1", "permanent", "failed"),
        ("note 1", "permanent", "parked"),
        (None, "systemic", "run failed"),
        (None, "unforeseen", "run failed"),
        # note 2, told with its cause when all are known
        (None, "permanent", "failed"),
    ]
    assert collector.events[2]["fingerprint"] == ["elite", "contacts", "SystemicError"]
    assert collector.events[3]["fingerprint"] == ["elite", "contacts", "ZeroDivisionError"]
    assert collector.events[4]["extra"] == {"first record": "note 1", "further records": "note 2"}


def failed(report: Report, message: str, record: str, flow: str = "contacts") -> None:
    report.record_failed(
        PermanentError(message), client="elite", flow=flow, record=record, kind="permanent"
    )


def test_records_that_fail_for_one_reason_are_two_messages_however_many_they_are(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        for number in range(3000):
            failed(
                report,
                f"ticket {number}: 'subject {number}' has {number} characters",
                f"u-{number}",
            )
        failed(report, "another reason", "u-1")
        failed(report, "ticket 1: 'subject' has 1 characters", "u-1", flow="units")
        report.close()

    first, other, elsewhere, rest = collector.events
    assert first["tags"]["record"] == "u-0"
    assert "extra" not in first
    assert (other["tags"]["record"], elsewhere["tags"]["flow"]) == ("u-1", "units")
    # grouped with the first of its cause, and counted
    assert rest["fingerprint"] == first["fingerprint"]
    assert rest["exception"] == first["exception"]
    assert rest["event_id"] != first["event_id"]
    assert rest["tags"]["further records"] == "2999"
    assert "record" not in rest["tags"]
    names = rest["extra"]["further records"]
    assert names.startswith("u-1, u-2, u-3, ")
    assert names.endswith("u-50, and 2949 more")


def test_causes_of_a_flow_are_bounded(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        for number in range(300):
            failed(report, f"{'x' * (number + 1)} fails in its own way", f"u-{number}")

    told = [event["tags"].get("record") for event in collector.events]
    assert told == [*(f"u-{number}" for number in range(21)), None]
    assert collector.events[-1]["tags"]["further records"] == "279"


def test_what_stops_several_flows_of_a_run_is_told_once(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()) as report:
        for flow in ("contacts", "units", "teams"):
            with pytest.raises(SystemicError), report.run("elite", flow):
                raise SystemicError("TOGA 2 is down")
        with pytest.raises(SystemicError), report.run("elite", "teams"):
            raise SystemicError("another reason")
        with pytest.raises(SystemicError), report.run("wje", "teams"):
            raise SystemicError("TOGA 2 is down")

    assert [(one["client"], one["flow"]) for one in collector.tags()] == [
        ("elite", "contacts"),
        ("elite", "teams"),
        ("wje", "teams"),
    ]


def test_hundreds_that_wait_at_the_end_all_arrive(
    collector: Collector, open_report: Callable[[], Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    # that the end waits is what counts here, not how busy the machine is
    monkeypatch.setattr(sentry, "FLUSH_SECONDS", 60.0)
    with closing(open_report()) as report:
        for number in range(300):
            report(PermanentError("no"), {"client": str(number), "record": "u-1"})

    assert [one["client"] for one in collector.tags()] == [str(number) for number in range(300)]


def test_sentry_that_does_not_answer_holds_nobody_up(
    collector: Collector, open_report: Callable[[], Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentry, "_QUEUE_SIZE", 20)
    collector.answers.clear()
    with closing(open_report()) as report:
        for number in range(50):
            report(PermanentError("no"), {"client": str(number), "record": "u-1"})

    # the end was reached while the first was still without an answer
    assert not collector.answers.is_set()
    assert collector.events == []


def test_sentry_that_is_not_there_is_no_failure(
    open_report: Callable[[], Report],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closed_port() as address:
        monkeypatch.setenv("SENTRY_DSN", f"{address.replace('://', '://public@')}/1")
        with closing(open_report()) as report:
            report(PermanentError("no"), {"client": "elite"})

    assert caplog.text == ""


def test_report_that_fails_is_no_failure(
    open_report: Callable[[], Report], caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenError(PermanentError):
        @property
        def unquoted(self) -> str:
            raise RuntimeError

        @unquoted.setter
        def unquoted(self, _: str) -> None:
            pass

    with closing(open_report()) as report:
        report(BrokenError("no"), {"client": "elite"})

    assert "could not be reported" in caplog.text


def test_without_a_dsn_nothing_is_sent(collector: Collector) -> None:
    with closing(open_sentry(Settings(sentry_dsn=None))) as report:
        report(PermanentError("x"), {"client": "elite"})
        with pytest.raises(SystemicError), report.run("elite"):
            raise SystemicError("y")

    assert collector.raw == ""


def test_without_a_dsn_the_sdk_is_not_imported() -> None:
    code = (
        "import sys; from elite_pipeline.observability.sentry import open_sentry; "
        "from elite_pipeline.settings import Settings; open_sentry(Settings(sentry_dsn=None)); "
        "sys.exit('sentry_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_nothing_else_in_the_process_reports_through_it(
    collector: Collector, open_report: Callable[[], Report]
) -> None:
    with closing(open_report()):
        sentry_sdk.capture_message("someone else's")
        sentry_sdk.flush(timeout=30)

    assert collector.raw == ""


def test_dsn_itself_is_redacted(collector: Collector) -> None:
    settings = Settings(sentry_dsn=SecretStr(collector.dsn))
    with closing(open_sentry(settings)) as report:
        report(PermanentError(f"cannot send to {collector.dsn}"), {})
    assert collector.dsn not in collector.events[0]["exception"]["values"][0]["value"]

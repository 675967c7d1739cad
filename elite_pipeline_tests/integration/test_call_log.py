"""The call log, on SQLite and on a server: whole, without secrets, and never in the way."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from elite_pipeline import assembly
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect
from elite_pipeline.sync.flows import FLOWS, run_flow
from elite_pipeline.toga2 import wire
from elite_pipeline.transport import Redactor
from elite_pipeline_tests.support.call_logs import LOG_PARAMS, SETTING, LogDatabase, logged_run
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.mariadb import free_port
from elite_pipeline_tests.support.scripted_http import Reply, scripted
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.waiting import wait_until
from elite_pipeline_tests.unit.test_call_log_rows import EXCHANGE

SERVER_ONLY = LOG_PARAMS[1:]

DOCUMENTED = [
    ("id", "int(10) unsigned", "NO", None),
    ("uuid", "char(36)", "NO", None),
    ("dtStamp", "datetime", "NO", None),
    ("transactionId", "varchar(64)", "YES", None),
    ("apiId", "int(10) unsigned", "YES", None),
    ("userId", "int(10) unsigned", "YES", None),
    ("isAuthRequest", "tinyint(3) unsigned", "NO", "0"),
    ("direction", "enum('IN','OUT')", "NO", None),
    ("source", "varchar(255)", "YES", None),
    ("sourceIp", "varchar(45)", "YES", None),
    ("instanceId", "varchar(128)", "YES", None),
    ("executionTimeSeconds", "decimal(10,4)", "YES", None),
    ("method", "varchar(10)", "NO", None),
    ("hostname", "varchar(255)", "NO", None),
    ("route", "varchar(1024)", "NO", None),
    ("responseCode", "smallint(5) unsigned", "YES", None),
    ("queryString", "text", "YES", None),
    ("requestHeaders", "text", "YES", None),
    ("requestPayload", "mediumtext", "YES", None),
    ("responseHeaders", "text", "YES", None),
    ("responsePayload", "mediumtext", "YES", None),
]


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


@contextmanager
def open_log(url: str, **options: Any) -> Iterator[CallLog]:
    rows = RowMaker(Redactor(["a-secret"]), transaction_id="run-1", instance_id="host-1")
    opened = CallLog(connect(url, SETTING, timeout_seconds=30), rows, client="elite", **options)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize("log", SERVER_ONLY, indirect=True)
def test_columns_on_a_server_are_exactly_the_documented_ones(log: LogDatabase) -> None:
    log.make()
    with log.engine.connect() as connection:
        columns = connection.exec_driver_sql(
            "SELECT column_name, column_type, is_nullable, nullif(column_default, 'NULL')"
            " FROM information_schema.columns WHERE table_schema = database()"
            " AND table_name = 'Api' ORDER BY ordinal_position"
        ).all()
        table = connection.exec_driver_sql(
            "SELECT engine, table_collation, auto_increment IS NOT NULL"
            " FROM information_schema.tables WHERE table_schema = database()"
            " AND table_name = 'Api'"
        ).one()
    assert [tuple(column) for column in columns] == DOCUMENTED
    assert table[0] == "InnoDB"
    assert table[1].startswith("utf8mb4_")
    assert table[2]


def test_columns_on_sqlite_are_the_documented_ones(tmp_path: Any) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'x.sqlite'}", SETTING, timeout_seconds=30)
    LogDatabase("", engine).make()
    found = sa.inspect(engine).get_columns("Api")
    engine.dispose()
    assert [(one["name"], "YES" if one["nullable"] else "NO") for one in found] == [
        (name, nullable) for name, _, nullable, _ in DOCUMENTED
    ]


def test_every_call_of_a_run_has_a_row(systems: Systems, log: LogDatabase) -> None:
    desk = Desk(systems)
    desk.note(desk.ticket())
    log.make()

    with logged_run(systems, log.url, run_id="the-run") as context:
        # of what goes to Freshservice test_freshservice_log tells
        flows = [flow for flow in FLOWS if flow != "freshservice_to_toga2"]
        results = [run_flow(flow, context) for flow in flows]
        calls = context.toga2.calls

    rows = log.rows()
    assert len(rows) == calls == len(systems.toga2.requests) > 0
    assert {row["transactionId"] for row in rows} == {"the-run"}
    assert {row["direction"] for row in rows} == {"OUT"}
    assert len({row["uuid"] for row in rows}) == calls
    for result in results:
        mine = [row for row in rows if row["source"] == f"elite/{result.flow}"]
        assert len(mine) == result.api_calls
        assert not result.remarks
    written = [row for row in rows if row["method"] != "GET"]
    assert written
    for row in written:
        assert row["route"].startswith("/v2/parameters")
        assert "_INTEGRATION_DATETIME" in row["requestPayload"] + row["responsePayload"]
    assert "X-Client-Uuid" in json.loads(rows[0]["requestHeaders"])
    assert {row["hostname"] for row in rows} == {"127.0.0.1"}


def test_runs_have_a_name_of_their_own(systems: Systems, log: LogDatabase) -> None:
    log.make()
    for client in ("elite", "elite", "wje"):
        with logged_run(systems, log.url, client=client) as context:
            context.toga2.parameters(["X"])
    assert len({row["transactionId"] for row in log.rows()}) == 3
    assert [row["source"] for row in log.rows()] == ["elite", "elite", "wje"]


def test_each_attempt_has_a_row_whatever_its_outcome(systems: Systems, log: LogDatabase) -> None:
    log.make()
    busy = Reply(503, b'{"error": {"code": "EV-1", "message": "busy"}}')
    cut_off, gone = Reply(200, b'{"data": {"par', declared=99), Reply(0)
    fine = Reply(200, b'{"data": {"parameters": []}}')
    for replies in ((busy, cut_off, fine), (gone, gone, fine)):
        with (
            scripted(*replies) as server,
            logged_run(systems, log.url, toga2_url=server.url) as run,
        ):
            run.toga2.parameters(["X"])
            assert len(server.requests) == 3

    rows = log.rows()
    assert [row["responseCode"] for row in rows] == [503, None, 200, None, None, 200]
    assert all(row["queryString"].startswith("where%5Bname+in%5D=X") for row in rows)
    assert "busy" in rows[0]["responsePayload"]
    assert rows[1]["responsePayload"].startswith("[no whole answer: ")


def test_a_write_whose_outcome_is_unknown_has_a_row(systems: Systems, log: LogDatabase) -> None:
    log.make()
    with scripted(Reply(0)) as server, logged_run(systems, log.url, toga2_url=server.url) as run:
        with pytest.raises(PipelineError):
            run.toga2.create(wire.PARAMETERS, {"name": "N", "value": "V"})
        assert len(server.requests) == 1  # it had arrived

    (row,) = log.rows()
    assert (row["method"], row["responseCode"]) == ("POST", None)
    assert json.loads(row["requestPayload"]) == {"name": "N", "value": "V"}


def test_a_call_that_could_not_even_be_made_has_its_rows(
    systems: Systems, log: LogDatabase
) -> None:
    log.make()
    nobody = f"http://127.0.0.1:{free_port()}"
    with logged_run(systems, log.url, toga2_url=nobody) as run, pytest.raises(PipelineError):
        run.toga2.parameters(["X"])
    assert [row["responseCode"] for row in log.rows()] == [None, None, None]


def test_no_secret_of_the_configuration_is_in_any_row(
    systems: Systems, log: LogDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.make()
    variables = {
        "ELITE_TOGA2_API_KEY": 'elite-"key"-ä',
        "ELITE_TOGA2_API_SECRET": "elite/secret+€",
        "WJE_TOGA2_API_KEY": "wje-key-1234",
        "WJE_TOGA2_API_SECRET": "wje secret & more",
        "ELITE_FRESHSERVICE_API_KEY": "fresh-key-1234",
        "ELITE_WEBHOOK_SECRET": "<webhook>'secret'",
        "SENTRY_DSN": "https://sentrykey1234@sentry.example/1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    basic = [
        base64.b64encode(pair.encode()).decode()
        for pair in (
            f"{variables['ELITE_TOGA2_API_KEY']}:{variables['ELITE_TOGA2_API_SECRET']}",
            "wje-key-1234:wje secret & more",
            "fresh-key-1234:X",
        )
    ]
    databases = [log.url, systems.helpdesk.url, systems.ledger_url]
    secrets = [*variables.values(), *basic, "sentrykey1234", *databases]
    said = json.dumps(secrets).encode()
    ascii_only = [secret for secret in secrets if secret.isascii()]
    reply = Reply(
        200,
        b'{"data": {"parameters": {"uuid": "u", "name": "n", "value": "v", "said": %s}}}' % said,
        {f"X-Said-{number}": secret for number, secret in enumerate(ascii_only)},
    )
    listed = Reply(200, b'{"data": {"parameters": []}, "said": %s}' % said)
    with (
        scripted(reply, listed) as server,
        logged_run(systems, log.url, toga2_url=server.url) as run,
    ):
        run.toga2.create(wire.PARAMETERS, {"said": secrets})
        run.toga2.parameters(secrets)

    rows = log.rows()
    assert len(rows) == 2
    everything = "\n".join(str(value) for row in rows for value in row.values())
    assert everything.count("redacted") > 3 * len(secrets)
    parts = ["elite-", "elite%", "elite/", "wje-", "wje+", "wje ", "fresh-", "webhook", "sentrykey"]
    for part in (*secrets, *parts, systems.helpdesk.url.rpartition("/")[2]):
        assert part not in everything, part
    for row in rows:
        json.loads(row["requestHeaders"])
        json.loads(row["responsePayload"])


def test_a_log_that_is_slow_holds_nothing_up_and_loses_nothing(
    systems: Systems, log: LogDatabase
) -> None:
    log.make()
    Desk(systems).ticket()
    with logged_run(systems, log.url) as context, log.held():
        # would the sync wait for the log, it would wait for ever
        result = run_flow("toga2_to_togadesk", context)
        assert result.created == 1
    assert len(log.rows()) == result.api_calls


def test_closing_gives_up_on_a_log_that_does_not_move(
    log: LogDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    log.make()
    with log.held():
        opened = CallLog(
            connect(log.url, SETTING, timeout_seconds=30),
            RowMaker(Redactor(), transaction_id="run-1", instance_id="host-1"),
            client="elite",
            flush_seconds=0.2,
        )
        for _ in range(3):
            opened.add(EXCHANGE)
        opened.close()
        assert opened.dropped == 3
    assert "elite: 3 calls are missing in the call log" in caplog.text
    thread = opened._thread
    assert thread is not None
    thread.join()


def test_a_full_queue_drops_and_counts(log: LogDatabase) -> None:
    log.make()
    with open_log(log.url, capacity=5) as opened, log.held():
        for _ in range(12):
            opened.add(EXCHANGE)
        assert opened.dropped == 7
        (remark,) = opened.remarks()
        assert remark.startswith("7 calls are missing in the call log")
        assert opened.remarks() == []
    assert len(log.rows()) == 5


def test_a_log_that_is_behind_keeps_calls_and_leaves_out_large_bodies(log: LogDatabase) -> None:
    log.make()
    large = replace(EXCHANGE, response_body=b"x" * 60_000)
    with open_log(log.url, body_bytes=100_000) as opened, log.held():
        for _ in range(3):
            opened.add(large)
    payloads = [row["responsePayload"] for row in log.rows()]
    assert [len(payload) for payload in payloads[:1]] == [60_000]
    assert payloads[1:] == ["[not kept: 60000 bytes, more than may wait for the call log]"] * 2
    assert {row["requestPayload"] for row in log.rows()} == {'{"body": "hello"}'}
    assert opened.dropped == 0


def test_a_log_that_is_down_neither_fails_nor_holds_up_the_sync(
    systems: Systems, caplog: pytest.LogCaptureFixture
) -> None:
    Desk(systems).ticket()
    url = f"mysql+pymysql://joe:log-password@127.0.0.1:{free_port()}/ClientLogs"
    with logged_run(systems, url) as context:
        result = run_flow("toga2_to_togadesk", context)
    assert (result.created, result.failed) == (1, 0)
    assert f"elite: {result.api_calls} calls are missing in the call log" in caplog.text
    assert "CLIENT_LOGS_DATABASE_URL" in caplog.text
    assert "log-password" not in caplog.text


def test_dropped_calls_are_remarked_on_in_the_result(
    systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "CallLog", partial(CallLog, capacity=0))
    with logged_run(systems, "sqlite://") as context:
        result = run_flow("contacts", context)
    (remark,) = result.remarks
    assert remark.startswith(f"{result.api_calls} calls are missing in the call log")


@pytest.mark.parametrize("log", SERVER_ONLY, indirect=True)
def test_without_the_table_the_sync_goes_on_and_says_how_to_make_it(
    log: LogDatabase, systems: Systems, caplog: pytest.LogCaptureFixture
) -> None:
    with logged_run(systems, log.url) as context:
        context.toga2.parameters(["X"])
    assert "`elite-pipeline init-db` makes the table" in caplog.text


@pytest.mark.parametrize("log", SERVER_ONLY, indirect=True)
def test_a_log_that_comes_back_gets_what_waited(
    log: LogDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_failed, is_back = threading.Event(), threading.Event()

    def pause(_seconds: float) -> bool:
        has_failed.set()
        wait_until(is_back.is_set, "the log is back")
        return False

    with open_log(log.url) as opened:
        monkeypatch.setattr(opened._closing, "wait", pause)
        opened.add(EXCHANGE)
        wait_until(has_failed.is_set, "writing was tried")
        log.make()
        is_back.set()
    assert len(log.rows()) == 1
    assert opened.dropped == 0


@pytest.mark.parametrize("log", SERVER_ONLY, indirect=True)
@pytest.mark.parametrize("moment", ["while it is sent", "when it is committed"])
def test_a_connection_that_is_lost_loses_and_doubles_no_row(log: LogDatabase, moment: str) -> None:
    log.make()
    lost: list[int] = []

    def lose(connection: sa.Connection, *_: object) -> None:
        raw = connection.connection.dbapi_connection
        if raw is not None and not lost:
            lost.append(number := raw.thread_id())
            with log.engine.connect() as other:
                other.exec_driver_sql(f"KILL {number}")

    with open_log(log.url) as opened:
        if moment == "when it is committed":
            # the first commit ends the log's asking for what the server takes
            opened.add(EXCHANGE)
            wait_until(lambda: len(log.rows()) == 1, "the first row is there")
            sa.event.listen(opened._engine, "commit", lose)
        else:
            sa.event.listen(
                opened._engine,
                "before_cursor_execute",
                lambda connection, _c, sql, *_: lose(connection) if "INSERT" in sql else None,
            )
        opened.add(EXCHANGE)
    assert lost
    is_unknown = moment == "when it is committed"
    # a row of which nobody knows is counted, and not written again
    assert (len(log.rows()), opened.dropped) == (1, 1 if is_unknown else 0)


def test_a_call_that_no_row_can_be_made_of_spoils_no_other(log: LogDatabase) -> None:
    log.make()
    broken: Any = None
    with open_log(log.url) as opened:
        for exchange in (
            EXCHANGE,
            replace(EXCHANGE, started=broken),
            replace(EXCHANGE, route=broken),
            replace(EXCHANGE, response_headers={"X": "\ud800"}),
        ):
            opened.add(exchange)
    assert [row["responseHeaders"] for row in log.rows()] == [
        '{"Content-Type": "application/json"}',
        '{"X": "?"}',
    ]
    assert opened.dropped == 2


def test_a_thread_that_cannot_be_had_is_no_failure_of_the_sync(
    log: LogDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.make()

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread, says a-secret")

    with open_log(log.url) as opened:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            opened.add(EXCHANGE)
        opened.add(EXCHANGE)
    assert (len(log.rows()), opened.dropped) == (1, 1)


def test_whoever_opens_the_systems_is_told_at_the_end(systems: Systems) -> None:
    told: list[str] = []
    url = f"mysql+pymysql://joe:log-password@127.0.0.1:{free_port()}/ClientLogs"
    with logged_run(systems, url, warn=told.append) as context:
        context.toga2.parameters(["X"])
    (said,) = told
    assert said.startswith("elite: 1 call is missing in the call log")


def test_many_calls_from_many_threads_are_written_in_few_statements(log: LogDatabase) -> None:
    log.make()
    statements: list[int] = []
    # also where the thread that writes gets no turn meanwhile
    with open_log(log.url, capacity=2000) as opened:
        sa.event.listen(
            opened._engine,
            "before_cursor_execute",
            lambda _c, _k, sql, values, _x, many: statements.append(many) if "INSERT" in sql else 0,
        )

        def add_many() -> None:
            for _ in range(250):
                opened.add(EXCHANGE)

        threads = [threading.Thread(target=add_many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(log.rows()) == 2000
    assert len(statements) <= 20


def test_a_body_larger_than_a_server_takes_is_cut_to_what_it_takes(log: LogDatabase) -> None:
    log.make()
    body = b"\\" * (16 << 20)  # the worst for a server: each of them is escaped
    with open_log(log.url) as opened:
        opened.add(replace(EXCHANGE, request_body=body, response_body=body))
    (row,) = log.rows()
    assert row["requestPayload"].endswith("… [cut: 16777216 bytes in all]")
    assert len(row["requestPayload"]) > 1_000_000


def test_text_arrives_as_it_was(log: LogDatabase) -> None:
    log.make()
    text = "{\"body\": \"😀 שלום\\r\\n<p>é</p> \\\\ ' '' \\' \0 \x1a \n %s %% :x\"}\\"
    with open_log(log.url) as opened:
        opened.add(replace(EXCHANGE, response_body=text.encode()))
    assert log.rows()[0]["responsePayload"] == text


def test_without_the_setting_there_is_no_log_and_no_thread(systems: Systems) -> None:
    with logged_run(systems, None) as context:
        context.toga2.parameters(["X"])
        assert "call-log" not in {thread.name for thread in threading.enumerate()}
        assert context.toga2._calls._transport._on_exchange is None


def test_a_wrong_address_is_a_wrong_setting(systems: Systems) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"^CLIENT_LOGS_DATABASE_URL: expected") as caught,
        logged_run(systems, "postgresql://joe:log-password@host/db"),
    ):
        pass
    assert "log-password" not in str(caught.value)


def test_a_defect_of_the_log_is_no_failure_of_the_sync(
    log: LogDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log.make()
    with open_log(log.url) as opened:
        monkeypatch.delattr(RowMaker, "row")
        opened.add(EXCHANGE)
    assert opened.dropped == 1
    assert "calls could not be logged" in caplog.text
    assert "AttributeError" in caplog.text

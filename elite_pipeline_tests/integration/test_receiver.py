"""The receiver over real sockets: who is let in, what is kept, what is refused."""

import base64
import gzip
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import requests
import sqlalchemy as sa

from elite_pipeline.inbox import Inbox, Webhook, bodies, protocol, receiver
from elite_pipeline_tests.support.call_logs import LogDatabase
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.receivers import GOOD, SECRETS, Running, running
from elite_pipeline_tests.support.sentry_collector import Collector
from elite_pipeline_tests.support.waiting import wait_until

MIB = 1 << 20


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    kind: str = request.param
    return empty_database(kind, tmp_path, open_helpdesk)


@pytest.fixture
def here(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with running(tmp_path, url, monkeypatch) as it:
        yield it


def basic(password: str) -> dict[str, str]:
    text = base64.b64encode(f"anybody:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def test_a_webhook_is_a_row_once_it_is_answered(here: Running) -> None:
    body = '{"ticket_id": "INC-5", "subject": "Grüße 😀 \\" % :x"}'
    answer = here.post(body.encode(), headers={**GOOD, "X-Freshservice": "yes"})
    assert answer.status_code == 200
    (row,) = here.rows()
    assert row["uuid"] == answer.json()["uuid"]
    assert (row["action"], row["payload"], row["status"], row["attempts"]) == (
        "Elite/Webhook",
        body,
        "PENDING",
        0,
    )
    kept = json.loads(row["headers"])
    assert kept["x-freshservice"] == "yes"
    assert kept["x-payload-encoding"] == "utf-8"
    assert not any("secret" in text.lower() for text in kept)


def test_the_secret_opens_one_clients_entrance(here: Running) -> None:
    elite, wje = SECRETS.values()
    assert here.post(headers=basic(elite)).status_code == 200
    assert here.post(client="wje", headers=basic(wje)).status_code == 200
    assert here.post(client="elite/", headers=basic(elite)).status_code == 200
    assert [row["action"] for row in here.rows()] == [
        "Elite/Webhook",
        "Wje/Webhook",
        "Elite/Webhook",
    ]
    for headers in (
        {},
        {"X-Webhook-Secret": ""},
        {"X-Webhook-Secret": "wrong"},
        {"X-Webhook-Secret": wje},
        {"X-Webhook-Secret": "\xff\xfe"},
        basic(wje),
        basic(""),
        {"Authorization": f"Bearer {wje}"},
    ):
        answer = here.post(headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert len(here.rows()) == 3
    assert [sentence for sentence in here.told if "elite" in sentence] == [here.told[-1]]


def test_who_cannot_be_served_is_told_apart(here: Running) -> None:
    assert here.post(client="nobody").status_code == 404
    assert here.post(client="no-freshservice").status_code == 404
    for client in ("no-secret", "broken"):
        answer = here.post(client=client)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "30"
    assert any("NO_SECRET_WEBHOOK_SECRET not set" in sentence for sentence in here.told)
    assert any("client 'broken'" in sentence for sentence in here.told)
    assert here.get("/webhook/elite").status_code == 405
    assert here.get("/").status_code == 404
    assert here.rows() == []


@pytest.mark.parametrize(
    ("body", "headers", "payload", "encoding"),
    [
        (b"\xff\xfe\xfd", {}, "\xff\xfe\xfd", "latin-1"),
        ("Grüße".encode("latin-1"), {"Content-Type": "text/plain"}, "Grüße", "latin-1"),
        ("“”".encode("cp1252"), {"Content-Type": "a/b; charset=windows-1252"}, "“”", "cp1252"),
        (b"a=b&c=d", {"Content-Type": "application/x-www-form-urlencoded"}, "a=b&c=d", "utf-8"),
        (b"a\0b", {"Content-Type": "nonsense"}, "a\0b", "utf-8"),
        (gzip.compress(b"zipped", mtime=0), {"Content-Encoding": "gzip"}, "zipped", "utf-8"),
        (b"", {}, "", "utf-8"),
    ],
)
def test_any_body_is_kept_without_losing_a_byte(
    here: Running, body: bytes, headers: dict[str, str], payload: str, encoding: str
) -> None:
    assert here.post(body, headers={**GOOD, **headers}).status_code == 200
    (row,) = here.rows()
    assert row["payload"] == payload
    assert json.loads(row["headers"])["x-payload-encoding"] == encoding


def test_secrets_in_any_header_are_not_kept(here: Running) -> None:
    wje = SECRETS["WJE_WEBHOOK_SECRET"]
    headers = {
        **GOOD,
        "Cookie": "a=hidden",
        "X-Pasted": f"key {wje}",
        "X-Api-Key": "hidden",
        # with a letter beyond ASCII, as UTF-8
        "X-Own": GOOD["X-Webhook-Secret"],
    }
    assert here.post(headers=headers).status_code == 200
    (row,) = here.rows()
    kept = json.loads(row["headers"])
    assert (kept["x-pasted"], kept["x-own"]) == ("key [redacted]", "[redacted]")
    assert "hidden" not in row["headers"]


def test_a_body_over_a_mebibyte_is_refused_and_one_of_it_is_not(here: Running) -> None:
    assert here.post(b"a" * MIB).status_code == 200
    assert here.post(b"a" * (MIB + 1)).status_code == 413
    assert (
        here.post(
            gzip.compress(b"a" * (MIB + 1)), headers={**GOOD, "Content-Encoding": "gzip"}
        ).status_code
        == 413
    )
    assert [len(row["payload"]) for row in here.rows()] == [MIB]


HEAD = (
    b"POST /webhook/elite HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: "
    + SECRETS["ELITE_WEBHOOK_SECRET"].encode()
    + b"\r\n"
)


def test_a_body_that_is_announced_too_large_is_not_waited_for(here: Running) -> None:
    with here.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
    assert here.rows() == []


def send_on(connection: socket.socket, data: bytes) -> None:
    for _ in range(10_000):
        connection.sendall(data)


def test_a_body_that_grows_without_an_announcement_is_cut_off(here: Running) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with here.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
        # who goes on all the same is hung up on
        with pytest.raises(ConnectionError):
            send_on(connection, chunk)
    assert here.post().status_code == 200
    assert len(here.rows()) == 1


def test_without_the_secret_no_body_is_waited_for(here: Running) -> None:
    with here.connect() as connection:
        connection.sendall(
            b"POST /webhook/elite HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def test_who_hangs_up_leaves_no_row(here: Running) -> None:
    with here.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nbegin")
    assert here.post(b"whole").status_code == 200
    assert [row["payload"] for row in here.rows()] == ["whole"]


def test_slow_senders_hold_up_nobody_and_are_given_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 2.0)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 2.0)
    with running(tmp_path, url, monkeypatch) as here:
        silent, in_head, in_body = here.connect(), here.connect(), here.connect()
        in_head.sendall(HEAD[:30])
        in_body.sendall(HEAD + b"Content-Length: 5\r\n\r\nbe")
        for _ in range(20):
            assert here.post().status_code == 200
        assert in_body.recv(1000).startswith(b"HTTP/1.1 408")
        assert silent.recv(10) == b""
        assert in_head.recv(10) == b""
        for connection in (silent, in_head, in_body):
            connection.close()
    assert len(here.rows()) == 20


def test_a_head_without_an_end_is_cut_off(here: Running) -> None:
    with here.connect() as connection, pytest.raises(ConnectionError):
        send_on(connection, b"POST /" + b"a" * 65_536)
    assert here.post().status_code == 200


def test_a_connection_is_used_again_and_again(here: Running) -> None:
    with requests.Session() as session:
        for number in range(50):
            answer = session.post(
                f"http://127.0.0.1:{here.port}/webhook/{'elite' if number % 5 else 'nobody'}",
                data=b"x" * (1 if number % 7 else MIB + 1),
                headers=GOOD,
                timeout=30,
            )
            assert answer.status_code == (404 if not number % 5 else 200 if number % 7 else 413)


def test_those_that_come_together_are_stored_together_each_once(here: Running) -> None:
    answers: list[str] = []

    def send(thread: int) -> None:
        with requests.Session() as session:
            for number in range(25):
                answer = session.post(
                    f"http://127.0.0.1:{here.port}/webhook/elite",
                    data=f"{thread}/{number}".encode(),
                    headers=GOOD,
                    timeout=30,
                )
                assert answer.status_code == 200
                answers.append(answer.json()["uuid"])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = here.rows()
    assert sorted(row["uuid"] for row in rows) == sorted(answers)
    assert len({row["payload"] for row in rows}) == 400


def test_one_row_that_is_refused_spoils_no_other(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_all = Inbox.add_all

    def with_a_refused_one(inbox: Inbox, webhooks: Sequence[Webhook]) -> None:
        if any(webhook.payload == "poison" for webhook in webhooks):
            # no database takes a row without a uuid
            webhooks = [*webhooks, replace(webhooks[0], uuid=cast("str", None))]
        add_all(inbox, webhooks)

    monkeypatch.setattr(Inbox, "add_all", with_a_refused_one)
    with running(tmp_path, url, monkeypatch) as here:
        here.post(b"first")
        statuses: dict[bytes, int] = {}

        def send(body: bytes) -> None:
            statuses[body] = here.post(body).status_code

        sent = [f"{number}".encode() for number in range(20)] + [b"poison"]
        threads = [threading.Thread(target=send, args=(body,)) for body in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == {body: 503 if body == b"poison" else 200 for body in sent}
    assert len(here.rows()) == 21


def test_what_nobody_foresaw_is_said_reported_and_does_not_last(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    add_all = Inbox.add_all

    def with_a_defect(inbox: Inbox, webhooks: Sequence[Webhook]) -> None:
        if any("poison" in webhook.payload for webhook in webhooks):
            raise RuntimeError(f"a defect at {webhooks[0].payload}")
        add_all(inbox, webhooks)

    monkeypatch.setattr(Inbox, "add_all", with_a_defect)
    with running(tmp_path, url, monkeypatch, SENTRY_DSN=collector.dsn) as here:
        for _ in range(5):
            answer = here.post(b"poison")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert here.post(b"sound").status_code == 200
        assert here.told == [
            "webhooks: rows cannot be stored; senders are told to come again: an unforeseen RuntimeError"
        ]
    assert [row["payload"] for row in here.rows()] == ["sound"]
    # told of once, not at every webhook
    assert collector.tags() == [
        {"client": "elite", "flow": "webhooks", "kind": "systemic", "state": "not stored"}
    ]
    assert "poison" not in collector.raw


def test_a_database_that_takes_too_long_stores_nothing_later(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, url, monkeypatch) as here:
        assert here.post(b"before").status_code == 200
        monkeypatch.setattr(receiver, "STORE_SECONDS", 0.5)
        with table_held(url):
            # the first is with the database, the second waits for its turn
            for body in (b"first", b"second"):
                answer = here.post(body)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        monkeypatch.setattr(receiver, "STORE_SECONDS", 30.0)
        assert here.post(b"after").status_code == 200
        assert len(here.told) == 1
        assert "took longer than 0.5 s" in here.told[0]
    payloads = [row["payload"] for row in here.rows()]
    # of the first nobody can know; who gave up waiting for his turn is not stored behind his back
    assert [payload for payload in payloads if payload != "first"] == ["before", "after"]


@contextmanager
def table_held(url: str) -> Iterator[None]:
    """Let nobody else write rows."""
    engine = sa.create_engine(url)
    on_file = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "BEGIN EXCLUSIVE" if on_file else "LOCK TABLES `WorkerJobs` WRITE"
        )
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK" if on_file else "UNLOCK TABLES")
    engine.dispose()


def test_healthz_tells_whether_rows_can_be_stored_and_stores_none(here: Running) -> None:
    for _ in range(3):
        answer = here.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert here.rows() == []


def test_no_more_is_held_in_memory_than_there_is_room_for(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "ROOM_BYTES", 2 * MIB)
    held: list[int] = []
    read = bodies.read

    async def note(receive: bodies.Receive) -> bytes:
        held.append(1)
        try:
            together.append(sum(held))
            return await read(receive)
        finally:
            held.pop()

    together: list[int] = []
    monkeypatch.setattr(bodies, "read", note)
    with running(tmp_path, url, monkeypatch) as here:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(here.post(b"a" * MIB).status_code))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 12
    assert max(together) <= 2
    assert len(here.rows()) == 12


def test_each_webhook_is_in_the_call_log(
    log: LogDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.make()
    url = f"sqlite:///{tmp_path / 'inbox.sqlite'}"
    with running(tmp_path, url, monkeypatch, CLIENT_LOGS_DATABASE_URL=log.url) as here:
        uuid = here.post(b'{"ticket_id": 5}').json()["uuid"]
        here.post(headers={"X-Webhook-Secret": "wrong"})
        here.post(client="nobody")
        wait_until(lambda: len(log.rows()) == 2, "both are logged")
    taken, refused = sorted(log.rows(), key=lambda row: row["responseCode"])
    assert (taken["direction"], taken["source"], taken["sourceIp"], taken["responseCode"]) == (
        "IN",
        "elite/webhook",
        "127.0.0.1",
        200,
    )
    assert (taken["method"], taken["hostname"], taken["route"]) == (
        "POST",
        "127.0.0.1",
        "/webhook/elite",
    )
    assert taken["requestPayload"] == '{"ticket_id": 5}'
    assert uuid in taken["responsePayload"]
    assert refused["responseCode"] == 401
    for row in (taken, refused):
        assert not any(secret in str(dict(row)) for secret in SECRETS.values())


def test_a_call_log_that_is_away_slows_nothing(
    log: LogDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.make()
    url = f"sqlite:///{tmp_path / 'inbox.sqlite'}"
    with running(tmp_path, url, monkeypatch, CLIENT_LOGS_DATABASE_URL=log.url) as here:
        with log.held():
            # the log's database answers nobody until all of these are answered
            assert {here.post().status_code for _ in range(50)} == {200}
            assert len(here.rows()) == 50
        wait_until(lambda: len(log.rows()) == 50, "what waited is logged")

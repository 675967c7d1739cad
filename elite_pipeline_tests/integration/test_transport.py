"""One HTTP session for all, against a real socket: what is tried again, how often, and what is said."""

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    SystemicError,
    SystemicHttpError,
    TransientError,
    TransientHttpError,
    UnreachableError,
)
from elite_pipeline.toga2 import wire
from elite_pipeline.transport import Answer, Exchange, Redactor, RetryPolicy, Transport
from elite_pipeline_tests.support.scripted_http import Reply, ScriptedServer, closed_port, scripted

NOW = datetime(2026, 6, 10, 12, 0, 0, tzinfo=UTC)
KEY, SECRET = "the-api-key", "the-api-secret-€"
FINE = Reply(200, b'{"fine": true}')
POLICY = RetryPolicy(attempts=3, base_seconds=8.0, max_seconds=9.0, max_retry_after_seconds=60.0)


class Caller:
    """A transport whose waits are noted instead of waited for."""

    def __init__(self, url: str, **options: Any) -> None:
        self.waits: list[float] = []
        self.exchanges: list[Exchange] = []
        self.url = url
        self.transport = Transport(
            system="TOGA 2",
            base_url=url,
            pool_size=options.pop("pool_size", 4),
            redactor=Redactor.for_basic_auth(KEY, SECRET),
            retry=options.pop("retry", POLICY),
            read_timeout=options.pop("read_timeout", 10.0),
            sleep=self.waits.append,
            clock=lambda: NOW,
            on_exchange=self.exchanges.append,
            **options,
        )

    def call(
        self,
        method: str = "GET",
        *,
        path: str = "/v2/tickets",
        repeatable: bool | None = None,
        body: bytes | None = None,
        parse: Callable[[bytes], Any] = json.loads,
    ) -> Answer[Any]:
        return self.transport.request(
            method,
            self.url + path,
            parse=parse,
            read_error=wire.read_error,
            headers={"Accept": "application/json"},
            auth=(KEY, SECRET),
            params=[("where[_updated >]", "2026-06-10 00:00:00")] if method == "GET" else (),
            body=body,
            repeatable=method == "GET" if repeatable is None else repeatable,
        )


@contextmanager
def calling(server: ScriptedServer | str, **options: Any) -> Iterator[Caller]:
    caller = Caller(server if isinstance(server, str) else server.url, **options)
    try:
        yield caller
    finally:
        caller.transport.close()


@contextmanager
def answered(*replies: Reply, **options: Any) -> Iterator[tuple[ScriptedServer, Caller]]:
    with scripted(*replies) as server, calling(server, **options) as caller:
        yield server, caller


def error(status: int, code: str = "EV-1", message: str = "no", **headers: str) -> Reply:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, named)


def test_an_answer_is_parsed_and_counted() -> None:
    with answered(FINE) as (server, caller):
        answer = caller.call()
        assert (answer.status, answer.body) == (200, {"fine": True})
        assert caller.transport.calls == len(server.requests) == 1
        assert caller.waits == []
    assert [(made.method, made.status, made.attempt, made.error) for made in caller.exchanges] == [
        ("GET", 200, 1, None)
    ]


def test_a_request_carries_its_credentials_and_its_query_as_they_are() -> None:
    with answered(FINE) as (server, caller):
        caller.call()
        (request,) = server.requests
    assert "where%5B_updated+%3E%5D=2026-06-10+00%3A00%3A00" in request.path
    encoded = request.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == f"{KEY}:{SECRET}"


def test_a_compressed_and_a_chunked_body_are_read() -> None:
    packed = Reply(200, gzip.compress(FINE.body), {"Content-Encoding": "gzip"})
    with answered(packed, Reply(200, FINE.body, chunked=True)) as (_, caller):
        assert caller.call().body == caller.call().body == {"fine": True}


class TestWhatIsTriedAgain:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_passing_failure_of_a_read(self, status: int) -> None:
        with answered(error(status), error(status), FINE) as (server, caller):
            assert caller.call().body == {"fine": True}
            assert caller.transport.calls == len(server.requests) == 3
        assert len(caller.waits) == 2
        assert all(0 <= wait <= 9 for wait in caller.waits)
        assert [made.status for made in caller.exchanges] == [status, status, 200]
        assert [made.attempt for made in caller.exchanges] == [1, 2, 3]

    def test_not_for_ever(self) -> None:
        with answered(error(503, "EV-9", "busy")) as (server, caller):
            with pytest.raises(TransientHttpError, match=r"answered 503 EV-9: busy") as caught:
                caller.call()
            assert len(server.requests) == 3
        assert (caught.value.status, caught.value.code) == (503, "EV-9")
        assert len(caller.waits) == 2

    @pytest.mark.parametrize(
        "broken",
        [
            Reply(200, b'{"fine": tr'),
            Reply(200, b'{"fine"', declared=14),
            Reply(200, b"", declared=14),
            Reply(200, b'{"fine": ', chunked=True, declared=1),
            Reply(200, gzip.compress(FINE.body, mtime=0)[:-14], {"Content-Encoding": "gzip"}),
            Reply(200, b"no gzip", {"Content-Encoding": "gzip"}),
            Reply(200, b""),
            Reply(200, b"<html>a proxy's page</html>"),
            Reply(0),
        ],
        ids=str,
    )
    def test_a_read_whose_answer_did_not_come_whole(self, broken: Reply) -> None:
        with answered(broken, FINE) as (server, caller):
            assert caller.call().body == {"fine": True}
            assert len(server.requests) == 2

    def test_a_read_that_timed_out(self) -> None:
        with answered(Reply(stalls=True), FINE, read_timeout=0.2) as (_, caller):
            assert caller.call().body == {"fine": True}
        assert caller.exchanges[0].error == "no answer within 0.2 s"
        assert caller.exchanges[0].status is None

    def test_a_body_cut_for_good_is_transient_in_the_end(self) -> None:
        with answered(Reply(200, b'{"a', declared=99)) as (server, caller):
            with pytest.raises(TransientError, match="got no whole answer after 3 attempts"):
                caller.call()
            assert len(server.requests) == 3

    def test_a_page_where_an_answer_should_be_says_what_to_check(self) -> None:
        page = Reply(200, b"<html>sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
        with answered(page) as (_, caller), pytest.raises(TransientError) as caught:
            caller.call()
        assert "is not JSON but text/html" in str(caught.value)
        assert "Check " in str(caught.value)

    def test_a_write_that_is_harmless_to_repeat(self) -> None:
        with answered(error(500), FINE) as (server, caller):
            caller.call("PATCH", body=b"{}", repeatable=True)
            assert [request.body for request in server.requests] == [b"{}", b"{}"]

    def test_a_write_that_was_turned_away_unread(self) -> None:
        with answered(error(429), FINE) as (server, caller):
            assert caller.call("POST", body=b'{"a": 1}').status == 200
            assert [request.body for request in server.requests] == [b'{"a": 1}'] * 2

    def test_a_write_for_which_no_connection_was_made(self) -> None:
        with closed_port() as url, calling(url) as caller, pytest.raises(UnreachableError):
            caller.call("POST", body=b"{}")
        assert len(caller.exchanges) == 3


class TestWhatIsNotTriedAgain:
    @pytest.mark.parametrize(
        "reply",
        [
            error(500),
            error(503),
            error(503, Retry_After="1"),
            error(408),
            Reply(0),
            Reply(200, b'{"cut', declared=99),
            Reply(200, b"<html>"),
        ],
        ids=str,
    )
    def test_a_write_that_may_have_had_an_effect(self, reply: Reply) -> None:
        with answered(reply, FINE) as (server, caller):
            with pytest.raises(TransientError):
                caller.call("POST", body=b"{}")
            assert len(server.requests) == 1
        assert caller.waits == []

    def test_a_write_that_timed_out(self) -> None:
        with answered(Reply(stalls=True), FINE, read_timeout=0.2) as (server, caller):
            with pytest.raises(TransientError, match=r"no answer within 0\.2 s"):
                caller.call("POST", body=b"{}")
            assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [400, 404, 409, 422, 501])
    def test_what_will_be_refused_again(self, status: int) -> None:
        with answered(error(status, "EV-6", "not found")) as (server, caller):
            with pytest.raises(PermanentHttpError, match=f"{status} EV-6: not found") as caught:
                caller.call()
            assert len(server.requests) == 1
        assert (caught.value.status, caught.value.code) == (status, "EV-6")

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_credentials(self, status: int) -> None:
        with answered(error(status)) as (server, caller):
            with pytest.raises(SystemicHttpError, match="check the client's API key, secret"):
                caller.call()
            assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_which_would_take_the_credentials_along(self, status: int) -> None:
        with scripted(FINE) as other:
            moved = Reply(status, b"", {"Location": f"{other.url}/v2/tickets"})
            said = pytest.raises(SystemicHttpError, match="redirects, which is not followed")
            with answered(moved) as (_, caller), said:
                caller.call()
            assert other.requests == []

    def test_an_answer_larger_than_memory_should_hold(self) -> None:
        with answered(Reply(200, b"x" * 2000), max_bytes=1999) as (server, caller):
            with pytest.raises(PermanentError, match="more than 1999 bytes"):
                caller.call()
            assert len(server.requests) == 1
        assert caller.exchanges[0].error is not None

    def test_an_answer_that_unpacks_to_more_than_memory_should_hold(self) -> None:
        packed = Reply(200, gzip.compress(b"x" * 2_000_000), {"Content-Encoding": "gzip"})
        said = pytest.raises(PermanentError, match="more than 10000 bytes")
        with answered(packed, max_bytes=10_000) as (_, caller), said:
            caller.call()

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_answer_nested_more_deeply_than_can_be_read(self, method: str) -> None:
        nested = Reply(200, b"[" * 100_000 + b"]" * 100_000)
        with answered(nested) as (server, caller):
            with pytest.raises(PermanentError, match=r"/v2/tickets .* nested too deeply"):
                caller.call(method)
            assert len(server.requests) == 1
        assert caller.waits == []

    def test_an_answer_of_exactly_that_size_is_read(self) -> None:
        with answered(FINE, max_bytes=len(FINE.body)) as (_, caller):
            assert caller.call().body == {"fine": True}


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("17", 17.0),
            ("60", 60.0),
            (format_datetime(NOW + timedelta(seconds=33), usegmt=True), 33.0),
            (format_datetime(NOW - timedelta(seconds=33), usegmt=True), 0.0),
        ],
    )
    def test_it_is_waited_for_to_the_second(self, status: int, value: str, seconds: float) -> None:
        with answered(error(status, Retry_After=value), FINE) as (_, caller):
            caller.call()
        assert caller.waits == [seconds]

    @pytest.mark.parametrize(
        "value", ["61", "86400", format_datetime(NOW + timedelta(hours=1), usegmt=True)]
    )
    def test_one_that_is_too_long_is_not_waited_for_at_all(self, value: str) -> None:
        with answered(error(429, Retry_After=value), FINE) as (server, caller):
            with pytest.raises(TransientError, match="asks to wait: Retry-After") as caught:
                caller.call()
            assert len(server.requests) == 1
        assert value in str(caught.value)
        assert caller.waits == []

    @pytest.mark.parametrize("value", ["soon", "-1", ""])
    def test_one_that_says_nothing_leaves_the_wait_to_us(self, value: str) -> None:
        with answered(error(429, Retry_After=value), FINE) as (_, caller):
            caller.call()
        assert len(caller.waits) == 1
        assert 0 <= caller.waits[0] <= 8

    def test_a_write_that_was_turned_away_waits_for_it_too(self) -> None:
        with answered(error(429, Retry_After="5"), FINE) as (_, caller):
            caller.call("POST", body=b"{}")
        assert caller.waits == [5.0]


class TestAHostThatIsNotThere:
    def test_nobody_listens(self) -> None:
        with closed_port() as url, calling(url) as caller:
            with pytest.raises(UnreachableError) as caught:
                caller.call()
            assert caller.transport.calls == 3
        assert url.removeprefix("http://") in str(caught.value)
        assert "Connection refused" in str(caught.value)
        assert "Check its base URL" in str(caught.value)

    def test_it_has_no_address(self) -> None:
        said = pytest.raises(UnreachableError, match=r"no-such-host\.invalid")
        with calling("http://no-such-host.invalid") as caller, said:
            caller.call()

    def test_it_speaks_no_tls(self) -> None:
        with scripted(FINE) as server:
            address = server.url.replace("http://", "https://")
            with calling(address) as caller, pytest.raises(SystemicError):
                caller.call()
            assert server.requests == []

    def test_it_comes_back_while_it_is_tried(self) -> None:
        with answered(Reply(0), FINE) as (_, caller):
            assert caller.call().body == {"fine": True}


class TestSecrets:
    @pytest.mark.parametrize("status", [401, 404, 503, 302])
    @pytest.mark.parametrize("before", [0, 290, 296])
    def test_what_the_server_repeats_is_not_shown(self, status: int, before: int) -> None:
        said = "x" * before + f"{SECRET} and {KEY}"
        reply = error(status, f"EV-{KEY}", said, Retry_After=KEY)
        with answered(reply) as (_, caller), pytest.raises(Exception, match="TOGA 2") as caught:
            caller.call()
        # not a part of it either, where a long message is cut
        assert "the-api" not in str(caught.value)

    def test_an_address_with_a_password_is_not_logged(self) -> None:
        with answered(FINE) as (server, caller):
            caller.url = server.url.replace("http://", f"http://u:{KEY}@")
            caller.call()
        assert KEY not in repr(caller.exchanges[0])

    def test_proxies_and_netrc_files_do_not_change_who_we_are(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login other password other\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        with answered(FINE) as (server, caller):
            caller.call()
            assert "b3RoZXI6b3RoZXI" not in server.requests[0].headers["Authorization"]


def test_a_connection_is_used_again_and_no_cookie_is_kept() -> None:
    cookie = Reply(200, b'{"fine": true}', {"Set-Cookie": "session=one; Path=/"})
    with answered(cookie, error(404), cookie) as (server, caller):
        caller.call()
        with pytest.raises(PermanentError):
            caller.call()
        caller.call("POST", body=b"{}")
        assert len({request.port for request in server.requests}) == 1
        assert all("Cookie" not in request.headers for request in server.requests)


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(FINE) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with calling("http://toga2.invalid") as caller:
            assert caller.call().body == {"fine": True}
        assert proxy.requests[0].path.startswith("http://toga2.invalid/v2/tickets?")


def test_many_threads_share_one_transport() -> None:
    with answered(error(503), error(503), FINE, pool_size=4) as (server, caller):
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda: results.append(caller.call().body)) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [{"fine": True}] * 20
        assert caller.transport.calls == len(server.requests) == 22

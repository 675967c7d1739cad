"""Files of Freshservice against real sockets: whose links are followed, and what comes of it."""

import gzip
import hashlib
import io
import os
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from elite_pipeline.errors import PermanentError, TransientError
from elite_pipeline.freshservice.errors import (
    ExpiredLinkError,
    ForbiddenHostError,
    SizeMismatchError,
    TooLargeError,
)
from elite_pipeline_tests.support.freshservice_script import KEY, Account, account
from elite_pipeline_tests.support.scripted_http import Reply, closed_port

BYTES = os.urandom(3_000)
SIGNED = (
    "/data/helpdesk/attachments/production/7/original/a%20b.png?Expires=17&Signature=made~up-one"
)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6NH0.c2lnbmF0dXJl"
PNG = {"Content-Type": "image/png; charset=binary"}


def whole(body: bytes = BYTES, **headers: str) -> Reply:
    return Reply(
        200, body, {**PNG, **{name.replace("_", "-"): text for name, text in headers.items()}}
    )


def link(made: Account, path: str = SIGNED) -> str:
    return made.server.url + path


class TestWhatIsSent:
    def test_neither_key_nor_cookie_nor_anything_else_of_ours(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login joe password hidden\n")
        monkeypatch.setenv("NETRC", str(netrc))
        with account(whole(Set_Cookie="session=1; Path=/"), whole()) as made:
            for _ in range(2):
                made.client.download(link(made), None, io.BytesIO())
            requests = made.server.requests
        assert [request.method for request in requests] == ["GET", "GET"]
        assert [request.path for request in requests] == [SIGNED, SIGNED]
        for request in requests:
            names = {name.lower() for name in request.headers}
            assert names <= {"host", "user-agent", "accept", "accept-encoding", "connection"}
            assert KEY not in str(request.headers)

    def test_a_redirect_is_followed_to_where_it_may_lead(self) -> None:
        moved = Reply(302, b"moved", {"Location": "/elsewhere?Signature=other"})
        with account(moved, whole()) as made:
            got = made.client.download(link(made), len(BYTES), into := io.BytesIO())
            assert made.server.requests[1].path == "/elsewhere?Signature=other"
        assert into.getvalue() == BYTES
        assert got.size == len(BYTES)

    def test_and_not_for_ever(self) -> None:
        with account(Reply(302, b"", {"Location": "/again"})) as made:
            with pytest.raises(PermanentError, match="redirects more than"):
                made.client.download(link(made), None, io.BytesIO())
            assert len(made.server.requests) < 10

    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/a",
            "https://127.0.0.1@evil.example/a",
            "http://127.0.0.2/a",
            "//evil.example/a",
            "file:///etc/passwd",
            "https://evilamazonaws.com/a",
            "http://amazonaws.com/a",
        ],
    )
    def test_a_redirect_elsewhere_is_not_followed(self, target: str) -> None:
        hosts = ["127.0.0.1", "amazonaws.com"]
        with account(Reply(302, b"", {"Location": target}), hosts=hosts) as made:
            with pytest.raises(ForbiddenHostError):
                made.client.download(link(made), None, io.BytesIO())
            assert len(made.server.requests) == 1

    def test_a_link_to_a_host_that_is_not_listed_is_not_asked_at_all(self) -> None:
        with account(whole(), hosts=["attachments.freshservice.com"]) as made:
            with pytest.raises(ForbiddenHostError, match=r"127\.0\.0\.1"):
                made.client.download(link(made), None, io.BytesIO())
            assert made.server.requests == []
            assert made.exchanges == []


class TestWhatComes:
    def test_it_stands_in_the_file_from_where_that_stood(self) -> None:
        into = io.BytesIO(b"head and more that was there")
        into.seek(4)
        named = 'attachment; filename="a b.png"'
        with account(whole(Content_Disposition=named)) as made:
            got = made.client.download(link(made), len(BYTES), into)
        assert into.getvalue()[:4] == b"head"
        assert into.getvalue()[4 : 4 + len(BYTES)] == BYTES
        assert (got.size, got.content_type, got.name) == (len(BYTES), "image/png", "a b.png")

    @pytest.mark.parametrize(
        ("header", "name"),
        [
            ("inline", None),
            ("attachment; filename=plain.txt", "plain.txt"),
            ("attachment; filename*=UTF-8''na%C3%AFve%20%F0%9F%98%80.txt", "naïve 😀.txt"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename="C:\\\\temp\\\\a.txt"', "a.txt"),
            ('attachment; filename=""', None),
            ("attachment; filename", None),
            ("\x7f;;;=\"'", None),
        ],
    )
    def test_a_name_is_only_a_name(self, header: str, name: str | None) -> None:
        with account(whole(Content_Disposition=header)) as made:
            assert made.client.download(link(made), None, io.BytesIO()).name == name

    def test_an_empty_file_is_one(self) -> None:
        with account(Reply(200, b"", {})) as made:
            got = made.client.download(link(made), 0, io.BytesIO())
        assert (got.size, got.content_type, got.name) == (0, None, None)

    def test_no_slot_of_the_budget_is_taken_and_no_call_counted(self) -> None:
        with account(whole()) as made:
            made.client.download(link(made), None, io.BytesIO())
            assert made.client.calls == 0

    def test_an_old_link_is_of_the_account_and_goes_there_without_the_key(self) -> None:
        with account(whole()) as made:
            made.client.download("/helpdesk/attachments/5", None, io.BytesIO())
            (request,) = made.server.requests
        assert request.path == "/helpdesk/attachments/5"
        assert "Authorization" not in request.headers

    def test_a_page_that_asks_to_sign_in_is_not_the_file(self) -> None:
        page = Reply(200, b"<html>sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
        into = io.BytesIO()
        with account(page) as made:
            with pytest.raises(PermanentError, match="asks to sign in"):
                made.client.download("/helpdesk/attachments/5", None, into)
            assert into.getvalue() == b""
        with (
            account(Reply(302, b"", {"Location": "/login"}), page) as made,
            pytest.raises(PermanentError, match="asks to sign in"),
        ):
            made.client.download("/helpdesk/attachments/5", None, into)
        with (
            account(Reply(403, b"")) as made,
            pytest.raises(PermanentError, match="asks to sign in"),
        ):
            made.client.download("/helpdesk/attachments/5", None, into)
        # an attachment that is a page is one
        with account(page) as made:
            assert made.client.download(link(made), None, into).content_type == "text/html"


class TestWhatDoesNotCome:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_link_that_is_not_valid_any_more(self, status: int) -> None:
        with account(Reply(status, b"<Error>AccessDenied</Error>")) as made:
            with pytest.raises(ExpiredLinkError, match="not valid any more") as caught:
                made.client.download(link(made), None, into := io.BytesIO())
            # a fresh one is needed, and the same would not be better the next time
            assert len(made.server.requests) == 1
        assert caught.value.kind == "transient"
        assert into.getvalue() == b""

    @pytest.mark.parametrize("status", [404, 410, 400])
    def test_one_that_is_not_there(self, status: int) -> None:
        with account(Reply(status, b"<html>")) as made:
            with pytest.raises(PermanentError, match=f"answered {status}") as caught:
                made.client.download(link(made), None, io.BytesIO())
            assert len(made.server.requests) == 1
        assert not isinstance(caught.value, TooLargeError)

    def test_too_large_by_what_the_list_says_is_not_asked_for(self) -> None:
        with account(whole(), max_file_bytes=100) as made:
            with pytest.raises(TooLargeError, match=r"freshservice\.max_file_mb"):
                made.client.download(link(made), 101, io.BytesIO())
            assert made.server.requests == []

    def test_too_large_by_what_the_answer_says(self) -> None:
        with account(whole(), max_file_bytes=100) as made:
            with pytest.raises(TooLargeError, match="the answer says"):
                made.client.download(link(made), 100, into := io.BytesIO())
            assert len(made.server.requests) == 1
        assert into.getvalue() == b""

    def test_too_large_without_a_word(self) -> None:
        with account(Reply(200, BYTES, chunked=True), max_file_bytes=100) as made:
            with pytest.raises(TooLargeError, match="goes on behind that"):
                made.client.download(link(made), None, into := io.BytesIO())
            assert len(made.server.requests) == 1
        assert into.getvalue() == b""

    def test_as_large_as_may_be_is_fine(self) -> None:
        for reply in (whole(), Reply(200, BYTES, chunked=True)):
            with account(reply, max_file_bytes=len(BYTES)) as made:
                got = made.client.download(link(made), len(BYTES), io.BytesIO())
                assert got.size == len(BYTES)

    @pytest.mark.parametrize("size", [len(BYTES) - 1, len(BYTES) + 1, 0])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_another_length_than_was_announced(self, size: int, chunked: bool) -> None:
        with account(Reply(200, BYTES, PNG, chunked=chunked)) as made:
            with pytest.raises(SizeMismatchError, match=f"{size} bytes were announced") as caught:
                made.client.download(link(made), size, into := io.BytesIO(b"kept"))
            assert len(made.server.requests) == 3
        assert caught.value.kind == "transient"
        assert into.getvalue() == b""

    def test_what_came_wrong_once_comes_right_the_next_time(self) -> None:
        cut = Reply(200, BYTES[:100], PNG, declared=len(BYTES))
        wrong = whole(BYTES[:-1])
        with account(cut, Reply(0), Reply(503), whole()) as made:
            with pytest.raises(TransientError):
                made.client.download(link(made), len(BYTES), into := io.BytesIO())
            assert into.getvalue() == b""
        for bad in (cut, Reply(0), Reply(503), wrong, Reply(200, BYTES, chunked=True, declared=1)):
            with account(bad, whole()) as made:
                got = made.client.download(link(made), len(BYTES), into := io.BytesIO())
                assert len(made.server.requests) == 2
            assert into.getvalue() == BYTES
            assert got.size == len(BYTES)

    def test_a_storage_that_is_busy_is_waited_for_as_told(self) -> None:
        with account(Reply(503, b"", {"Retry-After": "7"}), whole()) as made:
            made.client.download(link(made), None, io.BytesIO())
            assert made.waits == [7.0]
        with account(Reply(503, b"", {"Retry-After": "900"})) as made:
            with pytest.raises(TransientError, match="answered 503"):
                made.client.download(link(made), None, io.BytesIO())
            assert made.waits == []

    def test_a_host_that_nobody_answers_at_is_one_file_that_does_not_come(self) -> None:
        with (
            account(whole()) as made,
            closed_port() as nowhere,
            pytest.raises(TransientError, match="did not come whole"),
        ):
            made.client.download(nowhere + SIGNED, None, io.BytesIO())

    def test_what_was_packed_too_well_stays_within_the_limit(self) -> None:
        packed = gzip.compress(bytes(200 << 20), 9)
        bomb = Reply(200, packed, {"Content-Encoding": "gzip"})
        with account(bomb, max_file_bytes=1 << 20) as made:
            tracemalloc.start()
            try:
                with pytest.raises(TooLargeError):
                    made.client.download(link(made), None, io.BytesIO())
                assert tracemalloc.get_traced_memory()[1] < 20 << 20
            finally:
                tracemalloc.stop()


class TestSecrets:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(403),
            Reply(404),
            Reply(500),
            Reply(0),
            whole(BYTES[:5]),
            Reply(302, b"", {"Location": "/a?token=made~up-one"}),
        ],
    )
    @pytest.mark.parametrize(
        "path",
        [
            SIGNED,
            f"/inline/attachment?token={TOKEN}",
            f"/{TOKEN}/a?X-Amz-Security-Token=made~up-one",
        ],
    )
    def test_what_opens_a_link_is_in_no_error_and_in_no_exchange(
        self, reply: Reply, path: str
    ) -> None:
        with account(reply) as made:
            with pytest.raises(Exception, match="Freshservice") as caught:
                made.client.download(link(made, path), 7, io.BytesIO())
            seen = [
                f"{one.route} {one.query} {one.error} {one.request_headers} {one.response_body!r}"
                for one in made.exchanges
            ]
        shown = f"{caught.value} {getattr(caught.value, 'unquoted', '')} {seen}"
        for secret in ("made~up-one", TOKEN, KEY):
            assert secret not in shown
        assert len(made.exchanges) == len(made.server.requests)

    def test_an_exchange_has_size_and_hash_in_place_of_bytes(self) -> None:
        with account(whole()) as made:
            made.client.download(link(made), None, io.BytesIO())
            (one,) = made.exchanges
        digest = hashlib.sha256(BYTES).hexdigest()
        assert one.response_body == f"[left out: 3000 bytes, sha256 {digest}]".encode()
        assert (one.status, one.hostname, one.method) == (200, "127.0.0.1", "GET")
        assert one.query == [("Expires", "[redacted]"), ("Signature", "[redacted]")]


def test_forty_megabytes_pass_in_little_memory() -> None:
    block = os.urandom(1 << 20)
    content = block * 40
    digest = hashlib.sha256(content).hexdigest()
    with (
        account(Reply(200, content), max_file_bytes=40 << 20) as made,
        tempfile.TemporaryFile() as into,
    ):
        tracemalloc.start()
        try:
            got = made.client.download(link(made), len(content), into)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        into.seek(0)
        assert hashlib.file_digest(into, "sha256").hexdigest() == digest
    assert got.size == 40 << 20
    assert peak < 4 << 20

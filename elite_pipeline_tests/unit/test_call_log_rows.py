"""What a row of the call log holds: no secret, no file, and nothing that its column cannot take."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from elite_pipeline import embedded_files
from elite_pipeline.observability import call_log_tables
from elite_pipeline.observability.call_log_rows import LISTED_BYTES, RowMaker, cut
from elite_pipeline.observability.file_bodies import without_files
from elite_pipeline.transport import REDACTED, Exchange, Redactor

EXCHANGE = Exchange(
    started=datetime(2026, 6, 10, 12, 0, 0, 900_000, tzinfo=UTC),
    method="POST",
    hostname="api.example.com",
    route="/v2/ticket-notes",
    query=[("depth", "5"), ("where[name =]", "a b")],
    request_headers={"Accept": "application/json"},
    request_body=b'{"body": "hello"}',
    status=201,
    response_headers={"Content-Type": "application/json"},
    response_body=b'{"data": {"ticketNotes": {"uuid": "u-1"}}}',
    seconds=0.123456,
    attempt=1,
    error=None,
)


def maker(*secrets: str, payload_bytes: int | None = None) -> RowMaker:
    rows = RowMaker(Redactor(secrets), transaction_id="run-1", instance_id="host-1")
    rows.payload_bytes = payload_bytes or rows.payload_bytes
    return rows


def row(*secrets: str, payload_bytes: int | None = None, **changed: Any) -> dict[str, Any]:
    exchange = replace(EXCHANGE, **changed)
    return maker(*secrets, payload_bytes=payload_bytes).row(exchange, "elite/contacts")


def test_a_call_becomes_a_row() -> None:
    made = row()
    assert len(made.pop("uuid")) == 36
    assert made == {
        "dtStamp": datetime.fromisoformat("2026-06-10 12:00:00"),
        "transactionId": "run-1",
        "isAuthRequest": 0,
        "direction": "OUT",
        "source": "elite/contacts",
        "sourceIp": None,
        "instanceId": "host-1",
        "executionTimeSeconds": 0.1235,
        "method": "POST",
        "hostname": "api.example.com",
        "route": "/v2/ticket-notes",
        "responseCode": 201,
        "queryString": "depth=5&where%5Bname+%3D%5D=a+b",
        "requestHeaders": '{"Accept": "application/json"}',
        "requestPayload": '{"body": "hello"}',
        "responseHeaders": '{"Content-Type": "application/json"}',
        "responsePayload": '{"data": {"ticketNotes": {"uuid": "u-1"}}}',
    }
    assert set(made) | {"uuid"} <= set(call_log_tables.api.columns.keys())


def test_the_time_is_utc_whatever_it_came_in() -> None:
    zone = timezone(timedelta(hours=-5))
    made = row(started=datetime(2026, 6, 10, 12, 0, tzinfo=zone))
    assert made["dtStamp"] == datetime.fromisoformat("2026-06-10 17:00:00")


def test_a_call_without_an_answer_has_no_code_and_says_why() -> None:
    made = row(status=None, response_headers={}, response_body=None, error="no answer within 60 s")
    assert made["responseCode"] is None
    assert made["responseHeaders"] is None
    assert made["responsePayload"] == "[no whole answer: no answer within 60 s]"


def test_a_webhook_that_came_in_says_so() -> None:
    made = row(direction="IN", source_ip="203.0.113.7")
    assert (made["direction"], made["sourceIp"]) == ("IN", "203.0.113.7")


def test_what_is_not_there_is_null() -> None:
    made = row(query=(), request_body=None, request_headers={}, response_body=b"")
    names = ("queryString", "requestPayload", "requestHeaders", "responsePayload")
    assert [made[name] for name in names] == [None] * 4


@pytest.mark.parametrize(
    "secret", ["plain-secret", 'q"uote\\s', "umlaut-ä-€", "sl/ash+ &<>", "%41x"]
)
def test_a_secret_is_taken_out_in_every_spelling(secret: str) -> None:
    said = json.dumps({"said": secret}), json.dumps({"said": secret}, ensure_ascii=False)
    for body in (*said, said[0].replace("/", "\\/"), secret):
        made = row(
            secret,
            query=[("a", secret)],
            route=f"/v2/{secret}",
            request_headers={"X-Said": secret},
            request_body=body.encode(),
            response_headers={"X-Said": secret},
            response_body=body.encode(),
        )
        assert made["queryString"] == f"a={REDACTED}"
        assert made["route"] == f"/v2/{REDACTED}"
        assert made["requestHeaders"] == made["responseHeaders"] == f'{{"X-Said": "{REDACTED}"}}'
        for name in ("requestPayload", "responsePayload"):
            assert REDACTED in made[name]
            assert secret not in made[name]
            if body != secret:
                assert json.loads(made[name]) == {"said": REDACTED}


@pytest.mark.parametrize(
    "name",
    ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"],
)
def test_headers_that_are_secrets_show_nothing_of_their_value(name: str) -> None:
    made = row(request_headers={name: "anything"}, response_headers={name: "anything"})
    assert json.loads(made["requestHeaders"]) == {name: REDACTED}
    assert json.loads(made["responseHeaders"]) == {name: REDACTED}


@pytest.mark.parametrize("before", range(570, 610))
def test_no_half_of_a_secret_is_left_where_a_body_is_cut(before: int) -> None:
    secret = "the-very-secret-value"
    # what is taken out makes the text shorter, and so its ragged end comes into what is shown
    body = f"{secret * 20:x<{before}}{secret}{'y' * 2000}".encode()
    made = row(secret, payload_bytes=600, request_body=body)["requestPayload"]
    assert "the-" not in made
    assert made.endswith(f"… [cut: {len(body)} bytes in all]")
    assert len(made.encode()) <= 600


class TestCutting:
    def test_what_fits_stays_as_it_is(self) -> None:
        assert cut("é" * 50, 100) == "é" * 50

    @pytest.mark.parametrize("most", range(60, 70))
    def test_bytes_are_counted_and_no_character_is_torn(self, most: int) -> None:
        said = cut("😀" * 50, most)
        assert len(said.encode()) <= most
        assert said.rstrip("]").endswith("[cut: 200 bytes in all")
        assert set(said.partition("…")[0]) == {"😀"}

    def test_every_text_fits_its_column(self) -> None:
        long = "ß" * 100_000
        made = row(
            query=[("q", long)],
            route=f"/{long}",
            hostname=long,
            request_headers={"X-Long": long},
            response_headers={"X-Long": long},
            request_body=b"b" * 17_000_000,
            response_body=b"b" * 17_000_000,
        )
        for name in ("queryString", "requestHeaders", "responseHeaders"):
            assert len(made[name].encode()) <= call_log_tables.TEXT_BYTES
            assert "[cut: " in made[name]
        for name in ("requestPayload", "responsePayload"):
            assert len(made[name].encode()) <= call_log_tables.PAYLOAD_BYTES
            assert made[name].endswith("… [cut: 17000000 bytes in all]")
        assert len(made["route"]) == call_log_tables.ROUTE_CHARS
        assert len(made["hostname"]) == call_log_tables.HOSTNAME_CHARS

    def test_redaction_that_makes_a_text_longer_does_not_make_it_too_long(self) -> None:
        made = row("abcd", payload_bytes=1000, request_body=b"abcd" * 250)["requestPayload"]
        assert len(made.encode()) <= 1000


class TestFiles:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 1000, 3 << 20])
    @pytest.mark.parametrize("spelling", ["plain", "slashes", "lines"])
    def test_a_file_is_replaced_by_its_size_and_hash(
        self, size: int, spelling: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # so that pieces end within escapes too
        monkeypatch.setattr(embedded_files, "PIECE_BYTES", 1021)
        content = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
        text = base64.b64encode(content).decode()
        if spelling == "lines":
            text = base64.encodebytes(content).decode().replace("\n", "\r\n")
        document = json.dumps({"name": "a.bin", "data": text, "contentType": "x/y"})
        if spelling == "slashes":
            document = document.replace("/", "\\/")
        made = row(route="/v2/files", request_body=document.encode())["requestPayload"]
        digest = hashlib.sha256(content).hexdigest()
        assert json.loads(made) == {
            "name": "a.bin",
            "data": f"[base64 left out: {size} bytes, sha256 {digest}]",
            "contentType": "x/y",
        }

    def test_a_file_in_an_answer_is_replaced_too(self) -> None:
        body = b'{"data": {"files": {"uuid": "u", "data": "aGVsbG8="}}}'
        made = json.loads(row(route="/v2/files/u", response_body=body)["responsePayload"])
        assert made["data"]["files"]["uuid"] == "u"
        assert made["data"]["files"]["data"].startswith("[base64 left out: 5 bytes, sha256 2cf24")

    def test_what_is_no_base64_is_left_out_as_well(self) -> None:
        made = row(route="/v2/files", request_body=b'{"data": "not \\" base64!"}')["requestPayload"]
        assert json.loads(made)["data"].startswith(
            "[left out: 14 bytes that are not base64, sha256 "
        )

    def test_what_was_replaced_once_stays_so(self) -> None:
        once = without_files(b'{"data": "aGVsbG8="}', is_file=True)
        assert without_files(once, is_file=True) is once
        odd = without_files(b'{"data": "no base64!"}', is_file=True)
        assert without_files(odd, is_file=True) is odd

    @pytest.mark.parametrize("text", ["aGVsbG8=aGVsbG8=", "aGVsbG8", "aGVs bG8=", "====", "a==="])
    def test_what_only_begins_as_base64_is_none(self, text: str) -> None:
        body = b'{"data": "%s"}' % text.encode()
        assert b" bytes that are not base64, sha256 " in without_files(body, is_file=True)

    @pytest.mark.parametrize("slash", [b"/", rb"\/", rb"\u002F"])
    def test_every_spelling_of_a_slash_is_read(self, slash: bytes) -> None:
        body = b'{"data": "%s"}' % base64.b64encode(b"\xff" * 3000).replace(b"/", slash)
        digest = hashlib.sha256(b"\xff" * 3000).hexdigest().encode()
        assert b"3000 bytes, sha256 " + digest in without_files(body, is_file=True)

    def test_images_within_html_are_left_out(self) -> None:
        image = base64.b64encode(bytes(range(256)) * 20).decode()
        html = f'<p>before</p><img src="data:image/png;base64,{image}"><b>after</b>'
        for body in (json.dumps({"body": html}), json.dumps({"body": html}).replace("/", "\\/")):
            made = json.loads(row(request_body=body.encode())["requestPayload"])["body"]
            assert made.startswith(
                '<p>before</p><img src="data:image/png;base64,[base64 left out: 5120 bytes, sha256 '
            )
            assert made.endswith(']"><b>after</b>')

    @pytest.mark.parametrize("kind", ["application/pdf", "multipart/form-data; boundary=x", ""])
    def test_what_is_no_text_is_left_out_whole(self, kind: str) -> None:
        headers = {"content-type": kind} if kind else {}
        made = row(response_body=b"%PDF\0\xff", response_headers=headers)["responsePayload"]
        digest = hashlib.sha256(b"%PDF\0\xff").hexdigest()
        assert made == f"[left out: 6 bytes, sha256 {digest}]"

    def test_an_answer_that_breaks_off_shows_nothing_of_the_file(self) -> None:
        assert b"aGVs" not in without_files(b'{"data": "aGVsbG8gd29ybGQ', is_file=True)

    def test_elsewhere_only_what_is_a_file_is_left_out(self) -> None:
        text = b'{"data": "short", "more": {"data": "%s"}}' % (b"no base64, but long! " * 100)
        assert without_files(text, is_file=False) == text
        file = b'{"file": {"data": "%s"}}' % base64.b64encode(b"x" * 3000)
        assert b"[base64 left out: 3000 bytes" in without_files(file, is_file=False)


@pytest.mark.parametrize("route", ["/v2/contacts", "/v2/units", "contacts"])
def test_of_a_list_of_people_the_beginning_is_kept(route: str) -> None:
    body = b'{"data": {"contacts": [' + b'{"email": "a@example.com"}, ' * 1_000
    payload = row(method="GET", status=200, route=route, response_body=body)["responsePayload"]
    assert payload.startswith('{"data": {"contacts": [{"email": "a@example.com"}, ')
    assert payload.endswith(f"… [cut: {len(body)} bytes in all]")
    assert len(payload.encode()) <= LISTED_BYTES


@pytest.mark.parametrize("opener", [b'"data": "', b'"text": "data:image/png;base64,'])
@pytest.mark.parametrize("before", [40, 500, 3_000])
def test_of_a_file_where_a_list_is_cut_no_byte_is_kept(opener: bytes, before: int) -> None:
    start = b'{"data": {"contacts": [{"name": "' + b"a" * (LISTED_BYTES - before) + b'", ' + opener
    file = base64.b64encode(b"\1" * 60_000)
    payload = row(
        method="GET", status=200, route="/v2/contacts", response_body=start + file + b'"}]}}'
    )["responsePayload"]
    assert "AQEB" not in payload
    assert payload.endswith("bytes in all]" if before < 300 else '"}]}}')


@pytest.mark.parametrize(
    "changed",
    [
        {"route": "/v2/contacts/0d7d"},
        {"route": "/v2/tickets"},
        {"route": "/v2/contacts", "method": "POST", "status": 201},
        {"route": "/v2/contacts", "status": 422},
        {"route": "/v2/contacts", "direction": "IN"},
    ],
    ids=["one", "tickets", "written", "refused", "came in"],
)
def test_everything_else_is_kept_whole(changed: dict[str, Any]) -> None:
    text = '{"email": "a@example.com"}, ' * 1_000
    given = {"method": "GET", "status": 200, **changed}
    assert row(**given, response_body=text.encode())["responsePayload"] == text

"""Failures as Sentry gets them: real envelopes, sent to a stand-in on loopback."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk

from elite_pipeline.errors import PermanentError
from elite_pipeline.observability.sentry import open_sentry
from elite_pipeline.settings import Settings


class Collector(ThreadingHTTPServer):
    """Takes envelopes and keeps the events in them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.raw = ""

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.server_port}/1"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode("utf-8")
        self.server.raw += text
        for line in text.splitlines():
            document = json.loads(line)
            if "exception" in document:
                self.server.events.append(document)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    sentry_sdk.get_client().close()
    collector.shutdown()
    collector.server_close()
    thread.join()


def test_failure_arrives_with_where_it_happened_and_without_secrets(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELITE_TOGA2_API_SECRET", "very-secret-value")
    monkeypatch.setenv("SENTRY_DSN", collector.dsn)
    report = open_sentry(Settings())

    local = "very-secret-value"  # what stands in a frame must not travel either
    try:
        raise PermanentError(f"refused with {local}")
    except PermanentError as error:
        report(error, {"client": "elite", "flow": "contacts", "record": "u-1", "kind": "permanent"})
    sentry_sdk.flush(timeout=30)

    (event,) = collector.events
    assert event["tags"] == {
        "client": "elite",
        "flow": "contacts",
        "record": "u-1",
        "kind": "permanent",
    }
    assert event["fingerprint"] == ["elite", "contacts", "PermanentError"]
    assert event["exception"]["values"][0]["value"] == "refused with [redacted]"
    assert "very-secret-value" not in collector.raw


def test_without_a_dsn_nothing_is_sent(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTRY_DSN", raising=False)

    open_sentry(Settings())(PermanentError("x"), {"client": "elite"})
    sentry_sdk.flush(timeout=1)

    assert collector.events == []

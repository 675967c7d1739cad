"""A stand-in for Sentry on loopback: takes real envelopes, and keeps the events in them."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Collector(ThreadingHTTPServer):
    """Takes envelopes.

    Attributes:
        events: Those that came, in order.
        raw: All that came, headers included.
        answers: Cleared to leave all who send something without an answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.raw = ""
        self.answers = threading.Event()
        self.answers.set()

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.server_port}/1"

    def tags(self) -> list[dict[str, str]]:
        """Return the tags of each event."""
        return [event["tags"] for event in self.events]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answers.wait(60)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode("utf-8")
        self.server.raw += f"{self.headers}{text}"
        for line in text.splitlines():
            document = json.loads(line)
            if "exception" in document:
                self.server.events.append(document)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a stand-in for Sentry."""
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield collector
    collector.answers.set()
    collector.shutdown()
    collector.server_close()
    thread.join()

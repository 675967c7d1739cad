"""A small HTTP server that counts what arrives within a window, and turns away what is too much."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def busiest(arrivals: Sequence[float], window: float) -> int:
    """Return how many arrivals there are at most within any one window."""
    ordered = sorted(arrivals)
    most = first = 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - window:
            first += 1
        most = max(most, last - first + 1)
    return most


class CountingServer:
    """Counts calls by the first part of their path, as they arrive.

    Args:
        overall: Calls a window.
        kinds: Path -> calls of it a window.
        window: Seconds.
    """

    def __init__(self, overall: int, kinds: Mapping[str, int], window: float) -> None:
        self.arrivals: list[tuple[float, str]] = []
        self.refused = 0
        self._lock = threading.Lock()
        counting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind = self.path.strip("/").partition("/")[0]
                with counting._lock:
                    now = time.monotonic()
                    counting.arrivals.append((now, kind))
                    recent = [name for at, name in counting.arrivals if at > now - window]
                    left = overall - len(recent)
                    is_fine = left >= 0 and recent.count(kind) <= kinds.get(kind, overall)
                    counting.refused += not is_fine
                self.send_response(200 if is_fine else 429)
                self.send_header("X-RateLimit-Total", str(overall))
                self.send_header("x-ratelimit-remaining", str(max(0, left)))
                if not is_fine:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any, **options: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["CountingServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def times(self, kind: str | None = None) -> list[float]:
        """Return when calls arrived, of a kind or all."""
        return [at for at, name in self.arrivals if kind in {None, name}]

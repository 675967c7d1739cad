"""A small HTTP server whose answers a test writes down beforehand, for what no sandbox would say."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: The status; 0 closes the connection without an answer.
        declared: The ``Content-Length`` that is claimed, when it is not the body's.
        stalls: Says nothing until the server is closed.
        chunked: Sends the body in chunks; without the last one when ``declared`` is given.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    stalls: bool = False
    chunked: bool = False


@dataclass
class Request:
    """One request as it came, and from which port."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int


class ScriptedServer:
    """Gives its replies one after the other, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                port = self.client_address[1]
                request = Request(self.command, self.path, dict(self.headers), body, port)
                script._reply(self, script._next(request))

            def log_message(self, *args: Any, **options: Any) -> None:
                pass

        for method in ("GET", "POST", "PATCH"):
            setattr(Handler, f"do_{method}", Handler._answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and let go of whoever waits."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _reply(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.stalls:
            self._closing.wait(60)
        if reply.stalls or reply.status == 0:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if "Date" in reply.headers:
            handler.send_response_only(reply.status)
        else:
            handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(reply.body), reply.body))
            if reply.declared is None:
                handler.wfile.write(b"0\r\n\r\n")
        else:
            length = len(reply.body) if reply.declared is None else reply.declared
            handler.send_header("Content-Length", str(length))
            handler.end_headers()
            handler.wfile.write(reply.body)
        if reply.declared is not None:
            handler.close_connection = True


@contextmanager
def scripted(*replies: Reply) -> Iterator[ScriptedServer]:
    """Run a server that gives these replies."""
    server = ScriptedServer(*replies)
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def closed_port() -> Iterator[str]:
    """Name an address at which nobody listens, and nobody else will meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"

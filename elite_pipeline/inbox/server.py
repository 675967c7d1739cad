"""The receiver on a socket, until it is told to end.

It ends on SIGTERM and SIGINT: it takes nothing new, finishes what it has taken, and closes.
"""

import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.inbox.protocol import BoundedProtocol

#: Connections at once; whoever comes beyond that is told to come again.
MOST_CONNECTIONS = 900
#: How long a connection may be idle between requests, in seconds.
IDLE_SECONDS = 75
#: How long ending waits for requests under way, in seconds.
GRACE_SECONDS = 25


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: An address of this machine's, or a name of it.
        port: 0: any that is free.

    Raises:
        ConfigurationError: It cannot listen there.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        # the system's own words; Python adds the address to them
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ConfigurationError(
            f"The receiver cannot listen on port {port} of {host}: {reason}. End what listens there, "
            "or choose another place with --host and --port."
        ) from None


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server of an application; its ``run`` takes a socket that listens."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve an application until this process is told to end."""
    server = make_server(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises it once more when it is through; by default that would end the process at once
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])

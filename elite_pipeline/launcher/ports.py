"""Finds out, before anything is started, whether the demo's ports can be had."""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from elite_pipeline.errors import ConfigurationError

#: The demo listens here and nowhere else.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the demo listens on.

    Attributes:
        variable: The environment variable that moves it.
        purpose: What listens there, for messages.
        number: The port itself.
    """

    variable: str
    purpose: str
    number: int


def read_port(variable: str, purpose: str, default: int) -> Port:
    """Return the port that an environment variable sets.

    Raises:
        ConfigurationError: The variable holds something that is not a port number.
    """
    text = os.environ.get(variable, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ConfigurationError(f"{variable}: expected a port from 1 to 65535, not {text!r}.")
    return Port(variable, purpose, int(text))


def check_ports(ports: Iterable[Port]) -> None:
    """Make sure that every port is free.

    Raises:
        ConfigurationError: One is taken, may not be used, or is wanted twice; one line that names
            the variable to set.
    """
    wanted: dict[int, Port] = {}
    for port in ports:
        other = wanted.setdefault(port.number, port)
        if other is not port:
            raise ConfigurationError(
                f"{other.variable} and {port.variable} are both {port.number}: set one of them "
                "to another port."
            )
        _check_free(port)


def _check_free(port: Port) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of an earlier start that are still closing don't matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port.number))
            probe.listen()
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else "may not be used"
            raise ConfigurationError(
                f"Port {port.number} for {port.purpose} {reason}: set {port.variable} "
                f"to a free one, e.g. {port.variable}={_some_free_port()}."
            ) from error


def _some_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        number: int = probe.getsockname()[1]
        return number

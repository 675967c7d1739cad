"""Which links files may be fetched from: https, to a host of the list, and nowhere else.

The links stand in texts and answers that others wrote. They are read strictly: what two readers of an
address could understand differently is refused. What does not belong here: fetching
(``transport.downloads``).
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from elite_pipeline.errors import ForbiddenHostError

_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
#: A scheme, what names the host, and the rest: visible ASCII without what is no part of an address.
_ADDRESS = re.compile(
    r"(https?)://([A-Za-z0-9.:\[\]-]+)([/?#][!#-;=?-Z_a-z~\[\]%|{}^`]*)?", re.ASCII
)
_SHOWN_CHARS = 80


class LinkRules:
    """Where files may be fetched from.

    Args:
        hosts: Each stands for itself and the hosts below it. One that is this machine (``127.0.0.1``,
            ``localhost``, ``::1``) stands for itself alone, on any port and also without TLS: it is how a
            sandbox is used.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        names = {host.lower() for host in hosts}
        self._local = frozenset(host for host in names if _is_local(host))
        self._names = frozenset(names - self._local)

    def check(self, url: str) -> None:
        """Accept a link.

        Raises:
            ForbiddenHostError: Nothing may be fetched from there; the message names the host and nothing
                else of the link.
        """
        found = _ADDRESS.fullmatch(url)
        parts = _split(url) if found else None
        if found is None or parts is None:
            raise ForbiddenHostError(
                "A link to a file is no address that could be fetched from (https, a host, a path); it "
                "was not followed."
            )
        host, port = parts
        if host in self._local:
            return
        is_listed = _HOST_NAME.fullmatch(host) and any(
            host == name or host.endswith(f".{name}") for name in self._names
        )
        if not is_listed:
            raise ForbiddenHostError(
                f"A link to a file leads to {_shown(host)}, which is no host that files may be fetched "
                "from; it was not followed. If it should be, add it to freshservice.attachment_hosts in "
                "the registry."
            )
        if found[1] != "https" or port not in {None, 443}:
            raise ForbiddenHostError(
                f"A link to a file at {_shown(host)} is not https on its usual port; it was not followed."
            )


def _split(url: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host, port) if host else None


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return host if len(host) <= _SHOWN_CHARS else f"{host[:_SHOWN_CHARS]}…"

"""Which route a path is, and whose request it is."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from secrets import compare_digest
from typing import Final, NamedTuple

from elite_pipeline.sandbox.toga2 import problems
from elite_pipeline.sandbox.toga2.clients import SandboxClient
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.schema import RESOURCES, Resource


class Target(NamedTuple):
    """What a path points at: a resource, one record of it, or what hangs on that record."""

    pattern: str
    resource: Resource
    uuid: str | None = None
    child: Resource | None = None


#: Which methods each depth of path takes.
METHODS: Final = {
    "list": ("GET", "POST"),
    "one": ("GET", "PATCH"),
    "children": ("GET", "POST"),
}


def resolve(path: str) -> Target | None:
    """Return what a path below the base points at, or ``None`` if it is no route."""
    parts = path.split("/")
    if len(parts) < 2 or parts[0] or not parts[-1]:
        return None
    resource = RESOURCES.get(parts[1])
    if resource is None or not resource.own_route:
        return None
    if len(parts) == 2:
        return Target(f"/{resource.route}", resource)
    if len(parts) == 3:
        return Target(f"/{resource.route}/{{uuid}}", resource, parts[2])
    children = resource.children
    if len(parts) == 4 and children is not None and children.route == parts[3]:
        child = RESOURCES[children.route]
        if not child.own_route:
            pattern = f"/{resource.route}/{{uuid}}/{child.route}"
            return Target(pattern, resource, parts[2], child)
    return None


def methods_of(target: Target) -> tuple[str, ...]:
    """Return the methods that a route takes."""
    if target.child is not None:
        return METHODS["children"]
    return METHODS["list"] if target.uuid is None else METHODS["one"]


class Doorkeeper:
    """Knows the clients, and checks who is asking."""

    def __init__(self, clients: Iterable[SandboxClient]) -> None:
        self._by_uuid = {client.client_uuid.lower(): client for client in clients}

    def claimed(self, headers: Mapping[bytes, bytes]) -> SandboxClient | None:
        """Return the client whose uuid a request carries, checked or not."""
        claimed = headers.get(b"x-client-uuid", b"").decode("latin-1").strip().lower()
        return self._by_uuid.get(claimed)

    def admit(self, headers: Mapping[bytes, bytes]) -> SandboxClient:
        """Return the client whose credentials a request carries.

        Raises:
            RefusedError: 401 for credentials or a header that are missing or wrong, 403 for the
                credentials of one client with the uuid of another.
        """
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "basic" or not token:
            raise _unknown("HTTP Basic credentials (API key and secret) are missing")
        try:
            given = b64decode(token.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise _unknown("the HTTP Basic credentials cannot be read") from None
        owners = [
            client
            for client in self._by_uuid.values()
            if compare_digest(given, f"{client.api_key}:{client.api_secret}".encode())
        ]
        if not owners:
            raise _unknown("API key or secret is wrong")
        if b"x-client-uuid" not in headers:
            raise _unknown("the header X-Client-Uuid is missing")
        client = self.claimed(headers)
        if client is None or client not in owners:
            raise RefusedError(403, problems.WRONG_CLIENT, "the credentials are of another client")
        return client


def _unknown(message: str) -> RefusedError:
    return RefusedError(401, problems.NOT_AUTHENTICATED, message)

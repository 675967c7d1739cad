"""A received webhook as the call log takes it: direction ``IN`` (``spec/sync.md`` section 9)."""

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import Response
from starlette.types import Scope

from elite_pipeline.transport import Exchange

#: Told of a webhook and of what was answered; returns at once and raises nothing.
Observer = Callable[[Exchange], None]


def exchange_of(
    scope: Scope,
    headers: Mapping[str, str],
    body: bytes,
    response: Response,
    *,
    started: datetime,
    seconds: float,
) -> Exchange:
    """Return what is logged of a webhook.

    Args:
        scope: The request.
        headers: Its headers.
        body: As far as it was read.
        response: What was answered.
        started: When it came; aware, UTC.
        seconds: Until the answer was ready.
    """
    return Exchange(
        started=started,
        method=scope["method"],
        hostname=_hostname(headers.get("host", "")),
        route=scope["path"],
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        request_headers=headers,
        request_body=body or None,
        status=response.status_code,
        response_headers=dict(response.headers),
        response_body=bytes(response.body),
        seconds=seconds,
        attempt=1,
        error=None,
        direction="IN",
        source_ip=_address(scope),
    )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(scope: Scope) -> str | None:
    """Return the sender's address; what a proxy forwards need not be one."""
    client = scope.get("client")
    try:
        return str(ipaddress.ip_address(client[0])) if client else None
    except ValueError:
        return None

"""The registry's section on a client's Freshservice account.

Follows ``spec/freshservice.md``. What does not belong here: the API key and the webhooks' secret
(``settings``), and what a plan allows (``freshservice.limits``).
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, StringConstraints

from elite_pipeline.registry_values import Entry, spelled

#: Freshservice status -> TOGA 2 status; 6 and up are the account's own [D].
DEFAULT_STATUS_MAP: Mapping[int, str] = {2: "OPEN", 3: "PENDING", 4: "RESOLVED", 5: "CLOSED"}
#: Freshservice priority -> TOGA 2 priority.
DEFAULT_PRIORITY_MAP: Mapping[int, str] = {1: "LOW", 2: "NORMAL", 3: "HIGH", 4: "URGENT"}

#: Where Freshservice keeps files: the account's own host, one per data centre for what is embedded in
#: texts, and the storage behind them.
DEFAULT_ATTACHMENT_HOSTS = (
    "attachments.freshservice.com",
    "attachment.freshservice.com",
    "eucattachment.freshservice.com",
    "indattachment.freshservice.com",
    "ausattachment.freshservice.com",
    "amazonaws.com",
)

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, and so a sandbox."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _account_address(url: HttpUrl) -> HttpUrl:
    host = (url.host or "").strip("[]")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError(
            "expected an address without credentials, query or fragment; the API key comes from the "
            "environment"
        )
    if url.scheme != "https" and not is_loopback(host):
        raise ValueError("expected https, as the API key is sent there")
    if (url.path or "/").rstrip("/") not in {"", "/api/v2"}:
        raise ValueError("expected an address without a path, as https://example.freshservice.com")
    return url


def _attachment_host(text: str) -> str:
    if is_loopback(text):
        return text
    if not _HOST.fullmatch(text) or "." not in text or text.rpartition(".")[2].isdigit():
        raise ValueError(
            "expected the name of a host, in lower case and without port or path, such as "
            "attachments.freshservice.com; it stands for the hosts below it too"
        )
    return text


def _any(hosts: tuple[str, ...]) -> tuple[str, ...]:
    # as a length of the tuple's, it would be told of beside every mistake in a host
    if not hosts:
        raise ValueError("expected a list with at least 1 entry, and it is empty")
    return hosts


#: A status or a priority of Freshservice -> TOGA 2's value.
_ValueMap = dict[Annotated[int, Field(strict=True, ge=1)], Annotated[str, AfterValidator(spelled)]]


class FreshserviceEntry(Entry):
    """The client's Freshservice account."""

    base_url: Annotated[HttpUrl, AfterValidator(_account_address)]
    webhook_action: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    plan: Literal["starter", "growth", "pro", "enterprise"] = Field(
        default="starter", description="What the account may be asked a minute."
    )
    calls_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="In place of the plan's overall limit: leaves room for other programs.",
    )
    attachment_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_attachment_host)], ...], AfterValidator(_any)
    ] = Field(
        default=DEFAULT_ATTACHMENT_HOSTS,
        description="Hosts, with those below them, that files are fetched from.",
    )
    max_file_mb: int = Field(default=40, ge=1, le=1_024, description="Larger files are left out.")
    lag_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="How far the sweep goes back behind its watermark, in seconds.",
    )
    status_map: _ValueMap = Field(default_factory=dict)
    priority_map: _ValueMap = Field(default_factory=dict)

    @property
    def account(self) -> str:
        """What tells one account from another: its host, with the port where that is unusual."""
        port = self.base_url.port
        usual = {"https": 443, "http": 80}[self.base_url.scheme]
        return (self.base_url.host or "") + (f":{port}" if port not in {None, usual} else "")

    @property
    def api_url(self) -> str:
        """The API's address up to and with the version, without a slash at the end."""
        return f"{self.base_url.scheme}://{self.account}/api/v2"

    @property
    def max_file_bytes(self) -> int:
        """The largest file that is fetched."""
        return self.max_file_mb << 20

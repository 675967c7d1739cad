"""A client of Freshservice against a server whose answers a test writes down beforehand."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from elite_pipeline.freshservice.client import FreshserviceClient
from elite_pipeline.freshservice.links import LinkRules
from elite_pipeline.transport import (
    Downloader,
    Exchange,
    RateBudget,
    Redactor,
    RetryPolicy,
    Transport,
)
from elite_pipeline_tests.support.scripted_http import Reply, ScriptedServer, scripted

KEY = "the-freshservice-key"
TIME = "2026-06-10T08:00:00Z"
POLICY = RetryPolicy(attempts=3, base_seconds=0.0, max_retry_after_seconds=60.0)


class Account:
    """An account, its client, and what both saw.

    Attributes:
        waits: What the client would have waited, in seconds.
    """

    def __init__(
        self,
        server: ScriptedServer,
        *,
        budget: RateBudget | None = None,
        hosts: Sequence[str] = ("127.0.0.1",),
        max_file_bytes: int = 1 << 20,
    ) -> None:
        self.server = server
        self.waits: list[float] = []
        self.exchanges: list[Exchange] = []
        self.redactor = Redactor.for_basic_auth(KEY, "X")
        given: dict[str, Any] = {
            "system": "Freshservice",
            "redactor": self.redactor,
            "pool_size": 8,
            "retry": POLICY,
            "sleep": self.waits.append,
            "on_exchange": self.exchanges.append,
        }
        self.client = FreshserviceClient(
            Transport(
                base_url=server.url,
                credentials="ELITE_FRESHSERVICE_API_KEY",
                budget=budget,
                **given,
            ),
            Downloader(check=LinkRules(hosts).check, **given),
            api_url=f"{server.url}/api/v2",
            api_key=KEY,
            max_file_bytes=max_file_bytes,
        )

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path.removeprefix("/api/v2/") for request in self.server.requests]


@contextmanager
def account(*replies: Reply, **options: Any) -> Iterator[Account]:
    """Run an account that answers with these replies."""
    with scripted(*replies) as server:
        made = Account(server, **options)
        try:
            yield made
        finally:
            made.client.close()


def answer(document: object, **headers: str) -> Reply:
    """Return an answer of JSON; ``_`` in a header's name stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(200, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


def ticket(number: int = 7, **fields: Any) -> dict[str, Any]:
    """Return a raw ticket."""
    return {
        "id": number,
        "subject": "Printer",
        "status": 2,
        "priority": 1,
        "created_at": TIME,
        "updated_at": TIME,
        **fields,
    }


def conversation(number: int, **fields: Any) -> dict[str, Any]:
    """Return a raw conversation."""
    return {
        "id": number,
        "body": "<p>x</p>",
        "private": False,
        "created_at": TIME,
        "updated_at": TIME,
        **fields,
    }


def page(raws: Sequence[object], *, link: str | None = None, key: str = "conversations") -> Reply:
    """Return a page of a list."""
    return answer({key: list(raws)}, **({"Link": link} if link else {}))

"""Plain HTTP against a sandbox's TOGA 2, for tests of its wire."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from elite_pipeline.sandbox.toga2 import SandboxClient, Toga2Sandbox

ELITE = SandboxClient(
    name="elite",
    client_uuid="00000000-0000-4000-8000-000000000001",
    api_key="7d0c2a34-52cc-4a39-9d5f-0c1f2a4f4d01",
    api_secret="elite-secret",
    custom_field_prefix="c_elite",
)
WJE = SandboxClient(
    name="wje",
    client_uuid="00000000-0000-4000-8000-000000000002",
    api_key="7d0c2a34-52cc-4a39-9d5f-0c1f2a4f4d02",
    api_secret="wje-secret",
    custom_field_prefix="c_wje",
    integration_type="REPAIR_ORDERS",
)

#: Where the clock of a test begins.
NOON = datetime(2026, 6, 10, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Wire:
    """One client's calls, without any help: no retries, no proxies, no interpretation."""

    def __init__(self, sandbox: Toga2Sandbox, client: SandboxClient = ELITE) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (client.api_key, client.api_secret)
        self.session.headers["X-Client-Uuid"] = client.client_uuid

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 10)
        return self.session.request(method, self.sandbox.base_url + path, **options)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what lies in the envelope of a read that works."""
        return self._content(self.call("GET", path, params=parameters), 200)

    def list(self, path: str, parameters: dict[str, Any]) -> Any:
        """Return the records of a list that works."""
        return self._content(self.call("GET", path, params=parameters), 200)

    def post(self, path: str, body: Any) -> Any:
        """Return what lies in the envelope of a create that works."""
        return self._content(self.call("POST", path, json=body), 201)

    def patch(self, path: str, body: Any) -> Any:
        """Return what lies in the envelope of a change that works."""
        return self._content(self.call("PATCH", path, json=body), 200)

    def refused(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Return status and code of a call that does not work."""
        answer = self.call(method, path, **options)
        error = answer.json()["error"]
        assert set(error) == {"code", "message"}
        assert error["message"]
        return answer.status_code, error["code"]

    @staticmethod
    def _content(answer: requests.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        (content,) = answer.json()["data"].values()
        return content


@contextmanager
def running(**options: Any) -> Iterator[Toga2Sandbox]:
    """Run an empty sandbox with two clients."""
    options.setdefault("clients", [ELITE, WJE])
    with Toga2Sandbox(**options) as sandbox:
        yield sandbox

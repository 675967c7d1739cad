"""A running sandbox of Freshservice for tests, and plain HTTP against it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from elite_pipeline.sandbox.freshservice import (
    Account,
    AccountSpec,
    FreshserviceSandbox,
    Plan,
    Settings,
    fill,
)
from elite_pipeline.sandbox.serving.clock import Clock

API_KEY = "freshservice-key-of-elite"


@contextmanager
def running_freshservice(
    *names: str,
    plan: Plan = "starter",
    clock: Clock | None = None,
    settings: Settings | None = None,
    filled: bool = True,
) -> Iterator[FreshserviceSandbox]:
    """Run a sandbox with accounts of some names (``elite`` without any), with people in them."""
    specs = [AccountSpec(name, api_key(name), plan) for name in names or ("elite",)]
    with FreshserviceSandbox(specs, clock=clock, settings=settings) as sandbox:
        if filled:
            for account in sandbox.accounts.values():
                fill(account, requesters=5, agents=2, groups=2, paths=10)
        yield sandbox


def api_key(name: str) -> str:
    """Return the key of an account."""
    return f"freshservice-key-of-{name}"


class Desk:
    """One account's calls, without any help: no retries, no proxies, no interpretation."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (account.api_key, "X")

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 10)
        return self.session.request(method, self.account.api_url + path, **options)

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the body of a read that works."""
        answer = self.call("GET", path, params=parameters)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def refused(self, method: str, path: str, **options: Any) -> int:
        """Return the status of a call that does not work."""
        answer = self.call(method, path, **options)
        assert answer.status_code >= 400, answer.text
        return answer.status_code

    def download(self, url: str, **options: Any) -> requests.Response:
        """Follow a link to an attachment, without credentials."""
        options.setdefault("timeout", 10)
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, allow_redirects=False, **options)

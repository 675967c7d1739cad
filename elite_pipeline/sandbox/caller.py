"""A few plain calls to a running sandbox, for the command line.

It is no client of any system for anything else: no retries, no paging, one error for whatever goes wrong.
"""

from typing import Any

import requests

from elite_pipeline.sandbox.toga2 import SandboxClient

_TIMEOUT_SECONDS = 30.0


class CallError(Exception):
    """The sandbox could not be reached, or refused a call; the message says which and why."""


class Caller:
    """Calls a sandbox on this machine.

    Args:
        port: Where it listens.
        client: Whose credentials to use with TOGA 2; none are needed for a sandbox's own endpoints.
        system: The word that stands for the sandbox on the command line.
    """

    def __init__(
        self, port: int, client: SandboxClient | None = None, *, system: str = "toga2"
    ) -> None:
        self._system = system
        self._root = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False
        if client is not None:
            self._session.auth = (client.api_key, client.api_secret)
            self._session.headers["X-Client-Uuid"] = client.client_uuid

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        **parameters: str | int,
    ) -> Any:
        """Make one call and return the answer's JSON.

        Raises:
            CallError: It did not work.
        """
        try:
            answer = self._session.request(
                method, self._root + path, json=body, params=parameters, timeout=_TIMEOUT_SECONDS
            )
            document = answer.json()
        except requests.ConnectionError:
            raise CallError(
                f"no sandbox answers at {self._root}: start it with"
                f" 'elite-pipeline sandbox {self._system} serve'"
            ) from None
        except requests.RequestException as error:
            raise CallError(f"{method} {path}: {error}") from None
        if not answer.ok:
            reason = document.get("error", {}).get("message", "no reason given")
            raise CallError(f"{method} {path}: {answer.status_code}: {reason}")
        return document

"""Sends single requests by requests' adapter: its pools, its TLS, its proxies, its errors.

Without its session, which prepares and keeps for every answer what nobody here asks for: cookies, hooks,
redirects, histories. For a small answer that takes as long as everything else of the call.

What does not belong here: whether a request is repeated, and what its answer means (``session``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.structures import CaseInsensitiveDict


class _Adapter(HTTPAdapter):
    """Finds the pool of a host once, and builds answers without cookies."""

    def __init__(self, pool_size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=pool_size, pool_block=True)
        self._pools: dict[str, Any] = {}

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> Any:
        # a prepared address has a path
        url = request.url or ""
        host = url[: url.find("/", url.find("//") + 2)]
        if (pool := self._pools.get(host)) is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._pools[host] = pool
        return pool

    def build_response(
        self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse
    ) -> requests.Response:
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.request = req
        return response

    def close(self) -> None:
        self._pools.clear()
        super().close()


class HttpSender:
    """Sends requests to the host of one address. Safe to use from several threads.

    Args:
        base_url: What proxies and certificates are looked up for in the environment, once.
        pool_size: Connections kept, and so requests at once.
        timeout: Seconds to connect, and without a byte.
    """

    def __init__(self, base_url: str, *, pool_size: int, timeout: tuple[float, float]) -> None:
        with requests.Session() as session:
            surroundings = session.merge_environment_settings(base_url, {}, None, None, None)
            self._defaults = dict(session.headers)
        self._proxies = surroundings["proxies"]
        self._verify = cast("bool | str", surroundings["verify"])
        self._timeout = timeout
        self._adapter = _Adapter(pool_size)

    def close(self) -> None:
        """Close the pooled connections."""
        self._adapter.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        auth: tuple[str, str] | None,
        body: bytes | bytearray | None,
    ) -> requests.Response:
        """Send one request; its answer's body is still to be read, from ``raw``.

        Redirects are not followed, and no cookies are kept.

        Args:
            method, url, params, headers: Of the request.
            auth: User and password; None sends none, whatever the environment has.
            body: Sent as it is and not copied; an empty one is none.

        Raises:
            requests.RequestException: No answer came.
        """
        request = requests.PreparedRequest()
        request.prepare_method(method)
        request.prepare_url(url, list(params))
        request.prepare_headers({**self._defaults, **headers})
        # a bytearray goes as it is, which its types do not say; an empty one would not
        request.prepare_body(cast("bytes | None", body or None), None)
        if auth is not None:
            # as bytes: requests would encode text as latin-1, which not every secret is
            HTTPBasicAuth(auth[0].encode(), auth[1].encode())(request)
        return self._adapter.send(
            request,
            stream=True,
            timeout=self._timeout,
            verify=self._verify,
            proxies=self._proxies,
        )

"""Fetching a file from a link that somebody else made: streamed, bounded, without credentials.

Where a link leads is checked before anything is sent, and again wherever it redirects to. What does not
belong here: which hosts are allowed (``freshservice.links``), and what becomes of the file.
"""

import hashlib
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from http.cookiejar import DefaultCookiePolicy
from typing import BinaryIO
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from elite_pipeline.errors import (
    ExpiredLinkError,
    PermanentError,
    PipelineError,
    SizeMismatchError,
    TooLargeError,
    TransientError,
    TransientHttpError,
    http_status_kind,
)
from elite_pipeline.transport.exchange import Exchange
from elite_pipeline.transport.failures import NoAnswerError, as_no_answer
from elite_pipeline.transport.redaction import REDACTED, Redactor
from elite_pipeline.transport.retrying import RetryPolicy, parse_retry_after

_PIECE_BYTES = 1 << 18
_MOST_HOPS = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What a storage says to a link whose time is over, or whose signature it does not take.
_EXPIRED = frozenset({401, 403})
#: Parameters of a link that open it.
_OPENS_IT = re.compile(r"signature|expires|token|credential|key|policy|secret|jwt", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was fetched.

    Attributes:
        size: Bytes.
        content_type: What the answer calls it, without parameters; None: nothing.
        name: What the answer calls it; None: nothing. Not checked: a name of any kind.
    """

    size: int
    content_type: str | None
    name: str | None


@dataclass(slots=True)
class _Arriving:
    """What has come so far of one attempt."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    problem: str | None = None
    is_whole: bool = False


class _LaterError(TransientHttpError):
    """429 or 5xx; ``asked`` are the seconds that the host wants us to wait."""

    def __init__(self, message: str, status: int, asked: float | None) -> None:
        super().__init__(message, status=status)
        self.asked = asked


class Downloader:
    """Fetches files from the hosts that are allowed. Safe to use from several threads.

    Args:
        system: Whose files they are, for messages.
        check: Raises PermanentError for an address that nothing may be fetched from.
        redactor: Applied to everything that ends in a message.
        pool_size: Connections kept to one host.
        retry, connect_timeout, read_timeout, sleep, rng, clock, on_exchange: As a transport takes them.
    """

    def __init__(
        self,
        *,
        system: str,
        check: Callable[[str], None],
        redactor: Redactor,
        pool_size: int = 8,
        retry: RetryPolicy | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._system = system
        self._check = check
        self._redact = redactor
        self._retry = retry or RetryPolicy(attempts=3)
        self._timeout = (connect_timeout, read_timeout)
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._clock = clock
        self._on_exchange = on_exchange
        self._session = requests.Session()
        # nothing of the surroundings is sent along: no netrc, no cookies of another file's host
        surroundings = self._session.merge_environment_settings(
            "https://localhost", {}, None, None, None
        )
        self._session.verify = surroundings["verify"]
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=8, pool_maxsize=pool_size, pool_block=False)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def fetch(self, url: str, into: BinaryIO, *, size: int | None, most: int) -> Downloaded:
        """Fetch a file; after an error nothing of it is left in ``into``.

        Args:
            url: Where it is; whatever is not allowed is never asked.
            into: Written to from where it stands, piece by piece; it can seek and truncate.
            size: How long it is said to be; None: not known.
            most: How long it may be.

        Raises:
            ForbiddenHostError: The link, or what it redirects to, is not allowed.
            TooLargeError: It is longer than ``most``.
            SizeMismatchError: It came whole, and is not ``size`` long.
            ExpiredLinkError: The link is not valid any more.
            TransientError: It did not come whole; retries are used up.
            PermanentError: It is not there.
        """
        if size is not None and size > most:
            raise self._too_large(url, f"it is {size} bytes long", most)
        start = into.tell()
        for attempt in range(1, self._retry.attempts + 1):
            wait: float | None = None
            try:
                return self._follow(url, into, size, most, attempt)
            except _LaterError as error:
                failed: PipelineError = error
                wait = self._wait(error, attempt)
            except (SizeMismatchError, NoAnswerError) as error:
                failed = error if isinstance(error, PipelineError) else self._none(url, error)
                wait = self._retry.delay(attempt, self._rng)
            except BaseException:
                _empty(into, start)
                raise
            _empty(into, start)
            if wait is None or attempt == self._retry.attempts:
                raise failed
            self._sleep(wait)
        raise AssertionError("a file is asked for at least once")

    def _follow(
        self, url: str, into: BinaryIO, size: int | None, most: int, attempt: int
    ) -> Downloaded:
        for _ in range(_MOST_HOPS):
            self._check(url)
            came = self._once(url, into, size, most, attempt)
            if came.status not in _REDIRECTS:
                kind = came.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                return Downloaded(came.size, kind or None, _name(came.headers))
            # where it leads is checked as if it had been given
            url = urljoin(url, came.headers["Location"])
        raise PermanentError(f"{self._what(url)} redirects more than {_MOST_HOPS} times.")

    def _once(
        self, url: str, into: BinaryIO, size: int | None, most: int, attempt: int
    ) -> _Arriving:
        came = _Arriving()
        sent_at, started = self._clock(), time.perf_counter()
        try:
            with (
                as_no_answer(self._redact, self._timeout[1]),
                self._session.get(
                    url,
                    # packed, its length would say nothing
                    headers={"Accept": "*/*", "Accept-Encoding": "identity"},
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    proxies=get_environ_proxies(url),
                ) as response,
                closing(response.raw),
            ):
                came.headers, status = response.headers, response.status_code
                if status == 200:
                    self._receive(url, response, into, came, size, most)
                came.status = status
                came.is_whole = status == 200
            self._check_status(url, came)
        except (NoAnswerError, TooLargeError, SizeMismatchError) as error:
            came.problem = str(error)
            raise
        finally:
            self._tell(url, sent_at, time.perf_counter() - started, attempt, came)
        return came

    def _receive(
        self,
        url: str,
        response: requests.Response,
        into: BinaryIO,
        came: _Arriving,
        size: int | None,
        most: int,
    ) -> None:
        declared = response.headers.get("Content-Length", "")
        is_plain = not response.headers.get("Content-Encoding")
        if is_plain and declared.isascii() and declared.isdigit() and int(declared) > most:
            raise self._too_large(url, "the answer says that it is longer", most)
        # one byte more than may come is enough to know
        left = min(most, size if size is not None else most) + 1
        while left and (piece := response.raw.read(min(_PIECE_BYTES, left), decode_content=True)):
            into.write(piece)
            came.digest.update(piece)
            came.size += len(piece)
            left -= len(piece)
        if came.size > most:
            raise self._too_large(url, "it goes on behind that", most)
        if size is not None and came.size != size:
            more = "more" if came.size > size else f"{came.size}"
            raise SizeMismatchError(
                f"{self._what(url)}: {size} bytes were announced, and {more} came. "
                "Check whether it can be opened there."
            )

    def _check_status(self, url: str, came: _Arriving) -> None:
        status = came.status or 0
        if status == 200 or (status in _REDIRECTS and came.headers.get("Location")):
            return
        if status in _EXPIRED:
            raise ExpiredLinkError(
                f"{self._what(url)} answered {status}: the link is not valid any more."
            )
        said = f"{self._what(url)} answered {status}."
        if http_status_kind(status) == "transient":
            asked = parse_retry_after(came.headers.get("Retry-After"), self._clock())
            raise _LaterError(said, status, asked)
        # of a file's host nothing is systemic: it is one file that does not come
        raise PermanentError(said)

    def _wait(self, error: "_LaterError", attempt: int) -> float | None:
        if error.asked is None:
            return self._retry.delay(attempt, self._rng)
        return error.asked if error.asked <= self._retry.max_retry_after_seconds else None

    def _too_large(self, url: str, why: str, most: int) -> TooLargeError:
        return TooLargeError(
            f"{self._what(url)} is larger than the {most >> 20} MB that are carried over "
            f"({most} bytes): {why}. freshservice.max_file_mb in the registry moves the limit."
        )

    def _none(self, url: str, error: NoAnswerError) -> TransientError:
        return TransientError(f"{self._what(url)} did not come whole: {error}.")

    def _what(self, url: str) -> str:
        """Name a link without what opens it."""
        parts = urlsplit(url)
        shown = parts.path if len(parts.path) <= 200 else f"{parts.path[:200]}…"
        return self._redact(f"{self._system}: the file at {parts.hostname}{shown}")

    def _tell(
        self, url: str, sent_at: datetime, seconds: float, attempt: int, came: _Arriving
    ) -> None:
        if self._on_exchange is None:
            return
        parts = urlsplit(url)
        body = f"[left out: {came.size} bytes, sha256 {came.digest.hexdigest()}]".encode("ascii")
        self._on_exchange(
            Exchange(
                started=sent_at,
                method="GET",
                hostname=parts.hostname or "",
                route=self._redact(parts.path),
                query=[
                    (name, REDACTED if _OPENS_IT.search(name) else value)
                    for name, value in parse_qsl(parts.query, keep_blank_values=True)
                ],
                request_headers={},
                request_body=None,
                status=came.status,
                response_headers=came.headers,
                response_body=body if came.is_whole else None,
                seconds=seconds,
                attempt=attempt,
                error=came.problem,
            )
        )


def _empty(into: BinaryIO, start: int) -> None:
    into.seek(start)
    into.truncate()


def _name(headers: Mapping[str, str]) -> str | None:
    """Return the name that ``Content-Disposition`` gives a file, without folders."""
    given = headers.get("Content-Disposition")
    if not given:
        return None
    message = Message()
    # it came as bytes, most likely of UTF-8, and was read as latin-1
    with suppress(UnicodeError):
        given = given.encode("latin-1").decode("utf-8")
    message["Content-Disposition"] = " ".join(given.splitlines())
    name = (message.get_filename() or "").replace("\\", "/").rpartition("/")[2].strip()
    return name or None

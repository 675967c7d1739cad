"""One way of calling for all: pooled connections, timeouts, bounded retries, counting.

The one owner of retries for a call (``design.md``, wall 4). It knows nothing of any one system: who
calls says which address, which credentials, and whether repeating the call is harmless.

What does not belong here: how a system spells its requests (``toga2``, ``freshservice``).
"""

import copy
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from elite_pipeline.errors import (
    HttpStatusError,
    PermanentError,
    PipelineError,
    TransientError,
    UnreachableError,
    http_error,
    http_status_kind,
)
from elite_pipeline.transport.bodies import read_body
from elite_pipeline.transport.exchange import Exchange
from elite_pipeline.transport.failures import NoAnswerError, as_no_answer
from elite_pipeline.transport.rate_budget import RateBudget, Slot, Unlimited
from elite_pipeline.transport.redaction import Redactor
from elite_pipeline.transport.retrying import RetryPolicy, parse_retry_after
from elite_pipeline.transport.sending import HttpSender

T = TypeVar("T")
#: Reads an error body into ``(code, message)``; either may be empty.
ErrorReader = Callable[[bytes], tuple[str | None, str]]

#: Larger than any page of tickets with their notes; an answer beyond it is not read on.
DEFAULT_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A successful answer, its body parsed."""

    status: int
    headers: Mapping[str, str]
    body: T


class Transport:
    """Sends requests to one host on behalf of one client. Safe to use from several threads.

    Args:
        system: The system's name for messages, e.g. ``TOGA 2``.
        base_url: Where it is; also what proxies and certificates are looked up for.
        pool_size: Connections kept, and so requests at once.
        redactor: Applied to everything that ends in a message.
        credentials: What to check when they are refused, for the message.
        unreachable: What to do when no connection can be made, a sentence for the message.
        connect_timeout: Seconds.
        read_timeout: Seconds without a byte.
        sleep, rng, clock: Taken from outside, so that tests own time and chance.
        budget: Asked for leave before every attempt, and told how it went; closed with this transport.
        on_exchange: Told of every attempt, in the thread that made it; must not raise.
    """

    def __init__(
        self,
        *,
        system: str,
        base_url: str,
        pool_size: int,
        redactor: Redactor,
        credentials: str = "the client's API key, secret and uuid",
        unreachable: str = "Check its base URL, and that the host is up and reachable from here.",
        retry: RetryPolicy | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        max_bytes: int = DEFAULT_MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        budget: RateBudget | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.system = system
        self.redact = redactor
        self._host = urlsplit(base_url).netloc
        self._retry = retry or RetryPolicy()
        self._timeout = (connect_timeout, read_timeout)
        self._max_bytes = max_bytes
        self._credentials = credentials
        self._unreachable = unreachable
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._clock = clock
        self._budget: RateBudget = budget or Unlimited()
        self._on_exchange = on_exchange
        self._only_reads = False
        self._count = 0
        self._in_doubt = 0
        self._count_lock = threading.Lock()
        self._sender = HttpSender(base_url, pool_size=pool_size, timeout=self._timeout)

    @property
    def calls(self) -> int:
        """Requests sent so far, every attempt counted."""
        with self._count_lock:
            return self._count

    @property
    def in_doubt(self) -> int:
        """Requests so far that were to change something, and nobody knows whether they did."""
        with self._count_lock:
            return self._in_doubt

    def close(self) -> None:
        """Close the pooled connections."""
        self._sender.close()
        self._budget.close()

    def reading(self) -> Self:
        """Return a twin on the same connections that sends nothing but GET; it counts for itself."""
        twin = copy.copy(self)
        twin._only_reads = True  # noqa: SLF001 - of its own kind
        return twin

    def request(
        self,
        method: str,
        url: str,
        *,
        parse: Callable[[bytes], T],
        read_error: ErrorReader,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | bytearray | None = None,
        repeatable: bool,
        kind: str = "",
    ) -> Answer[T]:
        """Send one request and return its parsed answer.

        Args:
            parse: Reads the body; a ``ValueError`` from it counts as an answer cut on the way.
            read_error: Reads a failed answer's body into code and message.
            auth: User and password; None sends none.
            body: Sent as it is and not copied.
            repeatable: Whether doing it twice is the same as doing it once. When it is not, only an
                attempt that certainly had no effect is repeated.
            kind: What the budget counts it as.

        Raises:
            TransientError: Retries are used up, or a request that must not be repeated got no
                answer: its outcome is unknown.
            PermanentError: The server refuses this request, now and later, or answers with what
                cannot be read.
            SystemicError: Credentials refused, or the host cannot be reached.
        """
        what = f"{method} {urlsplit(url).path}"
        if self._only_reads and method != "GET":
            raise AssertionError(f"a dry run must not send {what}")
        for attempt in range(1, self._retry.attempts + 1):
            last = attempt == self._retry.attempts
            error: PipelineError
            slot = self._budget.take(kind)
            try:
                status, answer_headers, content = self._once(
                    slot,
                    method,
                    url,
                    params=params,
                    headers=headers,
                    auth=auth,
                    body=body,
                    attempt=attempt,
                )
                if status < 300:
                    parsed = self._parsed(parse, content, what, answer_headers)
                    return Answer(status, answer_headers, parsed)
                error = self._status_error(what, status, answer_headers, read_error(content))
                wait = self._wait_before_retry(error, status, answer_headers, attempt, repeatable)
                # whoever answers for the system may have given up on it; 429 was turned away unread
                is_unsure = error.kind == "transient" and status != 429
            except NoAnswerError as no_answer:
                error = self._no_answer_error(what, no_answer, attempt)
                can_repeat = repeatable or not no_answer.sent
                wait = self._retry.delay(attempt, self._rng) if can_repeat else None
                is_unsure = no_answer.sent
            if wait is None or last:
                if is_unsure and method != "GET":
                    with self._count_lock:
                        self._in_doubt += 1
                raise error
            # else a large one would be held while the next attempt reads its own
            content = b""
            self._sleep(wait)
        raise AssertionError("a call is tried at least once")

    def _once(
        self,
        slot: Slot,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        auth: tuple[str, str] | None,
        body: bytes | bytearray | None,
        attempt: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        with self._count_lock:
            self._count += 1
        sent_at = self._clock() if self._on_exchange is not None else None
        started = time.perf_counter()
        status: int | None = None
        answer_headers: Mapping[str, str] = {}
        answer_body: bytes | None = None
        problem: str | None = None
        try:
            with (
                as_no_answer(self.redact, self._timeout[1]),
                self._sender.send(
                    method, url, params=params, headers=headers, auth=auth, body=body
                ) as response,
            ):
                answer_headers = response.headers
                content = read_body(response.raw, self._max_bytes + 1)
                status = response.status_code
                if len(content) > self._max_bytes:
                    problem = f"more than {self._max_bytes} bytes"
                    raise PermanentError(
                        f"{self.system}: {method} {urlsplit(url).path} answered with {problem}; "
                        "it was not read on."
                    )
                answer_body = content
                return status, answer_headers, content
        except NoAnswerError as error:
            problem = str(error)
            raise
        finally:
            if status is not None:
                slot.answered(status, answer_headers)
            else:
                slot.unanswered()
            if self._on_exchange is not None and sent_at is not None:
                address = urlsplit(url)
                self._on_exchange(
                    Exchange(
                        started=sent_at,
                        method=method,
                        hostname=address.hostname or "",
                        route=self.redact(address.path),
                        query=[*parse_qsl(address.query, keep_blank_values=True), *params],
                        request_headers=headers,
                        request_body=body,
                        status=status,
                        response_headers=answer_headers,
                        response_body=answer_body,
                        seconds=time.perf_counter() - started,
                        attempt=attempt,
                        error=problem,
                    )
                )

    def _parsed(
        self, parse: Callable[[bytes], T], content: bytes, what: str, headers: Mapping[str, str]
    ) -> T:
        try:
            return parse(content)
        except ValueError as error:
            reason = "the answer's body is cut or not valid JSON"
            kind = headers.get("Content-Type", "")
            if "json" not in kind.lower():
                named = self.redact(kind)[:60] or "of no named kind"
                reason = (
                    f"the answer is not JSON but {named}; if it stays so, something else answers "
                    f"there. {self._unreachable}"
                ).removesuffix(".")
            raise NoAnswerError(reason, sent=True) from error
        except RecursionError:
            # it came whole, and would come like that again
            raise PermanentError(
                f"{self.system}: {what} answered with something nested too deeply to be read."
            ) from None

    def _wait_before_retry(
        self,
        error: PipelineError,
        status: int,
        headers: Mapping[str, str],
        attempt: int,
        repeatable: bool,
    ) -> float | None:
        """Return the seconds to wait, or None when the call must not be tried again."""
        # 429 says that the request was turned away unread; any other failure may have had an effect
        if error.kind != "transient" or not (repeatable or status == 429):
            return None
        asked = parse_retry_after(headers.get("Retry-After"), self._clock())
        if asked is None:
            return self._retry.delay(attempt, self._rng)
        return asked if asked <= self._retry.max_retry_after_seconds else None

    def _status_error(
        self, what: str, status: int, headers: Mapping[str, str], said: tuple[str | None, str]
    ) -> HttpStatusError:
        code, message = said
        # redacted before it is cut: half a secret would not be recognised
        detail = f" {self.redact(code)[:40]}" if code else ""
        if message:
            detail += f": {self.redact(message)[:300]}"
        advice = ""
        if 300 <= status < 400:
            advice = (
                " It redirects, which is not followed with credentials; "
                "set its base URL to the final address."
            )
        elif http_status_kind(status) == "systemic":
            advice = f" The credentials are refused: check {self._credentials}."
        elif headers.get("Retry-After"):
            advice = f" It asks to wait: Retry-After {self.redact(headers['Retry-After'])[:40]}."
        answered = f"{self.system} ({self._host}): {what} answered {status}"
        return http_error(
            f"{answered}{detail}.{advice}",
            status=status,
            code=code,
            unquoted=f"{answered}.{advice}",
        )

    def _no_answer_error(self, what: str, problem: NoAnswerError, attempt: int) -> PipelineError:
        tries = f" after {attempt} attempts" if attempt > 1 else ""
        if not problem.sent:
            return UnreachableError(
                f"{self.system} cannot be reached at {self._host}{tries}: {problem}. "
                f"{self._unreachable}"
            )
        return TransientError(
            f"{self.system} ({self._host}): {what} got no whole answer{tries}: {problem}."
        )

"""What was asked of the sandbox: a bounded list of requests, counters per route, and concurrency."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_REMEMBERED: Final = 50_000


@dataclass(frozen=True)
class RequestInfo:
    """A request as it came in.

    Attributes:
        method: Its HTTP method.
        path: Its path below the base, e.g. ``/tickets/0b9c…``.
        route: The pattern that its path fits, e.g. ``/tickets/{uuid}``; the path itself if none does.
        query: Its parameters in order, decoded.
        client: The name of the client that it claims to be of, or ``None``.
    """

    method: str
    path: str
    route: str
    query: tuple[tuple[str, str], ...]
    client: str | None

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters by name (the last one, where a name stands twice)."""
        return dict(self.query)


@dataclass(frozen=True)
class RecordedRequest(RequestInfo):
    """A request that is over.

    Attributes:
        status: The status of its answer; ``None`` where no answer was given.
    """

    status: int | None


class Recorder:
    """Takes down requests; safe to use from any thread.

    Attributes:
        max_in_flight: The most requests that were under way at once.
    """

    def __init__(self) -> None:
        self._requests: deque[RecordedRequest] = deque(maxlen=_REMEMBERED)
        self._counts: Counter[tuple[str, str, int | None]] = Counter()
        self._in_flight = 0
        self.max_in_flight = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Note that a request has come in."""
        with self._lock:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)

    def end(self, info: RequestInfo, status: int | None) -> None:
        """Note how a request ended."""
        request = RecordedRequest(
            info.method, info.path, info.route, info.query, info.client, status
        )
        with self._lock:
            self._in_flight -= 1
            self._requests.append(request)
            self._counts[info.method, info.route, status] += 1

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests that are over, oldest first; the most recent fifty thousand."""
        with self._lock:
            return list(self._requests)

    def count(
        self, *, method: str | None = None, route: str | None = None, status: int | None = None
    ) -> int:
        """Return how many requests of a method, route pattern and status there were (all by default)."""
        with self._lock:
            return sum(
                number
                for (a_method, a_route, a_status), number in self._counts.items()
                if method in (None, a_method)
                and route in (None, a_route)
                and status in (None, a_status)
            )

    def summary(self) -> dict[str, object]:
        """Return the counters as plain data."""
        with self._lock:
            routes: dict[str, dict[str, int]] = {}
            for (method, route, status), number in sorted(self._counts.items(), key=str):
                label = "no answer" if status is None else str(status)
                routes.setdefault(f"{method} {route}", {})[label] = number
            return {
                "requests": self._counts.total(),
                "in_flight": self._in_flight,
                "max_in_flight": self.max_in_flight,
                "routes": routes,
            }

    def reset(self) -> None:
        """Forget all requests and counters."""
        with self._lock:
            self._requests.clear()
            self._counts.clear()
            self.max_in_flight = self._in_flight

"""Webhooks: the account tells a receiver of every change, as reliably as it is told to.

There are no retries, because none are documented: a receiver that is away misses what is sent then.
"""

import heapq
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

import requests

from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.freshservice.payloads import (
    UNRULY_SUBJECT,
    Event,
    PayloadKind,
    any_kind,
)

__all__ = ["Event", "Receiver", "Sent", "Webhooks"]

_TIMEOUT_SECONDS: Final = 10.0
_REMEMBERED: Final = 50_000


@dataclass(frozen=True)
class Receiver:
    """Where webhooks go, and what goes wrong on the way.

    Attributes:
        url: The address that is posted to.
        secret: What the receiver knows the account by.
        basic: Whether the secret goes as Basic password instead of in ``X-Webhook-Secret``.
        kind: What payloads look like; ``None`` for another of all kinds each time.
        lost: The share that is never sent.
        doubled: The share that is sent twice.
        reordered: The share that is held back for up to half a second, behind later ones.
        delayed: The share that is held back for ``delay_seconds``.
        delay_seconds: How long that is.
        broken: The share whose subject breaks its JSON.
        seed: What goes wrong follows from it.
        connections: How many are sent at once.
    """

    url: str
    secret: str = ""
    basic: bool = False
    kind: PayloadKind | None = field(default_factory=PayloadKind)
    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    delayed: float = 0.0
    delay_seconds: float = 2.0
    broken: float = 0.0
    seed: int = 0
    connections: int = 1


@dataclass(frozen=True)
class Sent:
    """A webhook that was sent.

    Attributes:
        ticket: The ticket that it is about.
        payload: Its body.
        status: What the receiver answered; ``None`` if it did not.
    """

    ticket: int
    payload: bytes
    status: int | None


class Webhooks:
    """Sends the webhooks of one account, on threads of its own; safe to use from any thread."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._receiver: Receiver | None = None
        self._dice = Dice(f"webhooks/{account}/0")
        self._queue: list[tuple[float, int, Event, bytes]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._sent: deque[Sent] = deque(maxlen=_REMEMBERED)
        self._told = 0
        self._lost = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    @property
    def receiver(self) -> Receiver | None:
        """Where webhooks go; ``None`` while nobody is told."""
        return self._receiver

    def send_to(self, receiver: Receiver | None) -> None:
        """Tell a receiver from now on, or nobody."""
        with self._changed:
            self._receiver = receiver
            if receiver is None:
                return
            self._dice = Dice(f"webhooks/{self._account}/{receiver.seed}")
            for number in range(len(self._threads), receiver.connections):
                thread = threading.Thread(
                    target=self._work, name=f"webhooks-{self._account}-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def tell(self, event: Event) -> None:
        """Send a webhook about an event, as far as the receiver's share of troubles lets it go."""
        with self._changed:
            receiver = self._receiver
            if receiver is None:
                return
            self._told += 1
            if self._dice.chance(receiver.lost):
                self._lost += 1
                return
            if self._dice.chance(receiver.broken):
                event = replace(event, subject=UNRULY_SUBJECT)
            payload = (receiver.kind or any_kind(self._dice)).build(event)
            due = time.monotonic()
            if self._dice.chance(receiver.delayed):
                due += receiver.delay_seconds
            if self._dice.chance(receiver.reordered):
                due += self._dice.fraction() / 2
            for _ in range(2 if self._dice.chance(receiver.doubled) else 1):
                heapq.heappush(self._queue, (due, next(self._order), event, payload))
            self._changed.notify_all()

    @property
    def sent(self) -> list[Sent]:
        """What was sent, oldest first; the most recent fifty thousand."""
        with self._changed:
            return list(self._sent)

    @property
    def told(self) -> int:
        """How many events there were, the ones whose webhooks were lost included."""
        return self._told

    @property
    def lost(self) -> int:
        """How many webhooks were lost on request."""
        return self._lost

    @property
    def waiting(self) -> int:
        """How many are still to be sent, the ones under way included."""
        with self._changed:
            return len(self._queue) + self._under_way

    def wait_until_sent(self, patience: float = 60.0) -> None:
        """Wait until nothing is left to be sent.

        Raises:
            TimeoutError: It took longer than ``patience`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: not self._queue and not self._under_way, patience
            ):
                raise TimeoutError(f"{len(self._queue)} webhooks are still to be sent")

    def stop(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._stopping = True
            self._queue.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (due := self._next()) is not None:
                event, payload, receiver = due
                status = _post(session, receiver, payload)
                with self._changed:
                    self._under_way -= 1
                    self._sent.append(Sent(event.ticket, payload, status))
                    self._changed.notify_all()

    def _next(self) -> tuple[Event, bytes, Receiver] | None:
        """Wait for the next one that is due; ``None`` once the account is stopped."""
        with self._changed:
            while not self._stopping:
                wait = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0 and self._receiver is not None:
                    _, _, event, payload = heapq.heappop(self._queue)
                    self._under_way += 1
                    return event, payload, self._receiver
                self._changed.wait(wait if self._receiver is not None else None)
            return None


def _post(session: requests.Session, receiver: Receiver, payload: bytes) -> int | None:
    headers = {"Content-Type": "application/json", "User-Agent": "Freshservice"}
    if not receiver.basic:
        headers["X-Webhook-Secret"] = receiver.secret
    try:
        answer = session.post(
            receiver.url,
            data=payload,
            headers=headers,
            auth=("freshservice", receiver.secret) if receiver.basic else None,
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException:
        return None
    return answer.status_code

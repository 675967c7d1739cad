"""Faults on request: which requests go wrong, how often, and how.

A :class:`FaultPlan` holds rules. A rule matches by method, route pattern and client, lets the first
``skip`` matches pass, then acts ``times`` times (or for ever), each time with ``probability``. The
actions are plain descriptions; carrying them out is ``application``'s. A sandbox may have actions of
its own beside the ones that are here.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.serving.recorder import RequestInfo

#: How many records a rule remembers as already read, for :class:`Shift`.
_REMEMBERED: Final = 20_000


@dataclass(frozen=True)
class Action:
    """What happens to a request.

    Attributes:
        passes_on: Whether a request that it happened to is left to the rules after it.
    """

    passes_on: ClassVar[bool] = False


@dataclass(frozen=True)
class Status(Action):
    """Answer with a status instead of the real answer.

    Attributes:
        status: The HTTP status.
        retry_after: The ``Retry-After`` header: seconds, or an aware time spelled as an HTTP date.
        body: ``json`` (the usual error envelope), ``html`` (as a proxy would answer) or ``empty``.
        code: The code in a JSON body, as the sandbox spells its codes.
        takes_effect: Whether the request is carried out before it is answered so.
    """

    status: int
    retry_after: int | datetime | None = None
    body: Literal["json", "html", "empty"] = "json"
    code: str | None = None
    takes_effect: bool = False

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {self.status}")


@dataclass(frozen=True)
class Stall(Action):
    """Hold the connection open without an answer, then close it: the caller runs into its timeout.

    Attributes:
        seconds: How long it is held, unless the caller hangs up first.
        takes_effect: Whether the request is carried out before the connection stalls.
    """

    seconds: float = 60.0
    takes_effect: bool = False


@dataclass(frozen=True)
class Drop(Action):
    """Reset the connection at once, without an answer.

    Attributes:
        takes_effect: Whether the request is carried out before the connection is dropped.
    """

    takes_effect: bool = False


@dataclass(frozen=True)
class CutBody(Action):
    """Carry the request out, and close the connection in the middle of its answer.

    Attributes:
        keep_bytes: How much of the body is sent; ``None`` for half. ``Content-Length`` is the whole.
    """

    keep_bytes: int | None = None


@dataclass(frozen=True)
class InvalidJson(Action):
    """Carry the request out, and answer with a body that is no JSON (its end is missing)."""


@dataclass(frozen=True)
class MalformedRecord(Action):
    """Spoil one record of an answer; the store keeps it whole.

    Attributes:
        index: Which one, counted from 0 within the list (negative from its end).
        changes: What is written over its fields; a value of ``...`` takes the field away.
    """

    index: int = 0
    changes: dict[str, Any] = field(default_factory=lambda: {"_updated": "not a time"})


@dataclass(frozen=True)
class Delay(Action):
    """Answer late.

    Attributes:
        seconds: How much later.
    """

    passes_on: ClassVar[bool] = True
    seconds: float


@dataclass(frozen=True)
class Shift(Action):
    """Before a page is answered, touch records that earlier pages of the list have shown.

    Each moves to the end of a list in order of ``_updated``, and everything behind it moves up. With
    ``skip=k - 1`` the rule acts before page k.

    Attributes:
        uuid: The record to touch (its id, where records have no uuid), or ``None`` for random ones
            (by the rule's seed).
        count: How many random ones.
    """

    passes_on: ClassVar[bool] = True
    uuid: str | None = None
    count: int = 1


@dataclass
class FaultRule:
    """One rule of a plan.

    Attributes:
        id: Its number within the plan.
        action: What happens.
        method: The HTTP method it is about, or ``None`` for all.
        route: The route pattern it is about, e.g. ``/tickets/{uuid}``, or a path, for one record;
            ``None`` for all.
        client: The name of the client it is about, or ``None`` for all.
        times: How often it acts; ``None`` for ever.
        skip: How many matching requests pass first.
        probability: The chance that it acts on a match, drawn from ``seed``.
        matched: How many requests it has matched.
        fired: How many times it has acted.
    """

    id: int
    action: Action
    method: str | None = None
    route: str | None = None
    client: str | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    matched: int = 0
    fired: int = 0
    dice: Dice = field(init=False, repr=False, compare=False)
    seen: deque[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.dice = Dice(f"faults/{self.seed}")
        self.seen = deque(maxlen=_REMEMBERED)

    def matches(self, request: RequestInfo) -> bool:
        """Say whether a request is one that this rule is about."""
        return (
            self.method in (None, request.method)
            and self.route in (None, request.route, request.path)
            and self.client in (None, request.client)
        )

    def draw(self) -> bool:
        """Count a match, and say whether the rule acts on it."""
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1.0 and not self.dice.chance(self.probability):
            return False
        self.fired += 1
        return True

    def remember(self, uuids: Sequence[str]) -> None:
        """Keep in mind which records a list has shown, for :class:`Shift`."""
        if isinstance(self.action, Shift):
            self.seen.extend(uuids)

    def shift_targets(self) -> list[str]:
        """Return the records that a :class:`Shift` touches."""
        action = self.action
        if not isinstance(action, Shift):
            return []
        if action.uuid is not None:
            return [action.uuid]
        known = list(self.seen)
        return self.dice.sample(known, action.count)


class FaultPlan:
    """The rules of a sandbox, in the order in which they were added; safe to use from any thread."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._last_id = 0
        self._lock = threading.Lock()

    def add(
        self,
        action: Action,
        *,
        method: str | None = None,
        route: str | None = None,
        client: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        probability: float = 1.0,
        seed: int = 0,
    ) -> FaultRule:
        """Add a rule and return it; its ``fired`` tells later how often it acted.

        Of several rules that would act on one request the first does; an action that passes on (a
        :class:`Shift` or :class:`Delay`) leaves the request to the rules after it.
        """
        with self._lock:
            self._last_id += 1
            rule = FaultRule(
                self._last_id,
                action,
                method=method.upper() if method else None,
                route=route,
                client=client,
                times=times,
                skip=skip,
                probability=probability,
                seed=seed,
            )
            self._rules = [*self._rules, rule]
            return rule

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The rules, the ones that are used up included."""
        return tuple(self._rules)

    def remove(self, rule_id: int) -> bool:
        """Take a rule away, and say whether there was one of that number."""
        with self._lock:
            kept = [rule for rule in self._rules if rule.id != rule_id]
            found = len(kept) < len(self._rules)
            self._rules = kept
            return found

    def clear(self) -> None:
        """Take all rules away."""
        with self._lock:
            self._rules = []

    def matching(self, request: RequestInfo) -> Sequence[FaultRule]:
        """Return the rules that are about a request."""
        if not self._rules:
            return ()
        return [rule for rule in self._rules if rule.matches(request)]

    def decide(self, matching: Sequence[FaultRule]) -> list[FaultRule]:
        """Return the rules that act on a request, of those that are about it."""
        acting = []
        with self._lock:
            for rule in matching:
                if rule.draw():
                    acting.append(rule)
                    if not rule.action.passes_on:
                        break
        return acting

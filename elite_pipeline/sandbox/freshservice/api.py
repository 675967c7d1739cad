"""The sandbox's Freshservice over ASGI: calls below ``/api/v2``, and the links to attachments.

The order in which a call is refused: the limits, the key, the path, the method, the parameters. The life
of a request (latency, recording, faults on request) is ``serving.application``'s.
"""

import binascii
import json
import logging
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from email.utils import format_datetime
from secrets import compare_digest
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.asked import Asked, Given
from elite_pipeline.sandbox.freshservice.call_log import Call, Verdict
from elite_pipeline.sandbox.freshservice.downloads import Downloads
from elite_pipeline.sandbox.freshservice.faults import spoiled
from elite_pipeline.sandbox.freshservice.links import Followed
from elite_pipeline.sandbox.freshservice.problems import (
    RefusedError,
    invalid,
    not_found,
    too_many,
    unauthenticated,
    wrong_method,
)
from elite_pipeline.sandbox.freshservice.reading import READS
from elite_pipeline.sandbox.freshservice.routing import Operation, Route, resolve
from elite_pipeline.sandbox.freshservice.settings import Settings
from elite_pipeline.sandbox.freshservice.writing import WRITES
from elite_pipeline.sandbox.serving.application import FaultyApplication, HangUp
from elite_pipeline.sandbox.serving.clock import Clock
from elite_pipeline.sandbox.serving.faults import Action, FaultPlan, FaultRule, Status
from elite_pipeline.sandbox.serving.recorder import Recorder, RequestInfo
from elite_pipeline.sandbox.serving.wire import HTML, Answer, Headers, bare_fault, retry_after

_logger: Final = logging.getLogger(__name__)

_BASE_PATH: Final = "/api/v2"
_OPERATIONS: Final = {**READS, **WRITES}
_CODES: Final = {401: "invalid_credentials", 403: "access_denied"}


@dataclass(frozen=True)
class Arrival(RequestInfo):
    """A request as it came in, with its line in the log of its account."""

    call: Call


class CallRecorder(Recorder):
    """Takes down how a request ended in the log of its account, too.

    Args:
        accounts: The accounts whose logs begin anew with it.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        super().__init__()
        self._accounts = list(accounts)

    def reset(self) -> None:
        """Forget all requests, and every account's calls."""
        super().reset()
        for account in self._accounts:
            account.forget_calls()

    def end(self, info: RequestInfo, status: int | None) -> None:
        """Note how a request ended."""
        if isinstance(info, Arrival):
            info.call.status = status
        super().end(info, status)


@dataclass(frozen=True)
class Target:
    """What is known about a request before it is carried out.

    Attributes:
        account: The account whose port it came in on.
        verdict: What the limits say; ``None`` for what is no call of the API.
        route: Where it goes.
        operation: What it wants there.
        id: The id in its path.
        followed: The link to an attachment that it follows.
    """

    account: Account
    verdict: Verdict | None = None
    route: Route | None = None
    operation: Operation | None = None
    id: int | None = None
    followed: Followed | None = None


class FreshserviceApi(FaultyApplication[Target]):
    """The ASGI application of all accounts; which one is meant is told by the port.

    Args:
        accounts: The accounts; their ports are looked at with each request.
        settings: The sandbox's switches.
        clock: What time it is.
        faults: What goes wrong on request.
        recorder: Takes down what was asked.
        hang_up: Ends connections.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        settings: Settings,
        clock: Clock,
        faults: FaultPlan,
        recorder: Recorder,
        hang_up: HangUp,
    ) -> None:
        super().__init__(faults=faults, recorder=recorder, hang_up=hang_up)
        self._accounts = list(accounts)
        self._settings = settings
        self._clock = clock
        self._downloads = Downloads(settings)

    def look_at(self, scope: Scope, _headers: dict[bytes, bytes]) -> tuple[Arrival, Target]:
        """Take a request down in the log of its account, and see what it is about."""
        port = scope["server"][1]
        account = next(account for account in self._accounts if account.port == port)
        method, path = scope["method"], scope["path"]
        query = tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if not path.startswith(f"{_BASE_PATH}/"):
            return self._look_at_link(account, method, path, query)
        path = path.removeprefix(_BASE_PATH)
        found = resolve(path)
        route, number = found or (None, None)
        operation = route.operations.get(method) if route else None
        call = Call(
            self._clock(),
            method,
            path,
            route.pattern if route else path,
            query,
            operation.budget if operation else None,
            _cost(operation, query),
        )
        verdict = account.log.arrive(call, keep_limits=self._settings.limit_calls)
        target = Target(account, verdict, route, operation, number)
        return Arrival(method, path, call.route, query, account.name, call), target

    def carry_out(
        self, info: RequestInfo, target: Target, headers: dict[bytes, bytes], body: bytes
    ) -> Answer:
        """Do what a request asks and return the answer, refusals included."""
        if target.verdict is None:
            answer = self._downloads.answer(info.method, target.followed, target.account, headers)
            return replace(answer, headers=(*answer.headers, *self._headers(target)))
        try:
            given = self._call(info, target, headers, body)
        except RefusedError as refused:
            return self._refusal(refused, target)
        text = b"" if given.document is None else json.dumps(given.document).encode()
        extra = (*given.headers, *self._headers(target))
        return Answer(given.status, text, headers=extra, uuids=given.ids)

    def answer_of(self, action: Status, _info: RequestInfo, target: Target) -> Answer:
        """Return the answer that a fault puts in the place of the real one."""
        extra = self._headers(target)
        if bare := bare_fault(action, extra):
            return bare
        code = action.code or _CODES.get(action.status)
        document = {"code": code, "message": "fault on request"}
        if code is None:
            del document["code"]
        headers = (*retry_after(action.retry_after), *extra)
        return Answer(action.status, json.dumps(document).encode(), headers=headers)

    def latency(self) -> float:
        """Return for how many seconds an answer is held back."""
        return self._settings.latency_seconds

    def spoil(self, action: Action, answer: Answer) -> Answer:
        """Return an answer as an action spoils it."""
        return spoiled(action, answer)

    def shift(self, rule: FaultRule, _info: RequestInfo, target: Target) -> None:
        """Touch the tickets that a rule wants touched; what is gone meanwhile needs no touch."""
        for ticket in rule.shift_targets():
            try:
                target.account.touch(int(ticket))
            except KeyError as error:
                _logger.warning("shift: %s", error)

    def _look_at_link(
        self, account: Account, method: str, path: str, query: tuple[tuple[str, str], ...]
    ) -> tuple[Arrival, Target]:
        followed = account.links.follow(path, dict(query))
        route, shown = path, path
        if followed is not None:
            route, shown = "/attachments/{id}", f"/attachments/{followed.attachment}"
        call = Call(self._clock(), method, path, route, query)
        account.downloads.append(call)
        arrival = Arrival(method, shown, route, query, account.name, call)
        return arrival, Target(account, followed=followed)

    def _call(
        self, info: RequestInfo, target: Target, headers: Mapping[bytes, bytes], body: bytes
    ) -> Given:
        verdict, route, operation = target.verdict, target.route, target.operation
        if verdict is not None and verdict.wait_seconds:
            raise too_many(self._retry_after(verdict.wait_seconds))
        _check_key(target.account, headers)
        if route is None:
            raise not_found()
        if operation is None:
            raise wrong_method(info.method, route.operations)
        asked = Asked(
            target.account,
            info.path,
            target.id,
            info.parameters,
            body,
            headers.get(b"content-type", b"").decode("latin-1"),
            self._settings,
            self._clock,
        )
        _check_parameters(asked, operation)
        return _OPERATIONS[operation.name](asked)

    def _retry_after(self, seconds: int) -> Headers:
        if self._settings.retry_after == "seconds":
            return retry_after(seconds)
        # a date has no fraction of a second: one more, so that it does not lie too early
        return retry_after(self._clock() + timedelta(seconds=seconds + 1))

    def _headers(self, target: Target) -> Headers:
        """Return what goes out with every answer: the time by the sandbox's clock, and the limits."""
        now = format_datetime(self._clock().astimezone(UTC), usegmt=True)
        date = (b"date", now.encode())
        verdict = target.verdict
        if verdict is None:
            return (date,)
        return (
            date,
            (b"x-ratelimit-total", str(verdict.total).encode()),
            (b"x-ratelimit-remaining", str(verdict.remaining).encode()),
            (b"x-ratelimit-used-currentrequest", str(verdict.cost).encode()),
        )

    def _refusal(self, refused: RefusedError, target: Target) -> Answer:
        headers = (*refused.headers, *self._headers(target))
        document: dict[str, Any] | None = refused.document
        if document is None:
            kind = self._settings.not_found_body
            if bare := bare_fault(Status(refused.status, body=kind), headers):
                return replace(bare, content_type=HTML)
            document = {"code": "not_found", "message": "The requested resource was not found"}
        return Answer(refused.status, json.dumps(document).encode(), headers=headers)


def _check_key(account: Account, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a call without the account's key; the password beside it does not matter."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    try:
        given = b64decode(token.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        raise unauthenticated() from None
    key, colon, _ = given.partition(b":")
    if not colon or not compare_digest(key, account.api_key.encode()):
        raise unauthenticated()


def _check_parameters(asked: Asked, operation: Operation) -> None:
    """Refuse a parameter that the route does not take."""
    for name in asked.query:
        if name not in operation.parameters:
            raise invalid(name, "Unexpected/invalid field in request", "invalid_field")
    unknown = asked.includes - operation.includes if operation.includes else ()
    for name in sorted(unknown):
        raise invalid("include", f"It should not be {name}")


def _cost(operation: Operation | None, query: tuple[tuple[str, str], ...]) -> int:
    """Return as how many calls one counts."""
    if operation is None or not operation.include_cost:
        return 1
    included = [name for name in dict(query).get("include", "").split(",") if name]
    return 1 + operation.include_cost * len(included)

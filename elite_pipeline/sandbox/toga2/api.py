"""The API over ASGI: the life of one request, from its headers to its last byte.

What belongs here: latency, recording, and the faults on request; what a request does to the records
is ``operations``. Statements run in the
event loop's thread: they take less time than handing them to another thread would.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from starlette.types import Receive, Scope, Send

from elite_pipeline.sandbox.toga2 import answers
from elite_pipeline.sandbox.toga2.answers import Answer
from elite_pipeline.sandbox.toga2.faults import (
    Action,
    CutBody,
    Delay,
    Drop,
    FaultPlan,
    FaultRule,
    InvalidJson,
    MalformedRecord,
    Shift,
    Stall,
    Status,
)
from elite_pipeline.sandbox.toga2.operations import Operations
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.query import split_query
from elite_pipeline.sandbox.toga2.recorder import Recorder, RequestInfo
from elite_pipeline.sandbox.toga2.routing import Doorkeeper, Target, resolve
from elite_pipeline.sandbox.toga2.store import Store

_logger: Final = logging.getLogger(__name__)

#: Ends the connection that a request came in on: at once (true), or after what was sent (false).
HangUp = Callable[[Scope, bool], None]


class Toga2Api:
    """The ASGI application behind the base path.

    Attributes:
        on_request: Called with each request before it is carried out, in the server's thread; it may
            change the store, and must not call the server.
    """

    def __init__(
        self, store: Store, *, faults: FaultPlan, recorder: Recorder, hang_up: HangUp
    ) -> None:
        self._store = store
        self._faults = faults
        self._recorder = recorder
        self._hang_up = hang_up
        self._settings = store.settings
        self._doorkeeper = Doorkeeper(store.clients.values())
        self._operations = Operations(store, self._doorkeeper)
        self.closing = asyncio.Event()
        self.on_request: Callable[[RequestInfo], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        target = resolve(path)
        claimed = self._doorkeeper.claimed(headers)
        info = RequestInfo(
            scope["method"],
            path,
            target.pattern if target else path,
            tuple(split_query(scope["query_string"].decode("latin-1"))),
            claimed.name if claimed else None,
        )
        wire = _Wire(scope, receive, send, info, self._recorder)
        try:
            body = await _read_body(receive)
            if self._settings.latency_seconds > 0:
                await self._pause(self._settings.latency_seconds)
            if self.on_request is not None:
                self.on_request(info)
            matching = self._faults.matching(info.method, info.route, info.client)
            action = await self._prepare(self._faults.decide(matching), info, target)

            def carry_out() -> Answer:
                answer = self._operations.carry_out(info, target, headers, body)
                for rule in matching:
                    rule.remember(answer.uuids)
                return answer

            if action is None:
                await wire.answer(carry_out())
            else:
                await self._act(action, carry_out, wire)
        finally:
            wire.over(None)

    async def _prepare(
        self, acting: Sequence[FaultRule], info: RequestInfo, target: Target | None
    ) -> Action | None:
        """Do what rules do before a request is carried out; return the one to act on its answer."""
        for rule in acting:
            if isinstance(rule.action, Delay):
                await self._pause(rule.action.seconds)
            elif isinstance(rule.action, Shift):
                self._shift(rule, info, target)
            else:
                return rule.action
        return None

    async def _act(self, action: Action, carry_out: Callable[[], Answer], wire: "_Wire") -> None:
        """Answer a request, or do not, as a fault wants it."""
        if isinstance(action, Status | Stall | Drop):
            if action.takes_effect:
                carry_out()
            if isinstance(action, Status):
                await wire.answer(answers.fault(action))
                return
            wire.over(None)
            if isinstance(action, Stall):
                await self._hold(wire, action.seconds)
            await self._end(wire, at_once=True)
            return
        answer = carry_out()
        if isinstance(action, CutBody):
            half = len(answer.body) // 2
            cut = half if action.keep_bytes is None else action.keep_bytes
            await wire.answer(answer, cut=min(cut, len(answer.body) - 1))
            await self._end(wire, at_once=False)
            return
        if isinstance(action, InvalidJson):
            answer = replace(answer, body=answer.body[:-2])
        elif isinstance(action, MalformedRecord):
            answer = answers.with_malformed_record(answer, action)
        await wire.answer(answer)

    def _shift(self, rule: FaultRule, info: RequestInfo, target: Target | None) -> None:
        """Touch what a rule wants touched; what is gone meanwhile needs no touch."""
        if target is None or info.client is None:
            return
        for uuid in rule.shift_targets():
            try:
                self._store.touch(info.client, target.resource.route, uuid)
            except RefusedError as refused:
                _logger.warning("shift: %s", refused.message)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the server runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)

    async def _hold(self, wire: "_Wire", seconds: float) -> None:
        """Wait without an answer: until the caller hangs up, the time is over or the server stops."""
        waits = [
            asyncio.ensure_future(wire.disconnected()),
            asyncio.ensure_future(self.closing.wait()),
        ]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _end(self, wire: "_Wire", *, at_once: bool) -> None:
        """End the connection, and wait until it is gone."""
        self._hang_up(wire.scope, at_once)
        await wire.disconnected()


class _Wire:
    """One request's way back to its caller.

    A request is recorded before its answer goes out, so that whoever has the answer finds it counted.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, info: RequestInfo, recorder: Recorder
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._info = info
        self._recorder = recorder
        self._open = True
        recorder.begin()

    def over(self, status: int | None) -> None:
        """Record how the request ended; the first time counts."""
        if self._open:
            self._open = False
            self._recorder.end(self._info, status)

    async def disconnected(self) -> None:
        """Wait until the caller is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, answer: Answer, *, cut: int | None = None) -> None:
        """Send an answer, or no more of its body than ``cut`` bytes."""
        self.over(answer.status)
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-type", answer.content_type),
                    (b"content-length", str(len(answer.body)).encode()),
                    *answer.headers,
                ],
            }
        )
        part = answer.body[:cut]
        await self._send({"type": "http.response.body", "body": part, "more_body": cut is not None})


async def _read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)

"""The life of one request over ASGI, from its headers to its last byte, with faults on request.

What belongs here: latency, recording, and the faults that every sandbox knows; what a request does to
the records is the sandbox's own. Statements run in the event loop's thread: they take less time than
handing them to another thread would.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from starlette.types import Receive, Scope, Send

from elite_pipeline.sandbox.serving.faults import (
    Action,
    CutBody,
    Delay,
    Drop,
    FaultPlan,
    FaultRule,
    InvalidJson,
    Shift,
    Stall,
    Status,
)
from elite_pipeline.sandbox.serving.recorder import Recorder, RequestInfo
from elite_pipeline.sandbox.serving.wire import Answer, Wire, read_body

#: Ends the connection that a request came in on: at once (true), or after what was sent (false).
HangUp = Callable[[Scope, bool], None]

#: What a sandbox finds out about a request before it is carried out.
Target = TypeVar("Target")


class FaultyApplication(ABC, Generic[Target]):
    """An ASGI application that carries requests out, or does to them what its fault plan says.

    Attributes:
        on_request: Called with each request before it is carried out, in the server's thread; it may
            change the store, and must not call the server.
        closing: Set when the server is told to stop; it belongs to the server's event loop.
    """

    def __init__(self, *, faults: FaultPlan, recorder: Recorder, hang_up: HangUp) -> None:
        self._faults = faults
        self._recorder = recorder
        self._hang_up = hang_up
        self.closing = asyncio.Event()
        self.on_request: Callable[[RequestInfo], None] | None = None

    @abstractmethod
    def look_at(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[RequestInfo, Target]:
        """Return what there is to tell about a request, before anything is done."""

    @abstractmethod
    def carry_out(
        self, info: RequestInfo, target: Target, headers: dict[bytes, bytes], body: bytes
    ) -> Answer:
        """Do what a request asks and return the answer, refusals included."""

    @abstractmethod
    def answer_of(self, action: Status, info: RequestInfo, target: Target) -> Answer:
        """Return the answer that a fault puts in the place of the real one."""

    @abstractmethod
    def latency(self) -> float:
        """Return for how many seconds an answer is held back."""

    @abstractmethod
    def shift(self, rule: FaultRule, info: RequestInfo, target: Target) -> None:
        """Touch the records that a :class:`~.faults.Shift` wants touched."""

    @abstractmethod
    def spoil(self, action: Action, answer: Answer) -> Answer:
        """Return an answer as an action that leaves its status alone changes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        info, target = self.look_at(scope, headers)
        wire = Wire(scope, receive, send, info, self._recorder)
        try:
            body = await read_body(receive)
            if self.latency() > 0:
                await self._pause(self.latency())
            if self.on_request is not None:
                self.on_request(info)
            matching = self._faults.matching(info)
            action = await self._prepare(self._faults.decide(matching), info, target)

            def carry_out() -> Answer:
                answer = self.carry_out(info, target, headers, body)
                for rule in matching:
                    rule.remember(answer.uuids)
                return answer

            if action is None:
                await wire.answer(carry_out())
            elif isinstance(action, Status):
                if action.takes_effect:
                    carry_out()
                await wire.answer(self.answer_of(action, info, target))
            else:
                await self._act(action, carry_out, wire)
        finally:
            wire.over(None)

    async def _prepare(
        self, acting: Sequence[FaultRule], info: RequestInfo, target: Target
    ) -> Action | None:
        """Do what rules do before a request is carried out; return the one to act on its answer."""
        for rule in acting:
            if isinstance(rule.action, Delay):
                await self._pause(rule.action.seconds)
            elif isinstance(rule.action, Shift):
                self.shift(rule, info, target)
            else:
                return rule.action
        return None

    async def _act(self, action: Action, carry_out: Callable[[], Answer], wire: Wire) -> None:
        """Answer a request, or do not, as a fault wants it."""
        if isinstance(action, Stall | Drop):
            if action.takes_effect:
                carry_out()
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
        else:
            answer = self.spoil(action, answer)
        await wire.answer(answer)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the server runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)

    async def _hold(self, wire: Wire, seconds: float) -> None:
        """Wait without an answer: until the caller hangs up, the time is over or the server stops."""
        waits = [
            asyncio.ensure_future(wire.disconnected()),
            asyncio.ensure_future(self.closing.wait()),
        ]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _end(self, wire: Wire, *, at_once: bool) -> None:
        """End the connection, and wait until it is gone."""
        self._hang_up(wire.scope, at_once)
        await wire.disconnected()

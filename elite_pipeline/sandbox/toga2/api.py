"""The API over ASGI: what the sandbox's TOGA 2 makes of a request.

The life of a request (latency, recording, faults on request) is ``serving.application``'s; what it does
to the records is ``operations``.
"""

import logging
from typing import Final

from starlette.types import Scope

from elite_pipeline.sandbox.serving.application import FaultyApplication, HangUp
from elite_pipeline.sandbox.serving.faults import (
    Action,
    FaultPlan,
    FaultRule,
    MalformedRecord,
    Status,
)
from elite_pipeline.sandbox.serving.recorder import Recorder, RequestInfo
from elite_pipeline.sandbox.serving.wire import Answer
from elite_pipeline.sandbox.toga2 import answers
from elite_pipeline.sandbox.toga2.operations import Operations
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.query import split_query
from elite_pipeline.sandbox.toga2.routing import Doorkeeper, Target, resolve
from elite_pipeline.sandbox.toga2.store import Store

_logger: Final = logging.getLogger(__name__)


class Toga2Api(FaultyApplication[Target | None]):
    """The ASGI application behind the base path."""

    def __init__(
        self, store: Store, *, faults: FaultPlan, recorder: Recorder, hang_up: HangUp
    ) -> None:
        super().__init__(faults=faults, recorder=recorder, hang_up=hang_up)
        self._store = store
        self._doorkeeper = Doorkeeper(store.clients.values())
        self._operations = Operations(store, self._doorkeeper)

    def look_at(
        self, scope: Scope, headers: dict[bytes, bytes]
    ) -> tuple[RequestInfo, Target | None]:
        """Return what there is to tell about a request, and what its path points at."""
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
        return info, target

    def carry_out(
        self, info: RequestInfo, target: Target | None, headers: dict[bytes, bytes], body: bytes
    ) -> Answer:
        """Do what a request asks and return the answer, refusals included."""
        return self._operations.carry_out(info, target, headers, body)

    def answer_of(self, action: Status, _info: RequestInfo, _target: Target | None) -> Answer:
        """Return the answer that a fault puts in the place of the real one."""
        return answers.fault(action)

    def latency(self) -> float:
        """Return for how many seconds an answer is held back."""
        return self._store.settings.latency_seconds

    def spoil(self, action: Action, answer: Answer) -> Answer:
        """Return an answer with one of its records spoiled."""
        if isinstance(action, MalformedRecord):
            return answers.with_malformed_record(answer, action)
        return answer

    def shift(self, rule: FaultRule, info: RequestInfo, target: Target | None) -> None:
        """Touch what a rule wants touched; what is gone meanwhile needs no touch."""
        if target is None or info.client is None:
            return
        for uuid in rule.shift_targets():
            try:
                self._store.touch(info.client, target.resource.route, uuid)
            except RefusedError as refused:
                _logger.warning("shift: %s", refused.message)

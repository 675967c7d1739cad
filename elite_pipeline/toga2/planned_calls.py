"""The calls of a dry run: reads are made, and what would be written is planned and answered.

An answer is what TOGA 2 would give, as far as a flow goes by it: the fields that were sent, with a uuid
that is made up. Whatever writes goes through :meth:`PlannedCalls.write` or :meth:`PlannedCalls.upload`; a
transport that sends nothing but GET is behind them all the same.

What does not belong here: what is done with a plan (``planning``).
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import BinaryIO, Final, TypeVar

from elite_pipeline.errors import PermanentError, TransientError
from elite_pipeline.planning import EffectKind, Planner
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.calls import Calls
from elite_pipeline.toga2.file_bodies import digest_file

T = TypeVar("T")

SYSTEM: Final = "TOGA 2"


class PlannedCalls(Calls):
    """The twin of a client's calls, on the same connections.

    Args:
        real: Whose twin it is.
        planner: Told of what would be written.
    """

    def __init__(self, real: Calls, planner: Planner) -> None:
        self.__dict__.update(vars(real))
        self._transport = self._transport.reading()
        self.list_started = {}
        self._planner = planner

    def write(
        self,
        method: str,
        route: str,
        fields: Mapping[str, object],
        *,
        parse: Callable[[bytes], T],
        repeatable: bool,
    ) -> T:
        """Plan to send fields."""
        del repeatable
        match method, route.split("/"):
            case "POST", [collection]:
                uuid = self._planner.new_uuid(collection)
                kind = EffectKind(SYSTEM, collection, "create")
                self._planner.add(kind, uuid, lambda: fields)
                answer = json.dumps({"data": {_envelope_key(collection): {**fields, "uuid": uuid}}})
                return parse(answer.encode())
            case "POST", [collection, uuid, _]:
                kind = EffectKind(SYSTEM, collection, "link")
                self._planner.add(kind, uuid, lambda: fields)
                return parse(b'{"data": {}}')
            case "PATCH", [collection, uuid]:
                kind = EffectKind(SYSTEM, collection, "change")
                # asked only for what is shown, and before the planner's guard is held
                old = self._old(collection, uuid, fields) if self._planner.has_room(kind) else {}
                self._planner.add(kind, uuid, lambda: fields, lambda: old)
                return parse(b"")
        raise AssertionError(f"a dry run cannot answer {method} /{route}")

    def upload(self, name: str, content_type: str, source: BinaryIO, size: int) -> str:
        """Plan to send a file; its bytes are read."""
        digest = digest_file(name, content_type, source, size)
        uuid = self._planner.new_uuid(wire.FILES.route)
        self._planner.add(
            EffectKind(SYSTEM, wire.FILES.route, "send"),
            uuid,
            lambda: {"name": name, "contentType": content_type, "size": size, "sha256": digest},
        )
        return uuid

    def _old(self, route: str, uuid: str, fields: Mapping[str, object]) -> Mapping[str, object]:
        """Return what the fields hold now; nothing where it cannot be read."""
        resource = wire.Resource(route, _envelope_key(route))
        try:
            raw = self.one(resource, uuid, 1, parse=partial(wire.read_one, resource))
        except (PermanentError, TransientError):
            return {}
        return {name: raw.get(name) for name in fields}


def _envelope_key(route: str) -> str:
    """Return a route's envelope key: the same words in camel case [D]."""
    first, *others = route.split("-")
    return first + "".join(word.capitalize() for word in others)

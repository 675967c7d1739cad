"""What the operations of TOGA 2 do: one checked request in, one answer out.

``spec/systems.md`` section 2, strictly; its traps are here. What does not belong here: sockets, faults
and latency (``api``).
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from elite_pipeline.sandbox.serving.recorder import RequestInfo
from elite_pipeline.sandbox.serving.wire import Answer
from elite_pipeline.sandbox.toga2 import answers, problems
from elite_pipeline.sandbox.toga2.clients import SandboxClient
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.query import no_parameters, parse_depth, parse_list_query
from elite_pipeline.sandbox.toga2.routing import Doorkeeper, Target, methods_of
from elite_pipeline.sandbox.toga2.schema import Resource
from elite_pipeline.sandbox.toga2.store import Store

_logger: Final = logging.getLogger(__name__)


class Operations:
    """Carries requests out against a store."""

    def __init__(self, store: Store, doorkeeper: Doorkeeper) -> None:
        self._store = store
        self._doorkeeper = doorkeeper

    def carry_out(
        self,
        info: RequestInfo,
        target: Target | None,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> Answer:
        """Carry a request out, whatever becomes of its answer."""
        try:
            client = self._doorkeeper.admit(headers)
            if target is None:
                raise RefusedError(404, problems.UNKNOWN_ROUTE, f"no route {info.path!r}")
            allowed = methods_of(target)
            if info.method not in allowed:
                message = f"{info.route} takes {' and '.join(allowed)}, not {info.method}"
                raise RefusedError(405, problems.METHOD_NOT_ALLOWED, message)
            if info.method == "GET":
                return self._read(info, target, client)
            no_parameters(list(info.query))
            return self._write(target, client, _json_object(body))
        except RefusedError as refused:
            return answers.refusal(refused)
        except Exception:
            _logger.exception("the sandbox failed on %s %s", info.method, info.path)
            return answers.error(500, problems.INTERNAL, "the sandbox itself failed; see its log")

    def _read(self, info: RequestInfo, target: Target, client: SandboxClient) -> Answer:
        resource, pairs = target.resource, list(info.query)
        if target.uuid is None:
            return self._list(resource, client, pairs)
        depth = parse_depth(pairs)
        if target.child is not None:
            return self._match(target.child, client, resource, target.uuid, depth)
        if resource.route == "files":
            return answers.one(resource.envelope, self._store.read_file(client.name, target.uuid))
        text = self._store.read_one(client.name, resource, target.uuid, depth=depth)
        return answers.one(resource.envelope, text)

    def _list(
        self, resource: Resource, client: SandboxClient, pairs: list[tuple[str, str]]
    ) -> Answer:
        scope = self._store.scopes_of(client.name)(resource.route)
        query = parse_list_query(resource, client.custom_fields, scope, pairs)
        depth = query.depth if self._store.settings.expand_lists else 1
        page = self._store.read_page(client.name, resource, query, depth=depth)
        return answers.many(resource.envelope, page.texts, page.uuids)

    def _match(
        self, child: Resource, client: SandboxClient, resource: Resource, uuid: str, depth: int
    ) -> Answer:
        """Answer a child route by its MATCH policy: exactly one record, or an error."""
        texts = self._store.read_children(client.name, resource, uuid, depth=depth)
        if not texts:
            raise RefusedError(404, problems.NOT_FOUND, f"no {child.label} matches")
        if len(texts) > 1:
            message = f"{len(texts)} {child.label}s match, not one"
            raise RefusedError(404, problems.SEVERAL_MATCH, message)
        return answers.one(child.envelope, texts[0])

    def _write(self, target: Target, client: SandboxClient, body: dict[str, Any]) -> Answer:
        resource, store = target.resource, self._store
        if target.child is not None:
            parent = target.child.parent
            store.read_one(client.name, resource, target.uuid or "", depth=1)
            if parent is not None and parent.name in body:
                message = f"a {target.child.label} has no field {parent.name!r}"
                raise RefusedError(422, problems.UNKNOWN_FIELD, message)
            named = {parent.name: {"uuid": target.uuid}} if parent else {}
            uuid = store.create(client.name, target.child.route, named | body)["uuid"]
            resource, status = target.child, 201
        elif target.uuid is None:
            uuid, status = store.create(client.name, resource.route, body)["uuid"], 201
        else:
            uuid, status = target.uuid, 200
            store.update(client.name, resource.route, uuid, body)
        text = store.read_one(client.name, resource, uuid, depth=1)
        return answers.one(resource.envelope, text, status)


def _json_object(body: bytes) -> dict[str, Any]:
    """Read the body of a write.

    Raises:
        RefusedError: It is no JSON object.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise RefusedError(400, problems.BAD_BODY, "the body is not valid JSON") from None
    if not isinstance(document, dict):
        raise RefusedError(400, problems.BAD_BODY, "the body is not a JSON object")
    return document

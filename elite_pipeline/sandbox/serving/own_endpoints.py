"""A sandbox's own endpoints, ``/_sandbox/…``: its counters, faults and switches.

They need no credentials and answer loopback alone: a request whose ``Host`` is another name is
refused, so that a web page cannot reach them through a name that it points here.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from elite_pipeline.sandbox.serving.faults import (
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
from elite_pipeline.sandbox.serving.recorder import Recorder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: The actions that every sandbox has, by the word that names them in JSON and on the command line.
ACTIONS: Final[Mapping[str, type[Action]]] = {
    "status": Status,
    "stall": Stall,
    "drop": Drop,
    "cut-body": CutBody,
    "invalid-json": InvalidJson,
    "malformed-record": MalformedRecord,
    "delay": Delay,
    "shift": Shift,
}

_RULE_KEYS: Final = (
    "id",
    "method",
    "route",
    "client",
    "times",
    "skip",
    "probability",
    "seed",
    "matched",
    "fired",
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class FaultSpelling(BaseModel):
    """A fault as JSON spells it; see ``faults.FaultRule`` for what its keys mean."""

    model_config = ConfigDict(extra="forbid")

    action: dict[str, Any]
    method: str | None = None
    route: str | None = None
    client: str | None = None
    times: PositiveInt | None = 1
    skip: NonNegativeInt = 0
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0


Endpoint = Callable[[Request], Awaitable[Response]]


def own_route(path: str, method: str, endpoint: Endpoint) -> Route:
    """Return the route of one of a sandbox's own endpoints, guarded."""
    return Route(f"/_sandbox/{path}", _guarded(endpoint), methods=[method])


def own_routes(
    *,
    faults: FaultPlan,
    recorder: Recorder,
    settings: "DataclassInstance",
    actions: Mapping[str, type[Action]] = ACTIONS,
) -> list[Route]:
    """Return the routes of the endpoints that every sandbox has.

    Args:
        faults: What goes wrong on request.
        recorder: What was asked.
        settings: The sandbox's switches, a dataclass whose fields are flags, numbers and words.
        actions: The actions that it knows, by the words that name them.
    """

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def stats(_: Request) -> Response:
        return JSONResponse(recorder.summary())

    async def reset_stats(_: Request) -> Response:
        recorder.reset()
        return JSONResponse(recorder.summary())

    async def show_faults(_: Request) -> Response:
        return JSONResponse({"faults": [rule_to_plain(rule, actions) for rule in faults.rules]})

    async def add_fault(request: Request) -> Response:
        rule = add_from_plain(faults, await body_of(request), actions)
        return JSONResponse({"fault": rule_to_plain(rule, actions)}, 201)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return JSONResponse({"faults": []})

    async def show_settings(_: Request) -> Response:
        return JSONResponse(asdict(settings))

    async def change_settings(request: Request) -> Response:
        change_from_plain(settings, await body_of(request))
        return JSONResponse(asdict(settings))

    return [
        own_route("health", "GET", health),
        own_route("stats", "GET", stats),
        own_route("reset-stats", "POST", reset_stats),
        own_route("faults", "GET", show_faults),
        own_route("faults", "POST", add_fault),
        own_route("faults", "DELETE", clear_faults),
        own_route("settings", "GET", show_settings),
        own_route("settings", "PATCH", change_settings),
    ]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Refuse what is not addressed to loopback, and spell bad input as an error."""

    async def guarded(request: Request) -> Response:
        host = request.headers.get("host", "")
        name = host[: host.rindex(":")] if host.rpartition(":")[2].isdigit() else host
        if name.lower() not in _LOOPBACK:
            return JSONResponse({"error": {"message": "the sandbox answers loopback alone"}}, 403)
        try:
            return await endpoint(request)
        except ValueError as error:
            return JSONResponse({"error": {"message": str(error)}}, 422)

    return guarded


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        ValueError: It is none.
    """
    document = json.loads(await request.body())
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def rule_to_plain(rule: FaultRule, actions: Mapping[str, type[Action]] = ACTIONS) -> dict[str, Any]:
    """Spell a rule, with its counters, as plain data."""
    kind = next(name for name, action in actions.items() if type(rule.action) is action)
    action = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(rule.action).items()
    }
    plain = {name: getattr(rule, name) for name in _RULE_KEYS}
    return plain | {"action": {"kind": kind, **action}}


def add_from_plain(
    faults: FaultPlan, plain: dict[str, Any], actions: Mapping[str, type[Action]] = ACTIONS
) -> FaultRule:
    """Add a rule that is spelled as plain data.

    Raises:
        ValueError: A key is unknown, or a value does not fit.
    """
    try:
        rule = FaultSpelling.model_validate(plain)
    except ValidationError as error:
        raise ValueError(_first_of(error)) from None
    kind = str(rule.action.get("kind"))
    if kind not in actions:
        raise ValueError(f"action.kind must be one of: {', '.join(actions)}")
    values = {name: value for name, value in rule.action.items() if name != "kind"}
    known = [field.name for field in fields(actions[kind])]
    for name in values:
        if name not in known:
            takes = ", ".join(known) or "nothing"
            raise ValueError(f"action {kind}: unknown key {name!r}; it takes: {takes}")
    try:
        action: Action = TypeAdapter(actions[kind]).validate_python(values)
    except ValidationError as error:
        raise ValueError(f"action {kind}: {_first_of(error)}") from None
    return faults.add(action, **rule.model_dump(exclude={"action"}))


def change_from_plain(settings: "DataclassInstance", plain: dict[str, Any]) -> None:
    """Change settings that are named in plain data; all of them, or none.

    Raises:
        ValueError: A key is unknown, or a value does not fit.
    """
    hints = get_type_hints(type(settings))
    kinds = {field.name: hints[field.name] for field in fields(settings)}
    values: dict[str, Any] = {}
    for name, value in plain.items():
        if name not in kinds:
            raise ValueError(f"unknown setting {name!r}; there are: {', '.join(kinds)}")
        kind = kinds[name]
        if kind is bool and not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        if kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name} must be a number of seconds")
        if kind is float and value < 0:
            raise ValueError(f"{name} must not be negative")
        if get_origin(kind) is Literal and value not in get_args(kind):
            words = ", ".join(str(word) for word in get_args(kind))
            raise ValueError(f"{name} must be one of: {words}")
        values[name] = value
    for name, value in values.items():
        setattr(settings, name, value)


def _first_of(error: ValidationError) -> str:
    """Spell the first of pydantic's findings in one line."""
    found = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}"

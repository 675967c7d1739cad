"""Which route a path below ``/api/v2`` is, what it takes, and which limit it counts for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from elite_pipeline.sandbox.freshservice.settings import Budget

_PAGING: Final = frozenset({"page", "per_page"})


@dataclass(frozen=True)
class Operation:
    """What one method of a route does.

    Attributes:
        name: The name of what carries it out.
        budget: The sub-limit that it counts for, besides the overall one.
        parameters: The query parameters that it takes.
        includes: What its parameter ``include`` takes.
        include_cost: How many calls each included thing costs more.
    """

    name: str
    budget: Budget | None = None
    parameters: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()
    include_cost: int = 0


@dataclass(frozen=True)
class Route:
    """A route and the methods that it takes."""

    pattern: str
    operations: Mapping[str, Operation]
    expression: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        expression = re.compile(re.escape(self.pattern).replace(r"\{id\}", r"(\d{1,18})"))
        object.__setattr__(self, "expression", expression)


def _reading(name: str, *, budget: Budget | None = None, takes: frozenset[str]) -> Operation:
    return Operation(name, budget, takes)


_TICKET_INCLUDES: Final = frozenset(
    {"conversations", "requester", "requested_for", "stats", "tags", "department"}
)
_FILTERS: Final = frozenset(
    {"filter", "requester_id", "requester_email", "email", "updated_since", "type", "order_type"}
)

ROUTES: Final = (
    Route(
        "/tickets",
        {
            "GET": Operation(
                "list_tickets",
                "list_tickets",
                _PAGING | _FILTERS | {"include", "workspace_id"},
                _TICKET_INCLUDES - {"conversations"},
                2,
            ),
            "POST": Operation("create_ticket", "create_ticket"),
        },
    ),
    Route(
        "/tickets/filter",
        {"GET": _reading("filter_tickets", budget="list_tickets", takes=_PAGING | {"query"})},
    ),
    Route(
        "/tickets/{id}",
        {
            "GET": Operation(
                "view_ticket", "view_ticket", frozenset({"include"}), _TICKET_INCLUDES, 1
            ),
            "PUT": Operation("update_ticket", "update_ticket"),
            "DELETE": Operation("delete_ticket"),
        },
    ),
    Route("/tickets/{id}/restore", {"PUT": Operation("restore_ticket")}),
    Route(
        "/tickets/{id}/conversations",
        {"GET": Operation("list_conversations", parameters=_PAGING)},
    ),
    Route("/tickets/{id}/reply", {"POST": Operation("create_reply")}),
    Route("/tickets/{id}/notes", {"POST": Operation("create_note")}),
    # a single conversation cannot be read: GET is 405
    Route(
        "/conversations/{id}",
        {
            "PUT": Operation("update_conversation"),
            "PATCH": Operation("update_conversation"),
            "DELETE": Operation("delete_conversation"),
        },
    ),
    Route(
        "/requesters",
        {
            "GET": _reading(
                "list_requesters",
                budget="list_requesters",
                takes=_PAGING | {"email", "primary_email", "active"},
            )
        },
    ),
    Route("/requesters/{id}", {"GET": Operation("view_requester")}),
    Route(
        "/agents",
        {
            "GET": _reading(
                "list_agents", budget="list_agents", takes=_PAGING | {"email", "active", "state"}
            )
        },
    ),
    Route("/agents/{id}", {"GET": Operation("view_agent")}),
    Route("/groups", {"GET": Operation("list_groups", parameters=_PAGING)}),
    Route("/groups/{id}", {"GET": Operation("view_group")}),
    Route(
        "/ticket_form_fields",
        {"GET": Operation("list_form_fields", parameters=_PAGING | {"workspace_id"})},
    ),
    # what other clients list, and this sandbox has none of
    *(
        Route(
            f"/{name}",
            {"GET": Operation("list_nothing", parameters=_PAGING | {"workspace_id", "include"})},
        )
        for name in ("departments", "locations", "asset_types")
    ),
    Route(
        "/assets",
        {
            "GET": _reading(
                "list_nothing",
                budget="list_assets",
                takes=_PAGING | {"workspace_id", "include"},
            )
        },
    ),
    *(
        Route(f"/tickets/{{id}}/{name}", {"GET": Operation("list_nothing", parameters=_PAGING)})
        for name in ("activities", "time_entries")
    ),
)


def resolve(path: str) -> tuple[Route, int | None] | None:
    """Return the route of a path below ``/api/v2`` and the id in it, or ``None`` if it is no route."""
    for route in ROUTES:
        if found := route.expression.fullmatch(path):
            return route, int(found[1]) if found.re.groups else None
    return None

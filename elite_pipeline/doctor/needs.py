"""What each flow needs of the outside systems: routes of TOGA 2, rights on the helpdesk's tables.

What does not belong here: which tables a flow needs at all (``sync.flows``, of which this says more).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from elite_pipeline.clients import Client
from elite_pipeline.sync.flows import FLOWS
from elite_pipeline.table_rights import Right
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES

#: Flows that write files, or read them, in the helpdesk's folder.
WITH_FILES = frozenset({"toga2_to_togadesk", "togadesk_to_toga2"})
#: Flows that look notes up by the client's own field in TOGA 2.
WITH_OWN_FIELDS = frozenset({"togadesk_to_toga2", "freshservice_to_toga2"})

_READS: tuple[Right, ...] = ("SELECT",)
_WRITES: tuple[Right, ...] = ("SELECT", "INSERT", "UPDATE")
_CHANGES: tuple[Right, ...] = ("SELECT", "UPDATE")
_ADDS: tuple[Right, ...] = ("SELECT", "INSERT")
#: A note that becomes private leaves the replies, and the other way round.
_ALL: tuple[Right, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")

#: Flow -> table -> what the account must be allowed to do with it.
RIGHTS: Mapping[str, Mapping[str, tuple[Right, ...]]] = MappingProxyType(
    {
        "contacts": {"people": _WRITES},
        "units": {
            "assets": _WRITES,
            "models": _ADDS,
            "manufacturers": _ADDS,
            "assetcategories": _ADDS,
            "people": _READS,
        },
        "teams": {"groups": _WRITES},
        "predefined_replies": {"tickets_pr": _WRITES},
        "category_trees": {"tickets_customfields": _WRITES, "tickets": _CHANGES},
        "toga2_to_togadesk": {
            "tickets": _WRITES,
            "tickets_replies": _ALL,
            "comments": _ALL,
            "tickets_history": _ADDS,
            "people": _READS,
            "assets": _READS,
            "groups": _READS,
            "tickets_customfields": _READS,
            "files": _ALL,
        },
        "togadesk_to_toga2": {
            "tickets": _CHANGES,
            "tickets_replies": _CHANGES,
            "comments": _CHANGES,
            "files": _READS,
            "people": _READS,
            "assets": _READS,
            "groups": _READS,
        },
        "freshservice_to_toga2": {},
    }
)

_REFERENCE_ROUTES = {
    "contacts": wire.CONTACTS,
    "units": wire.UNITS,
    "teams": wire.TICKET_TEAMS,
    "predefined_replies": wire.PREDEFINED_REPLIES,
    "category_trees": wire.TICKET_CATEGORIES,
}


def flows_on(client: Client) -> tuple[str, ...]:
    """Return the flows that are switched on, in the order in which they run."""
    return tuple(flow for flow in FLOWS if getattr(client.flows, flow))


def rights_of(flows: Iterable[str]) -> dict[str, tuple[Right, ...]]:
    """Return table -> all that flows must be allowed to do with it."""
    found: dict[str, dict[Right, None]] = {}
    for flow in flows:
        for table, rights in RIGHTS[flow].items():
            found.setdefault(table, {}).update(dict.fromkeys(rights))
    return {table: tuple(right for right in _ALL if right in found[table]) for table in found}


def routes_of(client: Client) -> tuple[wire.Resource, ...]:
    """Return what a client's flows read from TOGA 2, each once."""
    pair = TICKET_ROUTES[client.toga2.integration_type]
    found: dict[wire.Resource, None] = {}
    for flow in flows_on(client):
        if flow in _REFERENCE_ROUTES:
            found[_REFERENCE_ROUTES[flow]] = None
            continue
        if flow == "freshservice_to_toga2":
            # whom and what Freshservice's tickets refer to is found, or made, in these
            found |= dict.fromkeys((wire.CONTACTS, wire.TICKET_TEAMS, wire.TICKET_CATEGORIES))
        found |= dict.fromkeys((pair.tickets, pair.notes))
    return tuple(found)

"""The source systems in the lineage: what TOGA 2 holds. Nothing here is ever materialized."""

import dagster as dg

TOGA2 = "toga2"

CONTACTS = dg.AssetKey([TOGA2, "contacts"])
UNITS = dg.AssetKey([TOGA2, "units"])
TICKET_TEAMS = dg.AssetKey([TOGA2, "ticket_teams"])
PREDEFINED_REPLIES = dg.AssetKey([TOGA2, "predefined_replies"])
TICKET_CATEGORIES = dg.AssetKey([TOGA2, "ticket_categories"])
TICKETS = dg.AssetKey([TOGA2, "tickets"])
TICKET_NOTES = dg.AssetKey([TOGA2, "ticket_notes"])

_DESCRIPTIONS = {
    CONTACTS: "GET /contacts: the people on the clients' side.",
    UNITS: "GET /units: the things that the clients own.",
    TICKET_TEAMS: "GET /ticket-teams: who works on tickets.",
    PREDEFINED_REPLIES: "GET /predefined-replies: canned answers.",
    TICKET_CATEGORIES: "GET /ticket-categories: the tree of categories, three levels deep.",
    TICKETS: "GET /tickets: the tickets; of some clients GET /repair-orders.",
    TICKET_NOTES: (
        "GET /ticket-notes: the notes under the tickets, external and internal; of some clients "
        "GET /repair-order-notes."
    ),
}


def source_specs() -> list[dg.AssetSpec]:
    """Return the source systems' assets."""
    return [
        dg.AssetSpec(
            key,
            description=f"TOGA 2, the system of record. {description}",
            group_name=TOGA2,
            kinds={"api"},
        )
        for key, description in _DESCRIPTIONS.items()
    ]

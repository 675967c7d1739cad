"""The source systems in the lineage: what TOGA 2, the helpdesk and Freshservice hold.

Nothing here is ever materialized.
"""

import dagster as dg

TOGA2 = "toga2"

CONTACTS = dg.AssetKey([TOGA2, "contacts"])
UNITS = dg.AssetKey([TOGA2, "units"])
TICKET_TEAMS = dg.AssetKey([TOGA2, "ticket_teams"])
PREDEFINED_REPLIES = dg.AssetKey([TOGA2, "predefined_replies"])
TICKET_CATEGORIES = dg.AssetKey([TOGA2, "ticket_categories"])
TICKETS = dg.AssetKey([TOGA2, "tickets"])
TICKET_NOTES = dg.AssetKey([TOGA2, "ticket_notes"])

HELPDESK = "helpdesk"
HELPDESK_TICKETS = dg.AssetKey([HELPDESK, "tickets"])
HELPDESK_REPLIES = dg.AssetKey([HELPDESK, "replies"])
HELPDESK_COMMENTS = dg.AssetKey([HELPDESK, "comments"])
HELPDESK_FILES = dg.AssetKey([HELPDESK, "files"])

FRESHSERVICE = "freshservice"
FRESHSERVICE_TICKETS = dg.AssetKey([FRESHSERVICE, "tickets"])
FRESHSERVICE_CONVERSATIONS = dg.AssetKey([FRESHSERVICE, "conversations"])
WEBHOOKS = dg.AssetKey([FRESHSERVICE, "webhooks"])

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

_HELPDESK_DESCRIPTIONS = {
    HELPDESK_TICKETS: "Table tickets: what was opened there, or carried there.",
    HELPDESK_REPLIES: "Table tickets_replies: what the customer sees.",
    HELPDESK_COMMENTS: "Table comments: what only the staff sees.",
    HELPDESK_FILES: "Table files, and the uploads folder: what hangs on replies.",
}

_FRESHSERVICE_DESCRIPTIONS = {
    FRESHSERVICE_TICKETS: "GET /tickets: tickets with their own attachments.",
    FRESHSERVICE_CONVERSATIONS: (
        "GET /tickets/{id}/conversations: replies and notes, with their attachments."
    ),
    WEBHOOKS: (
        "Table WorkerJobs: webhooks that were received and wait. Each is a hint that a ticket changed."
    ),
}


def source_specs() -> list[dg.AssetSpec]:
    """Return the source systems' assets."""
    return (
        [
            dg.AssetSpec(
                key,
                description=f"TOGA 2, the system of record. {description}",
                group_name=TOGA2,
                kinds={"api"},
            )
            for key, description in _DESCRIPTIONS.items()
        ]
        + [
            dg.AssetSpec(
                key,
                description=f"TOGaDesk, the helpdesk. {description}",
                group_name=HELPDESK,
                kinds={"mysql"},
            )
            for key, description in _HELPDESK_DESCRIPTIONS.items()
        ]
        + [
            dg.AssetSpec(
                key,
                description=f"Freshservice, the helpdesk of some clients. {description}",
                group_name=FRESHSERVICE,
                kinds={"api"},
            )
            for key, description in _FRESHSERVICE_DESCRIPTIONS.items()
        ]
    )

"""The jobs: what an operator or a schedule runs together."""

import dagster as dg

from elite_pipeline.defs.assets import reference_data, ticket_deltas
from elite_pipeline.defs.verify_checks import CHECKS

#: Comparing both sides is no part of a sync: the job ``verify`` does that, when a person asks for it.
_NO_VERIFY = dg.AssetSelection.checks(*CHECKS)

REFERENCE_DATA = dg.define_asset_job(
    "reference_data",
    selection=dg.AssetSelection.groups(reference_data.GROUP) - _NO_VERIFY,
    description="Contacts, units, teams, predefined replies and category trees of one client.",
)
TICKETS = dg.define_asset_job(
    "tickets",
    selection=dg.AssetSelection.groups(ticket_deltas.TO_TOGADESK, ticket_deltas.TO_TOGA2)
    - _NO_VERIFY,
    description="Ticket deltas of one client, both ways.",
)
FRESHSERVICE = dg.define_asset_job(
    "freshservice",
    selection=dg.AssetSelection.groups(ticket_deltas.FROM_FRESHSERVICE),
    description="Ticket deltas of one client out of Freshservice: webhooks, and what none told of.",
)
EVERYTHING = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.groups(
        ticket_deltas.FROM_FRESHSERVICE,
        reference_data.GROUP,
        ticket_deltas.TO_TOGADESK,
        ticket_deltas.TO_TOGA2,
    )
    - _NO_VERIFY,
    description="All of one client, reference data first: what a first sync is.",
)

JOBS = (REFERENCE_DATA, TICKETS, FRESHSERVICE, EVERYTHING)

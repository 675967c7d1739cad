"""The jobs: what an operator or a schedule runs together."""

import dagster as dg

from elite_pipeline.defs.assets import reference_data, ticket_deltas
from elite_pipeline.defs.checks import NO_DEAD_LETTERS
from elite_pipeline.defs.flow_assets import ASSETS


def synced(*groups: str) -> dg.AssetSelection:
    """Return the assets of groups, without the checks that are steps of their own.

    Such a step would cost each run; a sensor, a person or another job executes these.
    """
    own = [dg.AssetCheckKey(asset, NO_DEAD_LETTERS) for asset in ASSETS.values()]
    others = dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks(*own)
    return dg.AssetSelection.groups(*groups) - others


REFERENCE_DATA = dg.define_asset_job(
    "reference_data",
    selection=synced(reference_data.GROUP),
    description="Contacts, units, teams, predefined replies and category trees of one client.",
)
TICKETS = dg.define_asset_job(
    "tickets",
    selection=synced(ticket_deltas.TO_TOGADESK, ticket_deltas.TO_TOGA2),
    description="Ticket deltas of one client, both ways.",
)
FRESHSERVICE = dg.define_asset_job(
    "freshservice",
    selection=synced(ticket_deltas.FROM_FRESHSERVICE),
    description="Ticket deltas of one client out of Freshservice: webhooks, and what none told of.",
)
EVERYTHING = dg.define_asset_job(
    "everything",
    selection=synced(
        ticket_deltas.FROM_FRESHSERVICE,
        reference_data.GROUP,
        ticket_deltas.TO_TOGADESK,
        ticket_deltas.TO_TOGA2,
    ),
    description="All of one client, reference data first: what a first sync is.",
)

JOBS = (REFERENCE_DATA, TICKETS, FRESHSERVICE, EVERYTHING)

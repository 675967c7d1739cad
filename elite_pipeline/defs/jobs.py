"""The jobs: what an operator or a schedule runs together."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from elite_pipeline.defs.assets import reference_data, ticket_deltas
from elite_pipeline.defs.checks import NO_DEAD_LETTERS
from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.defs.lanes import LONG, WEBHOOKS_FIRST, lane_tags


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
    tags=WEBHOOKS_FIRST,
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
    tags=LONG,
)

JOBS = (REFERENCE_DATA, TICKETS, FRESHSERVICE, EVERYTHING)


def client_jobs(partitions: dg.PartitionsDefinition[str]) -> list[Any]:
    """Return the jobs, whose runs carry their client's lane also when a person starts them.

    A sensor or a schedule must name them (``job_name``): the objects above know no partitions.
    """
    return [
        dg.define_asset_job(
            job.name,
            selection=job.selection,
            description=job.description,
            tags=job.tags,
            config=dg.PartitionedConfig(
                partitions,
                run_config_for_partition_key_fn=_no_config,
                tags_for_partition_key_fn=_lane_of(job.name),
            ),
        )
        for job in JOBS
    ]


def _no_config(client: str) -> Mapping[str, Any]:
    del client
    return {}


def _lane_of(job: str) -> Callable[[str], Mapping[str, str]]:
    return lambda client: lane_tags(client, job)

"""Ticket deltas: tickets and notes, TOGA 2 -> TOGaDesk."""

import dagster as dg

from elite_pipeline.defs.assets import reference_data, sources
from elite_pipeline.defs.assets.syncing import SyncResult, sync_partition
from elite_pipeline.defs.checks import no_failed_records
from elite_pipeline.defs.config import SyncConfig
from elite_pipeline.defs.resources import ClientSystems

TOGADESK_TICKET_DELTAS = dg.AssetKey([reference_data.TOGADESK, "ticket_deltas"])
GROUP = "tickets"


def ticket_delta_assets(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the assets of tickets."""

    @dg.asset(
        key=TOGADESK_TICKET_DELTAS,
        deps=[
            sources.TICKETS,
            sources.TICKET_NOTES,
            reference_data.CONTACTS,
            reference_data.UNITS,
            reference_data.TEAMS,
            reference_data.PREDEFINED_REPLIES,
            reference_data.CATEGORY_TREES,
        ],
        description=(
            "Tickets, their descriptions, external notes as replies with their history, and internal "
            "notes as comments (tables tickets, tickets_replies, comments, tickets_history)."
        ),
        group_name=GROUP,
        kinds={"mysql"},
        partitions_def=partitions,
        check_specs=[no_failed_records(TOGADESK_TICKET_DELTAS, partitions)],
    )
    def togadesk_ticket_deltas(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        systems: dg.ResourceParam[ClientSystems],
    ) -> SyncResult:
        return sync_partition(context, config, systems, flow="toga2_to_togadesk")

    return [togadesk_ticket_deltas]

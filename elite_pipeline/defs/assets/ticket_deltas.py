"""Ticket deltas: tickets, notes and files, both ways."""

import dagster as dg

from elite_pipeline.defs.assets import reference_data, sources
from elite_pipeline.defs.assets.syncing import SyncResult, sync_partition
from elite_pipeline.defs.checks import no_dead_letters
from elite_pipeline.defs.config import FreshserviceConfig, SyncConfig
from elite_pipeline.defs.lanes import BULK_POOL
from elite_pipeline.defs.resources import ClientSystems

TOGADESK_TICKET_DELTAS = dg.AssetKey([reference_data.TOGADESK, "ticket_deltas"])
TOGA2_TICKET_DELTAS = dg.AssetKey([sources.TOGA2, "ticket_deltas"])
FRESHSERVICE_TICKET_DELTAS = dg.AssetKey([sources.TOGA2, "freshservice_ticket_deltas"])
#: One for each direction: in the lineage both assets are called by the last part of their key.
TO_TOGADESK = "tickets_to_togadesk"
TO_TOGA2 = "tickets_to_toga2"
FROM_FRESHSERVICE = "tickets_from_freshservice"


def ticket_delta_assets(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Return the assets of tickets."""

    @dg.asset(
        key=TOGADESK_TICKET_DELTAS,
        deps=[
            sources.TICKETS,
            sources.TICKET_NOTES,
            # a run of everything carries in one go what has just come from there
            FRESHSERVICE_TICKET_DELTAS,
            reference_data.CONTACTS,
            reference_data.UNITS,
            reference_data.TEAMS,
            reference_data.PREDEFINED_REPLIES,
            reference_data.CATEGORY_TREES,
        ],
        description=(
            "Tickets, their descriptions, external notes as replies with their history, internal "
            "notes as comments, and their files (tables tickets, tickets_replies, comments, "
            "tickets_history, files, and the uploads folder)."
        ),
        group_name=TO_TOGADESK,
        pool=BULK_POOL,
        kinds={"mysql"},
        partitions_def=partitions,
        check_specs=[no_dead_letters(TOGADESK_TICKET_DELTAS, partitions)],
    )
    def togadesk_ticket_deltas(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        systems: dg.ResourceParam[ClientSystems],
    ) -> SyncResult:
        return sync_partition(context, config, systems, flow="toga2_to_togadesk")

    @dg.asset(
        key=TOGA2_TICKET_DELTAS,
        deps=[
            sources.HELPDESK_TICKETS,
            sources.HELPDESK_REPLIES,
            sources.HELPDESK_COMMENTS,
            sources.HELPDESK_FILES,
            # what came in before is recognised, not sent back
            TOGADESK_TICKET_DELTAS,
        ],
        description=(
            "What people typed in the helpdesk: new tickets, replies as external notes, comments as "
            "internal notes, files, and the status that came with them (POST and PATCH of tickets or "
            "repair orders, their notes, and files). Each exactly once: notes carry the key of their row."
        ),
        group_name=TO_TOGA2,
        pool=BULK_POOL,
        kinds={"api"},
        partitions_def=partitions,
        check_specs=[no_dead_letters(TOGA2_TICKET_DELTAS, partitions)],
    )
    def toga2_ticket_deltas(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        systems: dg.ResourceParam[ClientSystems],
    ) -> SyncResult:
        return sync_partition(context, config, systems, flow="togadesk_to_toga2")

    @dg.asset(
        key=FRESHSERVICE_TICKET_DELTAS,
        deps=[
            sources.WEBHOOKS,
            sources.FRESHSERVICE_TICKETS,
            sources.FRESHSERVICE_CONVERSATIONS,
        ],
        description=(
            "What changed in Freshservice: tickets that webhooks named and such as none told of, with "
            "contact, category, team, all their conversations as notes, attachments and images "
            "(POST and PATCH of tickets, notes, contacts, teams, categories and files). Each exactly "
            "once: records carry Freshservice's id."
        ),
        group_name=FROM_FRESHSERVICE,
        kinds={"api"},
        partitions_def=partitions,
        check_specs=[no_dead_letters(FRESHSERVICE_TICKET_DELTAS, partitions)],
    )
    def freshservice_ticket_deltas(
        context: dg.AssetExecutionContext,
        config: FreshserviceConfig,
        systems: dg.ResourceParam[ClientSystems],
    ) -> SyncResult:
        return sync_partition(context, config, systems, flow="freshservice_to_toga2")

    return [togadesk_ticket_deltas, toga2_ticket_deltas, freshservice_ticket_deltas]

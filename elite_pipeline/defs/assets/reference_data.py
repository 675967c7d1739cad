"""Reference data, TOGA 2 -> TOGaDesk: contacts, units, teams, predefined replies, category trees."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from elite_pipeline.defs.assets import sources
from elite_pipeline.defs.assets.syncing import SyncResult, sync_partition
from elite_pipeline.defs.checks import no_dead_letters
from elite_pipeline.defs.config import SyncConfig
from elite_pipeline.defs.lanes import BULK_POOL
from elite_pipeline.defs.resources import ClientSystems

TOGADESK = "togadesk"
GROUP = "reference_data"


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey([TOGADESK, name])


CONTACTS = _key("contacts")
UNITS = _key("units")
TEAMS = _key("teams")
PREDEFINED_REPLIES = _key("predefined_replies")
CATEGORY_TREES = _key("category_trees")


@dataclass(frozen=True, slots=True)
class _Mirror:
    """One asset that mirrors one resource of TOGA 2 in one table of the helpdesk."""

    key: dg.AssetKey
    deps: Sequence[dg.AssetKey]
    description: str


_MIRRORS = (
    _Mirror(
        CONTACTS,
        [sources.CONTACTS],
        "Contacts as people of the helpdesk (table people). Matched by referenceId, then by e-mail; "
        "administrators and other clients' people are never touched.",
    ),
    _Mirror(
        UNITS,
        [sources.UNITS, CONTACTS],
        "Units as assets of the helpdesk (table assets), with their models, manufacturers and "
        "categories. Matched by referenceId, then by tag.",
    ),
    _Mirror(
        TEAMS,
        [sources.TICKET_TEAMS],
        "Ticket teams as groups of the helpdesk (table groups). Matched by referenceId, then by name.",
    ),
    _Mirror(
        PREDEFINED_REPLIES,
        [sources.PREDEFINED_REPLIES],
        "Predefined replies (table tickets_pr). Matched by referenceId, then by name.",
    ),
    _Mirror(
        CATEGORY_TREES,
        [sources.TICKET_CATEGORIES],
        "The category tree as the choices of one field (table tickets_customfields). A broken tree "
        "is reported, not guessed at.",
    ),
)


#: All of them.
REFERENCE_DATA_ASSETS = tuple(mirror.key for mirror in _MIRRORS)


def reference_data_assets(
    partitions: dg.PartitionsDefinition[str],
) -> list[dg.AssetsDefinition]:
    """Return the assets of reference data."""
    return [_mirror_asset(mirror, partitions) for mirror in _MIRRORS]


def _mirror_asset(mirror: _Mirror, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    flow = mirror.key.path[-1]

    @dg.asset(
        key=mirror.key,
        deps=mirror.deps,
        description=mirror.description,
        group_name=GROUP,
        kinds={"mysql"},
        pool=BULK_POOL,
        partitions_def=partitions,
        check_specs=[no_dead_letters(mirror.key, partitions)],
    )
    def mirror_asset(
        context: dg.AssetExecutionContext,
        config: SyncConfig,
        systems: dg.ResourceParam[ClientSystems],
    ) -> SyncResult:
        return sync_partition(context, config, systems, flow=flow)

    return mirror_asset

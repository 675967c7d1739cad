"""Which asset shows which flow."""

from collections.abc import Mapping

import dagster as dg

from elite_pipeline.defs.assets import reference_data, ticket_deltas

#: Flow, as in the registry -> its asset.
ASSETS: Mapping[str, dg.AssetKey] = {
    "contacts": reference_data.CONTACTS,
    "units": reference_data.UNITS,
    "teams": reference_data.TEAMS,
    "predefined_replies": reference_data.PREDEFINED_REPLIES,
    "category_trees": reference_data.CATEGORY_TREES,
    "toga2_to_togadesk": ticket_deltas.TOGADESK_TICKET_DELTAS,
    "togadesk_to_toga2": ticket_deltas.TOGA2_TICKET_DELTAS,
    "freshservice_to_toga2": ticket_deltas.FRESHSERVICE_TICKET_DELTAS,
}

"""Which parameter of TOGA 2 holds which flow's watermark (``spec/sync.md`` section 2)."""

from collections.abc import Mapping
from types import MappingProxyType

from elite_pipeline.sync import watermarks

#: Flow, as in the registry's switches -> the parameter.
FLOW_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "contacts": watermarks.CONTACTS,
        "units": watermarks.UNITS,
        "teams": watermarks.TEAMS,
        "predefined_replies": watermarks.PREDEFINED_REPLIES,
        "category_trees": watermarks.CATEGORY_TREES,
        "toga2_to_togadesk": watermarks.TICKETS,
        "togadesk_to_toga2": watermarks.TOGADESK_TICKETS,
        "freshservice_to_toga2": watermarks.FRESHSERVICE_TICKETS,
    }
)

"""Ticket teams -> ``groups``."""

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.reference_kinds import Kind, Lookups
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import TicketTeam
from elite_pipeline.togadesk import Fitter


class Teams(Kind[TicketTeam]):
    """Who works on tickets. Matched by name within the client."""

    flow = "teams"
    resource = wire.TICKET_TEAMS
    model = TicketTeam
    table = "groups"
    key = "name"
    owned = ("name",)
    watermark = watermarks.TEAMS
    skips_inactive = True

    def values(self, record: TicketTeam, lookups: Lookups, texts: Fitter) -> dict[str, object]:
        """Return the group's name."""
        del lookups
        if not record.name.strip():
            raise PermanentError("has no name; enter one in TOGA 2")
        return {"name": texts.fit("groups", "name", record.name)}

    def is_active(self, record: TicketTeam) -> bool:
        """Tell whether TOGA 2 has the team switched on."""
        return record.is_active

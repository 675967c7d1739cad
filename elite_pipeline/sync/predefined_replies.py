"""Predefined replies -> ``tickets_pr``."""

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.reference_kinds import Kind, Lookups
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import PredefinedReply
from elite_pipeline.togadesk import Fitter


class PredefinedReplies(Kind[PredefinedReply]):
    """Canned answers. Matched by name within the client; the columns are latin1 in production."""

    flow = "predefined_replies"
    resource = wire.PREDEFINED_REPLIES
    model = PredefinedReply
    table = "tickets_pr"
    key = "name"
    owned = ("name", "content")
    watermark = watermarks.PREDEFINED_REPLIES
    skips_inactive = True

    def values(self, record: PredefinedReply, lookups: Lookups, texts: Fitter) -> dict[str, object]:
        """Return name and content, wrapped as the helpdesk wraps it."""
        del lookups
        if not record.name.strip():
            raise PermanentError("has no name; enter one in TOGA 2")
        return {
            "name": texts.fit("tickets_pr", "name", record.name),
            "content": texts.fit("tickets_pr", "content", f"<div>{record.content or ''}</div>"),
        }

    def is_active(self, record: PredefinedReply) -> bool:
        """Tell whether TOGA 2 has the reply switched on."""
        return record.is_active

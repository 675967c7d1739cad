"""The pipeline's own memory, in PIPELINE_DATABASE_URL. Losing it costs work, never data."""

from elite_pipeline.ledger.store import Ledger, SeenVersion, Waiting

__all__ = ["Ledger", "SeenVersion", "Waiting"]

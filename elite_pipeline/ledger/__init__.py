"""The pipeline's own memory, in PIPELINE_DATABASE_URL. Losing it costs one full run."""

from elite_pipeline.ledger.store import Ledger, SeenVersion, Waiting

__all__ = ["Ledger", "SeenVersion", "Waiting"]

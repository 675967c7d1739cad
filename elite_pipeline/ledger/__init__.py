"""The pipeline's own memory, in PIPELINE_DATABASE_URL. Losing it costs one full run."""

from elite_pipeline.ledger.dead_letter import DeadLetter, Failed
from elite_pipeline.ledger.dead_letter_office import DeadLetterOffice
from elite_pipeline.ledger.dead_letters import Counts, DeadLetters, Recorded
from elite_pipeline.ledger.flow_states import FlowState, FlowStateReader, FlowStates, Outcome
from elite_pipeline.ledger.holders import Holder
from elite_pipeline.ledger.rate_budget import LedgerRateBudget
from elite_pipeline.ledger.store import Ledger, SeenVersion, Waiting

__all__ = [
    "Counts",
    "DeadLetter",
    "DeadLetterOffice",
    "DeadLetters",
    "Failed",
    "FlowState",
    "FlowStateReader",
    "FlowStates",
    "Holder",
    "Ledger",
    "LedgerRateBudget",
    "Outcome",
    "Recorded",
    "SeenVersion",
    "Waiting",
]

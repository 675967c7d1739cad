"""Whether the sync is well: what is measured, what is too much, and what to do then. Knows no Dagster."""

from elite_pipeline.health.findings import (
    DESCRIPTIONS,
    FLOWS,
    TICKET_FLOWS,
    Finding,
    checks_of,
)
from elite_pipeline.health.look import findings
from elite_pipeline.health.watch import take_look
from elite_pipeline.health.watched import Look

__all__ = [
    "DESCRIPTIONS",
    "FLOWS",
    "TICKET_FLOWS",
    "Finding",
    "Look",
    "checks_of",
    "findings",
    "take_look",
]

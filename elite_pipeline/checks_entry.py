"""The registry's section on when a client's flows are worth a person's look.

What does not belong here: what is measured, and what is said about it (``health``).
"""

from typing import Annotated

from pydantic import Field

from elite_pipeline.registry_values import Entry

_YEAR_IN_MINUTES = 366 * 24 * 60

#: None, written ``null``: nobody wants to be told.
_Minutes = Annotated[int, Field(ge=1, le=_YEAR_IN_MINUTES)] | None
_Count = Annotated[int, Field(ge=0, le=1_000_000)] | None


class ChecksEntry(Entry):
    """When a check of a client fails; ``null`` switches one off."""

    watermark_lag_minutes: _Minutes = Field(
        default=60,
        description="How long ago it may be, at most, that all ticket changes were known to be carried.",
    )
    reference_lag_minutes: _Minutes = Field(
        default=360,
        description="The same for reference data, whose nightly compare takes its time.",
    )
    dead_letters_waiting: _Count = Field(
        default=20, description="How many of a flow's records may wait to be tried again."
    )
    dead_letters_parked: _Count = Field(
        default=0, description="How many of them may wait for a person."
    )
    inbox_age_minutes: _Minutes = Field(
        default=15, description="How long a webhook may wait that could be worked on."
    )
    quiet_hours: Annotated[int, Field(ge=1, le=8_784)] | None = Field(
        default=12, description="How long a flow may write something in each of its runs."
    )
    call_log_losses: _Count = Field(
        default=0, description="How many calls of a flow may be missing in the call log."
    )

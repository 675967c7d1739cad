"""What an operator can choose for a run, in the launchpad and the backfill dialog."""

import dagster as dg
from pydantic import Field, field_validator


class SyncConfig(dg.Config):
    """How a run reads its source. Left alone, it goes on from the stored watermark."""

    since: str | None = Field(
        default=None,
        description=(
            "Start from this watermark instead of the stored one, for example "
            "'2026-06-10 00:00:00' (UTC) or '2026-06-10T00:00:00-05:00'. What is already there "
            "causes no write. The stored watermark only moves if the run gets past it."
        ),
    )
    full: bool = Field(
        default=False,
        description=(
            "Ignore the watermark, read everything and write what differs. Safe at any time, slow "
            "for many records. Also counts what has vanished from TOGA 2."
        ),
    )

    @field_validator("full", mode="before")
    @classmethod
    def _null_is_the_default(cls, full: object) -> object:
        # the launchpad allows it
        return False if full is None else full

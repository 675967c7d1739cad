"""What an operator can choose for a run, in the launchpad and the backfill dialog."""

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, field_validator

if TYPE_CHECKING:
    from elite_pipeline.sync.context import Options


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
    dry_run: bool = Field(
        default=False,
        description=(
            "Read everything, write nothing anywhere, and show field by field what the run would "
            "create, change and send. It is found among the asset's events as an observation: the "
            "asset does not count as materialized, its checks are left out, no watermark moves "
            "and no dead letter is counted. Each asset is planned from what is there now, without "
            "what the assets before it would have written."
        ),
    )

    def further(self, options: "Options") -> "Options":
        """Return how to read with what else was chosen."""
        return options

    @field_validator("full", "dry_run", mode="before")
    @classmethod
    def _null_is_the_default(cls, switch: object) -> object:
        # the launchpad allows it
        return False if switch is None else switch


class FreshserviceConfig(SyncConfig):
    """How a run looks for what changed in Freshservice. Left alone, it does all there is to do."""

    sweep: bool = Field(
        default=True,
        description=(
            "Also ask Freshservice which tickets changed since the watermark, and carry what no webhook "
            "told of. Off: only the tickets that waiting webhooks and due dead letters name."
        ),
    )
    up_to_row: int | None = Field(
        default=None,
        description=(
            "Take webhooks up to this row of WorkerJobs only; the sensor says so. Left alone: all that "
            "wait."
        ),
    )

    @field_validator("sweep", mode="before")
    @classmethod
    def _null_sweeps(cls, sweep: object) -> object:
        # the launchpad allows it
        return True if sweep is None else sweep

    def further(self, options: "Options") -> "Options":
        """Return how to read, with the sweep and the rows that were chosen."""
        return replace(options, sweeps=self.sweep, rows_up_to=self.up_to_row)

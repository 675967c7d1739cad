"""``verify`` of one client, put together as in production (``assembly``)."""

import os
import time

from benchmarks.contestants.report import arguments, report
from elite_pipeline.assembly import open_client
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.verify.run import Choices, verify


def main() -> None:
    """Compare; the time runs from the first setting read until all is closed again."""
    given = arguments()
    os.environ.update(
        ELITE_PIPELINE_CLIENTS=str(DEMO_REGISTRY),
        TOGA2_BASE_URL=given["toga2_url"],
        TOGADESK_DATABASE_URL=given["database_url"],
        PIPELINE_DATABASE_URL=given["ledger_url"],
        TOGADESK_UPLOADS_DIR=given["uploads_dir"],
        # empty: as good as not set
        CLIENT_LOGS_DATABASE_URL="",
    )
    started = time.perf_counter()
    settings = load_settings()
    flows = ("contacts", "toga2_to_togadesk", "togadesk_to_toga2")
    with (
        open_client(settings, settings.registry.get("elite")) as context,
        verify(context, Choices(flows=flows)) as found,
    ):
        verification = found.verification
        first = next(found.findings(), None)
    seconds = time.perf_counter() - started
    report(
        seconds,
        differences=verification.differences(),
        files_compared=verification.files_compared,
        api_calls=verification.api_calls,
        sql_reads=verification.sql_reads,
        first=str(first),
    )


if __name__ == "__main__":
    main()

"""The pipeline's engine: flows of one client, put together as in production (``assembly``)."""

import os
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime

from benchmarks.contestants.report import arguments, report
from elite_pipeline.assembly import open_client
from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow


def main() -> None:
    """Run the flow; the time runs from the first setting read until all is closed again."""
    given = arguments()
    os.environ.update(
        ELITE_PIPELINE_CLIENTS=str(DEMO_REGISTRY),
        TOGA2_BASE_URL=given["toga2_url"],
        TOGADESK_DATABASE_URL=given["database_url"],
        PIPELINE_DATABASE_URL=given["ledger_url"],
        # empty: as good as not set
        CLIENT_LOGS_DATABASE_URL=given.get("call_log_url", ""),
        **({"TOGADESK_UPLOADS_DIR": given["uploads_dir"]} if "uploads_dir" in given else {}),
    )
    started = time.perf_counter()
    settings = load_settings()
    client = settings.registry.get("elite")
    if "max_in_flight" in given:
        toga2 = client.toga2.model_copy(update={"max_in_flight": given["max_in_flight"]})
        client = client.model_copy(update={"toga2": toga2})
    flows = given.get("flows") or [given["flow"]]
    sinces = given.get("sinces") or [given.get("since")] * len(flows)
    with ExitStack() as stack:
        context = stack.enter_context(open_client(settings, client))
        results = [
            run_flow(
                flow,
                context,
                Options(
                    since=datetime.fromisoformat(since) if since else None,
                    full=given.get("full", False),
                ),
            )
            for flow, since in zip(flows, sinces, strict=True)
        ]
    seconds = time.perf_counter() - started
    result = results[-1]
    counts = asdict(result)
    for name in ("created", "updated", "failed", "api_calls", "sql_reads", "sql_writes"):
        counts[name] = sum(getattr(one, name) for one in results)
    watermark = result.watermark_after
    report(
        seconds,
        **{
            name: counts[name]
            for name in (
                "created", "updated", "unchanged", "inactive", "failed", "details", "api_calls",
                "sql_reads", "sql_writes",
            )
        },
        watermark=watermark.isoformat() if watermark else None,
        first_failure=result.failures[0].reason if result.failures else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()

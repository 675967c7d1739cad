"""The one place where everything meets: what Dagster loads."""

import gc
import logging

import dagster as dg

from elite_pipeline import demo
from elite_pipeline.defs import jobs
from elite_pipeline.defs.alerts import run_failures
from elite_pipeline.defs.assets.reference_data import reference_data_assets
from elite_pipeline.defs.assets.sources import source_specs
from elite_pipeline.defs.assets.ticket_deltas import ticket_delta_assets
from elite_pipeline.defs.freshness import with_freshness
from elite_pipeline.defs.health_checks import health_checks, health_sensor
from elite_pipeline.defs.housekeeping import housekeeping_job, housekeeping_schedule
from elite_pipeline.defs.partitions import client_partitions
from elite_pipeline.defs.resources import client_systems
from elite_pipeline.defs.schedules import client_schedules
from elite_pipeline.defs.verify_checks import verify_checks, verify_job
from elite_pipeline.defs.watermark_sensor import ticket_watermarks
from elite_pipeline.defs.webhook_sensor import webhook_inbox
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.settings import Settings, load_settings

logger = logging.getLogger("dagster.elite_pipeline")


def build_definitions(settings: Settings) -> dg.Definitions:
    """Assemble the definitions for the clients of a registry.

    Raises:
        ConfigurationError: The registry cannot be read at all. A client whose own entry is broken is
            a partition that fails with the reason.
    """
    registry = settings.registry
    if settings.is_demo and not demo.is_supervised():
        # a warning, because Dagster's code servers show nothing below
        logger.warning(
            "No clients.yaml and no ELITE_PIPELINE_CLIENTS: running on the demo's clients (%s), its "
            "sandbox at %s and SQLite. 'make demo' starts the sandbox; clients.example.yaml shows "
            "how to set up the real thing.",
            ", ".join(registry.names),
            settings.toga2_url,
        )
    for problem in registry.problems.values():
        logger.error("%s\nIt does not run until this is mended; the other clients do.", problem)
    if (wrong := _sentry_problem(settings)) is not None:
        logger.error("%s\nAll runs fail until this is mended.", wrong)
    partitions = client_partitions(registry)
    is_running_demo = settings.is_demo and demo.is_supervised()
    synced = [*reference_data_assets(partitions), *ticket_delta_assets(partitions)]
    return dg.Definitions(
        assets=[*source_specs(), *with_freshness(synced, registry)],
        asset_checks=[health_checks(settings, partitions), verify_checks(partitions)],
        jobs=[*jobs.client_jobs(partitions), verify_job(partitions), housekeeping_job(settings)],
        schedules=[
            *client_schedules(registry, is_demo=is_running_demo),
            housekeeping_schedule(is_demo=is_running_demo),
        ],
        sensors=[
            webhook_inbox(settings, is_demo=is_running_demo),
            ticket_watermarks(settings, is_demo=is_running_demo),
            health_sensor(settings, is_demo=is_running_demo),
            run_failures(settings, is_demo=is_running_demo),
        ],
        resources={"systems": client_systems(settings)},
        # a process per step would double what a run costs, and steps of a run share connections
        executor=dg.in_process_executor,
    )


def _sentry_problem(settings: Settings) -> str | None:
    try:
        _ = settings.sentry_address
    except ConfigurationError as error:
        return str(error)
    return None


definitions = build_definitions(load_settings())

# as in ``defs``: these stay too
gc.freeze()

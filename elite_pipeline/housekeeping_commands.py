"""What an operator types to tidy up: ``housekeeping``."""

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict

import click

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.help_texts import taught
from elite_pipeline.housekeeping import ages, done_one_by_one
from elite_pipeline.settings import load_settings


@click.command(
    epilog=taught(
        ("See what would go", "housekeeping --dry-run"),
        ("Tidy up for ten minutes at most", "housekeeping --minutes 10"),
    )
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say how much would be removed.")
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Stop after this; the next one goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def housekeeping(dry_run: bool, minutes: int, as_json: bool) -> None:
    """Remove old runs, logs, webhooks and calls, as the job of this name does.

    How old is said by HOUSEKEEPING_RUN_DAYS and its like (.env.example). Materializations, dead letters
    and webhooks that wait stay. Dagster's runs are those of DAGSTER_HOME; without it they are left alone.
    """
    # here: the other commands need no Dagster, which takes a second to load
    from dagster import DagsterInstance  # noqa: PLC0415 - see above

    from elite_pipeline.defs.housekeeping import all_tasks  # noqa: PLC0415 - see above

    settings = load_settings()
    if settings.pipeline_database_url is None:
        require_a_demo(settings)
    chosen = ages(settings)

    def tell(sentence: str) -> None:
        if not as_json:
            click.echo(f"would go: {sentence}" if dry_run else sentence)

    with ExitStack() as stack:
        has_home = bool(os.environ.get("DAGSTER_HOME"))
        instance = stack.enter_context(DagsterInstance.get()) if has_home else None
        if instance is None:
            click.echo("DAGSTER_HOME is not set: Dagster's runs are left alone.", err=True)
        tasks = all_tasks(instance, settings, chosen, dry_run=dry_run, minutes=minutes)
        done, failed = done_one_by_one(tasks, tell)
    if as_json:
        report = {
            "dry_run": dry_run,
            "done": [asdict(swept) for swept in done],
            "failed": list(map(str, failed)),
        }
        click.echo(json.dumps(report, indent=2))
    for error in failed:
        click.echo(f"{error.kind} error: {error}", err=True)
    if failed:
        sys.exit(1)

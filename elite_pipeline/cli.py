"""``elite-pipeline``: what an operator does without the Dagster page.

An error that the project foresaw is one message on standard error and exit status 1, never a
traceback. What does not belong here: the work itself; a command finds what it needs and says what
came of it.
"""

import logging
import sys
from contextlib import closing
from datetime import UTC, datetime

import click
from dotenv import load_dotenv
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from elite_pipeline.assembly import open_client
from elite_pipeline.choices import ChoiceError, doubt, read_options
from elite_pipeline.dead_letter_commands import dead_letters
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.housekeeping_commands import housekeeping
from elite_pipeline.launcher.command import demo, demo_reset
from elite_pipeline.log_commands import calls, init_db
from elite_pipeline.observability.sentry import open_sentry
from elite_pipeline.sandbox.cli import sandbox
from elite_pipeline.sandbox.togadesk.cli import togadesk as togadesk_stand_in
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.flows import FLOWS, run_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.togadesk_commands import togadesk
from elite_pipeline.webhook_commands import webhooks

logger = logging.getLogger(__name__)

#: Exit status of a sync that came through, but not with every record (2 is a usage error).
RECORDS_FAILED = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Keep TOGA 2 and TOGaDesk in step, client by client.

    Settings come from the environment and from a file .env in this folder; .env.example explains
    them. Without any, everything runs on the demo.
    """


@cli.command()
@click.argument("client")
@click.argument("flows", nargs=-1, metavar="[FLOW]...")
@click.option("--since", help="Start from this watermark, e.g. '2026-06-10 00:00:00' (UTC).")
@click.option("--full", is_flag=True, help="Ignore the watermark and compare everything.")
def sync(client: str, flows: tuple[str, ...], since: str | None, full: bool) -> None:
    """Sync CLIENT once, without Dagster: all flows, or those that are named.

    Flows: contacts, units, teams, predefined_replies, category_trees, toga2_to_togadesk,
    togadesk_to_toga2.
    """
    unknown = [flow for flow in flows if flow not in FLOWS]
    if unknown:
        raise click.UsageError(f"There is no flow {unknown[0]!r}. Flows: {', '.join(FLOWS)}.")
    try:
        options = read_options(since, full=full)
    except ChoiceError as error:
        raise click.UsageError(str(error)) from None
    if (doubtful := doubt(options, datetime.now(UTC))) is not None:
        logger.warning(doubtful)
    settings = load_settings()
    entry = settings.registry.get(client)
    results: list[FlowResult] = []
    try:
        with (
            closing(open_sentry(settings)) as report,
            report.run(client),
            open_client(settings, entry) as context,
        ):
            context.progress = click.echo
            context.report = lambda flow, failure, error: report.record_failed(
                error,
                client=client,
                flow=flow,
                record=failure.full_name,
                kind=failure.kind,
                parked=failure.parked,
            )
            for flow in flows or FLOWS:
                with report.run(client, flow):
                    result = run_flow(flow, context, options)
                # one by one: what was done is shown also when a later flow stops the run
                results.append(result)
    finally:
        # what was done before a flow stopped was done
        if results:
            _show(results)
    if any(result.failed for result in results):
        sys.exit(RECORDS_FAILED)


def _show(results: list[FlowResult]) -> None:
    # what a program or a log reads is not folded to the width of a terminal that is not there
    console = Console() if sys.stdout.isatty() else Console(width=120)
    headers = (
        "flow",
        "created",
        "updated",
        "unchanged",
        "failed",
        "dead",
        "calls",
        "watermark (UTC)",
    )
    table = Table(*headers, box=SIMPLE)
    for result in results:
        if not result.is_on:
            table.add_row(result.flow, "switched off")
            continue
        counts = (
            result.created,
            result.updated + result.adopted,
            result.unchanged + result.inactive,
            result.failed,
            result.dead_letters.waiting + result.dead_letters.parked,
            result.api_calls,
        )
        after = result.watermark_after
        table.add_row(result.flow, *map(str, counts), f"{after:%Y-%m-%d %H:%M:%S}" if after else "")
    console.print(table)
    for result in results:
        for failure in result.failures:
            click.echo(f"{result.flow}: {failure.full_name} ({failure.kind}): {failure.reason}")
        for remark in result.remarks:
            click.echo(f"{result.flow}: {remark}")


sandbox.add_command(togadesk_stand_in)
for command in (init_db, calls, dead_letters, demo, demo_reset, sandbox, togadesk, webhooks):
    cli.add_command(command)
cli.add_command(housekeeping)


def main() -> None:
    """Run the command line; what was foreseen to go wrong is one message."""
    # as `dagster dev` reads it; the demo has nothing to do with what is set for the real systems
    if sys.argv[1:2] not in (["demo"], ["demo-reset"]):
        load_dotenv(".env", override=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        cli()
    except PipelineError as error:
        # what an operator has set is mended in the settings, not in a system
        label = "configuration" if isinstance(error, ConfigurationError) else error.kind
        click.echo(f"{label} error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

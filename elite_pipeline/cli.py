"""``elite-pipeline``: what an operator does without the Dagster page.

An error that the project foresaw is one message on standard error and exit status 1, never a
traceback. What does not belong here: the work itself; a command finds what it needs and says what
came of it.
"""

import json
import logging
import sys
from contextlib import closing, nullcontext
from datetime import UTC, datetime

import click
from dotenv import load_dotenv

from elite_pipeline.assembly import open_client
from elite_pipeline.choices import ChoiceError, doubt, read_options
from elite_pipeline.command_groups import SectionedGroup
from elite_pipeline.dead_letter_commands import dead_letters
from elite_pipeline.doctor_command import doctor
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.housekeeping_commands import housekeeping
from elite_pipeline.launcher.command import demo, demo_reset
from elite_pipeline.log_commands import calls, init_db
from elite_pipeline.observability.sentry import open_sentry
from elite_pipeline.progress import shown_sentences
from elite_pipeline.sandbox.cli import sandbox
from elite_pipeline.sandbox.togadesk.cli import togadesk as togadesk_stand_in
from elite_pipeline.settings import load_settings
from elite_pipeline.status_command import status
from elite_pipeline.sync.flows import FLOWS, run_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.sync_results import document, show
from elite_pipeline.togadesk_commands import togadesk
from elite_pipeline.verify_command import verify
from elite_pipeline.watermark_commands import watermark
from elite_pipeline.webhook_commands import webhooks

logger = logging.getLogger(__name__)

#: Exit status of a sync that came through, but not with every record (2 is a usage error).
RECORDS_FAILED = 3


#: What somebody wants to do -> the commands for it.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Every day": ("status", "sync", "webhooks", "housekeeping"),
    "When something is wrong": ("doctor", "dead-letters", "watermark", "verify", "calls"),
    "Setting up": ("init-db", "togadesk"),
    "Trying it out": ("demo", "demo-reset", "sandbox"),
}


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=taught_group(
        ("See how everything is going", "status"),
        ("See what is wrong, and what to do about it", "doctor"),
        ("Sync one client once, without Dagster", "sync elite"),
        ("Learn more of a command", "dead-letters retry --help"),
    ),
)
def cli() -> None:
    """Keep Freshservice, TOGA 2 and TOGaDesk in step, client by client.

    Settings come from the environment and from a file .env in this folder; .env.example explains
    them, and doctor checks them. Without any, everything runs on the demo.
    """


@cli.command(
    epilog=taught(
        ("Sync everything that is switched on", "sync elite"),
        (
            "Sync tickets alone, again from a watermark (UTC)",
            "sync elite toga2_to_togadesk --since '2026-06-10 00:00:00'",
        ),
        ("Compare all contacts", "sync elite contacts --full"),
        ("See what a run would do, and do nothing", "sync elite --dry-run"),
        ("Let a program read what was done", "sync elite --json"),
        statuses={RECORDS_FAILED: "done, but not every record came through: each is a dead letter"},
    )
)
@click.argument("client")
@click.argument("flows", nargs=-1, metavar="[FLOW]...")
@click.option("--since", help="Start from this watermark, e.g. '2026-06-10 00:00:00' (UTC).")
@click.option("--full", is_flag=True, help="Ignore the watermark and compare everything.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write nothing anywhere, and show field by field what a run would create, change and send.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a flow, for programs.")
def sync(
    client: str,
    flows: tuple[str, ...],
    since: str | None,
    full: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sync CLIENT once, without Dagster: all flows, or those that are named.

    Flows: contacts, units, teams, predefined_replies, category_trees, toga2_to_togadesk,
    togadesk_to_toga2, freshservice_to_toga2.

    With --dry-run each flow is planned from what is there now: what an earlier flow of the same
    command would have written is not there.
    """
    unknown = [flow for flow in flows if flow not in FLOWS]
    if unknown:
        raise click.UsageError(f"There is no flow {unknown[0]!r}. Flows: {', '.join(FLOWS)}.")
    try:
        options = read_options(since, full=full, dry_run=dry_run)
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
            nullcontext() if dry_run else report.run(client),
            open_client(settings, entry) as context,
            shown_sentences(quiet=as_json) as context.progress,
        ):
            context.report = lambda flow, failure, error: report.record_failed(
                error,
                client=client,
                flow=flow,
                record=failure.full_name,
                kind=failure.kind,
                parked=failure.parked,
            )
            for flow in flows or FLOWS:
                # nobody is to be woken by what did not happen
                with nullcontext() if dry_run else report.run(client, flow):
                    result = run_flow(flow, context, options)
                # one by one: what was done is shown also when a later flow stops the run
                results.append(result)
    finally:
        # what was done before a flow stopped was done
        if as_json:
            for result in results:
                click.echo(json.dumps(document(result)))
        elif results:
            show(results)
    if any(result.failed for result in results):
        sys.exit(RECORDS_FAILED)


sandbox.add_command(togadesk_stand_in)
for command in (
    init_db,
    calls,
    dead_letters,
    demo,
    demo_reset,
    doctor,
    housekeeping,
    sandbox,
    status,
    togadesk,
    verify,
    watermark,
    webhooks,
):
    cli.add_command(command)


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

"""What an operator types about the project's own tables: ``init-db`` and ``calls``."""

import json

import click

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.choices import ChoiceError, read_options
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.help_texts import taught
from elite_pipeline.inbox import tables as inbox_tables
from elite_pipeline.ledger import tables as ledger_tables
from elite_pipeline.observability import call_log_tables
from elite_pipeline.observability.call_search import LoggedCall, find_calls
from elite_pipeline.own_tables import bring_up_to_date, connect, shown
from elite_pipeline.settings import load_settings

#: Seconds. Looking for a ticket reads the whole log: nothing indexes what it looks at.
_TIMEOUT = 600


@click.command(
    "init-db",
    epilog=taught(("Make the tables on the first day, and after each upgrade", "init-db")),
)
def init_db() -> None:
    """Make the pipeline's own tables, or bring older ones up to date. Safe to repeat.

    These are the memory between runs and the inbox of webhooks, in PIPELINE_DATABASE_URL, and the call
    log, in CLIENT_LOGS_DATABASE_URL where that is set. Nothing else in these databases is touched.
    """
    settings = load_settings()
    if None in {settings.pipeline_database_url, settings.client_logs_database_url}:
        require_a_demo(settings)
    own = [*ledger_tables.metadata.sorted_tables, *inbox_tables.metadata.sorted_tables]
    databases = [("PIPELINE_DATABASE_URL", settings.pipeline_url, own)]
    if (logs := settings.client_logs_url) is not None:
        databases.append(("CLIENT_LOGS_DATABASE_URL", logs, call_log_tables.metadata.sorted_tables))
    for setting, url, tables in databases:
        engine = connect(url, setting, timeout_seconds=_TIMEOUT)
        try:
            click.echo(f"{setting}: {shown(engine)}")
            for done in bring_up_to_date(engine, tables, setting):
                click.echo(f"  {done}")
        finally:
            engine.dispose()
    if logs is None:
        click.echo("CLIENT_LOGS_DATABASE_URL: not set, so calls are not logged")


@click.command(
    epilog=taught(
        ("See the latest calls of a client", "calls --client elite --limit 20"),
        (
            "See which calls touched a ticket",
            "calls --client elite --ticket 00000000-0000-4000-8000-000000000001",
        ),
        ("Let a program read them", "calls --client elite --since '2026-06-10 00:00:00' --json"),
    )
)
@click.option("--client", required=True, help="Whose calls.")
@click.option(
    "--ticket",
    type=click.UUID,
    help="Only calls that touched this ticket (a TOGA 2 uuid), its notes or their files.",
)
@click.option("--since", help="Only calls from then on, e.g. '2026-06-10 00:00:00' (UTC).")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, for programs.")
def calls(client: str, ticket: object, since: str | None, limit: int, as_json: bool) -> None:
    """Print the latest calls of a client, newest last: times are UTC, «?» is an unknown outcome."""
    try:
        moment = read_options(since, full=False).since
    except ChoiceError as error:
        raise click.UsageError(str(error)) from None
    settings = load_settings()
    if settings.client_logs_database_url is None:
        require_a_demo(settings)
    if (url := settings.client_logs_url) is None:
        raise ConfigurationError(
            "CLIENT_LOGS_DATABASE_URL is not set, so calls are not logged and there are none to show."
        )
    name = settings.registry.get(client).name
    engine = connect(url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=_TIMEOUT)
    try:
        found = find_calls(
            engine, name, ticket=str(ticket) if ticket else None, since=moment, limit=limit
        )
    finally:
        engine.dispose()
    for call in found:
        if as_json:
            click.echo(json.dumps(_document(call)))
            continue
        click.echo(
            f"{call.sent:%Y-%m-%d %H:%M:%S}  {call.status or '?':>3}  {call.seconds:7.3f} s  "
            f"{call.method:<5} {call.address}  ({call.source}, run {call.run})"
        )
    if not found:
        click.echo("No call was found.", err=True)


def _document(call: LoggedCall) -> dict[str, object]:
    """Return a call as a JSON object; its time is ISO 8601, UTC, and no status is an unknown outcome."""
    return {
        "sent": call.sent.isoformat(),
        "source": call.source,
        "method": call.method,
        "address": call.address,
        "status": call.status,
        "seconds": call.seconds,
        "run": call.run,
    }

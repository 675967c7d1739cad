"""``elite-pipeline webhooks …``: receiving webhooks, and seeing what became of them.

``spec/sync.md`` section 7. What does not belong here: the receiver itself (``inbox``).
"""

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.inbox import DeadRow, Inbox
from elite_pipeline.inbox.server import listen
from elite_pipeline.inbox.server import serve as serve_app
from elite_pipeline.inbox.tables import DONE, FAILED, PENDING, STATUSES
from elite_pipeline.settings import Settings, load_settings
from elite_pipeline.terminal_texts import printable, span
from elite_pipeline.webhook_assembly import open_receiver, read_entrances

#: On which port the receiver listens where nothing else is said.
DEFAULT_PORT = 8093


@click.group(
    epilog=taught_group(
        ("Receive them, behind a proxy with TLS", "webhooks serve"),
        ("See which wait, and which were given up", "webhooks list"),
    )
)
def webhooks() -> None:
    """The inbox of Freshservice's webhooks: receive them, and see what became of them."""


@webhooks.command(
    epilog=taught(
        ("Receive them, behind a proxy on this machine", "webhooks serve"),
        ("Listen on another port", "webhooks serve --port 9000"),
    )
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; by default only a proxy on this machine reaches it.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    envvar="WEBHOOKS_PORT",
    show_default=True,
    show_envvar=True,
    help="Port to listen on; 0: any that is free.",
)
def serve(host: str, port: int) -> None:
    """Receive webhooks at POST /webhook/CLIENT until this process is told to end (SIGTERM, Ctrl-C).

    One is answered with 200 once it is committed to PIPELINE_DATABASE_URL; 503 tells its sender to come
    again. GET /healthz says whether rows can be stored. Put a proxy with TLS in front (docs/webhooks.md).
    """
    settings = load_settings()
    entrances = read_entrances(settings)
    with open_receiver(settings, entrances, tell=_tell) as receiver, listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        for client in entrances.open:
            click.echo(f"{client}: {address}/webhook/{client}")
        for reason in entrances.closed.values():
            click.echo(f"not served: {reason}", err=True)
        click.echo(f"Receiving webhooks; {address}/healthz says whether they can be stored.")
        sys.stdout.flush()
        serve_app(receiver.app, listener)
    click.echo("What was received is stored.")


def _tell(sentence: str) -> None:
    click.echo(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {sentence}", err=True)


@webhooks.command(
    name="list",
    epilog=taught(
        ("See what is not done yet", "webhooks list"),
        ("See what was given up, and why", "webhooks list --status DEAD"),
        (
            "Let a program read the latest of one client",
            "webhooks list --client elite --all --json",
        ),
    ),
)
@click.option("--client", help="Only this client's.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(STATUSES, case_sensitive=False),
    multiple=True,
    help=f"Only rows of this status, several times for several; by default those not {DONE}.",
)
@click.option("--all", "everything", is_flag=True, help="Rows of every status.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, for programs.")
def list_rows(
    client: str | None, statuses: tuple[str, ...], everything: bool, limit: int, as_json: bool
) -> None:
    """List received webhooks with what became of them, the newest first. Bodies are not shown."""
    if statuses and everything:
        raise click.UsageError("Choose --status or --all, not both.")
    settings = load_settings()
    if settings.pipeline_database_url is None:
        require_a_demo(settings)
    actions = [_action(settings, client)] if client is not None else None
    wanted = [status for status in STATUSES if everything or status in statuses]
    if not wanted:
        wanted = [status for status in STATUSES if status != DONE]
    with closing(Inbox(settings.pipeline_url)) as inbox:
        rows = inbox.shown(actions, wanted, limit) if inbox.is_there() else []
    clients = _clients(settings)
    if as_json:
        for row in rows:
            click.echo(json.dumps(_document(row, clients)))
        return
    if not rows:
        whose = f" of client {client!r}" if client is not None else ""
        click.echo(f"No webhook{whose} is {' or '.join(wanted)}.")
        return
    # what a program or a log reads is not folded to the width of a terminal that is not there
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(_table(rows, clients, datetime.now(UTC)))
    if len(rows) == limit:
        click.echo("There may be more: --limit shows more of them.")


def _action(settings: Settings, client: str) -> str:
    entry = settings.registry.get(client)
    if entry.freshservice is None:
        raise ConfigurationError(
            f"{settings.registry.source}: client {client!r} has no freshservice section, and so no "
            "webhooks."
        )
    return entry.freshservice.webhook_action


def _clients(settings: Settings) -> Mapping[str, str]:
    """Return whose each action is."""
    return {
        client.freshservice.webhook_action: client.name
        for client in settings.registry.clients.values()
        if client.freshservice is not None
    }


def _table(rows: list[DeadRow], clients: Mapping[str, str], now: datetime) -> Table:
    shown = Table(box=SIMPLE)
    for header in ("id", "client", "status", "attempts", "received", "next attempt"):
        shown.add_column(header, no_wrap=True)
    shown.add_column("reason")
    for row in rows:
        cells = (
            str(row.id),
            # an action that is no client's is somebody else's, or that of one who has left
            clients.get(row.action, f"? ({row.action})"),
            row.status,
            str(row.attempts),
            f"{span(now - row.arrived)} ago",
            _next(row, now),
        )
        reason = Text(printable(row.error), no_wrap=True, overflow="ellipsis")
        shown.add_row(*(escape(printable(cell)) for cell in cells), reason)
    return shown


def _next(row: DeadRow, now: datetime) -> str:
    if row.status not in {PENDING, FAILED}:
        return ""
    if row.retry_after is None or row.retry_after <= now:
        return "due"
    return f"in {span(row.retry_after - now)}"


def _document(row: DeadRow, clients: Mapping[str, str]) -> dict[str, object]:
    """Return a row as a JSON object; times are ISO 8601, UTC."""
    moments = {"received": row.arrived, "next_attempt": row.retry_after, "finished": row.finished}
    return {
        "id": row.id,
        "client": clients.get(row.action),
        "action": row.action,
        "status": row.status,
        "attempts": row.attempts,
        "error": row.error or None,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }

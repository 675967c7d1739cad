"""``elite-pipeline status``: one table, a line for each flow of each client.

What does not belong here: finding out (``flow_status``).
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.flow_status import ClientStatus, FlowStatus, look_at_flows
from elite_pipeline.help_texts import taught
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect
from elite_pipeline.settings import Settings, load_settings
from elite_pipeline.terminal_texts import printable, span
from elite_pipeline.transport import Exchange, Redactor

_HEADERS = ("client", "flow", "watermark (UTC)", "lag", "waiting", "dead", "last run")
#: Seconds that the call log waits for its database, and this command for the call log.
_LOG_TIMEOUT = 5
_FLUSH_SECONDS = 1.0


@click.command(
    epilog=taught(
        ("See how everything is going", "status"),
        ("See one client", "status --client elite"),
        ("Let a program read it", "status --json"),
        statuses={0: "shown, whatever it shows; `doctor` and the checks tell whether it is well"},
    )
)
@click.option(
    "--client", "names", multiple=True, metavar="NAME", help="Only this client; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def status(names: tuple[str, ...], as_json: bool) -> None:
    """Show how every flow of every client is doing, in one table.

    watermark: how far the flow has got, as TOGA 2 has it; with ~ as the last run left it, because TOGA 2
    did not answer. lag: how old a change can be that is not on the other side yet. waiting: dead letters
    that runs try again by themselves. dead: those that wait for you. last run: the last one that came
    through. Below the table: why flows stopped, and what waits in the inbox of webhooks.
    """
    settings = load_settings()
    if settings.pipeline_database_url is None:
        require_a_demo(settings)
    now = datetime.now(UTC)
    with _logged(settings) as on_exchange:
        found = look_at_flows(settings, names, now, on_exchange)
    if as_json:
        click.echo(json.dumps(_document(found, now), indent=2))
        return
    # what a program or a log reads is not folded to the width of a terminal that is not there
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(_table(found, now))
    for line in _remarks(found, now):
        click.echo(line)


@contextmanager
def _logged(settings: Settings) -> Iterator[Callable[[Exchange], None] | None]:
    """Give what logs the calls, of all clients together; None where calls are not logged."""
    url = settings.client_logs_url
    if url is None:
        yield None
        return
    log = CallLog(
        connect(url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=_LOG_TIMEOUT),
        RowMaker(
            Redactor(settings.secret_values()),
            transaction_id=str(uuid4()),
            instance_id=socket.gethostname(),
        ),
        client="status",
        flush_seconds=_FLUSH_SECONDS,
    )
    try:
        yield log.add
    finally:
        log.close()


def _table(found: Sequence[ClientStatus], now: datetime) -> Table:
    shown = Table(box=SIMPLE)
    for header in _HEADERS:
        shown.add_column(header, no_wrap=True)
    for client in found:
        name = escape(client.name)
        for flow in client.flows:
            shown.add_row(name, flow.flow, *_cells(flow, now))
            # a name is read once
            name = ""
        if not client.flows:
            shown.add_row(name, "cannot be used: see below")
        shown.add_section()
    return shown


def _cells(flow: FlowStatus, now: datetime) -> tuple[str, ...]:
    if not flow.is_on:
        return ("switched off",)
    mark = "" if flow.is_stored or flow.watermark is None else "~"
    watermark = f"{mark}{flow.watermark:%Y-%m-%d %H:%M:%S}" if flow.watermark else "none yet"
    last = f"{span(now - flow.last_run)} ago" if flow.last_run is not None else "none yet"
    if flow.last_error is not None:
        last += ", then stopped"
    return (
        watermark,
        span(flow.lag) if flow.lag is not None else "?",
        _count(flow.waiting, "yellow"),
        _count(flow.parked, "red"),
        f"[red]{last}[/red]" if flow.last_error is not None else last,
    )


def _count(number: int, colour: str) -> str:
    return f"[{colour}]{number}[/{colour}]" if number else "0"


def _remarks(found: Sequence[ClientStatus], now: datetime) -> Iterator[str]:
    """Yield what a table has no room for; what several clients say alike is said once."""
    problems: dict[str, list[str]] = {}
    for client in found:
        for line in client.problem.splitlines():
            problems.setdefault(line, []).append(client.name)
    for line, names in problems.items():
        yield f"{', '.join(names)}: {printable(line)}"
    for client in found:
        for flow in client.flows:
            if not flow.is_on:
                continue
            where = f"{client.name} {flow.flow}"
            if flow.last_error is not None and flow.last_failed is not None:
                ago = span(now - flow.last_failed)
                yield f"{where}: stopped {ago} ago: {printable(flow.last_error)}"
            if flow.waiting or flow.parked:
                yield (
                    f"{where}: elite-pipeline dead-letters list --client {client.name} --flow "
                    f"{flow.flow}"
                )
            if (inbox := flow.inbox) is not None:
                waiting = inbox.waiting + inbox.failed
                age = f", the first for {span(now - inbox.oldest)}" if inbox.oldest else ""
                if waiting:
                    yield f"{where}: {waiting} in the inbox of webhooks{age}"
                if inbox.dead:
                    yield (
                        f"{where}: {inbox.dead} given up: elite-pipeline webhooks list --client "
                        f"{client.name} --status DEAD"
                    )


def _document(found: Sequence[ClientStatus], now: datetime) -> dict[str, object]:
    """Return all as a JSON object; times are ISO 8601, UTC, and lengths seconds."""
    return {
        "at": now.isoformat(timespec="seconds"),
        "clients": {
            client.name: {
                "problem": client.problem or None,
                "flows": {flow.flow: _flow_document(flow) for flow in client.flows},
            }
            for client in found
        },
    }


def _flow_document(flow: FlowStatus) -> dict[str, object]:
    document: dict[str, object] = {
        "on": flow.is_on,
        "watermark": _moment(flow.watermark),
        "watermark_from": "toga2" if flow.is_stored else "last_run",
        "lag_seconds": _seconds(flow.lag),
        "waiting": flow.waiting,
        "dead": flow.parked,
        "oldest_dead_letter": _moment(flow.oldest_letter),
        "last_run": _moment(flow.last_run),
        "last_failed": _moment(flow.last_failed),
        "last_error": flow.last_error,
    }
    if flow.inbox is not None:
        document["inbox"] = {
            "waiting": flow.inbox.waiting,
            "failed": flow.inbox.failed,
            "dead": flow.inbox.dead,
            "oldest": _moment(flow.inbox.oldest),
        }
    return document


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _seconds(length: timedelta | None) -> int | None:
    return round(length.total_seconds()) if length is not None else None

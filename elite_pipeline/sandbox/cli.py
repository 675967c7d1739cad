"""The command line of the sandbox: ``elite-pipeline sandbox …``.

What belongs here: options, messages and exit statuses. What a command does is in the packages beside.
"""

import json
import signal
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from elite_pipeline.demo import demo_dir
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.progress import shown_parts
from elite_pipeline.sandbox.both_sides_cli import type_both_sides
from elite_pipeline.sandbox.caller import Caller
from elite_pipeline.sandbox.control import (
    commands_of,
    one_line_errors,
    port_option,
)
from elite_pipeline.sandbox.data import Sizes, demo_sizes, generate
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.edits import edit as make_edits
from elite_pipeline.sandbox.freshservice.cli import freshservice
from elite_pipeline.sandbox.registry import clients_option, find_client, read_clients
from elite_pipeline.sandbox.toga2 import (
    SandboxClient,
    Settings,
    Store,
    Toga2Sandbox,
)

_PERIOD = timedelta(days=730)

_data_option = click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    default=lambda: demo_dir() / "toga2.sqlite",
    show_default="toga2.sqlite in the demo's folder",
    help="The SQLite file that holds the sandbox's records.",
)


@click.group(
    epilog=taught_group(
        ("Let people type on both sides of a running demo", "sandbox type --client elite"),
        ("Make data for a TOGA 2 of your own", "sandbox toga2 fill"),
        ("Have it answer", "sandbox toga2 serve"),
    )
)
def sandbox() -> None:
    """Run and fill stand-ins for the outside systems, and break them on request."""


@sandbox.group(
    epilog=taught_group(
        ("Make data", "sandbox toga2 fill"),
        ("Answer", "sandbox toga2 serve"),
        ("Change some of it", "sandbox toga2 edit --client elite --tickets 3 --notes 2"),
        (
            "Break the next page",
            "sandbox toga2 faults add status --set status=503 --route /contacts",
        ),
        ("See what was asked", "sandbox toga2 stats"),
    )
)
def toga2() -> None:
    """A stand-in for TOGA 2: real HTTP on this machine, strict, with faults on request."""


@toga2.command(
    epilog=taught(
        ("Serve the demo's data", "sandbox toga2 serve"),
        (
            "Begin with a new file, and be slow",
            "sandbox toga2 serve --data new.sqlite --new --latency 0.05",
        ),
    )
)
@port_option
@_data_option
@clients_option
@click.option("--new", is_flag=True, help="Begin with a new file without records.")
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, help="Seconds per answer.")
@click.option(
    "--expand-lists/--no-expand-lists",
    default=True,
    show_default=True,
    help="Whether lists honour depth, or are always of depth 1.",
)
@click.option(
    "--notes-touch-ticket/--no-notes-touch-ticket",
    default=True,
    show_default=True,
    help="Whether writing a note moves the _updated of its ticket.",
)
def serve(
    port: int,
    data: Path,
    clients_file: Path,
    new: bool,
    latency: float,
    expand_lists: bool,
    notes_touch_ticket: bool,
) -> None:
    """Answer until Ctrl-C.

    Each client of the registry may call, with credentials that are made from its name ('sandbox toga2
    credentials' shows them).
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with one_line_errors():
        clients = read_clients(clients_file)
        _check_data(data, new=new)
        settings = Settings(latency, expand_lists, notes_touch_ticket)
        with Toga2Sandbox(clients, path=data, port=port, settings=settings) as running:
            names = ", ".join(client.name for client in clients)
            click.echo(f"TOGA 2 sandbox: {running.base_url}")
            click.echo(f"clients: {names} (of {clients_file}); data: {data}")
            stopped.wait()


def _check_data(data: Path, *, new: bool) -> None:
    """Refuse a file that is not there: it is mistyped, or nobody has filled it."""
    if new and data.exists():
        raise click.ClickException(f"{data} is there already: serve it without --new")
    if not new and not data.exists():
        raise click.ClickException(
            f"there is no {data}: correct --data, make the file with"
            f" 'elite-pipeline sandbox toga2 fill --data {data}', or begin without records with --new"
        )


@toga2.command(epilog=taught(("Show them", "sandbox toga2 credentials")))
@clients_option
def credentials(clients_file: Path) -> None:
    """Show how each client calls the sandbox: its uuid, API key and API secret.

    They open the sandbox alone, and guard made-up data.
    """
    with one_line_errors():
        for client in read_clients(clients_file):
            click.echo(
                f"{client.name}: X-Client-Uuid {client.client_uuid},"
                f" Basic {client.api_key}:{client.api_secret}"
            )


@toga2.command(
    epilog=taught(
        ("Make the demo's data", "sandbox toga2 fill"),
        (
            "Make ten thousand tickets of one client in a file of their own",
            "sandbox toga2 fill --data big.sqlite --client elite --tickets 10000",
        ),
    )
)
@_data_option
@clients_option
@click.option("--client", "names", multiple=True, help="Which client; all of them by default.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the data follow from.")
@click.option("--contacts", type=click.IntRange(0), help="How many contacts.")
@click.option("--units", type=click.IntRange(0), help="How many units.")
@click.option("--teams", type=click.IntRange(0), help="How many teams.")
@click.option("--predefined-replies", type=click.IntRange(0), help="How many predefined replies.")
@click.option("--categories", type=click.IntRange(0), help="How many categories, in three levels.")
@click.option("--tickets", type=click.IntRange(0), help="How many tickets, or repair orders.")
@click.option("--notes-per-ticket", type=click.IntRange(0), help="How many notes, on average.")
@click.option("--dirty", is_flag=True, help="Add a few records that cannot be carried over.")
@click.option("--keep", is_flag=True, help="Leave a client that has records as it is.")
def fill(
    data: Path,
    clients_file: Path,
    names: tuple[str, ...],
    seed: int,
    dirty: bool,
    keep: bool,
    **counts: int | None,
) -> None:
    """Make believable data, by seed and size; the demo's size where none is given.

    The same seed gives the same records. The file is made if it is not there, and may be one that a
    sandbox serves meanwhile; a million contacts take about a minute.
    """
    with one_line_errors():
        clients = read_clients(clients_file)
        click.echo(f"clients of {clients_file}; data: {data}")
        store = Store(clients, path=data)
        try:
            for position, client in enumerate(clients):
                if not names or client.name in names:
                    chosen = {name: count for name, count in counts.items() if count is not None}
                    sizes = replace(demo_sizes(position), **chosen)
                    _fill(store, client, sizes, seed=seed, dirty=dirty, keep=keep)
            for name in names:
                store.scopes_of(name)
        finally:
            store.close()


def _fill(
    store: Store, client: SandboxClient, sizes: Sizes, *, seed: int, dirty: bool, keep: bool
) -> None:
    """Fill in one client, with a progress bar where somebody watches."""
    routes = ("contacts", client.job_kind.job.route)
    present = any(store.count(client.name, route) for route in routes)
    if present and keep:
        click.echo(f"{client.name}: has data already, kept")
        return
    if present:
        raise click.ClickException(
            f"{client.name} has data in {store.path} already: keep them with --keep,"
            " or remove the file to start over"
        )
    with shown_parts(client.name, sizes.total) as advance:
        end = datetime.now(UTC)
        made = generate(
            store,
            client.name,
            seed=seed,
            start=end - _PERIOD,
            end=end,
            dirty=dirty,
            progress=lambda route, number: advance(number, route),
            **asdict(sizes),
        )
    click.echo(f"{client.name}: " + ", ".join(f"{made[route]:,} {route}" for route in made))


@toga2.command(
    epilog=taught(
        (
            "Change three tickets, and write two notes",
            "sandbox toga2 edit --client elite --tickets 3 --notes 2",
        ),
    )
)
@port_option
@clients_option
@click.option("--client", "name", required=True, help="Whose records to edit.")
@click.option(
    "--tickets",
    type=click.IntRange(0),
    default=0,
    help="How many tickets, or repair orders, to change.",
)
@click.option("--notes", type=click.IntRange(0), default=0, help="How many notes to write.")
@click.option("--contacts", type=click.IntRange(0), default=0, help="How many contacts to change.")
@click.option("--files", type=click.IntRange(0), default=0, help="How many files the notes get.")
@click.option("--seed", type=int, help="What is edited follows from it; from the time by default.")
def edit(
    port: int,
    clients_file: Path,
    name: str,
    tickets: int,
    notes: int,
    contacts: int,
    files: int,
    seed: int | None,
) -> None:
    """Make some believable edits over HTTP, so that the next run has something to carry over."""
    with one_line_errors():
        client = find_client(clients_file, name)
        dice = Dice(f"edit/{time.time_ns() if seed is None else seed}")
        counts = {"tickets": tickets, "notes": notes, "contacts": contacts, "files": files}
        for line in make_edits(Caller(port, client), dice, kind=client.job_kind, **counts):
            click.echo(line)


@toga2.command(
    "settings",
    epilog=taught(
        ("Show them", "sandbox toga2 settings"),
        ("Make every answer take 50 ms", "sandbox toga2 settings --latency 0.05"),
    ),
)
@port_option
@click.option("--latency", type=click.FloatRange(min=0), help="Seconds per answer.")
@click.option("--expand-lists/--no-expand-lists", default=None, help="Whether lists honour depth.")
@click.option(
    "--notes-touch-ticket/--no-notes-touch-ticket",
    default=None,
    help="Whether writing a note moves the _updated of its ticket.",
)
def change_settings(
    port: int, latency: float | None, expand_lists: bool | None, notes_touch_ticket: bool | None
) -> None:
    """Show the switches of a running sandbox, and change the ones that are given."""
    wanted = {
        "latency_seconds": latency,
        "expand_lists": expand_lists,
        "notes_touch_ticket": notes_touch_ticket,
    }
    change = {name: value for name, value in wanted.items() if value is not None}
    with one_line_errors():
        found = Caller(port).call("PATCH", "/_sandbox/settings", change)
    for name, value in found.items():
        click.echo(f"{name}: {json.dumps(value)}")


for _command in commands_of("toga2", port_option):
    toga2.add_command(_command)
sandbox.add_command(type_both_sides)
sandbox.add_command(freshservice)

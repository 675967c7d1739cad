"""``python -m benchmarks``: measure, and print the table. ``--help`` lists what can be chosen."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from rich.console import Console

from benchmarks.call_log import measure_call_log
from benchmarks.contacts import measure_contacts
from benchmarks.dagster_run import measure_dagster_run
from benchmarks.imports import measure_imports
from benchmarks.latency import measure_latency
from benchmarks.memory import measure_memory
from benchmarks.outgoing import measure_outgoing
from benchmarks.receiver import measure_receiver
from benchmarks.selection import measure_selection
from benchmarks.soak import measure_soak
from benchmarks.surroundings import ContestantError, Surroundings
from benchmarks.table import Figure, show
from benchmarks.tick import measure_tick
from benchmarks.tickets import measure_tickets
from benchmarks.verify import measure_verify
from benchmarks.webhooks import measure_webhooks

WORK = (
    "contacts",
    "tickets",
    "outgoing",
    "selection",
    "call_log",
    "receiver",
    "webhooks",
    "latency",
    "soak",
    "memory",
    "verify",
    "imports",
    "tick",
    "dagster_run",
)


@click.command()
@click.argument("work", nargs=-1, type=click.Choice(WORK))
@click.option("--contacts", default=100_000, show_default=True, help="Contacts to carry.")
@click.option("--tickets", default=2_000, show_default=True, help="Changed tickets.")
@click.option(
    "--loop-tickets",
    default=200,
    show_default=True,
    help="Tickets whose calls the one-by-one loop makes; its time is scaled up from them.",
)
@click.option(
    "--outgoing-tickets", default=1_000, show_default=True, help="Changed tickets of the helpdesk."
)
@click.option(
    "--selection-tickets",
    default=200_000,
    show_default=True,
    help="Tickets in the helpdesk, with five replies each, of which the changed ones are selected.",
)
@click.option("--webhooks", default=20_000, show_default=True, help="Webhooks to receive.")
@click.option("--memory-contacts", default=1_000_000, show_default=True, help="The larger load.")
@click.option(
    "--verify-tickets", default=100_000, show_default=True, help="Tickets that both sides have."
)
@click.option("--rounds", default=3, show_default=True, help="Rounds, all contestants in turns.")
@click.option("--no-dlt", is_flag=True, help="Leave dlt out, e.g. where .venv-bench is not there.")
@click.option("--quick", is_flag=True, help="A tenth of everything, once: whether it runs at all.")
def main(
    work: tuple[str, ...],
    contacts: int,
    tickets: int,
    loop_tickets: int,
    outgoing_tickets: int,
    selection_tickets: int,
    webhooks: int,
    memory_contacts: int,
    verify_tickets: int,
    rounds: int,
    no_dlt: bool,
    quick: bool,
) -> None:
    """Measure the pipeline beside its peers: WORK, or all of it (docs/benchmarks.md).

    Nothing but ratios is worth comparing between machines, and between runs on a busy one.
    """
    console = Console(width=None if sys.stdout.isatty() else 160)
    started = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"[{time.monotonic() - started:5.0f} s] {text}", err=True)

    if quick:
        contacts, tickets, loop_tickets = contacts // 10, tickets // 10, loop_tickets // 10
        memory_contacts, selection_tickets = memory_contacts // 10, selection_tickets // 10
        outgoing_tickets, webhooks = outgoing_tickets // 10, webhooks // 10
        verify_tickets //= 10
        rounds = 1
    figures: list[Figure] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="elite_pipeline_bench_") as folder,
            closing(Surroundings(Path(folder))) as here,
        ):
            parts: dict[str, Callable[[], Iterator[Figure]]] = {
                "contacts": lambda: measure_contacts(
                    here, count=contacts, rounds=rounds, tell=tell, with_dlt=not no_dlt
                ),
                "tickets": lambda: measure_tickets(
                    here, count=tickets, loop_tickets=loop_tickets, rounds=rounds, tell=tell
                ),
                "outgoing": lambda: measure_outgoing(
                    here,
                    count=outgoing_tickets,
                    loop_tickets=min(loop_tickets, outgoing_tickets, 200),
                    rounds=rounds,
                    tell=tell,
                ),
                "selection": lambda: measure_selection(
                    here, tickets=selection_tickets, rounds=rounds, tell=tell
                ),
                "call_log": lambda: measure_call_log(
                    here, contacts=contacts, tickets=tickets, rounds=rounds, tell=tell
                ),
                "receiver": lambda: measure_receiver(
                    here, count=webhooks, rounds=rounds, tell=tell
                ),
                "webhooks": lambda: measure_webhooks(
                    here, webhooks=webhooks // 2, tickets=webhooks // 20, tell=tell
                ),
                "latency": lambda: measure_latency(
                    here, webhooks=max(webhooks // 200, 10), tell=tell
                ),
                "soak": lambda: measure_soak(here, seconds=120 if not quick else 20, tell=tell),
                "memory": lambda: measure_memory(here, count=memory_contacts, tell=tell),
                "verify": lambda: measure_verify(
                    here, count=verify_tickets, rounds=rounds, tell=tell
                ),
                "imports": lambda: measure_imports(rounds=5 * rounds, tell=tell),
                "tick": lambda: measure_tick(here, rounds=rounds, tell=tell),
                "dagster_run": lambda: measure_dagster_run(here, rounds=3 * rounds, tell=tell),
            }
            for name in work or WORK:
                figures += parts[name]()
    except (ContestantError, pytest.fail.Exception) as error:
        raise click.ClickException(str(error)) from None
    finally:
        if figures:
            show(figures, console)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")

"""``elite-pipeline sandbox type``: people type on both sides of a running demo for a while."""

import signal
import threading
import time
from pathlib import Path

import click

from elite_pipeline.clients import load_registry
from elite_pipeline.demo import demo_dir
from elite_pipeline.help_texts import taught
from elite_pipeline.sandbox.both_sides import BothSides
from elite_pipeline.sandbox.caller import Caller
from elite_pipeline.sandbox.control import one_line_errors, port_option
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.registry import clients_option, find_client
from elite_pipeline.sandbox.togadesk import TypingPeople
from elite_pipeline.sandbox.togadesk.cli import open_database


# neither takes an environment variable: in a folder with a .env that would be the real helpdesk
@click.command(
    "type",
    epilog=taught(
        ("Let them type for two minutes", "sandbox type --client elite"),
        (
            "Let them be busy for half a minute",
            "sandbox type --client wje --minutes 0.5 --per-minute 120",
        ),
    ),
)
@port_option
@clients_option
@click.option(
    "--url",
    default=lambda: f"sqlite:///{demo_dir() / 'togadesk.sqlite'}",
    show_default="the demo's",
    help="The sandbox's helpdesk; never a real one.",
)
@click.option(
    "--uploads",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: demo_dir() / "uploads",
    show_default="the demo's",
    help="Its uploads folder.",
)
@click.option("--client", "name", required=True, help="Whose people.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="How long; Ctrl-C ends it sooner.",
)
@click.option(
    "--per-minute",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How many things they do in a minute, about half of them on each side.",
)
@click.option("--seed", type=int, help="What they do follows from it; from the time by default.")
def type_both_sides(
    port: int,
    clients_file: Path,
    url: str,
    uploads: Path,
    name: str,
    minutes: float,
    per_minute: float,
    seed: int | None,
) -> None:
    """Let people type in TOGA 2 and at the helpdesk, so that the next runs carry things both ways.

    They write notes, replies and comments, open tickets, change what a ticket's state is, and attach
    files. Once they have stopped and the runs have caught up, further runs write nothing.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with one_line_errors():
        client = find_client(clients_file, name)
        entry = load_registry(clients_file).get(name)
        _check_there(url)
        seed = time.time_ns() if seed is None else seed
        with open_database(url) as engine:
            people = TypingPeople(
                engine,
                client_id=entry.togadesk.client_id,
                departments=entry.monitored_department_ids,
                timezone=entry.timezone,
                uploads=uploads,
                seed=seed,
            )
            dice = Dice(f"both sides/{seed}")
            both = BothSides(Caller(port, client), client.job_kind, people, dice)
            deeds = 0
            for _ in range(max(1, round(minutes * per_minute))):
                click.echo(both.do_something())
                deeds += 1
                if stopped.wait(60 / per_minute):
                    break
    click.echo(f"{name}: {deeds} things done; nobody types any more.")


def _check_there(url: str) -> None:
    """Refuse a SQLite file that is not there: opening it would make an empty one."""
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        raise click.ClickException(
            f"there is no helpdesk {path}: `make demo` makes the demo's (DEMO_DIR says where it is), "
            "and --url names another"
        )

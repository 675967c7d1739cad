"""``elite-pipeline sandbox freshservice …``: serve it, let people work in it, break it.

What belongs here: options, messages and exit statuses. What a command does is in the modules beside.
"""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import click

from elite_pipeline.demo import (
    DEFAULT_FRESHSERVICE_PORT,
    demo_dir,
    demo_webhook_secret,
    webhooks_port,
)
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.sandbox.caller import Caller
from elite_pipeline.sandbox.control import (
    FAULT_KINDS,
    commands_of,
    one_line_errors,
    pairs_of,
    port_option_of,
)
from elite_pipeline.sandbox.freshservice.admin import AT_ONCE
from elite_pipeline.sandbox.freshservice.faults import FRESHSERVICE_ACTIONS
from elite_pipeline.sandbox.freshservice.filling import fill
from elite_pipeline.sandbox.freshservice.registry import read_accounts
from elite_pipeline.sandbox.freshservice.server import FreshserviceSandbox
from elite_pipeline.sandbox.freshservice.settings import PLANS, Plan
from elite_pipeline.sandbox.freshservice.webhooks import Receiver
from elite_pipeline.sandbox.registry import clients_option

_port_option = port_option_of(DEFAULT_FRESHSERVICE_PORT, "FRESHSERVICE_PORT")
_account_option = click.option(
    "--client", "name", required=True, help="Whose account: a client of the registry."
)
_set_option = click.option(
    "--set", "values", multiple=True, metavar="NAME=VALUE", help="What to change."
)

_MORE_KINDS = FAULT_KINDS.replace(
    "  delay ",
    "  malformed-attachment  index=0 changes={\"id\":null}: one attachment is spoiled\n"
    "  wrong-size        by=-1: bytes missing, or too many; --route /attachments/{id}\n"
    "  delay ",
)  # fmt: skip


@click.group(
    epilog=taught_group(
        ("Answer, and tell the demo's receiver of changes", "sandbox freshservice serve"),
        ("Let people work for two minutes", "sandbox freshservice traffic --client elite"),
        (
            "Let them do fifty things at once",
            "sandbox freshservice traffic --client elite --burst 50",
        ),
        (
            "Lose some webhooks, break others",
            "sandbox freshservice webhooks --client elite --set lost=0.1 --set broken=0.1",
        ),
        (
            "Refuse one ticket",
            "sandbox freshservice faults add status --set status=403 --route /tickets/7",
        ),
        ("See what arrived, and the most in a minute", "sandbox freshservice accounts"),
    )
)
def freshservice() -> None:
    """A stand-in for Freshservice: real HTTP on this machine, strict, with faults on request."""


@freshservice.command(
    epilog=taught(
        ("Answer for the demo", "sandbox freshservice serve"),
        (
            "Answer as the smallest plan does, and tell nobody",
            "sandbox freshservice serve --plan starter --webhooks-to ''",
        ),
    )
)
@_port_option
@clients_option
@click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    default=lambda: demo_dir() / "freshservice.sqlite",
    show_default="freshservice.sqlite in the demo's folder",
    help="The SQLite file that holds its records; made and filled with people if it is not there.",
)
@click.option("--plan", type=click.Choice(list(PLANS)), help="The plan; the registry's by default.")
@click.option(
    "--webhooks-to",
    default=lambda: f"http://127.0.0.1:{webhooks_port()}/webhook/{{client}}",
    show_default="the demo's receiver",
    help="Where webhooks go; {client} stands for the client's name. Empty: nowhere.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="What the people follow from.")
def serve(
    port: int, clients_file: Path, data: Path, plan: Plan | None, webhooks_to: str, seed: int
) -> None:
    """Answer until Ctrl-C, and send webhooks about every change.

    Each client of the registry with a Freshservice has an account, with a key that is made from its
    name ('sandbox freshservice credentials' shows it), on a port of its own.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with one_line_errors():
        specs = read_accounts(clients_file, port=port, plan=plan)
        with FreshserviceSandbox(specs, path=data) as running:
            for account in running.accounts.values():
                if not account.requesters:
                    fill(account, seed=seed)
                if webhooks_to:
                    url = webhooks_to.replace("{client}", account.name)
                    account.webhooks.send_to(
                        Receiver(url, demo_webhook_secret(account.name), kind=None)
                    )
                told = f", webhooks to {url}" if webhooks_to else ""
                click.echo(
                    f"Freshservice sandbox of {account.name}: {account.api_url},"
                    f" plan {account.spec.plan}{told}"
                )
            click.echo(f"clients: of {clients_file}; data: {data}")
            stopped.wait()


@freshservice.command(epilog=taught(("Show them", "sandbox freshservice credentials")))
@clients_option
def credentials(clients_file: Path) -> None:
    """Show the API key of each client's account, and the secret of its webhooks.

    They open the sandbox alone, and guard made-up data.
    """
    with one_line_errors():
        for spec in read_accounts(clients_file, port=0):
            click.echo(
                f"{spec.name}: Basic {spec.api_key}:X,"
                f" X-Webhook-Secret {demo_webhook_secret(spec.name)}"
            )


@freshservice.command(epilog=taught(("Start over", "sandbox freshservice reset --client elite")))
@_port_option
@_account_option
def reset(port: int, name: str) -> None:
    """Take everything out of an account, and fill it with people again."""
    with one_line_errors():
        _call(port, "POST", "reset", account=name)
    click.echo(f"{name}: no tickets")


@freshservice.command(
    epilog=taught(
        ("Let them work for two minutes", "sandbox freshservice traffic --client elite"),
        (
            "Let them do fifty things at once",
            "sandbox freshservice traffic --client elite --burst 50",
        ),
    )
)
@_port_option
@_account_option
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
    default=6.0,
    show_default=True,
    help="How many things people do in a minute.",
)
@click.option("--burst", type=click.IntRange(1, 10_000), help="So many things at once instead.")
@click.option("--seed", type=int, help="What they do follows from it; from the time by default.")
def traffic(
    port: int, name: str, minutes: float, per_minute: float, burst: int | None, seed: int | None
) -> None:
    """Let people work: they ask, answer with screenshots, note, change, close and tidy up."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    seed = time.time_ns() if seed is None else seed
    wanted = burst or max(1, round(minutes * per_minute))
    at_once, pause = (AT_ONCE, 0.0) if burst else (1, 60 / per_minute)
    done = 0
    with one_line_errors():
        while done < wanted:
            count = min(at_once, wanted - done)
            body = {"account": name, "seed": f"{seed}/{done}", "count": count}
            for line in _call(port, "POST", "traffic", **body)["done"]:
                click.echo(line)
            done += count
            if done < wanted and stopped.wait(pause):
                break
    click.echo(f"{name}: {done} things done.")


@freshservice.command(epilog=taught(("Show them", "sandbox freshservice accounts")))
@_port_option
def accounts(port: int) -> None:
    """Show each account: its plan, what arrived, the most in any minute, and its webhooks."""
    with one_line_errors():
        found = _call(port, "GET", "accounts")["accounts"]
    for name, account in found.items():
        click.echo(f"{name}: {account['base_url']}, plan {account['plan']}")
        for key, value in account.items():
            if key not in ("base_url", "plan"):
                click.echo(f"  {key}: {_spelled(value)}")


@freshservice.command(
    epilog=taught(
        (
            "Lose some, break others",
            "sandbox freshservice webhooks --client elite --set lost=0.1 --set broken=0.1",
        ),
        (
            "Send them elsewhere",
            "sandbox freshservice webhooks --client elite --set url=http://127.0.0.1:9000/webhook/elite",
        ),
    )
)
@_port_option
@_account_option
@_set_option
def webhooks(port: int, name: str, values: tuple[str, ...]) -> None:
    """Change where an account's webhooks go, and what goes wrong with them.

    --set takes url, secret, basic, lost, doubled, reordered, delayed and broken (shares from 0 to 1),
    delay_seconds, seed and connections. An empty url ends them.
    """
    with one_line_errors():
        found = _call(port, "PATCH", "webhooks", account=name, **pairs_of(values))
    click.echo(f"{name}: {_spelled(found['webhooks'])}")


@freshservice.command(
    "expire-links",
    epilog=taught(("Do it", "sandbox freshservice expire-links --client elite")),
)
@_port_option
@_account_option
def expire_links(port: int, name: str) -> None:
    """Make every link to an attachment that was given out expire now."""
    with one_line_errors():
        _call(port, "POST", "expire-links", account=name)
    click.echo(f"{name}: all links have expired")


@freshservice.command(
    "settings",
    epilog=taught(
        ("Show them", "sandbox freshservice settings"),
        (
            "Make every answer take 50 ms",
            "sandbox freshservice settings --set latency_seconds=0.05",
        ),
    ),
)
@_port_option
@_set_option
def change_settings(port: int, values: tuple[str, ...]) -> None:
    """Show the switches of a running sandbox, and change the ones that are given with --set."""
    with one_line_errors():
        found = _call(port, "PATCH", "settings", **pairs_of(values))
    for name, value in found.items():
        click.echo(f"{name}: {json.dumps(value)}")


for _command in commands_of(
    "freshservice", _port_option, actions=FRESHSERVICE_ACTIONS, kinds=_MORE_KINDS
):
    freshservice.add_command(_command)


def _call(port: int, method: str, path: str, **body: Any) -> Any:
    sent = None if method == "GET" else body
    return Caller(port, system="freshservice").call(method, f"/_sandbox/{path}", sent)


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {json.dumps(each)}" for key, each in value.items())
    return str(value)

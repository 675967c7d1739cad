"""The commands that speak to a running sandbox: ``sandbox toga2 faults``, ``stats``, ``settings``.

What belongs here: their options and messages, and what all commands share.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from elite_pipeline.demo import DEFAULT_TOGA2_PORT
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sandbox.caller import Caller, CallError
from elite_pipeline.sandbox.toga2 import PortTakenError
from elite_pipeline.sandbox.toga2.admin import ACTIONS

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_TOGA2_PORT,
    envvar="TOGA2_PORT",
    show_default=True,
    show_envvar=True,
    help="Where the sandbox listens, on 127.0.0.1.",
)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what an operator can put right into one line and exit status 1."""
    try:
        yield
    except (CallError, ConfigurationError, PortTakenError, ValueError) as error:
        raise click.ClickException(str(error)) from None


@click.group()
def faults() -> None:
    """Break a running sandbox on request, and mend it."""


# no docstring: a backspace, which keeps click from folding what follows, is out of place in one
_KINDS = """\b
Kinds, and what --set takes for each:
  status            status=503 retry_after=2 body=json|html|empty
                    takes_effect=true
  stall             seconds=60 takes_effect=true: held open unanswered
  drop              takes_effect=true: the connection is reset
  cut-body          keep_bytes=100: the body ends in the middle
  invalid-json      the body is no JSON
  malformed-record  index=0 changes={"email":5}: one record is spoiled
  delay             seconds=2
  shift             count=1 uuid=…: records move while a list is paged

With takes_effect=true a write is carried out, and its answer is lost.
"""


@faults.command("add", epilog=_KINDS)
@click.argument("kind", type=click.Choice(list(ACTIONS)))
@port_option
@click.option("--method", help="The HTTP method that it is about; any by default.")
@click.option("--route", help="The route, e.g. /tickets or /tickets/{uuid}; any by default.")
@click.option("--client", help="The client that it is about; any by default.")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="How often.")
@click.option("--forever", is_flag=True, help="Until it is cleared, instead of --times.")
@click.option("--skip", type=click.IntRange(0), default=0, help="How many requests pass first.")
@click.option("--probability", type=click.FloatRange(0, 1), default=1.0, help="The chance of it.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="What the kind takes.")
def add_fault(
    kind: str, port: int, times: int, forever: bool, values: tuple[str, ...], **rule: Any
) -> None:
    """Add a fault of one KIND to a running sandbox."""
    action: dict[str, Any] = {"kind": kind}
    for pair in values:
        name, separator, text = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        action[name] = _json_or_text(text)
    plain = rule | {"times": None if forever else times, "action": action}
    with one_line_errors():
        added = Caller(port).call("POST", "/_sandbox/faults", plain)["fault"]
    click.echo(_fault_line(added))


@faults.command("list")
@port_option
def list_faults(port: int) -> None:
    """Show the faults, and how often each has struck."""
    with one_line_errors():
        found = Caller(port).call("GET", "/_sandbox/faults")["faults"]
    for fault in found:
        click.echo(_fault_line(fault))
    if not found:
        click.echo("no faults")


@faults.command("clear")
@port_option
def clear_faults(port: int) -> None:
    """Take all faults away."""
    with one_line_errors():
        Caller(port).call("DELETE", "/_sandbox/faults")
    click.echo("no faults")


@click.command()
@port_option
@click.option("--reset", is_flag=True, help="Begin to count anew afterwards.")
def stats(port: int, reset: bool) -> None:
    """Show what was asked of a running sandbox, by route and status."""
    with one_line_errors():
        caller = Caller(port)
        found = caller.call("GET", "/_sandbox/stats")
        if reset:
            caller.call("POST", "/_sandbox/reset-stats")
    click.echo(f"{found['requests']} requests, at most {found['max_in_flight']} at once")
    for route, statuses in found["routes"].items():
        numbers = ", ".join(f"{number}x {status}" for status, number in statuses.items())
        click.echo(f"  {route}: {numbers}")


@click.command("settings")
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


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fault_line(fault: dict[str, Any]) -> str:
    action = dict(fault["action"])
    kind = action.pop("kind")
    what = " ".join(f"{name}={json.dumps(value)}" for name, value in action.items())
    where = " ".join(fault[name] for name in ("method", "route", "client") if fault[name])
    times = "for ever" if fault["times"] is None else f"{fault['times']} times"
    return (
        f"#{fault['id']} {kind} {what} on {where or 'anything'}, {times}: {fault['fired']} so far"
    )

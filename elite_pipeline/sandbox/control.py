"""The commands that speak to any running sandbox: ``faults`` and ``stats``, and what all commands share.

What belongs here: their options and messages. What one system alone has is in its own module.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import click

from elite_pipeline.demo import DEFAULT_TOGA2_PORT
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.sandbox.caller import Caller, CallError
from elite_pipeline.sandbox.serving.faults import Action
from elite_pipeline.sandbox.serving.host import PortTakenError
from elite_pipeline.sandbox.serving.own_endpoints import ACTIONS

#: What an option decorates.
Command = TypeVar("Command", bound=Callable[..., Any])


class Option(Protocol):
    """An option of click, as a decorator."""

    def __call__(self, command: Command, /) -> Command:
        """Give a command the option."""


def port_option_of(default: int, variable: str) -> Option:
    """Return the option that says where a sandbox listens."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=default,
        envvar=variable,
        show_default=True,
        show_envvar=True,
        help="Where the sandbox listens, on 127.0.0.1.",
    )


port_option = port_option_of(DEFAULT_TOGA2_PORT, "TOGA2_PORT")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what an operator can put right into one line and exit status 1."""
    try:
        yield
    except (CallError, ConfigurationError, PortTakenError, ValueError) as error:
        raise click.ClickException(str(error)) from None


# no docstring: a backspace, which keeps click from folding what follows, is out of place in one
FAULT_KINDS = """\b
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


def commands_of(
    system: str,
    port: Option,
    *,
    actions: Mapping[str, type[Action]] = ACTIONS,
    kinds: str = FAULT_KINDS,
) -> tuple[click.Group, click.Command]:
    """Return the commands ``faults`` and ``stats`` of a sandbox.

    Args:
        system: The word that stands for it on the command line.
        port: Its option ``--port``.
        actions: The actions that it knows.
        kinds: What is said about them.
    """
    path = f"sandbox {system}"

    @click.group(
        epilog=taught_group(
            ("Answer the next request with 503", f"{path} faults add status --set status=503"),
            ("Mend everything", f"{path} faults clear"),
        )
    )
    def faults() -> None:
        """Break a running sandbox on request, and mend it."""

    examples = taught(
        ("Answer the next request with 503", f"{path} faults add status --set status=503"),
        (
            "Lose the answer of every tenth write",
            f"{path} faults add drop --method POST --forever --probability 0.1 --set takes_effect=true",
        ),
    )

    @faults.command("add", epilog=f"{kinds}\n{examples}")
    @click.argument("kind", type=click.Choice(list(actions)))
    @port
    @click.option("--method", help="The HTTP method that it is about; any by default.")
    @click.option("--route", help="The route, e.g. /tickets or /tickets/{uuid}; any by default.")
    @click.option("--client", help="The client that it is about; any by default.")
    @click.option(
        "--times", type=click.IntRange(1), default=1, show_default=True, help="How often."
    )
    @click.option("--forever", is_flag=True, help="Until it is cleared, instead of --times.")
    @click.option("--skip", type=click.IntRange(0), default=0, help="How many requests pass first.")
    @click.option(
        "--probability", type=click.FloatRange(0, 1), default=1.0, help="The chance of it."
    )
    @click.option(
        "--set", "values", multiple=True, metavar="NAME=VALUE", help="What the kind takes."
    )
    def add_fault(
        kind: str, port: int, times: int, forever: bool, values: tuple[str, ...], **rule: Any
    ) -> None:
        """Add a fault of one KIND to a running sandbox."""
        action = {"kind": kind, **pairs_of(values)}
        plain = rule | {"times": None if forever else times, "action": action}
        with one_line_errors():
            added = Caller(port, system=system).call("POST", "/_sandbox/faults", plain)["fault"]
        click.echo(_fault_line(added))

    @faults.command("list", epilog=taught(("Show them", f"{path} faults list")))
    @port
    def list_faults(port: int) -> None:
        """Show the faults, and how often each has struck."""
        with one_line_errors():
            found = Caller(port, system=system).call("GET", "/_sandbox/faults")["faults"]
        for fault in found:
            click.echo(_fault_line(fault))
        if not found:
            click.echo("no faults")

    @faults.command("clear", epilog=taught(("Mend everything", f"{path} faults clear")))
    @port
    def clear_faults(port: int) -> None:
        """Take all faults away."""
        with one_line_errors():
            Caller(port, system=system).call("DELETE", "/_sandbox/faults")
        click.echo("no faults")

    @click.command(
        epilog=taught(
            ("See what was asked", f"{path} stats"),
            ("See it, and begin to count anew", f"{path} stats --reset"),
        )
    )
    @port
    @click.option("--reset", is_flag=True, help="Begin to count anew afterwards.")
    def stats(port: int, reset: bool) -> None:
        """Show what was asked of a running sandbox, by route and status."""
        with one_line_errors():
            caller = Caller(port, system=system)
            found = caller.call("GET", "/_sandbox/stats")
            if reset:
                caller.call("POST", "/_sandbox/reset-stats")
        click.echo(f"{found['requests']} requests, at most {found['max_in_flight']} at once")
        for route, statuses in found["routes"].items():
            numbers = ", ".join(f"{number}x {status}" for status, number in statuses.items())
            click.echo(f"  {route}: {numbers}")

    return faults, stats


def pairs_of(values: tuple[str, ...]) -> dict[str, Any]:
    """Return what options ``--set NAME=VALUE`` say; a value is JSON, or else a text.

    Raises:
        click.BadParameter: One has no ``=``.
    """
    found = {}
    for pair in values:
        name, separator, text = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        found[name] = _json_or_text(text)
    return found


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

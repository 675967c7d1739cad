"""``elite-pipeline watermark …``: where each flow has got to, and setting that by hand.

``spec/sync.md`` section 2. The stored watermarks are parameters in TOGA 2, the same that the old scripts
read. What does not belong here: what a run makes of them (``sync.flow_run``).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from elite_pipeline.assembly import open_client
from elite_pipeline.errors import ConfigurationError, PipelineError
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.ledger import DeadLetterOffice
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.settings import Settings, load_settings
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.context import FlowContext, parse_since
from elite_pipeline.sync.flows import FLOWS, LOCK_WAIT_SECONDS, holding
from elite_pipeline.sync.watermarks import BEGINNING
from elite_pipeline.terminal_texts import span
from elite_pipeline.toga2 import wire

#: Clocks differ by that; what is further ahead is a slip.
_AHEAD = timedelta(minutes=5)
_WIDTH = 120


@click.group(
    epilog=taught_group(
        ("Show them all", "watermark show"),
        (
            "Have everything since a day synced once more",
            "watermark set elite toga2_to_togadesk '2026-06-10 00:00:00'",
        ),
    )
)
def watermark() -> None:
    """The stored watermarks: show them, set one by hand.

    They say how far each flow has synced, and are kept in TOGA 2 as parameters. To sync a stretch once
    more you need not set one: `sync CLIENT FLOW --since TIME` does that, and leaves it where it is.
    """


@watermark.command(
    epilog=taught(
        ("Show those of all clients", "watermark show"),
        ("Show those of one", "watermark show elite"),
        ("Let a program read them", "watermark show --json"),
        statuses={1: "a client could not be asked; standard error names it and says why"},
    )
)
@click.argument("client", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def show(client: str | None, as_json: bool) -> None:
    """Show the stored watermarks of CLIENT, or of all clients, in UTC.

    A client that cannot be asked is named with the reason, and the exit status is 1; the others are
    shown.
    """
    settings = load_settings()
    found: dict[str, dict[str, datetime | None]] = {}
    problems: dict[str, str] = {}
    for name in [settings.registry.get(client).name] if client else settings.registry.names:
        try:
            with _open(settings, name) as context:
                found[name] = _stored(context)
        except PipelineError as error:
            problems[name] = str(error)
    if as_json:
        click.echo(json.dumps(_document(found, problems), indent=2))
    else:
        _print(found, datetime.now(UTC))
    for name, problem in problems.items():
        click.echo(f"{name}: {problem}", err=True)
    if problems:
        raise SystemExit(1)


@watermark.command(
    name="set",
    epilog=taught(
        (
            "Have all tickets since a day synced once more; it asks first",
            "watermark set elite toga2_to_togadesk '2026-06-10 00:00:00'",
        ),
        (
            "Do it without being asked",
            "watermark set elite contacts '2026-06-10 00:00:00' --yes",
        ),
    ),
)
@click.argument("client")
@click.argument("flow")
@click.argument("time")
@click.option("--yes", is_flag=True, help="Do not ask.")
def set_(client: str, flow: str, time: str, yes: bool) -> None:
    """Set the stored watermark of CLIENT's FLOW to TIME, e.g. '2026-06-10 00:00:00' (UTC).

    Set back, the next run syncs everything behind it again; what is there already causes no write. Set
    forward, what lies between is skipped. It says what will happen, and asks first. Nothing but the
    parameter in TOGA 2 is changed.
    """
    parameter = _parameter_of(flow)
    wanted = _time(time, datetime.now(UTC))
    settings = load_settings()
    with _open(settings, client) as context:
        stored = _lenient(context, parameter)
        click.echo(f"{client}, {flow} ({parameter}): {_shown(stored)}")
        if stored == wanted:
            click.echo("It is there already; nothing was done.")
            return
        letters = _letters(settings, client, flow)
        for line in _consequences(flow, stored, wanted, letters):
            click.echo(line)
        if not yes:
            click.confirm(f"Set it to {wire.format_time(wanted)} UTC?", abort=True)
        # a run that is going on would store its own when it ends
        with holding(context, flow, LOCK_WAIT_SECONDS):
            context.watermarks.put(parameter, wanted)
    click.echo(f"Set to {wire.format_time(wanted)} UTC.")


@contextmanager
def _open(settings: Settings, client: str) -> Iterator[FlowContext]:
    with open_client(settings, settings.registry.get(client)) as context:
        context.began("watermark")
        yield context


def _stored(context: FlowContext) -> dict[str, datetime | None]:
    """Return flow -> its stored watermark, None where there is none; of the flows that are on."""
    return {
        flow: None if (at := context.watermarks.get(parameter)) == BEGINNING else at
        for flow, parameter in watermarks.OF_FLOWS.items()
        if getattr(context.client.flows, flow)
    }


def _lenient(context: FlowContext, parameter: str) -> datetime | None:
    """Return a stored watermark; None: it holds something that is no time, which is to be mended."""
    try:
        return context.watermarks.get(parameter)
    except ConfigurationError:
        return None


def _parameter_of(flow: str) -> str:
    if flow not in FLOWS:
        raise click.UsageError(
            f"There is no flow {flow!r}. Flows: {', '.join(FLOWS)}. Nothing was done."
        )
    return watermarks.OF_FLOWS[flow]


def _time(text: str, now: datetime) -> datetime:
    try:
        wanted = parse_since(text)
    except ConfigurationError as error:
        raise click.UsageError(str(error).removeprefix("since: ")) from None
    if wanted is None:
        raise click.UsageError(
            "TIME is empty. Write it as '2026-06-10 00:00:00'. Nothing was done."
        )
    if wanted > now + _AHEAD:
        raise click.UsageError(
            f"{wire.format_time(wanted)} UTC lies in the future: nothing would be synced until then. "
            "Check year, month and offset. Nothing was done."
        )
    return wanted.replace(microsecond=0)


def _letters(settings: Settings, client: str, flow: str) -> int:
    office = DeadLetterOffice(settings.pipeline_url)
    try:
        return office.count(Selection(client, flow)) if office.is_there() else 0
    finally:
        office.close()


def _consequences(
    flow: str, stored: datetime | None, wanted: datetime, letters: int
) -> Iterator[str]:
    if stored is None:
        yield f"What it holds is no time, and stops every run of {flow}. It will be a time again."
        return
    length = span(abs(wanted - stored))
    if wanted < stored:
        yield (
            f"It goes back by {length}: the next run of {flow} reads everything that changed since "
            "then once more, and writes what differs. What is there already causes no write. For one "
            f"run alone, `elite-pipeline sync CLIENT {flow} --since …` leaves the watermark where it is."
        )
        return
    yield (
        f"WARNING: it goes forward by {length}: what changed between and is not synced yet is "
        "SKIPPED, until it changes again or a run with --full or --since meets it. `elite-pipeline "
        "verify` finds what lacks."
    )
    if letters:
        yield (
            f"Its {'dead letter is' if letters == 1 else f'{letters} dead letters are'} tried again "
            "all the same."
        )


def _shown(stored: datetime | None) -> str:
    if stored is None:
        return "holds something that is no time"
    return (
        "the beginning (nothing is stored)"
        if stored == BEGINNING
        else f"{wire.format_time(stored)} UTC"
    )


def _document(
    found: Mapping[str, Mapping[str, datetime | None]], problems: Mapping[str, str]
) -> dict[str, object]:
    document: dict[str, object] = {
        name: {flow: wire.format_time(at) if at else None for flow, at in flows.items()}
        for name, flows in found.items()
    }
    return document | {name: {"error": problem} for name, problem in problems.items()}


def _print(found: Mapping[str, Mapping[str, datetime | None]], now: datetime) -> None:
    table = Table("client", "flow", "watermark (UTC)", "behind now", "parameter", box=SIMPLE)
    for name, flows in found.items():
        for flow, at in flows.items():
            table.add_row(
                name,
                flow,
                wire.format_time(at) if at else "the beginning",
                span(now - at) if at else "",
                watermarks.OF_FLOWS[flow],
            )
    # what a program or a log reads is not folded to the width of a terminal that is not there
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(table)

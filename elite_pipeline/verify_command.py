"""``elite-pipeline verify``: whether both sides agree, as a person or a program asks for it.

What does not belong here: comparing (``sync.verify``).
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from elite_pipeline.assembly import open_client
from elite_pipeline.choices import ChoiceError, doubt, read_options
from elite_pipeline.help_texts import taught
from elite_pipeline.observability.sentry import open_sentry
from elite_pipeline.settings import load_settings
from elite_pipeline.sync.verify.findings import (
    DIFFERENCES,
    MEANINGS,
    NEXT_STEPS,
    OTHERS,
    Finding,
    Reason,
    Verification,
)
from elite_pipeline.sync.verify.run import FLOWS, Choices, Report
from elite_pipeline.sync.verify.run import verify as compare
from elite_pipeline.terminal_texts import printable

#: Exit status where the two sides differ (1 is an error, 2 a usage error).
DIFFERENT = 3
#: Findings of one reason that the table shows; with --json they are all there.
_MOST_SHOWN = 50


@click.command(
    epilog=taught(
        ("Compare everything of a client", "verify --client elite"),
        (
            "Compare tickets that changed since a day, files by name and size alone",
            "verify --client elite --flow toga2_to_togadesk --since '2026-06-10 00:00:00' --no-bytes",
        ),
        ("Let a program read it", "verify --client elite --json"),
        statuses={
            0: "both sides agree; what the next run carries, and what is a dead letter, does not count",
            DIFFERENT: "they differ",
        },
    )
)
@click.option("--client", required=True, help="Whose sides to compare.")
@click.option("--since", help="Only what changed since, e.g. '2026-06-10 00:00:00' (UTC).")
@click.option(
    "--flow",
    "flows",
    multiple=True,
    type=click.Choice(FLOWS),
    help="Only this flow's work; may be given more than once.",
)
@click.option(
    "--no-bytes",
    is_flag=True,
    help="Compare files by name and size alone; else every file is read on both sides.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON document a line, for programs; the last sums up.",
)
def verify(
    client: str, since: str | None, flows: tuple[str, ...], no_bytes: bool, as_json: bool
) -> None:
    """Compare TOGA 2 and TOGaDesk, record by record and file by file. Nothing is written.

    Every difference is listed with its reason; so is what the next run carries anyway, and what is a
    dead letter, neither of which counts as a difference.
    """
    try:
        options = read_options(since, full=False)
    except ChoiceError as error:
        raise click.UsageError(str(error)) from None
    if (doubtful := doubt(options, datetime.now(UTC))) is not None:
        click.echo(doubtful, err=True)
    choices = Choices(flows=flows or FLOWS, since=options.since, with_bytes=not no_bytes)
    settings = load_settings()
    entry = settings.registry.get(client)
    with (
        closing(open_sentry(settings)) as report,
        report.run(client),
        open_client(settings, entry) as context,
        _progress() as tell,
    ):
        context.progress = tell
        with compare(context, choices) as found:
            tell("")
            verification = found.verification
            if as_json:
                for document in documents(found):
                    click.echo(json.dumps(document))
            else:
                show(found)
    if not verification.is_equal:
        sys.exit(DIFFERENT)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show on a terminal how far it has got; on anything else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("reading") as status:

        def tell(text: str) -> None:
            if text:
                status.update(printable(text))
            else:
                status.stop()

        yield tell


def documents(found: Report) -> Iterator[dict[str, Any]]:
    """Yield what was found, for a program: each finding, and at last the sum."""
    client = found.verification.client
    for finding in found.findings():
        yield {"type": "finding", "client": client, **finding.document()}
    yield summary(found.verification)


def summary(verification: Verification) -> dict[str, Any]:
    """Return the sum of a comparison, for a program."""
    since = verification.since
    return {
        "type": "summary",
        "client": verification.client,
        "equal": verification.is_equal,
        "differences": verification.differences(),
        "flows": list(verification.flows),
        "since": since.isoformat() if since is not None else None,
        "with_bytes": verification.with_bytes,
        "counts": [
            {"kind": one.kind, "toga2": one.toga2, "helpdesk": one.helpdesk}
            for one in verification.counts
        ],
        "reasons": {reason.value: verification.count(reason) for reason in Reason},
        "files_compared": verification.files_compared,
        "remarks": list(verification.remarks),
        "seconds": round(verification.seconds, 3),
        "api_calls": verification.api_calls,
        "sql_reads": verification.sql_reads,
    }


def show(found: Report) -> None:
    """Print what was found, for a person: counts first, then the findings by reason."""
    # what a log reads is not folded to the width of a terminal that is not there
    console = Console() if sys.stdout.isatty() else Console(width=200)
    verification = found.verification
    counts = Table("", "TOGA 2", "TOGaDesk", box=SIMPLE)
    for one in verification.counts:
        counts.add_row(one.kind, str(one.toga2), str(one.helpdesk))
    if verification.counts:
        console.print(counts)
    for reason in (*DIFFERENCES, *OTHERS):
        if count := verification.count(reason):
            _show_reason(console, found, reason, count)
    for remark in verification.remarks:
        click.echo(remark)
    click.echo(conclusion(verification))


def _show_reason(console: Console, found: Report, reason: Reason, count: int) -> None:
    table = Table(
        "flow", "what", "record = row", "of", "detail", box=SIMPLE, title_justify="left",
        title=f"{reason.value} ({count}): {MEANINGS[reason]}",
    )  # fmt: skip
    for finding in found.findings(reason=reason, most=_MOST_SHOWN):
        table.add_row(*map(_cell, _columns(finding)))
    console.print(table)
    if count > _MOST_SHOWN:
        click.echo(f"{count - _MOST_SHOWN} more of these; --json lists all.")
    click.echo(f"What to do: {NEXT_STEPS[reason]}.")


def _columns(finding: Finding) -> tuple[str, ...]:
    otherwise = f"{finding.otherwise.value}: " if finding.otherwise is not None else ""
    return finding.flow, finding.kind, finding.name, finding.of, otherwise + finding.detail


def _cell(text: str) -> str:
    # an opening bracket would begin a style
    return printable(text).replace("[", "\\[")


def conclusion(verification: Verification) -> str:
    """Return what came of it in one sentence."""
    what = "what changed since then" if verification.since is not None else "both sides"
    how = "" if verification.with_bytes else " (files by name and size alone)"
    listed = [
        f"{count} {reason.value}" for reason in OTHERS if (count := verification.count(reason))
    ]
    beside = f"; {', '.join(listed)}" if listed else ""
    if not verification.flows:
        return f"{verification.client}: nothing was compared."
    if verification.is_equal:
        said = f"{what} agree" if verification.since is None else f"{what} agrees"
        return f"{verification.client}: {said}{how}{beside}."
    count = verification.differences()
    differences = "1 difference" if count == 1 else f"{count} differences"
    return f"{verification.client}: {differences}{how}{beside}."

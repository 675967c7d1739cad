"""What ``elite-pipeline sync`` prints of results: for people, and as JSON for programs.

What does not belong here: running flows (``cli``).
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from elite_pipeline import plan_tables
from elite_pipeline.planning import Plan
from elite_pipeline.sync.results import FlowResult
from elite_pipeline.terminal_texts import printable

#: Rows of the table of fields, of each flow.
_MOST_ROWS = 500
_HEADERS = (
    "flow",
    "created",
    "updated",
    "unchanged",
    "failed",
    "dead",
    "calls",
    "watermark (UTC)",
)


def show(results: Sequence[FlowResult]) -> None:
    """Print results, one line a flow, and what a person has to look at."""
    # what a program or a log reads is not folded to the width of a terminal that is not there
    console = Console() if sys.stdout.isatty() else Console(width=120)
    is_dry = any(result.plan is not None for result in results)
    if is_dry:
        console.print(
            "[bold]Dry run: nothing was written anywhere.[/bold] What a run would do now:"
        )
    table = Table(*_HEADERS, box=SIMPLE)
    for result in results:
        if not result.is_on:
            table.add_row(result.flow, "switched off")
            continue
        numbers = (
            result.created,
            result.updated + result.adopted,
            result.unchanged + result.inactive,
            result.failed,
            result.dead_letters.waiting + result.dead_letters.parked,
            result.api_calls,
        )
        table.add_row(result.flow, *map(str, numbers), _watermark(result))
    console.print(table)
    for result in results:
        for failure in result.failures:
            click.echo(f"{result.flow}: {failure.full_name} ({failure.kind}): {failure.reason}")
        for remark in result.remarks:
            click.echo(f"{result.flow}: {remark}")
    for result in results:
        if result.plan is not None:
            _show_plan(console, result.flow, result.plan)
    if is_dry:
        console.print("[bold]Nothing of this was done.[/bold]")


def _watermark(result: FlowResult) -> str:
    before, after = result.watermark_before, result.watermark_after
    if after is None:
        return ""
    moved = f"{after:%Y-%m-%d %H:%M:%S}"
    if result.plan is None:
        return moved
    return f"would move to {moved}" if before != after else f"stays at {moved}"


def _show_plan(console: Console, flow: str, plan: Plan) -> None:
    if not plan.total:
        console.print(f"\n{flow}: would write nothing.")
        return
    console.print(_drawn(f"{flow}: would do", plan_tables.COUNT_COLUMNS, plan_tables.counts(plan)))
    rows, left_out = plan_tables.details(plan, _MOST_ROWS)
    console.print(_drawn(f"{flow}: field by field", plan_tables.DETAIL_COLUMNS, _once(rows)))
    if left_out:
        console.print(f"… and {left_out:,} more of the {plan.total:,} counted above.")


def _once(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Name each effect beside its first field alone."""
    named = ("system", "what", "action", "record")
    return [
        {**row, **dict.fromkeys(named, "")}
        if before is not None and all(row[name] == before[name] for name in named)
        else row
        for before, row in zip([None, *rows], rows, strict=False)
    ]


def _drawn(title: str, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name == "number" else "left")
    for row in rows:
        # what was written elsewhere is text, and no markup and no control sequence
        table.add_row(*(escape(printable(row[name])) for name in columns))
    return table


def document(result: FlowResult) -> dict[str, Any]:
    """Return a result as a program reads it."""
    counts = {
        name: getattr(result, name)
        for name in (
            "created",
            "updated",
            "adopted",
            "unchanged",
            "inactive",
            "vanished",
            "failed",
            "waiting",
            "api_calls",
            "sql_reads",
            "sql_writes",
        )
    }
    return {
        "client": result.client,
        "flow": result.flow,
        "is_on": result.is_on,
        "dry_run": result.plan is not None,
        **counts,
        "details": dict(result.details),
        "dead_letters": {
            "waiting": result.dead_letters.waiting,
            "parked": result.dead_letters.parked,
        },
        "started_from": _moment(result.started_from),
        "watermark_before": _moment(result.watermark_before),
        "watermark_after": _moment(result.watermark_after),
        "seconds": round(result.seconds, 3),
        "failures": [
            {
                "record": failure.record,
                "of": failure.of,
                "kind": failure.kind,
                "reason": failure.reason,
            }
            for failure in result.failures
        ],
        "remarks": list(result.remarks),
        "plan": _plan(result.plan) if result.plan is not None else None,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "counts": [{**asdict(kind), "number": number} for kind, number in plan.counts.items()],
        "effects": [
            {
                **asdict(effect.kind),
                "record": effect.record,
                "fields": [asdict(one) for one in effect.fields],
            }
            for effect in plan.effects
        ],
        "left_out": plan.left_out,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None

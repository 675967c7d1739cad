"""A flow's result as an operator sees it on the asset's page."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import dagster as dg

from elite_pipeline import plan_tables
from elite_pipeline.defs.markdown import literal
from elite_pipeline.ledger import DeadLetter
from elite_pipeline.ledger.dead_letter import fitted
from elite_pipeline.planning import Plan
from elite_pipeline.sync.results import Change, FlowResult, RecordFailure
from elite_pipeline.sync.watermarks import BEGINNING

#: Rows of a dry run's table of fields.
_MAX_PLANNED = 500

#: Text from outside is shown this far, so that one long subject does not fill the page.
_MAX_TEXT = 200

#: Flow -> counts that it never has: on its page they would be noughts for ever. Rows are adopted, and
#: records switched off, in reference data alone; only what is read from TOGA 2 is gone from there.
_NEVER: Mapping[str, Collection[str]] = {
    "toga2_to_togadesk": ("adopted", "inactive"),
    "togadesk_to_toga2": ("adopted", "inactive", "vanished"),
    "freshservice_to_toga2": ("adopted", "inactive", "vanished"),
}

Metadata = Mapping[str, dg.MetadataValue]


def result_metadata(result: FlowResult) -> Metadata:
    """Return the metadata of a materialization; of a dry run's result, those of an observation."""
    if not result.is_on:
        return {
            "switched off": dg.MetadataValue.text(
                f"The flow {result.flow} is switched off for {result.client} in the registry; "
                "nothing was done."
            )
        }
    shown: dict[str, dg.MetadataValue] = {
        "created": dg.MetadataValue.int(result.created),
        "updated": dg.MetadataValue.int(result.updated),
        "adopted": dg.MetadataValue.int(result.adopted),
        "unchanged": dg.MetadataValue.int(result.unchanged),
        "inactive": dg.MetadataValue.int(result.inactive),
        "vanished": dg.MetadataValue.int(result.vanished),
        "failed": dg.MetadataValue.int(result.failed),
        "left to dead letters": dg.MetadataValue.int(result.waiting),
        "dead letters waiting": dg.MetadataValue.int(result.dead_letters.waiting),
        "dead letters parked": dg.MetadataValue.int(result.dead_letters.parked),
    }
    for name in _NEVER.get(result.flow, ()):
        del shown[name]
    shown |= {name: dg.MetadataValue.int(count) for name, count in result.details.items()}
    shown |= {
        "watermark before": _moment(result.watermark_before, "not looked at"),
        "watermark after": _moment(result.watermark_after, "not looked at"),
        "started from": _moment(result.started_from, "the beginning"),
        "API calls": dg.MetadataValue.int(result.api_calls),
        "SQL reads": dg.MetadataValue.int(result.sql_reads),
        "SQL writes": dg.MetadataValue.int(result.sql_writes),
        "seconds": dg.MetadataValue.float(round(result.seconds, 3)),
    }
    # the page keeps this order: what is long stands below what is one line, what went wrong first
    if result.remarks:
        shown["remarks"] = dg.MetadataValue.md(
            "\n".join(f"- {literal(text)}" for text in result.remarks)
        )
    letters = result.dead_letters.first
    failed = {_name_of(failure) for failure in result.failures}
    if letters:
        shown["dead letters"] = _table(
            [
                _letter(letter) | {"this run": "failed" if _name(letter) in failed else ""}
                for letter in letters
            ]
        )
    # each of them is a dead letter as well: it is shown once, and here where that table is cut off
    elsewhere = failed.intersection(map(_name, letters))
    others = [one for one in result.failures if _name_of(one) not in elsewhere]
    if others:
        shown["failures"] = _table([_failure(failure) for failure in others])
    if result.plan is not None:
        return {**_planned(result.plan), **_as_planned(shown)}
    if result.changes:
        shown["changes"] = _table([_change(change) for change in result.changes])
    return shown


def _planned(plan: Plan) -> dict[str, dg.MetadataValue]:
    """Show what a dry run would have done."""
    if not plan.total:
        return {"dry run": dg.MetadataValue.text("Nothing was written; a run would write nothing.")}
    rows, left_out = plan_tables.details(plan, _MAX_PLANNED)
    said = f"Nothing was written anywhere. A run would have {plan.total:,} effects"
    if left_out:
        said += f"; {left_out:,} of them are counted in 'would do' and not shown field by field"
    return {
        "dry run": dg.MetadataValue.text(f"{said}."),
        "would do": _table(plan_tables.counts(plan)),
        "field by field": _table([{**row, "record": _short(row["record"])} for row in rows]),
    }


def _as_planned(shown: Metadata) -> dict[str, dg.MetadataValue]:
    """Rename what did not happen: in the asset's plots it is none of the real figures."""
    named = {"watermark after": "watermark would move to", "watermark before": "watermark"}
    return {
        named.get(
            name, f"{name} (dry run)" if isinstance(value.value, int | float) else name
        ): value
        for name, value in shown.items()
    }


def _moment(moment: datetime | None, none: str) -> dg.MetadataValue:
    """Show an instant as TOGA 2 writes it: what an operator pastes into ``since``."""
    if moment is None:
        return dg.MetadataValue.text(none)
    if moment <= BEGINNING:
        return dg.MetadataValue.text("the beginning")
    return dg.MetadataValue.text(f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def _change(change: Change) -> dict[str, str]:
    return {
        "record": change.record,
        "what": _short(change.label),
        "done": change.action,
        "columns": _short(", ".join(change.fields)),
    }


def _failure(failure: RecordFailure) -> dict[str, str]:
    return {
        "of": failure.of,
        "record": failure.record,
        "kind": failure.kind,
        "reason": failure.reason,
        "updated": f"{failure.updated:%Y-%m-%d %H:%M:%S}" if failure.updated else "",
    }


def _name(letter: DeadLetter) -> tuple[str, str]:
    return letter.entity, letter.record


def _name_of(failure: RecordFailure) -> tuple[str, str]:
    """Return what its dead letter is called."""
    return fitted(failure.of), fitted(failure.record)


def _letter(letter: DeadLetter) -> dict[str, str]:
    due = letter.next_attempt
    return {
        "id": letter.id[:8],
        "record": letter.record,
        # mostly a whole uuid: twice, it would push the reason off the page
        "of": letter.entity if letter.entity != letter.record else "",
        "reason": letter.error,
        "kind": letter.kind,
        "attempts": str(letter.attempts),
        "since": f"{letter.first_failed:%Y-%m-%d %H:%M:%S}",
        "next": f"{due:%Y-%m-%d %H:%M:%S}" if due is not None else "parked: waits for a person",
    }


def _table(rows: Sequence[Mapping[str, str]]) -> dg.MetadataValue:
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(row)) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in rows[0]]),
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"

"""All that a dry run must leave as it is, and all that a real run then makes of it.

What stands on every outside system is taken down whole; what a real run has changed there is counted in
the words of a plan, and a plan is compared with it, value by value.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from elite_pipeline.planning import Effect, Plan
from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.systems import Systems

Rows = dict[tuple[str, Any], dict[str, Any]]

#: Calls of Freshservice are really made, and so are counted.
_COUNTED_CALLS = ("sync_rate_accounts", "sync_rate_slots")
_WRITES = {"POST": "create", "PATCH": "change", "DELETE": "delete"}
#: What is shown of a dead letter and of a row of the inbox goes by other names than the columns.
_NOT_COMPARED = {"pipeline"}


@dataclass
class Everything:
    """All outside systems at one moment.

    Attributes:
        toga2: Everything that TOGA 2 has.
        helpdesk: Table and id -> row.
        pipeline: Table and key -> row, the inbox among them.
        uploads: Name -> time of change, size and bytes.
    """

    toga2: dict[str, list[tuple[Any, ...]]]
    helpdesk: Rows
    pipeline: Rows
    uploads: dict[str, tuple[int, int, str]] = field(default_factory=dict)


def everything(systems: Systems) -> Everything:
    """Take everything down."""
    return Everything(
        _toga2(systems.toga2_store.path),
        _rows(systems.helpdesk.engine, "id"),
        _pipeline(systems),
        {
            str(path.relative_to(systems.uploads_dir)): (
                path.stat().st_mtime_ns,
                path.stat().st_size,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(systems.uploads_dir.rglob("*"))
        },
    )


def _toga2(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
        }


def _rows(engine: sa.Engine, key: str | None) -> Rows:
    found: Rows = {}
    quote = engine.dialect.identifier_preparer.quote
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            for place, row in enumerate(
                connection.exec_driver_sql(f"SELECT * FROM {quote(table)}").mappings()
            ):
                found[table, row[key] if key and key in row else place] = dict(row)
    return found


def _pipeline(systems: Systems) -> Rows:
    engine = sa.create_engine(systems.ledger_url)
    try:
        found: Rows = {}
        for (table, _), row in _rows(engine, None).items():
            if table not in _COUNTED_CALLS:
                named = [value for name, value in row.items() if name in _KEYS]
                found[table, tuple(named)] = row
        return found
    finally:
        engine.dispose()


_KEYS = ("id", "client", "flow", "uuid", "kind", "target", "entity", "record", "file_id", "name")


# What a real run has done, in the words of a plan


def done(systems: Systems, before: Everything, after: Everything) -> Counter[tuple[str, str, str]]:
    """Count what happened between two moments: system, what, action.

    TOGA 2's requests are counted, from the last time that its recorder was reset.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for request in systems.toga2.requests:
        route = request.route.strip("/").split("/")
        if request.method == "GET" or (request.status or 500) >= 300:
            continue
        if len(route) == 3:
            counted["TOGA 2", route[0], "link"] += 1
        elif request.method == "POST" and route[0] == "files":
            counted["TOGA 2", "files", "send"] += 1
        else:
            counted["TOGA 2", route[0], _WRITES[request.method]] += 1
    for table, action in _changes(before.helpdesk, after.helpdesk):
        counted["TOGaDesk", table, action] += 1
    for table, action in _changes(before.pipeline, after.pipeline):
        if table == "sync_dead_letters":
            counted["pipeline", "dead letters", action] += 1
        elif table == "WorkerJobs":
            counted["pipeline", table, action] += 1
    for name in before.uploads.keys() | after.uploads.keys():
        if name not in after.uploads:
            counted["uploads folder", "files", "delete"] += 1
        elif before.uploads.get(name) != after.uploads[name]:
            counted["uploads folder", "files", "store"] += 1
    return counted


def _changes(before: Rows, after: Rows) -> Iterator[tuple[str, str]]:
    for table, key in before.keys() | after.keys():
        old, new = before.get((table, key)), after.get((table, key))
        if old is None:
            yield table, "create"
        elif new is None:
            yield table, "delete"
        elif old != new:
            yield table, "change"


def planned(plan: Plan) -> Counter[tuple[str, str, str]]:
    """Count what a plan says."""
    return Counter(
        {(kind.system, kind.what, kind.action): number for kind, number in plan.counts.items()}
    )


def figures(result: FlowResult) -> dict[str, Any]:
    """Return what a dry run has to have in common with the real one."""
    names = (
        "created",
        "updated",
        "adopted",
        "unchanged",
        "inactive",
        "vanished",
        "failed",
        "waiting",
    )
    letters = result.dead_letters
    details = {
        name: number for name, number in result.details.items() if name != "Freshservice calls"
    }
    return {
        **{name: getattr(result, name) for name in names},
        "details": details,
        "letters": (letters.waiting, letters.parked),
        "failures": sorted(failure.full_name for failure in result.failures),
        "changes": sorted((one.record, one.action, one.fields) for one in result.changes),
        "watermarks": (result.watermark_before, result.watermark_after),
        "started from": result.started_from,
    }


def untrue(plan: Plan, before: Everything, after: Everything) -> list[str]:
    """Return what a plan says of the helpdesk's rows and files that is not so before and afterwards.

    What is made up, hidden or cut in the plan is left out.
    """
    wrong: list[str] = []
    new: dict[str, list[dict[str, Any]]] = {}
    for (table, id_), row in after.helpdesk.items():
        if (table, id_) not in before.helpdesk:
            new.setdefault(table, []).append(row)
    for effect in plan.effects:
        kind = effect.kind
        if kind.system == "TOGaDesk" and kind.action == "create":
            wanted = {one.name: one.new for one in effect.fields if _is_plain(one.new)}
            if not any(_has(row, wanted) for row in new.get(kind.what, [])):
                wrong.append(f"no new row is {effect}")
        elif kind.system == "TOGaDesk":
            wrong += _untrue_change(effect, before, after)
        elif kind.system == "uploads folder" and kind.action == "store":
            digest = {one.name: one.new for one in effect.fields}["sha256"]
            if digest not in {file[2] for file in after.uploads.values()}:
                wrong.append(f"no such file: {effect}")
    return wrong


def _untrue_change(effect: Effect, before: Everything, after: Everything) -> Iterator[str]:
    key = (effect.kind.what, int(effect.record))
    old, new = before.helpdesk[key], after.helpdesk.get(key)
    if not _has(old, {one.name: one.old for one in effect.fields if _is_plain(one.old)}):
        yield f"was not so: {effect}"
    if effect.kind.action == "delete":
        if new is not None:
            yield f"is still there: {effect}"
        return
    wanted = {one.name: one.new for one in effect.fields if _is_plain(one.new)}
    if new is None or not _has(new, wanted):
        yield f"is not so: {effect}, but {new}"
    changed = {name for name, value in (new or {}).items() if old[name] != value}
    if changed != {one.name for one in effect.fields}:
        yield f"changed are {changed}: {effect}"


def _is_plain(text: str | None) -> bool:
    return text is None or not (
        "new " in text or text == "(hidden)" or text.endswith(" characters)")
    )


def _has(row: dict[str, Any], wanted: dict[str, str | None]) -> bool:
    named = {name.lower(): value for name, value in row.items()}
    return all(
        (None if named[name.lower()] is None else str(named[name.lower()])) == text
        for name, text in wanted.items()
    )

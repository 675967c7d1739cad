"""Removes Dagster's old runs and what they logged, and keeps what assets remember of them.

Dagster's own way of deleting a run deletes its materializations too, and with them an asset's history.
Here a run goes with its events, its check results and the output of its steps, and the rows that say what
was materialized and observed stay; they are a handful of a run's hundred.

Whole runs stay, however old, that something is still shown from: the last run of each asset and
partition, whether it came through or not, the last execution of each check, and the runs of a backfill
under way (``docs/decisions/0014-what-stays-and-what-is-dead.md``).

Dagster has no call for this, so its tables are used, as Dagster declares them, through its own
connections. What does not belong here: rows of the project's own tables (``housekeeping``).
"""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import DagsterEventType
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
)
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import BACKFILL_ID_TAG

from elite_pipeline.errors import SystemicError
from elite_pipeline.housekeeping import Swept
from elite_pipeline.iteration import chunked

#: Runs that are looked at together.
_SLICE = 200
#: Ids in one statement: old SQLites take no more than 999 values.
_CHUNK = 500

#: What an asset's page is made of.
KEPT_EVENTS = (
    DagsterEventType.ASSET_MATERIALIZATION.value,
    DagsterEventType.ASSET_OBSERVATION.value,
)

_events = SqlEventLogStorageTable
_checks = AssetCheckExecutionsTable


def remove_old_runs(
    instance: dg.DagsterInstance,
    days: int | None,
    now: datetime,
    *,
    dry_run: bool,
    is_time_up: Callable[[], bool],
) -> Swept:
    """Remove runs that were made more than ``days`` ago and have ended.

    A run is removed as one, its row last: where this is broken off, the next call goes on.

    Raises:
        SystemicError: Dagster's storage is none that this knows, or fails.
    """
    what = "finished runs"
    if days is None:
        return Swept(what, None)
    runs, events = instance.run_storage, instance.event_log_storage
    if not isinstance(runs, SqlRunStorage) or not isinstance(events, SqlEventLogStorage):
        raise SystemicError(
            f"Dagster keeps its runs in {type(runs).__name__} and their events in "
            f"{type(events).__name__}, of which housekeeping knows nothing; it knows SQLite and "
            "Postgres. Nothing was removed."
        )
    before = now - timedelta(days=days)
    try:
        kept = _runs_still_shown(instance, events)
        removed = spared = 0
        for run in _old_runs(instance, before):
            if is_time_up():
                return Swept(what, days, removed, is_complete=False)
            if run.run_id in kept or run.tags.get(BACKFILL_ID_TAG) in kept:
                spared += 1
                continue
            if not dry_run:
                _remove(instance, runs, events, run.run_id)
            removed += 1
    except sa.exc.SQLAlchemyError as error:
        raise SystemicError(
            f"Dagster's own storage failed while old runs were removed: {error.__cause__ or error}. "
            "What was removed is removed as a whole; the next housekeeping goes on."
        ) from error
    remark = f"{spared:,} older ones stay, as the last of their asset and client" if spared else ""
    return Swept(what, days, removed, remark=remark)


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.DagsterRun]:
    """Yield old runs that have ended, the oldest first; each may be removed at once."""
    old = dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=before.astimezone(UTC))

    def slice_after(cursor: str | None) -> list[dg.DagsterRun]:
        records = instance.get_run_records(old, limit=_SLICE, ascending=True, cursor=cursor)
        return [record.dagster_run for record in records]

    runs = slice_after(None)
    while runs:
        # asked for as long as the run behind which it begins is there
        following = slice_after(runs[-1].run_id)
        yield from runs
        runs = following


def _runs_still_shown(instance: dg.DagsterInstance, events: SqlEventLogStorage) -> Collection[str]:
    """Return the ids of runs, and of backfills, that something is still shown from."""
    under_way = [one for one in BulkActionStatus if one not in BULK_ACTION_TERMINAL_STATUSES]
    backfills = instance.get_backfills(BulkActionsFilter(statuses=under_way))
    kept: set[str | None] = {backfill.backfill_id for backfill in backfills}
    keys = instance.get_asset_keys()
    materialized: list[int] = []
    for key in keys:
        latest = events.get_latest_storage_id_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION
        )
        materialized += latest.values()
        # those that did not come through: a client that is broken must not look as if it were not
        attempts = (
            events.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        )
        kept |= {run_id for run_id, _ in attempts.values()}
    for record in events.get_asset_records(keys):
        entry = record.asset_entry
        kept |= {entry.last_run_id, entry.last_planned_materialization_run_id}
    last_checks = sa.select(sa.func.max(_checks.c.id)).group_by(
        _checks.c.asset_key, _checks.c.check_name, _checks.c.partition
    )
    with events.index_connection() as connection:
        for ids in chunked(materialized, _CHUNK):
            query = sa.select(_events.c.run_id).where(_events.c.id.in_(ids))
            kept |= set(connection.execute(query).scalars())
        query = sa.select(_checks.c.run_id).where(_checks.c.id.in_(last_checks))
        kept |= set(connection.execute(query).scalars())
    return {one for one in kept if one is not None}


def _remove(
    instance: dg.DagsterInstance, runs: SqlRunStorage, events: SqlEventLogStorage, run_id: str
) -> None:
    # what a step said with the log has no type
    goes = sa.or_(
        _events.c.dagster_event_type.is_(None), _events.c.dagster_event_type.not_in(KEPT_EVENTS)
    )
    with events.index_connection() as connection:
        connection.execute(sa.delete(_events).where(_events.c.run_id == run_id, goes))
        connection.execute(sa.delete(_checks).where(_checks.c.run_id == run_id))
    if isinstance(events, SqliteEventLogStorage):
        # a database for each run; what is kept of it is in the common one as well
        path = Path(events.path_for_shard(run_id))
        for suffix in ("-wal", "-shm", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    with runs.connect() as connection:
        # SQLite does not see to it by itself
        connection.execute(sa.delete(RunTagsTable).where(RunTagsTable.c.run_id == run_id))
    runs.delete_run(run_id)

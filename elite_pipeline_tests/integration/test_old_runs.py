"""What housekeeping removes of Dagster's own storage, and what stays: on SQLite and on Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster import DagsterRunStatus
from dagster._core.events import DagsterEventType
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.test_utils import create_run_for_test

from elite_pipeline.defs import old_runs
from elite_pipeline.defs.assets.syncing import SyncResult
from elite_pipeline.defs.old_runs import remove_old_runs
from elite_pipeline.errors import SystemicError
from elite_pipeline.housekeeping import Swept
from elite_pipeline_tests.support.postgres import PostgresServer

DAYS = 30
ASSET = dg.AssetKey("deltas")
CLIENTS = dg.StaticPartitionsDefinition(["elite", "wje", "idle"])


@dg.asset(
    key=ASSET,
    partitions_def=CLIENTS,
    check_specs=[dg.AssetCheckSpec("quiet", asset=ASSET, partitions_def=CLIENTS)],
    config_schema={"fails": bool, "number": int},
)
def deltas(context: dg.AssetExecutionContext) -> SyncResult:
    context.log.info("said by a step")
    print("printed by a step")  # noqa: T201 - it is captured, and goes with the run
    if context.op_execution_context.op_config["fails"]:
        raise dg.Failure("as planned")
    return dg.MaterializeResult(
        metadata={"number": context.op_execution_context.op_config["number"]},
        check_results=[dg.AssetCheckResult(passed=True)],
    )


@dg.asset(partitions_def=CLIENTS)
def broken() -> None:
    raise dg.Failure("as planned")


class Storage:
    """An instance, and what is in its storage."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        assert isinstance(instance.event_log_storage, SqlEventLogStorage)
        assert isinstance(instance.run_storage, SqlRunStorage)
        self.events = instance.event_log_storage
        self.runs = instance.run_storage

    def run(self, client: str, number: int, *, fails: bool = False) -> str:
        config = {"ops": {"deltas": {"config": {"fails": fails, "number": number}}}}
        result = dg.materialize(
            [deltas],
            instance=self.instance,
            partition_key=client,
            run_config=config,
            raise_on_error=False,
        )
        assert result.success is not fails
        return result.run_id

    def run_broken(self, client: str) -> str:
        """Run an asset without a check, which never comes through."""
        result = dg.materialize(
            [broken], instance=self.instance, partition_key=client, raise_on_error=False
        )
        return result.run_id

    def run_ids(self) -> set[str]:
        return {record.dagster_run.run_id for record in self.instance.get_run_records()}

    def numbers(self, client: str) -> list[int]:
        """Return what an asset's page shows of a client, the oldest first."""
        found = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=ASSET, asset_partitions=[client]),
            limit=100,
            ascending=True,
        )
        return [
            int(str(record.asset_materialization.metadata["number"].value))
            for record in found.records
            if record.asset_materialization is not None
        ]

    def events_of(self, run_id: str) -> list[str | None]:
        """Return the types of a run's events that are left, wherever they are kept."""
        table = SqlEventLogStorageTable
        with self.events.index_connection() as connection:
            query = sa.select(table.c.dagster_event_type).where(table.c.run_id == run_id)
            return list(connection.execute(query).scalars())

    def count(self, table: sa.Table, run_id: str) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(table.c.run_id == run_id)
        connect = self.runs.connect if table is RunTagsTable else self.events.index_connection
        with connect() as connection:
            return int(connection.execute(query).scalar_one())

    def files_of(self, run_id: str) -> list[str]:
        """Return what lies in the instance's folder under a run's name."""
        return [str(path) for path in self.folder.rglob(f"*{run_id}*")]

    def let_days_pass(self, days: int) -> None:
        """Make all runs that there are older."""
        with self.runs.connect() as connection:
            for run_id, made in connection.execute(
                sa.select(RunsTable.c.run_id, RunsTable.c.create_timestamp)
            ).all():
                connection.execute(
                    sa.update(RunsTable)
                    .where(RunsTable.c.run_id == run_id)
                    .values(create_timestamp=made - timedelta(days=days))
                )

    def remove(self, *, dry_run: bool = False, is_time_up: Any = lambda: False) -> Swept:
        now = datetime.now(UTC)
        return remove_old_runs(self.instance, DAYS, now, dry_run=dry_run, is_time_up=is_time_up)


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)],
    ids=str,
)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "sqlite":
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
            yield Storage(instance, tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        text = url.render_as_string(hide_password=False)
        settings = {"storage": {"postgres": {"postgres_url": text}}}
        ref = InstanceRef.from_dir(str(tmp_path), overrides=settings)
        with dg.DagsterInstance.from_ref(ref) as instance:
            yield Storage(instance, tmp_path)


def test_old_runs_go_with_their_logs_and_materializations_stay(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_runs, "_SLICE", 2)
    gone = [storage.run("elite", 1), storage.run("elite", 2), storage.run("wje", 3, fails=True)]
    # the last that came through for this client, and the last that did not: both are shown
    materialized = storage.run("wje", 4)
    gone.append(storage.run("wje", 5, fails=True))
    failed = storage.run("wje", 6, fails=True)
    gone.append(storage.run_broken("idle"))
    unchecked = storage.run_broken("idle")
    storage.let_days_pass(DAYS + 1)
    young = storage.run("elite", 7)
    other = storage.run_broken("elite")
    everything = storage.run_ids()

    would = storage.remove(dry_run=True)
    assert (would.removed, storage.run_ids()) == (len(gone), everything)
    done = storage.remove()

    assert done == would
    assert storage.run_ids() == {materialized, failed, unchecked, young, other}
    assert storage.numbers("elite") == [1, 2, 7]
    assert storage.numbers("wje") == [4]
    for run_id in gone:
        kept = {DagsterEventType.ASSET_MATERIALIZATION.value}
        assert set(storage.events_of(run_id)) <= kept
        assert storage.count(AssetCheckExecutionsTable, run_id) == 0
        assert storage.count(RunTagsTable, run_id) == 0
        assert storage.files_of(run_id) == []
    for run_id in (materialized, failed, young):
        said = [entry.user_message for entry in storage.instance.all_logs(run_id)]
        assert "said by a step" in said
    # and what the page makes of it: the client that is broken does not look as if it were not
    attempts = (
        storage.events.get_latest_asset_partition_materialization_attempts_without_materializations
    )
    assert {client: run_id for client, (run_id, _) in attempts(ASSET).items()} == {"wje": failed}
    assert storage.instance.get_materialized_partitions(ASSET) == {"elite", "wje"}
    # once more: nothing is left to do
    assert storage.remove().removed == 0


def test_what_time_was_up_for_is_done_by_the_next_one(storage: Storage) -> None:
    for number in range(3):
        storage.run("elite", number)
    storage.let_days_pass(DAYS + 1)
    storage.run("elite", 9)
    turns = iter([False, True])

    first = storage.remove(is_time_up=lambda: next(turns))
    second = storage.remove()

    assert (first.removed, first.is_complete) == (1, False)
    assert "time was up" in first.sentence
    assert (second.removed, second.is_complete) == (2, True)
    assert storage.numbers("elite") == [0, 1, 2, 9]


def test_runs_that_have_not_ended_stay(storage: Storage) -> None:
    run = create_run_for_test(storage.instance, "job", status=DagsterRunStatus.STARTED)
    storage.let_days_pass(DAYS + 1)

    assert storage.remove().removed == 0
    assert storage.run_ids() == {run.run_id}


def test_storage_that_nobody_knows_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(type(instance), "event_log_storage", property(lambda _: object()))
        with pytest.raises(SystemicError, match="Nothing was removed"):
            remove_old_runs(
                instance, DAYS, datetime.now(UTC), dry_run=False, is_time_up=lambda: False
            )

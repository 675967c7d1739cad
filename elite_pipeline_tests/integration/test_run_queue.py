"""Who waits for whom: Dagster's own queue with the limits of ``dagster.yaml``, over real definitions."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs.lanes import ASSETS_JOB, LONG, PARTITION_TAG
from elite_pipeline.settings import Settings

SETTINGS = Path(__file__).parents[2] / "dagster.yaml"
CLIENTS = [f"client{number}" for number in range(12)]
JOBS = ("everything", "tickets", "reference_data", "freshservice", ASSETS_JOB)
ENTRY = """
  {name}:
    toga2: {{client_uuid: 00000000-0000-4000-8000-0000000000{number:02}}}
    togadesk: {{client_id: {id}, ticket_department_id: 1}}
    custom_field_prefix: c_{name}
    flows: {{toga2_to_togadesk: true, freshservice_to_toga2: true}}
    freshservice: {{base_url: "https://{name}.freshservice.com", webhook_action: {name}/Webhook}}
"""
UI = {"dagster/from_ui": "true"}
BACKFILL = {"dagster/backfill": "some"}
#: What the pool of all but webhooks leaves of the slots.
FOR_WEBHOOKS = 4

Submit = Callable[..., None]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    registry = tmp_path_factory.mktemp("registry") / "clients.yaml"
    entries = [ENTRY.format(name=name, number=at, id=at + 1) for at, name in enumerate(CLIENTS)]
    registry.write_text("clients:" + "".join(entries), encoding="utf-8")
    return build_definitions(Settings(elite_pipeline_clients=registry))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    given = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    kept = {name: given[name] for name in ("concurrency", "run_queue")}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=kept) as instance:
        yield instance


@pytest.fixture(scope="module")
def examples(definitions: dg.Definitions) -> dict[str, tuple[dg.JobDefinition, dg.DagsterRun]]:
    """Return job -> the job, and a run of it as Dagster makes them, with the pools that it needs."""
    repository = RemoteRepositoryOrigin(
        RegisteredCodeLocationOrigin("elite_pipeline"), "__repository__"
    )
    made = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for name in JOBS:
            job = (
                definitions.resolve_implicit_global_asset_job_def()
                if name == ASSETS_JOB
                else definitions.resolve_job_def(name)
            )
            run = instance.create_run_for_job(
                job,
                tags={PARTITION_TAG: CLIENTS[0]},
                remote_job_origin=repository.get_job_origin(name),
                status=DagsterRunStatus.QUEUED,
            )
            made[name] = (job, run)
    return made


@pytest.fixture
def submit(
    examples: dict[str, tuple[dg.JobDefinition, dg.DagsterRun]], instance: dg.DagsterInstance
) -> Submit:
    """Queue a run as whoever starts it would; it carries what the job gives its runs."""

    def run(
        name: str, client: str, tags: Mapping[str, str] | None = None, *, is_going: bool = False
    ) -> None:
        job, example = examples[name]
        own = {**job.tags, **job.get_tags_for_partition_key(client, None)}
        instance.add_run(
            example._replace(
                run_id=make_new_run_id(),
                tags={**own, **(tags or {})},
                status=DagsterRunStatus.STARTED if is_going else DagsterRunStatus.QUEUED,
                job_snapshot_id=None,
                execution_plan_snapshot_id=None,
            )
        )

    # Dagster gives a pool that it meets for the first time its limit at the end of its turn
    run("tickets", CLIENTS[0])
    started(instance)
    instance.delete_run(instance.get_runs()[0].run_id)
    return run


def started(instance: dg.DagsterInstance, *, goes_on: bool = False) -> list[tuple[str, str]]:
    """Return job and client of what Dagster's daemon would start now, in its order.

    Args:
        instance: Whose queue.
        goes_on: Whether they are started, and go on for ever.
    """
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    config = instance.get_concurrency_config()
    runs = daemon._get_runs_to_dequeue(instance, config, fixed_iteration_time=None)
    for run in runs if goes_on else ():
        instance.delete_run(run.run_id)
        instance.add_run(run._replace(status=DagsterRunStatus.STARTED))
    return [(run.job_name, run.tags[PARTITION_TAG]) for run in runs]


def test_webhooks_find_a_slot_whatever_else_is_going_on(
    submit: Submit, instance: dg.DagsterInstance
) -> None:
    # as many runs of everything else as there can be: by hand, first syncs, backfills, by sensors
    for client in CLIENTS:
        submit("everything", client)
        submit(ASSETS_JOB, client, UI)
        submit(ASSETS_JOB, client, BACKFILL)
        submit("tickets", client)
    assert len(started(instance, goes_on=True)) == 16 - FOR_WEBHOOKS
    assert started(instance) == []

    for client in CLIENTS[: FOR_WEBHOOKS + 1]:
        submit("freshservice", client)

    # the client's whose first sync is going on among them
    assert started(instance) == [("freshservice", client) for client in CLIENTS[:FOR_WEBHOOKS]]


def test_long_runs_leave_room_for_another_clients_tickets(
    submit: Submit, instance: dg.DagsterInstance
) -> None:
    for client in CLIENTS[:4]:
        submit("everything", client)
        submit("tickets", client, LONG)
        submit(ASSETS_JOB, client, BACKFILL)
        submit(ASSETS_JOB, client, UI)
    assert len(started(instance, goes_on=True)) == 9

    for client in CLIENTS[4:]:
        submit("tickets", client)

    assert started(instance) == [("tickets", client) for client in CLIENTS[4:7]]


def test_webhooks_come_first_and_long_runs_last(
    submit: Submit, instance: dg.DagsterInstance
) -> None:
    submit("everything", CLIENTS[0])
    submit("tickets", CLIENTS[1])
    submit("freshservice", CLIENTS[2])

    assert [job for job, _ in started(instance)] == ["freshservice", "tickets", "everything"]


def test_a_second_run_of_a_lane_waits_in_the_queue_whoever_starts_it(
    submit: Submit, instance: dg.DagsterInstance
) -> None:
    submit("tickets", CLIENTS[0], is_going=True)

    # by a person from the launchpad, in a backfill, by a schedule
    submit("tickets", CLIENTS[0], UI)
    submit("tickets", CLIENTS[0], BACKFILL)
    submit("tickets", CLIENTS[0])
    submit("reference_data", CLIENTS[0])
    submit("tickets", CLIENTS[1])

    assert started(instance) == [("reference_data", CLIENTS[0]), ("tickets", CLIENTS[1])]

"""What Dagster loads: the names that operators, cursors and dashboards depend on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from elite_pipeline.definitions import build_definitions
from elite_pipeline.defs.config import SyncConfig
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.settings import Settings

SNAPSHOT = Path(__file__).with_name("snapshots") / "definitions.json"


def _description(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "checks": sorted(check.name for check in graph.get(key).check_keys),
                "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                "group": graph.get(key).group_name,
                "materializable": graph.get(key).is_materializable,
                "partitioned": graph.get(key).partitions_def is not None,
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "jobs": {
            job.name: sorted(node.name for node in job.nodes)
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": schedule.cron_schedule,
                "status": schedule.default_status.value,
            }
            for schedule in sorted(repository.schedule_defs, key=lambda one: one.name)
        },
        "sensors": {
            sensor.name: {"job": _job_of(sensor), "status": sensor.default_status.value}
            for sensor in sorted(repository.sensor_defs, key=lambda one: one.name)
        },
    }


def _job_of(sensor: dg.SensorDefinition) -> str | None:
    return sensor.job_name if sensor.targets else None


def _settings(tmp_path: Path, text: str) -> Settings:
    registry = tmp_path / "clients.yaml"
    registry.write_text(text, encoding="utf-8")
    return Settings(elite_pipeline_clients=registry)


GOOD = """
  good:
    toga2: {client_uuid: 00000000-0000-4000-8000-000000000011}
    togadesk: {client_id: 11, ticket_department_id: 1}
    custom_field_prefix: c_good
"""

GOOD_SCHEDULES = {
    "good_tickets",
    "good_reference_data",
    "good_reference_data_in_full",
    "housekeeping",
}


def test_names_are_what_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A rename shows in review."""
    monkeypatch.chdir(tmp_path)  # no clients.yaml here: the demo's registry
    monkeypatch.setenv("DEMO_DIR", str(tmp_path))
    found = _description(build_definitions(Settings()))

    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_schedules_of_a_real_registry_are_off_until_somebody_switches_them_on(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path, f"clients:{GOOD}")

    schedules = build_definitions(settings).get_repository_def().schedule_defs

    assert {schedule.name for schedule in schedules} == GOOD_SCHEDULES
    assert {schedule.default_status for schedule in schedules} == {dg.DefaultScheduleStatus.STOPPED}


def test_broken_client_is_a_partition_all_the_same(tmp_path: Path) -> None:
    settings = _settings(tmp_path, f"clients:{GOOD}\n  compass-usa: {{toga2: {{}}}}\n")

    definitions = build_definitions(settings)

    graph = definitions.resolve_asset_graph()
    partitions = graph.get(dg.AssetKey(["togadesk", "contacts"])).partitions_def
    assert partitions is not None
    assert partitions.get_partition_keys() == ["good", "compass-usa"]
    names = {schedule.name for schedule in definitions.get_repository_def().schedule_defs}
    assert "compass_usa_tickets" in names


@pytest.mark.parametrize("name", ["Elite Co", "a_b", "a...b", "'[1]'", "é.x/y", "7"])
def test_client_with_a_name_that_cannot_be_one_takes_nobody_down(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry = GOOD.replace("good:", f"{name}:").replace("11", "12")
    settings = _settings(tmp_path, f"clients:{GOOD}{entry}")

    definitions = build_definitions(settings)

    names = {one.name for one in definitions.get_repository_def().schedule_defs}
    assert names == GOOD_SCHEDULES
    assert "expected a name" in caplog.text


def test_registry_that_cannot_be_read_at_all_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"clients\.yaml at line 1"):
        build_definitions(_settings(tmp_path, "clients: ["))


def test_wrong_sentry_address_is_told_as_soon_as_the_definitions_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = _settings(tmp_path, f"clients:{GOOD}").model_copy(
        update={"sentry_dsn": SecretStr("hunter2")}
    )

    assert build_definitions(settings).get_repository_def()

    assert "SENTRY_DSN: expected" in caplog.text
    assert "hunter2" not in caplog.text


def test_only_where_no_demo_runs_the_log_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEMO_DIR", raising=False)
    build_definitions(Settings())
    assert "'make demo' starts the sandbox" in caplog.text
    caplog.clear()

    monkeypatch.setenv("DEMO_DIR", str(tmp_path))  # as the launcher does for all that it starts
    build_definitions(Settings())
    assert caplog.text == ""


def test_every_config_field_is_optional_and_described() -> None:
    for name, field in SyncConfig.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name


def test_definitions_load_in_a_fresh_interpreter_without_the_engine(tmp_path: Path) -> None:
    """Each process of Dagster's loads them; what most of them never use must not cost them."""
    heavy = ["pandas", "pymysql", "sentry_sdk", "uvicorn", "elite_pipeline.sync.flows"]
    program = (
        "import sys, elite_pipeline.definitions as module\n"
        "assert module.definitions.get_repository_def()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    environ = {name: value for name, value in os.environ.items() if "COV" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environ,
    )
    assert done.stdout.strip() == "[]"


def test_a_null_in_the_launchpad_is_the_default() -> None:
    config = SyncConfig.model_validate({"since": None, "full": None})
    assert (config.since, config.full) == (None, False)

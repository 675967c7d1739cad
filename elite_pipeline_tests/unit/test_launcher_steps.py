"""The environment in which the demo runs: nothing of the real systems gets into it."""

import json
from pathlib import Path

import pytest

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.launcher import steps
from elite_pipeline.launcher.dagster_page import DagsterPage
from elite_pipeline.launcher.folder import DemoFolder
from elite_pipeline.launcher.ports import Port
from elite_pipeline_tests.unit.test_definitions import SNAPSHOT

PORTS = (Port("TOGA2_PORT", "TOGA 2", 9002), Port("DAGSTER_PORT", "Dagster's page", 9003))


@pytest.mark.parametrize(
    "name",
    [
        "ELITE_PIPELINE_CLIENTS",
        "TOGA2_BASE_URL",
        "TOGADESK_DATABASE_URL",
        "togadesk_uploads_dir",
        "PIPELINE_DATABASE_URL",
        "CLIENT_LOGS_DATABASE_URL",
        "SENTRY_DSN",
        "ELITE_TOGA2_API_KEY",
        "COMPASS_USA_TOGA2_API_SECRET",
        "ELITE_FRESHSERVICE_API_KEY",
        "ELITE_WEBHOOK_SECRET",
    ],
)
def test_no_real_setting_or_secret_reaches_the_demo(name: str) -> None:
    environ = steps.demo_environment(
        DemoFolder(Path("/demo")), ports=PORTS, environ={name: "real", "PATH": "/bin"}
    )
    assert name not in environ
    assert environ["PATH"] == "/bin"


def test_everything_runs_on_the_demos_folder_and_ports() -> None:
    environ = steps.demo_environment(
        DemoFolder(Path("/demo")),
        ports=PORTS,
        environ={"DAGSTER_HOME": "/real", "TOGA2_PORT": "1", "NO_PROXY": ""},
    )
    assert environ["DEMO_DIR"] == "/demo"
    assert environ["DAGSTER_HOME"] == "/demo/dagster_home"
    assert environ["TOGA2_PORT"] == "9002"
    assert environ["DAGSTER_PORT"] == "9003"
    assert environ["NO_PROXY"] == "127.0.0.1,localhost"


def test_what_the_demo_suggests_and_runs_names_its_port_and_folder() -> None:
    folder = DemoFolder(Path("/demo"))
    for hint in (steps.edit_hint(PORTS[0]), steps.type_hint(PORTS[0])):
        assert "--port 9002 --client elite" in hint
    assert steps.toga2_health_url(PORTS[0]).startswith("http://127.0.0.1:9002/")
    serve = steps.toga2_command(folder, PORTS[0])
    assert serve[-4:] == ("--data", "/demo/toga2.sqlite", "--port", "9002")
    dagster = steps.dagster_command(Path("/checkout/workspace.yaml"), PORTS[1])
    assert dagster[dagster.index("--host") + 1] == "127.0.0.1"


def test_what_the_demo_suggests_goes_by_its_own_clients_beside_a_real_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELITE_PIPELINE_CLIENTS", raising=False)
    monkeypatch.chdir(tmp_path)
    for hint in (steps.edit_hint, steps.type_hint):
        assert "--clients-file" not in hint(PORTS[0])
    (tmp_path / "clients.yaml").touch()
    for hint in (steps.edit_hint, steps.type_hint):
        assert hint(PORTS[0]).endswith(f"--clients-file {DEMO_REGISTRY}")


def test_people_who_type_go_to_the_demos_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMO_DIR", raising=False)
    assert "DEMO_DIR" not in steps.type_hint(PORTS[0])
    monkeypatch.setenv("DEMO_DIR", str(tmp_path / "a demo"))
    assert steps.type_hint(PORTS[0]).startswith(f"DEMO_DIR='{tmp_path}/a demo' ")


def test_people_type_at_the_helpdesk_of_each_client_in_its_zone() -> None:
    typed = [
        step.command
        for step in steps.fill_steps(DemoFolder(Path("/demo")))
        if "type" in step.command
    ]
    zones = [command[command.index("--timezone") + 1] for command in typed]
    assert zones == ["UTC", "America/Chicago"]


def test_all_that_fills_the_demo_stays_in_its_folder() -> None:
    words = [word for step in steps.fill_steps(DemoFolder(Path("/demo"))) for word in step.command]
    paths = {word for word in words if "/demo" in word}
    assert paths == {"sqlite:////demo/togadesk.sqlite", "/demo/uploads", "/demo/toga2.sqlite"}


def test_the_lineage_opens_with_all_groups_that_there_are() -> None:
    assets = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["assets"].values()
    assert set(steps.GROUPS) == {asset["group"] for asset in assets}
    url = DagsterPage("http://127.0.0.1:9003").lineage_url(["toga2", "helpdesk"])
    assert url == (
        "http://127.0.0.1:9003/asset-groups?expanded=global%40global%3Atoga2%2Cglobal%40global%3Ahelpdesk"
    )

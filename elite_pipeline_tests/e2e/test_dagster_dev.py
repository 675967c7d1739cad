"""``dagster dev`` in a checkout without any settings."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from elite_pipeline_tests.support.mariadb import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240.0
LOCATION = (
    "{ repositoriesOrError { ... on RepositoryConnection { nodes { assetNodes { id } "
    "schedules { name scheduleState { status } } } } } }"
)


def test_checkout_without_settings_loads_the_demos_clients_and_says_so(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "workspace.yaml", "dagster.yaml"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    # COV: measuring the coverage of Dagster's own processes would take them minutes to start
    settings = ("ELITE_", "TOGA", "PIPELINE_", "DAGSTER_", "DEMO_", "CLIENT_LOGS", "SENTRY", "COV")
    environ = {name: text for name, text in os.environ.items() if not name.startswith(settings)}
    port = free_port()
    log = tmp_path / "dagster.log"
    with log.open("wb") as output:
        dagster = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        nodes: list[dict[str, list[dict[str, dict[str, str]]]]] = []
        while not nodes:
            assert dagster.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            pause.wait(0.25)
            try:
                answer = requests.post(
                    f"http://127.0.0.1:{port}/graphql", json={"query": LOCATION}, timeout=30
                )
                nodes = answer.json()["data"]["repositoriesOrError"].get("nodes", [])
            except requests.RequestException:
                continue
    finally:
        # not SIGINT: it is ignored below a shell that runs the tests in the background
        dagster.terminate()
        dagster.wait(timeout=PATIENCE_SECONDS)

    assert len(nodes[0]["assetNodes"]) == 22
    # nothing runs by itself where no sandbox is up
    states = {one["scheduleState"]["status"] for one in nodes[0]["schedules"]}
    assert states == {"STOPPED"}
    assert "running on the demo's clients (elite, wje)" in log.read_text()

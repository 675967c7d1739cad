"""The services of ``deploy/compose.yaml`` as processes of this machine, on loopback.

Commands, settings and files are those of ``deploy/``; what differs is where things are: host names become
127.0.0.1, ports such as are free, and the folders of the image folders of the test.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
import yaml

from elite_pipeline_tests.support.mariadb import free_port

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"

#: Seconds: on a busy machine the start of Dagster takes most of a minute.
PATIENCE = 240.0

#: What a shell that runs the tests may have set, and the services must not see.
_FOREIGN = (
    "ELITE_",
    "WJE_",
    "TOGA",
    "PIPELINE_",
    "DAGSTER_",
    "DEMO_",
    "CLIENT_LOGS",
    "SENTRY",
    "COV",
)

RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run { status tags { key value } stats { ... on RunStatsSnapshot { startTime } } }
  }
}
"""


def compose() -> dict[str, Any]:
    """Return the compose file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    last_stage = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    lines = [line for line in last_stage.splitlines() if not line.strip().startswith("#")]
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", "\n".join(lines), re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(block.replace("\\\n", " ")))


class Deployment:
    """The processes of a deployment.

    Args:
        folder: An empty one, for all that they write.
        postgres: The database for Dagster's storage.
        settings: What ``pipeline.env`` would say.
        changes: Sections of ``dagster.yaml`` of which some settings are others here.
    """

    def __init__(
        self,
        folder: Path,
        postgres: sa.URL,
        settings: Mapping[str, str],
        changes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.folder = folder
        self._services = compose()["services"]
        self._settings = settings
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {"3000": free_port(), "4000": free_port(), "8093": free_port()}
        self.home = folder / "home"
        self.home.mkdir()
        configuration = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
        for section, values in changes.items():
            configuration[section].update(values)
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        shutil.copy(DEPLOY / "workspace.yaml", self.home)
        # dagster.env
        self._storage = {
            "DAGSTER_POSTGRES_USER": postgres.username or "",
            "DAGSTER_POSTGRES_PASSWORD": postgres.password or "",
            "DAGSTER_POSTGRES_DB": postgres.database or "",
        }
        self._where = {
            "DAGSTER_POSTGRES_HOST": postgres.host or "",
            "DAGSTER_POSTGRES_PORT": str(postgres.port or 5432),
            "DAGSTER_CODE_HOST": "127.0.0.1",
            "DAGSTER_CODE_PORT": str(self.ports["4000"]),
        }
        self.url = f"http://127.0.0.1:{self.ports['3000']}"
        self.webhooks_url = f"http://127.0.0.1:{self.ports['8093']}"

    def environ(self, service: str) -> dict[str, str]:
        """Return what a service finds in its environment, and nothing else of the kind."""
        about = self._services[service]
        environ = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(_FOREIGN) and name != "PYTEST_CURRENT_TEST"
        }
        files = about.get("env_file", [])
        environ |= self._storage if "dagster.env" in files else {}
        environ |= dict(self._settings) if "pipeline.env" in files else {}
        given = about.get("environment", {})
        environ |= {name: self._where[name] for name in given if name in self._where}
        return {
            **environ,
            **image_environment(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_COMPUTE_LOGS_DIR": str(self.folder / "compute_logs"),
        }

    def command(self, service: str) -> list[str]:
        """Return a service's command, on loopback and free ports."""
        there = {"0.0.0.0": "127.0.0.1", **{port: str(free) for port, free in self.ports.items()}}
        return [there.get(word, word) for word in self._services[service]["command"]]

    def run(self, service: str) -> str:
        """Run a service that comes to an end; return what it said."""
        done = subprocess.run(
            self.command(service),
            cwd=self.home,
            env=self.environ(service),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{service} failed:\n{done.stdout}\n{done.stderr}", pytrace=False)
        return done.stdout

    def start(self, service: str) -> "subprocess.Popen[bytes]":
        """Start a service in a process group of its own."""
        with self.log(service).open("ab") as output:
            process = subprocess.Popen(
                self.command(service),
                cwd=self.home,
                env=self.environ(service),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[service] = process
        return process

    def log(self, service: str) -> Path:
        """Return where a service's output goes."""
        return self.folder / f"{service}.log"

    def kill(self, service: str) -> None:
        """Kill a service and all processes below it at once, as the end of a container does."""
        process = self._processes.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def forget(self, service: str) -> "subprocess.Popen[bytes]":
        """Return a service's process, whose end is from now on the caller's."""
        return self._processes.pop(service)

    def is_healthy(self, service: str) -> bool:
        """Ask as the compose file does."""
        test = self._services[service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        done = subprocess.run(
            [self._here(word) for word in test[1:]],
            cwd=self.home,
            env=self.environ(service),
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def listens(self, port: str) -> bool:
        """Tell whether somebody listens on what is this port in the containers."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[port])) == 0

    def _here(self, word: str) -> str:
        """Put the ports of this machine for those of the containers."""
        for port, free in self.ports.items():
            word = re.sub(rf"(^|:){port}\b", rf"\g<1>{free}", word)
        return word

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that the services bring about."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not condition():
            dead = [name for name, one in self._processes.items() if one.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {name}\n{self.log(name).read_text(errors='replace')[-6000:]}"
                    for name in self._processes
                )
                pytest.fail(f"{what}: this did not come true; ended: {dead}\n{logs}", pytrace=False)
            pause.wait(0.2)

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Ask the page."""
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def run_status(self, run_id: str) -> str:
        """Return a run's status."""
        return str(self.ask(RUN, id=run_id)["runOrError"]["status"])

    def run_tags(self, run_id: str) -> dict[str, str]:
        """Return a run's tags."""
        tags = self.ask(RUN, id=run_id)["runOrError"]["tags"]
        return {tag["key"]: tag["value"] for tag in tags}

    def stop(self) -> None:
        """End all that was started, and what is left of it."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

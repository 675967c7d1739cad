"""Launches runs as Dagster's default does, and can tell whether one still lives.

A run is a process below the code server that was asked to start it, and that server ends a run whose
process is killed within a second. What nobody ends by default is a run that was lost together with its
code server (a machine that was switched off, a container that was killed): Dagster asks a launcher for
the health of runs, and the default one has no answer. This one has
(``docs/decisions/0014-what-stays-and-what-is-dead.md``).

Named in ``dagster.yaml``, and loaded by every process that reads it: nothing of the project is imported.
"""

import json
import os
import socket
from pathlib import Path
from typing import NamedTuple, Self

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEventType
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

#: Seconds that a code server has for its answer; one that is busy gets another chance at the next turn.
_PATIENCE = 15
#: Seconds by which a process may seem younger than what it wrote: clocks are set.
_SLACK = 5.0
#: Events of the engine that are looked at: a run names its process in one of the first.
_FIRST_EVENTS = 20

_PROC = Path("/proc")


class CheckedRunLauncher(DefaultRunLauncher):
    """The default launcher, with an answer to whether a run is still worked on.

    It says that a run is lost only where it knows: its code server answers and has no such run, or the
    server is gone from this machine and so is the run's process. Of a server elsewhere that does not
    answer it knows nothing, and leaves the run to ``max_runtime_seconds``; once that server is back, it
    answers.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster's run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Tell whether a run that counts as started is still worked on.

        Returns:
            ``NOT_FOUND``: it is lost, and run monitoring ends it. ``RUNNING``: it lives, or nobody
            knows.
        """
        server = _Server.of(run)
        if server is None:
            return _lives("which code server started it is not written down")
        try:
            knows = server.knows(run.run_id)
        except DagsterUserCodeUnreachableError:
            knows = None
        if knows:
            return _lives("its code server has it")
        if knows is None and not server.is_gone:
            return _lives(f"its code server ({server.name}) does not answer")
        if server.is_local and (pid := self._living_process(run)) is not None:
            return _lives(f"its code server is gone, and its process {pid} goes on")
        why = "no longer has it" if knows is not None else "is gone, and so is its process"
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND,
            f"the process of this run was lost: its code server ({server.name}) {why}",
        )

    def _living_process(self, run: DagsterRun) -> int | None:
        """Return the process that said that it carries the run out, if it is still there."""
        events = self._instance.event_log_storage.get_logs_for_run(
            run.run_id, of_type=DagsterEventType.ENGINE_EVENT, limit=_FIRST_EVENTS
        )
        for entry in events:
            written = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            text = str(written.value) if written is not None else ""
            if text.isdecimal() and _is_older_than(int(text), entry.timestamp):
                return int(text)
        return None


class _Server(NamedTuple):
    """The code server that was asked to start a run."""

    host: str
    port: int | None
    socket: str | None
    use_ssl: bool

    @classmethod
    def of(cls, run: DagsterRun) -> Self | None:
        written = run.tags.get(GRPC_INFO_TAG)
        if written is None:
            return None
        info = json.loads(written)
        return cls(
            info.get("host", "localhost"),
            info.get("port"),
            info.get("socket"),
            bool(info.get("use_ssl", False)),
        )

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}" if self.port else f"unix:{self.socket}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a socket in the file system is."""
        return self.port is None

    @property
    def is_gone(self) -> bool:
        """Whether nobody listens any more, for certain."""
        if not self.socket:
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                return True
            except OSError:
                return False
        return False

    def knows(self, run_id: str) -> bool:
        """Tell whether a run's process is among its children.

        Raises:
            DagsterUserCodeUnreachableError: It did not answer.
        """
        client = DagsterGrpcClient(
            port=self.port, socket=self.socket, host=self.host, use_ssl=self.use_ssl
        )
        answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), _PATIENCE)
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel


def _lives(why: str) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.RUNNING, why)


def _is_older_than(pid: int, moment: float) -> bool:
    """Tell whether a process is there that was there at a moment (seconds since the epoch, UTC).

    A number is given to another process some day; where the system does not say since when a process
    is there, whoever has the number counts.
    """
    if not (_PROC / "self" / "stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        # the name of the program, in brackets, may hold anything
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        lines = (_PROC / "stat").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    if fields[0] in {"Z", "X"}:
        return False
    booted = float(next(line.split()[1] for line in lines if line.startswith("btime ")))
    return booted + int(fields[19]) / os.sysconf("SC_CLK_TCK") <= moment + _SLACK

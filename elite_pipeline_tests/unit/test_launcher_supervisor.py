"""The demo's children: started, watched, and gone with whoever started them.

Real processes: a launcher in a process of its own, a child under it, and a grandchild that hides in
a session of its own and ignores every polite signal.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from elite_pipeline.launcher.supervisor import Child, ChildFailedError, Supervisor

#: Longest wait for a condition, in seconds; only a failing test waits that long.
PATIENCE = 60.0

GRANDCHILD = """
import os, signal, sys, time
fifo, above = sys.argv[1:]
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with open(fifo, "w") as up:
    up.write(f"{above} {os.getpid()}")
while True:
    time.sleep(3600)
"""

CHILD = """
import os, subprocess, sys, time
fifo, grandchild = sys.argv[1:]
above = f"{os.getppid()} {os.getpid()}"
subprocess.Popen([sys.executable, "-c", grandchild, fifo, above], start_new_session=True)
print("child is up", flush=True)
while True:
    time.sleep(3600)
"""

LAUNCHER = """
import os, pathlib, signal, sys
from elite_pipeline.launcher.supervisor import Child, Supervisor
# the tests may run where it is ignored (nohup), which a launcher respects
signal.signal(signal.SIGHUP, signal.SIG_DFL)
folder, child, grandchild, lifeline = sys.argv[1:]
folder = pathlib.Path(folder)
command = [sys.executable, "-c", child, str(folder / "up"), grandchild]
with Supervisor(grace_seconds=0.2, hold_fds=(int(lifeline),)) as supervisor:
    supervisor.start(Child("child", command, dict(os.environ), folder, folder / "child.log"))
    supervisor.watch()
print("ended in order", flush=True)
"""


def wait_readable(descriptor: int) -> None:
    ready, _, _ = select.select([descriptor], [], [], PATIENCE)
    assert ready, "waited in vain"


class Family:
    """A running launcher and what it started."""

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "up")
        # Every guard holds the writing end, so reading ends when the last guard has gone; and a
        # guard goes only when nothing below it is left.
        self._all_gone, held = os.pipe()
        self.launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, folder, CHILD, GRANDCHILD, str(held)],
            stdout=subprocess.PIPE,
            pass_fds=(held,),
            text=True,
        )
        os.close(held)
        # The grandchild opens the other end as the last of the three to come up.
        with (folder / "up").open() as up:
            self.guard, self.child, self.grandchild = map(int, up.read().split())

    def wait_all_gone(self) -> None:
        wait_readable(self._all_gone)
        assert os.read(self._all_gone, 1) == b""

    def alive(self) -> list[int]:
        members = (self.guard, self.child, self.grandchild)
        return [pid for pid in members if Path(f"/proc/{pid}/exe").exists()]

    def close(self) -> None:
        os.close(self._all_gone)
        self.launcher.kill()
        self.launcher.communicate(timeout=PATIENCE)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    family.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_child_and_grandchild(family: Family, number: signal.Signals) -> None:
    family.launcher.send_signal(number)
    output, _ = family.launcher.communicate(timeout=PATIENCE)
    assert family.launcher.returncode == 0
    assert output == "ended in order\n"
    family.wait_all_gone()
    assert family.alive() == []


def test_a_killed_launcher_leaves_nothing_behind(family: Family) -> None:
    family.launcher.kill()
    family.wait_all_gone()
    assert family.alive() == []


def test_a_child_that_was_killed_takes_its_grandchild_along(family: Family) -> None:
    os.kill(family.child, signal.SIGKILL)
    family.wait_all_gone()
    assert family.launcher.wait(timeout=PATIENCE) != 0
    assert family.alive() == []


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def python(source: str, folder: Path, name: str = "The stand-in") -> Child:
    command = [sys.executable, "-c", textwrap.dedent(source)]
    return Child(name, command, dict(os.environ), folder, folder / "logs" / "child.log")


def test_a_child_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = python("print('*' * 20_000); print('the reason'); raise SystemExit(3)", tmp_path)
    with Supervisor() as supervisor:
        supervisor.start(child)
        with pytest.raises(ChildFailedError) as caught:
            supervisor.watch()
    message = str(caught.value)
    assert message.startswith("The stand-in ended by itself (exit status 3).")
    assert str(child.log) in message
    assert message.endswith("    the reason")


def test_a_child_killed_by_a_signal_says_so(tmp_path: Path) -> None:
    child = python("import os; os.kill(os.getpid(), 9)", tmp_path)
    with Supervisor() as supervisor, pytest.raises(ChildFailedError, match=r"\(signal 9\).*empty"):
        supervisor.run(child)


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    child = Child("It", ["/nonesuch"], dict(os.environ), tmp_path, tmp_path / "it.log")
    with Supervisor() as supervisor, pytest.raises(ChildFailedError, match="cannot be started"):
        supervisor.run(child)


def test_run_waits_for_a_good_end_and_keeps_the_log_before(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.run(python("print('one')", tmp_path))
        supervisor.run(python("print('two')", tmp_path))
        supervisor.stop()
    assert (tmp_path / "logs/child.log").read_text() == "two\n"
    assert (tmp_path / "logs/child.log.1").read_text() == "one\n"


SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    seen = 0
    def do_GET(self):
        Handler.seen += 1
        self.send_response(503 if Handler.seen == 1 else 200)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", {port}), Handler)
server.serve_forever()
"""


def test_health_is_an_answer_that_is_no_error(tmp_path: Path, free_port: int) -> None:
    with Supervisor() as supervisor:
        supervisor.start(python(SERVER.format(port=free_port), tmp_path))
        url = f"http://127.0.0.1:{free_port}/"
        supervisor.wait_until_healthy("The stand-in", url, timeout_seconds=PATIENCE)
    log = (tmp_path / "logs/child.log").read_text()
    assert '" 503 ' in log
    assert '" 200 ' in log


def test_a_child_that_never_answers_is_named(tmp_path: Path, free_port: int) -> None:
    with Supervisor() as supervisor:
        supervisor.start(python("import time; time.sleep(3600)", tmp_path))
        with pytest.raises(ChildFailedError, match=r"The stand-in did not answer at .* within 0 s"):
            supervisor.wait_until_healthy(
                "The stand-in", f"http://127.0.0.1:{free_port}/", timeout_seconds=0
            )


def test_the_former_signal_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)]
    with Supervisor():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)] == before

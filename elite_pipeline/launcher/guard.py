"""Runs one command and ends it, with everything it started, when its own standard input ends.

``python -m elite_pipeline.launcher.guard GRACE_SECONDS COMMAND…`` stands between the launcher and
each of its children. Nobody writes to its standard input: the launcher holds the other end, and the
kernel closes that when the launcher goes, however it goes, ``SIGKILL`` included. The command is then
asked to end (``SIGTERM``), and after ``GRACE_SECONDS`` it and whatever is left of its descendants
are killed. A ``SIGTERM`` to the guard asks for the same; one that comes while it is ending cuts the
grace short.

On Linux the guard adopts orphaned descendants, so that none can hide behind a parent that died or
in a session of its own; elsewhere the process group is what is ended.

The standard library alone is imported, since one of these runs beside every child.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

#: <linux/prctl.h>: orphaned descendants become children of this process, not of init.
_PR_SET_CHILD_SUBREAPER = 36

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STDIN = 0


class Guard:
    """One guarded command. Create it in the main thread: it handles signals."""

    def __init__(self, command: Sequence[str], *, grace_seconds: float) -> None:
        self._command = command
        self._grace_seconds = grace_seconds
        self._end_requests = 0
        # Signals wake the waiting through this pipe, so that none is missed and nothing polls.
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> int:
        """Run the command to its end; return the exit status that a shell would give it."""
        _adopt_orphans()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _note)
        for number in _END_SIGNALS:
            signal.signal(number, self._on_end_signal)
        try:
            child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, process_group=0)
        except OSError as error:
            sys.stderr.write(f"{self._command[0]} cannot be started: {error.strerror}\n")
            return 127
        self._wait(lambda: _ended(child) or self._end_requests > 0, watch_stdin=True)
        if child.poll() is None:
            child.terminate()
            self._wait(
                lambda: _ended(child) or self._end_requests > 1,
                timeout=self._grace_seconds,
            )
            if child.poll() is None:
                child.kill()
        status = child.wait()
        _kill_rest(group=child.pid)
        return status if status >= 0 else 128 - status

    def _on_end_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._end_requests += 1

    def _wait(
        self,
        until: Callable[[], bool],
        *,
        watch_stdin: bool = False,
        timeout: float | None = None,
    ) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        watched = [self._wake_read, *([_STDIN] if watch_stdin else [])]
        while not until():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select(watched, [], [], left)
            if not ready:
                return
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
            if _STDIN in ready and not os.read(_STDIN, 4096):
                self._end_requests += 1
                watched.remove(_STDIN)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Let SIGCHLD reach the wake-up pipe; its default disposition would not."""


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the command has ended; adopted orphans that have ended are collected on the way."""
    if sys.platform == "linux":
        peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while child.returncode is None:
            ended = os.waitid(os.P_ALL, 0, peek)
            if ended is None or ended.si_pid == child.pid:
                break
            os.waitpid(ended.si_pid, os.WNOHANG)
    return child.poll() is not None


def _kill_rest(group: int) -> None:
    """Kill what is left of the command's group and, on Linux, of all its descendants."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    if sys.platform == "linux":
        while below := _descendants(os.getpid()):
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap()


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # "pid (name) state ppid …"; the name may hold spaces and parentheses.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # It ended while we looked.
        # A zombie whose parent is another descendant goes when that one does.
        if state != "Z" or int(parent) == root:
            parents.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = parents.get(todo.pop(), [])
        found.extend(below)
        todo.extend(below)
    return found


def _reap() -> None:
    """Collect every child that has ended; at least one was just killed, so wait for that."""
    options = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, options)
        except ChildProcessError:
            return
        if pid == 0:
            return
        options = os.WNOHANG


def main(arguments: Sequence[str]) -> int:
    """Guard the command in ``arguments``: the grace in seconds, then the command's words."""
    grace, *command = arguments
    return Guard(command, grace_seconds=float(grace)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Starts child processes, waits until they answer, watches them, and ends them all.

A child never outlives the supervisor: each runs under a ``guard``, which ends it and its descendants
when the supervisor's end of a pipe closes. So leaving the ``with`` block, an exception, a signal and
even a ``SIGKILL`` of this process have the same effect.

What does not belong here: which children there are (``steps``) and what is said to the operator
(``command``).
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import requests

from elite_pipeline.errors import SystemicError

#: Signals that end the demo: Ctrl-C, a polite kill, a closed terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: How many of a dead child's last log lines its message shows.
TAIL_LINES = 15
_TAIL_BYTES = 16_384
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Child:
    """A process to run.

    Attributes:
        name: What messages call it.
        command: Program and arguments.
        environ: Its whole environment.
        cwd: The folder it runs in.
        log: The file that its output goes to; that of the start before is kept with ``.1`` added.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    cwd: Path
    log: Path


class ChildFailedError(SystemicError):
    """A child ended by itself, failed, or did not answer in time; says how its log ends."""


class StopRequestedError(SystemicError):
    """A stop signal came while something was being waited for. Not a failure."""


@dataclass(slots=True)
class _Running:
    child: Child
    guard: subprocess.Popen[bytes]


class Supervisor:
    """A context in which children live; use it in the main thread, for it handles signals.

    Args:
        grace_seconds: How long a child may take to end when asked; after that it is killed.
        hold_fds: File descriptors that the guards keep open, so that a lock on one of them is held
            until the last child is gone, whatever becomes of this process.
    """

    def __init__(self, *, grace_seconds: float = 10.0, hold_fds: Sequence[int] = ()) -> None:
        self._grace_seconds = grace_seconds
        self._hold_fds = tuple(hold_fds)
        self._running: list[_Running] = []
        self._stop_requests = 0
        self._undo = ExitStack()
        self._wake_read = -1

    def __enter__(self) -> Self:
        # Signals, a child's end among them, wake the waiting through this pipe.
        self._wake_read, wake_write = os.pipe()
        for descriptor in (self._wake_read, wake_write):
            os.set_blocking(descriptor, False)
            self._undo.callback(os.close, descriptor)
        former = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._undo.callback(signal.set_wakeup_fd, former)
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # Started with nohup: a closed terminal shall not matter.
            self._undo.callback(signal.signal, number, signal.signal(number, self._on_stop_signal))
        self._undo.callback(signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, _note))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._undo:
            self.stop()

    def start(self, child: Child) -> None:
        """Start a child and go on at once.

        Raises:
            StopRequestedError: A stop signal came before; nothing more is started.
        """
        self._check_stop()
        child.log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-m", "elite_pipeline.launcher.guard", str(self._grace_seconds)]
        if child.log.exists():
            child.log.replace(child.log.with_name(f"{child.log.name}.1"))
        with child.log.open("wb") as log:
            process = subprocess.Popen(
                [*guard, *child.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(child.environ),
                cwd=child.cwd,
                # Ctrl-C in the terminal is for the launcher; the children end in its order.
                start_new_session=True,
                pass_fds=self._hold_fds,
            )
        self._running.append(_Running(child, process))

    def run(self, child: Child) -> None:
        """Start a child and wait until it has ended well.

        Raises:
            ChildFailedError: It ended with a status that is not zero.
            StopRequestedError: A stop signal came; the child has been ended.
        """
        self.start(child)
        running = self._running[-1]
        while running.guard.poll() is None:
            self._check_stop()
            self._pause(None)
        self._running.remove(running)
        _close_lifeline(running)
        if running.guard.returncode != 0:
            raise ChildFailedError(_last_words(running))

    def wait_until_healthy(self, name: str, url: str, *, timeout_seconds: float) -> None:
        """Wait until a GET of ``url`` is answered with a status below 400.

        Raises:
            ChildFailedError: A child ended meanwhile, or the time is over.
            StopRequestedError: A stop signal came meanwhile.
        """
        deadline = time.monotonic() + timeout_seconds
        with requests.Session() as session:
            # A proxy from the environment has no business between two processes of one machine.
            session.trust_env = False
            while not _answers(session, url):
                self.pause()
                if time.monotonic() > deadline:
                    running = next(each for each in self._running if each.child.name == name)
                    raise ChildFailedError(
                        f"{name} did not answer at {url} within {timeout_seconds:.0f} seconds. "
                        + _log_end(running)
                    )

    def pause(self) -> None:
        """Let a moment go by between two looks at something outside.

        Raises:
            ChildFailedError: A child has ended.
            StopRequestedError: A stop signal has come.
        """
        self._pause(_POLL_SECONDS)
        self._check_stop()
        self._check_children()

    def watch(self) -> None:
        """Wait until a stop signal comes, and return then.

        Raises:
            ChildFailedError: A child ended by itself, well or not: none of them should.
        """
        while not self._stop_requests:
            self._check_children()
            self._pause(None)

    def stop(self) -> None:
        """End every child with all of its descendants; return when they are gone.

        A stop signal that comes meanwhile cuts the children's grace short.
        """
        for running in self._running:
            _close_lifeline(running)
        asked = self._stop_requests
        while any(running.guard.poll() is None for running in self._running):
            self._pause(None)
            if self._stop_requests > asked:
                asked = self._stop_requests
                for running in self._running:
                    running.guard.send_signal(signal.SIGTERM)
        self._running.clear()

    def _on_stop_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _check_stop(self) -> None:
        if self._stop_requests:
            raise StopRequestedError("Stopped.")

    def _check_children(self) -> None:
        for running in self._running:
            if running.guard.poll() is not None:
                raise ChildFailedError(_last_words(running))

    def _pause(self, seconds: float | None) -> None:
        """Wait for a signal, at most so long. One that came since the last wait ends it at once."""
        ready, _, _ = select.select([self._wake_read], [], [], seconds)
        if ready:
            os.read(self._wake_read, 4096)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Let SIGCHLD reach the wake-up pipe; its default disposition would not."""


def _close_lifeline(running: _Running) -> None:
    if running.guard.stdin is not None:
        running.guard.stdin.close()


def _answers(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _last_words(running: _Running) -> str:
    status = running.guard.returncode
    how = f"exit status {status}" if status < 128 else f"signal {status - 128}"
    return f"{running.child.name} ended by itself ({how}). {_log_end(running)}"


def _log_end(running: _Running) -> str:
    """Return the last lines that the child wrote."""
    log = running.child.log
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    except OSError as error:
        return f"Its log {log} cannot be read: {error.strerror}."
    if not lines:
        return f"Its log {log} is empty."
    return f"The end of its log, {log}:\n" + "\n".join(f"    {line}" for line in lines)

"""The demo's folder: where its data lie, who may use them, and whether they are complete.

What does not belong here: filling it (``steps`` says with which commands, ``command`` runs them).
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from elite_pipeline.errors import ConfigurationError


class DemoFolder:
    """Paths and markers below one folder, by default ``.demo``.

    A marker is an empty file that says that a step was done to its end; the step's own files say
    nothing, for a step can be interrupted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dagster_home = root / "dagster_home"
        self.helpdesk_database = root / "togadesk.sqlite"
        self.uploads = root / "uploads"
        self.pipeline_database = root / "elite_pipeline.sqlite"
        self.call_log_database = root / "client_logs.sqlite"
        self.toga2_database = root / "toga2.sqlite"
        self.freshservice_database = root / "freshservice.sqlite"
        self.logs = root / "logs"
        self._lock = root / "lock"
        self._filled = root / "filled"
        self._first_runs = root / "first-runs-submitted"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the folder for this process; gives the descriptor that the lock is on.

        A child that inherits the descriptor holds the lock as well.

        Raises:
            ConfigurationError: A demo is running on this folder, or is still ending.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = self._lock_file()
        except BlockingIOError:
            raise ConfigurationError(
                f"A demo is running in {self.root}{self._holder()}, or is still ending: "
                "stop it with Ctrl-C in its terminal first."
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"The demo's folder {self.root} cannot be used: {error.strerror}. "
                "Set DEMO_DIR to another one."
            ) from error
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock_file(self) -> int:
        while True:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A reset may have removed the file between the two calls: then this lock is on
                # nothing that anybody else would look at.
                if os.path.samestat(os.fstat(descriptor), self._lock.stat()):
                    return descriptor
            except FileNotFoundError:
                self.root.mkdir(parents=True, exist_ok=True)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _holder(self) -> str:
        try:
            text = self._lock.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
        return f" (process {text})" if text.isdigit() else ""

    @property
    def is_filled(self) -> bool:
        """Whether the first fill went through to its end."""
        return self._filled.exists()

    def mark_filled(self) -> None:
        """Note that the first fill is complete."""
        self._filled.touch()

    @property
    def first_runs_submitted(self) -> bool:
        """Whether Dagster has been asked for the first materialization of everything."""
        return self._first_runs.exists()

    def mark_first_runs_submitted(self) -> None:
        """Note that Dagster has been asked for the first materialization of everything."""
        self._first_runs.touch()

    def clear(self) -> None:
        """Remove all that the demo has put here; call it with the lock held.

        Goes by name: whatever else lies in the folder stays.
        """
        # The markers go first: if this is interrupted, the next start begins anew.
        for marker in (self._filled, self._first_runs):
            marker.unlink(missing_ok=True)
        for database in (
            self.helpdesk_database,
            self.pipeline_database,
            self.call_log_database,
            self.toga2_database,
            self.freshservice_database,
        ):
            for suffix in ("", "-wal", "-shm", "-journal"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
        # what the runs' locks leave beside the databases
        for database in (self.helpdesk_database, self.pipeline_database):
            for lock in self.root.glob(f"{database.name}.*.lock"):
                lock.unlink()
        for folder in (self.dagster_home, self.uploads, self.logs):
            if folder.exists():
                shutil.rmtree(folder)

    def remove(self) -> None:
        """Remove the demo and, if nothing else is in it, its folder; call it with the lock held."""
        self.clear()
        self._lock.unlink()
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def prepare_dagster_home(self, settings: Path) -> None:
        """Put the checkout's ``dagster.yaml`` into the demo's Dagster home, as it is today."""
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(settings, self.dagster_home / "dagster.yaml")

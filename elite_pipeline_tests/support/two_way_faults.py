"""What goes wrong with a run: TOGA 2 fails, the folder or the database does, or the run is killed.

A killed run does nothing more: once it is dead, every way out of it is shut, also for its other threads
and for what it would do on its way out.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from elite_pipeline.errors import TransientError
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.uploads import Uploads as Intents
from elite_pipeline.sandbox.toga2 import CutBody, Drop, InvalidJson, RequestInfo, Status
from elite_pipeline.toga2.calls import Calls
from elite_pipeline.togadesk import Uploads
from elite_pipeline.togadesk.sending import Sender
from elite_pipeline_tests.support.systems import Systems

FAULTS = (
    Status(500),
    Status(503, retry_after=0),
    Status(500, takes_effect=True),
    Drop(),
    Drop(takes_effect=True),
    CutBody(),
    InvalidJson(),
)
#: The ways out of a run.
WAYS_OUT: tuple[tuple[type, str], ...] = (
    (Sender, "write_rows"),
    (Sender, "write"),
    (Calls, "_send"),
    (Calls, "page"),
    (Uploads, "write"),
    (LedgerDatabase, "begin"),
    (Intents, "begin"),
    (Intents, "made"),
    (Intents, "end"),
)


class Killed(BaseException):
    """Ends a run the way a killed process does: nothing catches it."""


class Faults:
    """Makes runs go wrong, by chance."""

    def __init__(self, systems: Systems, dice: random.Random) -> None:
        self._systems = systems
        self._dice = dice

    @contextmanager
    def some(self, edit: Callable[[], None]) -> Iterator[str]:
        """Let something go wrong, or nothing; yield what, in a few words."""
        dice = self._dice
        with ExitStack() as troubles:
            what: list[str] = []
            for chance, trouble in (
                (0.35, self._kill),
                (0.3, self._fail_requests),
                (0.1, self._lose_connection),
                (0.08, self._fill_disk),
                (0.04, self._lose_folder),
            ):
                if dice.random() < chance:
                    what.append(troubles.enter_context(trouble()))
            if dice.random() < 0.4:
                what.append(troubles.enter_context(self._edit_meanwhile(edit)))
            yield ", ".join(what)

    @contextmanager
    def _kill(self) -> Iterator[str]:
        """Kill the run at one of its ways out, before or after what it does there."""
        owner, name = self._dice.choice(WAYS_OUT)
        left, before = self._dice.randint(0, 5), self._dice.random() < 0.5
        state = {"left": left, "dead": 0}
        lock = threading.Lock()
        with ExitStack() as patches:
            for one in WAYS_OUT:
                mortal = _mortal(
                    getattr(*one), state, lock, counts=one == (owner, name), before=before
                )
                patches.enter_context(patch.object(*one, mortal))
            yield f"killed {'before' if before else 'after'} {owner.__name__}.{name} {left}"

    @contextmanager
    def _fail_requests(self) -> Iterator[str]:
        plan = self._systems.toga2.faults
        action = self._dice.choice(FAULTS)
        method = self._dice.choice([None, "POST", "POST", "PATCH"])
        plan.add(
            action,
            method=method,
            times=self._dice.randint(1, 6),
            skip=self._dice.randint(0, 4),
            probability=0.7,
            seed=self._dice.randint(0, 9999),
        )
        try:
            yield f"{method or ''} {action}"
        finally:
            plan.clear()

    @contextmanager
    def _lose_connection(self) -> Iterator[str]:
        left = self._dice.randint(0, 6)
        with patch.object(
            Sender, "write_rows", _failing(Sender.write_rows, left, "connection lost")
        ):
            yield f"connection lost after {left}"

    @contextmanager
    def _fill_disk(self) -> Iterator[str]:
        left = self._dice.randint(0, 2)
        with patch.object(Uploads, "write", _failing(Uploads.write, left, "disk full")):
            yield f"disk full after {left}"

    @contextmanager
    def _lose_folder(self) -> Iterator[str]:
        folder = self._systems.uploads_dir
        elsewhere = folder.with_name("uploads-elsewhere")
        folder.rename(elsewhere)
        try:
            yield "no folder"
        finally:
            if folder.exists():
                # somebody uploaded a file meanwhile
                for file in folder.iterdir():
                    file.rename(elsewhere / file.name)
                folder.rmdir()
            elsewhere.rename(folder)

    @contextmanager
    def _edit_meanwhile(self, edit: Callable[[], None]) -> Iterator[str]:
        one_at_a_time = threading.Lock()

        def on_request(info: RequestInfo) -> None:
            with one_at_a_time:
                if not info.route.startswith("/parameters") and self._dice.random() < 0.15:
                    edit()

        self._systems.toga2.on_request = on_request
        try:
            yield "edits"
        finally:
            self._systems.toga2.on_request = None


def _mortal(
    original: Callable[..., Any],
    state: dict[str, int],
    lock: threading.Lock,
    *,
    counts: bool,
    before: bool,
) -> Callable[..., Any]:
    def mortal(*arguments: object, **named: object) -> object:
        with lock:
            if state["dead"]:
                raise Killed
            dies = counts and state["left"] == 0
            if counts:
                state["left"] -= 1
            if dies and before:
                state["dead"] = 1
                raise Killed
        result = original(*arguments, **named)
        if dies:
            state["dead"] = 1
            raise Killed
        return result

    return mortal


def _failing(original: Callable[..., Any], left: int, why: str) -> Callable[..., Any]:
    """Return a function that fails once, after some calls."""
    calls = [left]

    def failing(*arguments: object, **named: object) -> object:
        calls[0] -= 1
        if calls[0] == -1:
            raise TransientError(why)
        return original(*arguments, **named)

    return failing

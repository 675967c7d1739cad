"""The outside effects of a process, numbered, and its sudden death at any one of them.

Every outside effect goes through one of the system packages (``design.md``, wall 3): a request that
writes, a statement that writes to the helpdesk, a commit, an entry of the uploads folder that is made,
filled or moved. A ledger's statements are seen by nobody before their commit, so that one alone counts.

To be installed in a process of its own: nothing of it can be taken back.
"""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine.default import DefaultDialect

from elite_pipeline.togadesk import uploads
from elite_pipeline.transport.sending import HttpSender

Side = Literal["before", "after"]
#: A statement that writes: what it does, and to which table; rows may come before that.
_WRITE = re.compile(
    r"\A(INSERT|UPDATE|DELETE)\b(?:(?= \().* STRAIGHT_JOIN| INTO| FROM)? `?(\w+)", re.DOTALL
)


@dataclass(frozen=True)
class Point:
    """A moment of a run: right before or right after an effect, counted from 0."""

    side: Side
    number: int


@dataclass
class Effects:
    """Counts effects and writes down what they are.

    Attributes:
        diary: Gets a line for each effect, before it.
        death: When the process kills itself.
        ledger: The ledger's URL.
        commits: Whether a commit to the helpdesk does anything.
    """

    diary: Path
    death: Point | None
    ledger: str
    commits: bool
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _written: threading.local = field(default_factory=threading.local)

    def install(self) -> None:
        """Count from now on."""
        self._watch_requests()
        self._watch_statements()
        self._watch_uploads()

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """Take an effect into account."""
        with self._lock:
            number = self._count
            self._count += 1
            with self.diary.open("a", encoding="utf-8") as diary:
                diary.write(f"{what}\n")
        self._die_at(Point("before", number))
        yield
        self._die_at(Point("after", number))

    def _die_at(self, point: Point) -> None:
        if point == self.death:
            os.kill(os.getpid(), signal.SIGKILL)

    def _watch_requests(self) -> None:
        real = HttpSender.send

        def send(sender: HttpSender, method: str, url: str, **given: Any) -> Any:
            if method == "GET":
                return real(sender, method, url, **given)
            route = url.rsplit("/v2/", maxsplit=1)[-1].split("/")
            with self.one(f"{method} /{route[0]}{'/…' if len(route) > 1 else ''}"):
                return real(sender, method, url, **given)

        _replace(HttpSender, "send", send)

    def _watch_statements(self) -> None:
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            _replace(DefaultDialect, name, self._counting(getattr(DefaultDialect, name)))
        commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            where = self._pending.pop(id(dialect), None)
            if where is None or (where == "helpdesk" and not self.commits):
                commit(dialect, connection)
                return
            with self.one(f"COMMIT {where}"):
                commit(dialect, connection)

        _replace(DefaultDialect, "do_commit", do_commit)

    def _counting(self, real: Callable[..., None]) -> Callable[..., None]:
        def execute(
            dialect: DefaultDialect, cursor: Any, statement: str, *given: Any, **more: Any
        ) -> None:
            context = more.get("context") or given[-1]
            write = _WRITE.search(statement)
            if write is None:
                real(dialect, cursor, statement, *given, **more)
                return
            is_ledger = context.engine.url.render_as_string(hide_password=False) == self.ledger
            self._pending[id(dialect)] = "ledger" if is_ledger else "helpdesk"
            if is_ledger:
                real(dialect, cursor, statement, *given, **more)
                return
            with self.one(f"{write[1]} {write[2]}"):
                real(dialect, cursor, statement, *given, **more)

        return execute

    @property
    def _pending(self) -> dict[int, str]:
        """What this thread has written and not committed: dialect -> whose it is."""
        pending: dict[int, str] | None = getattr(self._written, "pending", None)
        if pending is None:
            pending = self._written.pending = {}
        return pending

    def _watch_uploads(self) -> None:
        _replace(uploads, "os", _CountingOs(self))


class _CountingOs:
    """The module ``os``, as the uploads folder uses it."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def __getattr__(self, name: str) -> Any:
        return vars(os)[name]

    def open(self, path: Any, flags: int, *given: Any, **more: Any) -> int:
        if not flags & os.O_CREAT:
            return os.open(path, flags, *given, **more)
        with self._effects.one("a file is made"):
            return os.open(path, flags, *given, **more)

    def write(self, target: int, data: Any) -> int:
        with self._effects.one("a file is written"):
            return os.write(target, data)

    def replace(self, source: Any, target: Any, **folders: int) -> None:
        rename = vars(os)["replace"]
        with self._effects.one("a file is moved into place"):
            rename(source, target, **folders)

    def unlink(self, *given: Any, **more: Any) -> None:
        with self._effects.one("a file is removed"):
            os.unlink(*given, **more)


def _replace(of: object, name: str, by: object) -> None:
    setattr(of, name, by)

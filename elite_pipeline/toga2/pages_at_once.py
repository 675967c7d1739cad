"""Reading a long list in several places at once.

One page after the other, a list of a hundred thousand records is five hundred times the way to TOGA 2
and back. So a list that proves long, and slow, is cut by time: each of a few threads reads one piece, and
who is done takes the later half of the piece of which most is left. No piece is cut where it has been
read already, so that a version of a record is delivered exactly once, whoever reads it (``paging``).

People go on working meanwhile. What they change moves behind the time at which the list was begun, where
no piece reaches; what is there is read last, when all pieces are done. The pieces end the lag before that
time: TOGA 2's answers and its database may go by clocks that differ (``spec/sync.md`` section 2).

Pages of different pieces come in no particular order. How far nothing is missing is said beside them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from operator import attrgetter
from typing import Protocol

from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.paging import PageStream

#: A list of so many pages is taken to be long.
LONG = 10
#: Seconds that a page must take, on average, for it to be worth while: a TOGA 2 next door answers more
#: quickly than its answers can be taken.
SLOW = 0.01
#: Pieces that are read at once.
AT_ONCE = 4
#: Pages that may wait for who takes them, for each piece.
_WAITING = 2
#: A piece that is not longer is not cut.
_SHORTEST = timedelta(seconds=60)
#: After so many pieces in which there was nothing no more is cut: what there is stands close together.
_MOST_IN_VAIN = 24


class OpenStream(Protocol):
    """Opens a stream of one list's pages."""

    def __call__(
        self,
        *,
        start: tuple[str, str] | None,
        until: str | None = None,
        guard: AbstractContextManager[object] | None = None,
    ) -> PageStream:
        """Open one: as ``PageStream``."""


@dataclass(slots=True)
class _Piece:
    """A part of the list, and how far it is.

    Attributes:
        begins: A time as TOGA 2 writes it; nothing of it is older.
        given: The time of the last of its records that were given to who asked for them; empty: none was.
        is_done: All of them were.
        is_read: There is nothing left to be cut off.
    """

    stream: PageStream
    begins: str
    given: str = ""
    is_done: bool = False
    is_read: bool = False


class PagesAtOnce:
    """Pages of one list, to be iterated once and by one thread; none of them is empty.

    Args:
        open_stream: Opens streams of the list.
        after: A time as TOGA 2 writes it; None reads from the beginning.
        ends: Asked once the list has proved long: the time, likewise, behind which people may be working
            while it is read; None: not known.
        at_once: Pieces, at most.
        clock: Seconds that only grow.

    Attributes:
        upto: The time of a record; whatever was updated before it has been given. None: nothing is
            missing before what was given last.
    """

    def __init__(
        self,
        open_stream: OpenStream,
        *,
        after: str | None,
        ends: Callable[[], str | None],
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_stream
        self._clock = clock
        self._after = after
        self._ends = ends
        self._at_once = at_once
        self.upto: str | None = None
        self._changed = threading.Condition()
        # all of the following is touched with the condition held
        self._pieces: list[_Piece] = []
        self._waiting: deque[tuple[_Piece, list[object] | None, str]] = deque()
        self._error: BaseException | None = None
        self._at_work = 0
        self._in_vain = 0
        self._is_closed = False

    def __iter__(self) -> Generator[list[object], None, None]:
        start = wire.where("_updated", ">", self._after) if self._after is not None else None
        # what it delivers is decided with the condition held from the beginning: it may be cut later
        first = self._open(start=start, guard=self._changed)
        seconds, ends = 0.0, None
        for number in count(start=1):
            began = self._clock()
            if (page := next(first, None)) is None:
                return
            seconds += self._clock() - began
            yield page
            if number == LONG and self._at_once > 1 and seconds > SLOW * LONG:
                ends = self._ends()
            if ends is not None and first.at < ends:
                break
        # nothing of it is asked for at the moment
        first.until = ends
        yield from self._pieces_at_once(first)
        self.upto = None
        yield from self._open(start=wire.where("_updated", ">=", ends or ""))

    def _pieces_at_once(self, first: PageStream) -> Iterator[list[object]]:
        with self._changed:
            self._pieces.append(_Piece(first, first.at, first.at))
            self._at_work = self._at_once
        threads = [
            threading.Thread(target=self._work, args=(piece,), name="pages", daemon=True)
            for piece in (self._pieces[0], *[None] * (self._at_once - 1))
        ]
        for thread in threads:
            thread.start()
        try:
            while (page := self._next()) is not None:
                yield page
        finally:
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _next(self) -> list[object] | None:
        """Wait for a page and return it; None: all pieces are done."""
        with self._changed:
            while True:
                self._changed.wait_for(
                    lambda: self._waiting or self._error is not None or not self._at_work
                )
                if self._error is not None:
                    raise self._error
                if not self._waiting:
                    return None
                piece, page, at = self._waiting.popleft()
                self._changed.notify_all()
                if page is None:
                    piece.is_done = True
                else:
                    piece.given = at
                self.upto = self._given_so_far()
                if page is not None:
                    return page

    def _given_so_far(self) -> str:
        """Return the newest time that was given before which nothing is missing."""
        given = ""
        for piece in sorted(self._pieces, key=attrgetter("begins")):
            given = piece.given or given
            if not piece.is_done:
                break
        return given

    # In the threads that read

    def _work(self, piece: _Piece | None) -> None:
        error: BaseException | None = None
        try:
            while piece := piece or self._cut():
                pages = 0
                for page in piece.stream:
                    pages += 1
                    if not self._offer(piece, page):
                        return
                with self._changed:
                    piece.is_read = True
                    self._in_vain += not pages
                if not self._offer(piece, None):
                    return
                piece = None
        except BaseException as caught:  # noqa: BLE001 - handed to who iterates, who raises it
            error = caught
        finally:
            with self._changed:
                self._at_work -= 1
                self._error = self._error or error
                self._changed.notify_all()

    def _offer(self, piece: _Piece, page: list[object] | None) -> bool:
        with self._changed:
            most = _WAITING * self._at_once
            self._changed.wait_for(
                lambda: len(self._waiting) < most or self._is_closed or self._error is not None
            )
            if self._is_closed or self._error is not None:
                return False
            self._waiting.append((piece, page, piece.stream.at))
            self._changed.notify_all()
            return True

    def _cut(self) -> _Piece | None:
        """Take the later half of the piece of which most is left; None: none is worth it."""
        with self._changed:
            if self._in_vain >= _MOST_IN_VAIN or self._is_closed or self._error is not None:
                return None
            left = [(_left_of(one), one) for one in self._pieces if not one.is_read]
            span, longest = max(left, key=lambda each: each[0], default=(timedelta(), None))
            if longest is None or span < _SHORTEST:
                return None
            until = longest.stream.until
            middle = wire.format_time(_behind(longest) + span / 2)
            longest.stream.until = middle
            start = wire.where("_updated", ">=", middle)
            stream = self._open(start=start, until=until, guard=self._changed)
            piece = _Piece(stream, middle)
            self._pieces.append(piece)
            return piece


def _behind(piece: _Piece) -> datetime:
    """Return the time up to which a piece has been read, or at which it begins."""
    return wire.parse_time(max(piece.stream.at, piece.begins))


def _left_of(piece: _Piece) -> timedelta:
    if piece.stream.until is None:
        raise AssertionError("a piece ends somewhere")
    return wire.parse_time(piece.stream.until) - _behind(piece)

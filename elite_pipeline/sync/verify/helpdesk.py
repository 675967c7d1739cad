"""Reads the helpdesk's rows into ``sides``: all of them, and some once more.

What does not belong here: what the rows are held against (``tickets``).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from typing import Any

from elite_pipeline.iteration import in_turns, prefetch
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.ticket_outcomes import Bundle
from elite_pipeline.sync.verify.sides import COMMENTS, REPLIES, Sides
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline.togadesk import Tx
from elite_pipeline.togadesk.walks import Walk

#: Rows that are read at once: a server makes no document of more than a megabyte of them.
ROWS_PER_PIECE = 2_000
#: What is read one after the other, so that nothing is there without what it hangs on; and what in turns:
#: the server makes a piece of the one ready while a piece of the other is put away.
_TOGETHER: tuple[tuple[Walk, ...], ...] = (("tickets",), (REPLIES, COMMENTS), ("files",))
_PLACES = {"reply": REPLIES, "files": REPLIES, "comment": COMMENTS}


class Helpdesk:
    """Reads the rows of one client."""

    def __init__(self, context: FlowContext, sides: Sides) -> None:
        self._context = context
        self._store = context.togadesk
        self._sides = sides
        #: Walk -> the last id that was read.
        self._read: dict[Walk, int] = dict.fromkeys(chain(*_TOGETHER), 0)

    def read_all(self) -> None:
        """Read all tickets, messages and files."""
        self._read_on()
        self._sides.index_here()

    def read_again(self, bundles: Sequence[Bundle]) -> None:
        """Read the rows of some tickets once more, and all that have come since."""
        self._read_on()
        sides = self._sides
        references = [
            *(bundle.ticket.uuid for bundle in bundles),
            *(note.uuid for bundle in bundles for note in bundle.notes),
        ]
        tickets = {row.id for rows in sides.tickets_here(references).values() for row in rows}
        tickets |= {bundle.own.id for bundle in bundles if bundle.own is not None}
        self._refresh("tickets", tickets)
        own = [key for bundle in bundles for key in bundle.own_notes.values()]
        named = [row for rows in sides.messages_here(references).values() for row in rows]
        under = ", ".join(map(str, sorted(tickets))) or "0"
        for place in (REPLIES, COMMENTS):
            ids = {row.id for row in named if row.place == place}
            ids |= {key.id for key in own if _PLACES.get(key.kind) == place}
            query = f"SELECT id FROM messages_here WHERE place = ? AND ticket IN ({under})"
            ids |= {row[0] for row in sides.query(query, place)}
            self._refresh(place, ids)
            if place == REPLIES:
                files = {row.id for rows in sides.files_of_replies(ids).values() for row in rows}
                self._refresh("files", files)
        tags = [private_tag(reference) for reference in references]
        self._refresh(
            "files", {row.id for rows in sides.files_of_tags(tags).values() for row in rows}
        )

    def _read_on(self) -> None:
        for walks in _TOGETHER:
            with ExitStack() as stack:
                pieces = [
                    stack.enter_context(closing(prefetch(self._pieces(walk)))) for walk in walks
                ]
                for walk, rows in in_turns(pieces):
                    self._put(walk, rows)
                    self._read[walk] = rows[-1][0]
                    self._context.progress(f"helpdesk: {walk} read up to id {self._read[walk]}")

    def _pieces(self, walk: Walk) -> Iterator[tuple[Walk, Sequence[Sequence[Any]]]]:
        after = self._read[walk]
        while rows := self._store.run(partial(_next, walk, after)):
            yield walk, rows
            after = rows[-1][0]

    def _refresh(self, walk: Walk, ids: Iterable[int]) -> None:
        known = sorted(ids)
        if not known:
            return
        place = walk if walk in (REPLIES, COMMENTS) else None
        table = "messages_here" if place else f"{walk}_here"
        self._sides.drop_here(table, known, place)
        self._put(walk, self._store.run(partial(_some, walk, known)))

    def _put(self, walk: Walk, rows: Sequence[Sequence[Any]]) -> None:
        if walk == "tickets":
            self._sides.put_tickets(rows)
        elif walk == "files":
            self._sides.put_files(rows)
        else:
            self._sides.put_messages(walk, rows)


def _next(walk: Walk, after: int, tx: Tx) -> list[Sequence[Any]]:
    return tx.walk(walk, after, ROWS_PER_PIECE)


def _some(walk: Walk, ids: Sequence[int], tx: Tx) -> list[Sequence[Any]]:
    return tx.walk_some(walk, ids)

"""Tells the tickets with which plainly nothing is wrong: most of them, so that comparing costs little.

Everything that a closer look compares is compared here too, by the engine's own conversions
(``ticket_rows``). Whatever is special in any way is left to the closer look (``judging``): a row that is
not there once and in its place, a file, a dead letter, a note that was sent from here, a text that
does not fit. What this passes, the closer look would pass.

What does not belong here: saying what is wrong.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter, itemgetter

from elite_pipeline.errors import PermanentError
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.ticket_outcomes import Bundle
from elite_pipeline.sync.ticket_rows import OWNED, References, TicketRows
from elite_pipeline.sync.verify.sides import (
    COMMENTS,
    REPLIES,
    MessageHere,
    Place,
    Sides,
    TicketHere,
    key,
)
from elite_pipeline.sync.wanted_files import private_tag
from elite_pipeline.togadesk import Row
from elite_pipeline.togadesk.walks import digest_of

#: The owned columns of a row, in their order.
_OWNED_OF_ROW = attrgetter(*OWNED)
_OWNED_OF_DICT = itemgetter(*OWNED)


class PlainlyEqual:
    """Looks at tickets of one client.

    Args:
        context: The client's systems.
        sides: What the helpdesk has, all of it.
        choices: The category paths that the client's field offers.
        category_paths: Category uuid -> the path under which the field offers it.
    """

    def __init__(
        self,
        context: FlowContext,
        sides: Sides,
        choices: frozenset[str],
        category_paths: Mapping[str, str],
    ) -> None:
        self._client = context.client
        self._store = context.togadesk
        self._sides = sides
        self._choices = choices
        self._category_paths = category_paths

    def among(self, bundles: Sequence[Bundle], authors: Mapping[str, int]) -> dict[str, TicketHere]:
        """Return the tickets that are plainly as they should be: uuid -> row."""
        twice = _twice([note.uuid for one in bundles for note in one.notes])
        bundles = [one for one in bundles if not (one.own or one.own_notes or one.malformed)]
        tickets = self._sides.tickets_here([one.ticket.uuid for one in bundles])
        messages = self._sides.messages_here(
            [uuid for one in bundles for uuid in (one.ticket.uuid, *(n.uuid for n in one.notes))]
        )
        with_files = self._with_files(messages)
        maker = TicketRows(self._client, self._store, self._references(bundles, authors))
        equal: dict[str, TicketHere] = {}
        for bundle in bundles:
            rows = tickets.get(key(bundle.ticket.uuid), ())
            if (
                len(rows) == 1
                and all(not note.file_count and note.uuid not in twice for note in bundle.notes)
                and self._is_equal(maker, bundle, rows[0], messages, with_files)
            ):
                equal[bundle.ticket.uuid] = rows[0]
        return equal

    def _with_files(self, messages: Mapping[str, Sequence[MessageHere]]) -> set[MessageHere]:
        """Return the messages that files are kept for."""
        rows = [row for some in messages.values() for row in some]
        replies = self._sides.replies_with_files(row.id for row in rows if row.place == REPLIES)
        found = {row for row in rows if row.place == REPLIES and row.id in replies}
        if self._sides.has_files_of_comments():
            # two notes may have one tag: it is only the beginning of a uuid
            tags = [
                (private_tag(row.reference or ""), row) for row in rows if row.place == COMMENTS
            ]
            there = self._sides.files_of_tags([tag for tag, _ in tags]).keys()
            found |= {row for tag, row in tags if tag in there}
        return found

    def _references(self, bundles: Sequence[Bundle], authors: Mapping[str, int]) -> References:
        """Return what the tickets refer to, where it is there exactly once."""
        tickets = [bundle.ticket for bundle in bundles]
        found: list[dict[str, int]] = []
        for kind, named in (
            ("contacts", [one.contact for one in tickets]),
            ("units", [one.unit for one in tickets]),
            ("teams", [one.team for one in tickets]),
        ):
            uuids = {one.uuid for one in named if one is not None}
            ids = self._sides.rows_of(kind, uuids)
            found.append(
                {uuid: some[0] for uuid in uuids if len(some := ids.get(key(uuid), [])) == 1}
            )
        people, assets, groups = found
        return References(
            people=people,
            assets=assets,
            groups=groups,
            authors=authors,
            choices=self._choices,
            category_paths=self._category_paths,
        )

    def _is_equal(
        self,
        maker: TicketRows,
        bundle: Bundle,
        row: TicketHere,
        messages: Mapping[str, Sequence[MessageHere]],
        with_files: Collection[MessageHere],
    ) -> bool:
        ticket = bundle.ticket
        for relation, id_, led_to in (
            (ticket.contact, row.userid, row.contact),
            (ticket.unit, row.assetid, row.unit),
            (ticket.team, row.groupid, row.team),
        ):
            # where TOGA 2 names nobody, who is named here may be known here alone
            if (key(relation.uuid) != led_to) if relation is not None else (id_ or led_to):
                return False
        try:
            now = _OWNED_OF_ROW(row)
            owned = maker.owned(ticket, Row(zip(OWNED, now, strict=True)))
            description = maker.description(ticket)
            if (
                description.files
                or _OWNED_OF_DICT(owned) != now
                or row.time != self._store.local_text(ticket.created)
            ):
                return False
            if not self._is_there(
                messages.get(key(ticket.uuid)),
                (REPLIES, row.id, description.author_id, row.time),
                description.text,
                with_files,
            ):
                return False
            for note in bundle.notes:
                author, text, file = maker.note_row(ticket.uuid, note)
                place = REPLIES if note.is_external else COMMENTS
                time = self._store.local_text(note.created)
                if file or not self._is_there(
                    messages.get(key(note.uuid)), (place, row.id, author, time), text, with_files
                ):
                    return False
        except PermanentError:
            return False
        return True

    @staticmethod
    def _is_there(
        rows: Sequence[MessageHere] | None,
        wanted: tuple[Place, int, int, str],
        text: str,
        with_files: Collection[MessageHere],
    ) -> bool:
        """Tell whether a message is there once and as it should be: place, ticket, person, time."""
        if rows is None or len(rows) != 1:
            return False
        row = rows[0]
        return (
            (row.place, row.ticket, row.person, row.time) == wanted
            and row.digest == digest_of(text)
            and row not in with_files
        )


def _twice(uuids: Sequence[str]) -> Collection[str]:
    """Return what is there more than once: a note that is moved meanwhile comes with both its tickets."""
    if len(set(uuids)) == len(uuids):
        return ()
    return {uuid for uuid, times in Counter(uuids).items() if times > 1}

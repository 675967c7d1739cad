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
    Sides,
    SoleMessage,
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
        plain = [
            one
            for one in bundles
            if not (one.own or one.own_notes or one.malformed)
            and not any(note.file_count or note.uuid in twice for note in one.notes)
        ]
        tickets = self._sides.tickets_here([one.ticket.uuid for one in plain])
        messages = self._sides.sole_messages(
            [key(uuid) for one in plain for uuid in (one.ticket.uuid, *(n.uuid for n in one.notes))]
        )
        self._leave_out_with_files(messages)
        maker = TicketRows(self._client, self._store, self._references(plain, authors))
        equal: dict[str, TicketHere] = {}
        for bundle in plain:
            rows = tickets.get(key(bundle.ticket.uuid), ())
            if len(rows) == 1 and self._is_equal(maker, bundle, rows[0], messages):
                equal[bundle.ticket.uuid] = rows[0]
        return equal

    def _leave_out_with_files(self, messages: dict[str, SoleMessage]) -> None:
        """Take out the messages that files are kept for."""
        ids = {row[6]: row[0] for row in messages.values() if row[1] == REPLIES}
        for id_ in self._sides.replies_with_files(ids):
            del messages[ids[id_]]
        if not self._sides.has_files_of_comments():
            return
        # two notes may have one tag: it is only the beginning of a uuid
        tags = [
            (private_tag(reference), reference)
            for reference, row in messages.items()
            if row[1] == COMMENTS
        ]
        there = self._sides.files_of_tags([tag for tag, _ in tags]).keys()
        for tag, reference in tags:
            if tag in there:
                del messages[reference]

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
        messages: Mapping[str, SoleMessage],
    ) -> bool:
        ticket, store = bundle.ticket, self._store
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
            if _OWNED_OF_DICT(owned) != now or not store.is_local_text(row.time, ticket.created):
                return False
            there = messages.get(key(ticket.uuid))
            author, text, file = maker.description_row(ticket)
            if (
                file
                or there is None
                or there[1:5] != (REPLIES, row.id, author, digest_of(text))
                or there[5] != row.time
            ):
                return False
            for note in bundle.notes:
                there = messages.get(key(note.uuid))
                author, text, file = maker.note_row(ticket.uuid, note)
                place = REPLIES if note.is_external else COMMENTS
                if (
                    file
                    or there is None
                    or there[1:5] != (place, row.id, author, digest_of(text))
                    or not store.is_local_text(there[5], note.created)
                ):
                    return False
        except PermanentError:
            return False
        return True


def _twice(uuids: Sequence[str]) -> Collection[str]:
    """Return what is there more than once: a note that is moved meanwhile comes with both its tickets."""
    if len(set(uuids)) == len(uuids):
        return ()
    return {uuid for uuid, times in Counter(uuids).items() if times > 1}

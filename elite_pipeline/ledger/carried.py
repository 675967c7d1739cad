"""What was last carried of something, so that only what its source has changed since is carried again.

Without it a replayed webhook would undo what people have done on the other side meanwhile
(``spec/sync.md`` sections 7 and 10.10). Losing it costs little: of what is then met anew, the side that
was changed last wins.
"""

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.tables import carried

_CHUNK = 300

#: What a document holds: whatever JSON can.
State = Mapping[str, object]


class Carried:
    """One client's memory of one flow's entities. Safe to use from several threads.

    All methods raise what :meth:`LedgerDatabase.begin` does.
    """

    def __init__(self, database: LedgerDatabase, client: str) -> None:
        self._database = database
        self._client = client

    def get(self, flow: str, entities: Sequence[str]) -> dict[str, State]:
        """Return entity -> what was last carried of it, of those of which something was."""
        found: dict[str, State] = {}
        if not entities:
            return found
        with self._database.begin() as connection:
            for chunk in chunked(entities, _CHUNK):
                rows = connection.execute(
                    sa.select(carried.c.entity, carried.c.state).where(
                        self._mine(flow), carried.c.entity.in_(chunk)
                    )
                )
                found.update({row.entity: _read(row.state) for row in rows})
        return found

    def put(self, flow: str, entity: str, state: State) -> None:
        """Write down what was carried of an entity, in place of what was known."""
        text = json.dumps(state, sort_keys=True, separators=(",", ":"))
        with self._database.begin_writing() as connection:
            connection.execute(
                sa.delete(carried).where(self._mine(flow), carried.c.entity == entity)
            )
            connection.execute(
                sa.insert(carried).values(client=self._client, flow=flow, entity=entity, state=text)
            )

    def _mine(self, flow: str) -> sa.ColumnElement[bool]:
        return sa.and_(carried.c.client == self._client, carried.c.flow == flow)


def _read(text: str) -> State:
    """Return the document; one that somebody has spoilt counts as none."""
    try:
        state = json.loads(text)
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}

"""What tickets refer to and wait for: which of it is in the helpdesk by now (``spec/sync.md`` section 4).

What does not belong here: what a ticket waits for (``ticket_rows``), keeping it (``ledger``).
"""

from collections.abc import Sequence

from elite_pipeline.ledger import Waiting
from elite_pipeline.sync.category_trees import choices_of
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.ticket_batch import find_authors
from elite_pipeline.togadesk import Tx


class Awaited:
    """Looks, for one run, for what tickets wait for.

    Args:
        context: What the run works with.
    """

    def __init__(self, context: FlowContext) -> None:
        self._context = context
        # looked for in vain, and not looked for again: many tickets wait for the same few people
        self._absent: set[tuple[str, str]] = set()

    def ready(self, waiting: Sequence[Waiting]) -> set[str]:
        """Return the tickets of which something that they wait for is there."""
        targets: dict[str, set[str]] = {}
        for entry in waiting:
            if (entry.kind, entry.target) not in self._absent:
                targets.setdefault(entry.kind, set()).add(entry.target)
        if not targets:
            return set()
        there = self._context.togadesk.run(lambda tx: self._there(tx, targets))
        if "category" in targets:
            choices, paths = choices_of(self._context), self._context.ledger.category_paths()
            there["category"] = {uuid for uuid, path in paths.items() if path in choices}
        for kind, wanted in targets.items():
            self._absent.update((kind, target) for target in wanted.difference(there.get(kind, ())))
        return {entry.uuid for entry in waiting if entry.target in there.get(entry.kind, ())}

    def _there(self, tx: Tx, targets: dict[str, set[str]]) -> dict[str, set[str]]:
        found = {
            kind: set(tx.select_by_reference(table, ["id"], targets.get(kind, ())))
            for kind, table in (
                ("contact", "people"),
                ("unit", "assets"),
                ("team", "groups"),
                # rows of the helpdesk that were sent, and know it by now
                ("reply", "tickets_replies"),
                ("comment", "comments"),
            )
        }
        authors = find_authors(tx, self._context.togadesk, targets.get("author", ()))
        found["author"] = set(authors)
        return found

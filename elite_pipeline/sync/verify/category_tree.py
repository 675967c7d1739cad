"""Judges the tree of categories: the one row that offers it as choices.

What the row should offer is for the engine to say (``category_trees.plan_tree``).

What does not belong here: the category of a ticket (``judging``).
"""

from collections.abc import Iterator, Mapping

from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_paths import split_choices
from elite_pipeline.sync.category_trees import (
    FLOW,
    TABLE,
    WHOLE_TREE,
    TreePlan,
    plan_tree,
    version_of,
)
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.flow_run import memory_holds
from elite_pipeline.sync.verify.due import origin
from elite_pipeline.sync.verify.explaining import dead_letter, letter_for, not_yet_due
from elite_pipeline.sync.verify.findings import Count, Finding, Reason
from elite_pipeline.sync.verify.sides import Sides
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import RecordParser, TicketCategory
from elite_pipeline.togadesk import Tx, ValueDoesNotFitError

_MOST_QUOTED = 5


class TreeJudge:
    """Judges the tree of one client.

    Attributes:
        is_late: What the next run brings is not all in the helpdesk yet.
        paths: Category uuid -> the path under which the helpdesk is to offer it.
    """

    def __init__(self, context: FlowContext, sides: Sides) -> None:
        self._context = context
        self._sides = sides
        self.is_late = False
        self.paths: Mapping[str, str] = {}

    def judge(self) -> Count:
        """Add what is found, and return how many categories there are, and how many choices."""
        context = self._context
        # all of it, whatever was asked for: a path needs all the parents
        raws = [raw for page in context.toga2.pages(wire.TICKET_CATEGORIES) for raw in page]
        parsed = RecordParser(TicketCategory).many(raws)
        plan = plan_tree(context, parsed.records)
        self.paths = plan.listed
        findings = [*self._of(plan)]
        findings += [
            Finding(FLOW, "category", Reason.NOT_COMPARABLE, one.name, detail=one.reason)
            for one in parsed.malformed
        ]
        is_due = self._is_due(raws)
        entities = [finding.record or WHOLE_TREE for finding in findings]
        letters = context.ledger.dead_letters.among(FLOW, entities)
        for finding, entity in zip(findings, entities, strict=True):
            letter = letter_for(letters.get(entity, ()), [])
            if letter is not None:
                self._sides.add([dead_letter(finding, letter)])
            elif is_due:
                self.is_late = True
                self._sides.add([not_yet_due(finding)])
            else:
                self._sides.add([finding])
        choices = split_choices(plan.current.options) if plan.current is not None else []
        return Count("categories", len(plan.tree.paths), len(choices))

    def _is_due(self, raws: list[object]) -> bool:
        """Tell whether the next run writes the tree: something is news to it."""
        ledger = self._context.ledger
        stored = self._context.watermarks.get(watermarks.CATEGORY_TREES)
        if not memory_holds(ledger.watermark(FLOW), stored):
            return True
        start = wire.format_time(origin(self._context, watermarks.CATEGORY_TREES))
        versions = [version_of(raw) for raw in raws]
        past = [one for one in versions if one is None or one.updated > start]
        known = ledger.known(FLOW, [one.uuid for one in past if one is not None])
        return any(one is None or known.get(one.uuid) != one.fingerprint for one in past)

    def _of(self, plan: TreePlan) -> Iterator[Finding]:
        context = self._context
        for uuid, reason in plan.tree.broken.items():
            yield Finding(
                FLOW, "category", Reason.MISSING, uuid, of=plan.categories[uuid].name, detail=reason
            )
        try:
            context.togadesk.fit(TABLE, "options", plan.options)
        except ValueDoesNotFitError as error:
            yield Finding(FLOW, "tree", Reason.MISSING, detail=str(error))
            return
        reference = str(context.client.toga2.client_uuid)
        rows = context.togadesk.run(self._rows)
        if len(rows) > 1:
            ids = ", ".join(map(str, rows))
            yield Finding(
                FLOW, "tree", Reason.DOUBLED, row=f"{TABLE} {rows[0]}",
                detail=f"{len(rows)} rows of {TABLE} say that they are it: {ids}",
            )  # fmt: skip
        current = plan.current
        if current is None or current.referenceId != reference:
            if plan.options:
                yield Finding(FLOW, "tree", Reason.MISSING, detail=f"{TABLE} has no row for it")
            return
        if current.options != plan.options:
            offered, wanted = split_choices(current.options), split_choices(plan.options)
            lacking = [path for path in wanted if path not in offered]
            surplus = [path for path in offered if path not in wanted]
            said = [
                f"{what} {', '.join(map(repr, some[:_MOST_QUOTED]))}"
                + (f" and {len(some) - _MOST_QUOTED} more" if len(some) > _MOST_QUOTED else "")
                for what, some in (("lacks", lacking), ("offers beside the tree", surplus))
                if some
            ]
            yield Finding(
                FLOW, "tree", Reason.DIFFERENT, row=f"{TABLE} {current.id}", fields=("choices",),
                detail="; ".join(said) or "the same choices in another order, or more than once",
            )  # fmt: skip

    def _rows(self, tx: Tx) -> list[int]:
        reference = str(self._context.client.toga2.client_uuid)
        rows = tx.select(
            TABLE, ["id", "referenceId"], where={"clientid": self._context.togadesk.client_id}
        )
        return [row.id for row in rows if row.referenceId == reference]

"""Category trees -> one ``tickets_customfields`` row per client.

Follows ``spec/sync.md`` section 3. Nothing changed since the watermark: one call. Something changed:
the whole tree is read, because a path needs all the parents, and its string is written if it differs.
A category that TOGA 2 renamed is renamed in the helpdesk's tickets too, which hold its path as text.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from elite_pipeline.errors import PermanentError
from elite_pipeline.ledger import SeenVersion, Waiting
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.category_paths import (
    CHOICE_SEPARATOR,
    Node,
    Tree,
    flatten,
    split_choices,
)
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flow_run import FlowRun
from elite_pipeline.sync.results import Change, FlowResult
from elite_pipeline.sync.run_letters import Stumble
from elite_pipeline.sync.watermarks import Progress
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.models import NAMELESS, Parsed, RecordParser, TicketCategory, uuid_of
from elite_pipeline.togadesk import Row, Tx, ValueDoesNotFitError

FLOW = "category_trees"
#: The flow whose tickets have to be read again when their category was renamed.
TICKETS_FLOW = "toga2_to_togadesk"
TABLE = "tickets_customfields"
#: How the field is called in the helpdesk, and what kind of field it is [A].
FIELD_NAME = "Category"
FIELD_TYPE = "select"
#: The record that fails when it is no single category's fault.
WHOLE_TREE = "the whole tree"


def run_category_trees(context: FlowContext, options: Options) -> FlowResult:
    """Bring one client's category tree into the helpdesk.

    Returns:
        What was done. What is broken in the tree is in it, and stopped nothing else; a tree whose
        string does not fit is in it as one failed record, and leaves the helpdesk as it was.

    Raises:
        SystemicError, TransientError: As for :func:`~elite_pipeline.sync.reference.run_reference_flow`.
    """
    run = FlowRun(context, flow=FLOW, watermark=watermarks.CATEGORY_TREES, options=options)
    after = run.start()
    remembers = run.remembers()
    raws = [
        raw for page in context.toga2.pages(wire.TICKET_CATEGORIES, after=after) for raw in page
    ]
    versions = [version for raw in raws if (version := version_of(raw)) is not None]
    known = context.ledger.known(FLOW, [item.uuid for item in versions]) if remembers else {}
    is_unchanged = len(versions) == len(raws) and all(
        known.get(version.uuid) == version.fingerprint for version in versions
    )
    due = [entity for entities in run.letters.due_entities() for entity in entities]
    # with nothing listed and nothing known there may be a whole tree behind the watermark
    is_known = bool(versions or context.ledger.category_paths())
    if remembers and is_unchanged and is_known and not due:
        return run.result()
    if after is not None and after > watermarks.BEGINNING:
        raws = [raw for page in context.toga2.pages(wire.TICKET_CATEGORIES) for raw in page]
    progress = _write_tree(context, run, RecordParser(TicketCategory).many(raws), due)
    run.advance(progress.reached)
    context.ledger.remember(
        FLOW, [version for raw in raws if (version := version_of(raw)) is not None]
    )
    return run.result()


def version_of(raw: object) -> SeenVersion | None:
    """Return what tells one version of a raw record from another; None for one without a uuid."""
    uuid = uuid_of(raw)
    updated = raw.get("_updated") if isinstance(raw, dict) else None
    if uuid is None or not isinstance(updated, str):
        return None
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return SeenVersion(uuid, updated, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())


def choices_of(context: FlowContext) -> frozenset[str]:
    """Return the paths that a ticket of this client can have as its category."""
    row = context.togadesk.run(lambda tx: _find_row(tx, context))
    return frozenset(split_choices(row.options)) if row is not None else frozenset()


@dataclass(frozen=True, slots=True)
class TreePlan:
    """What the client's field should offer.

    Attributes:
        tree: Paths, and what is broken.
        categories: By uuid.
        before: Category uuid -> the path under which it was last written.
        listed: Category uuid -> the path under which it is to be offered.
        renamed: Old path -> new path.
        current: The field's row; None: there is none.
        options: What its choices should be.
    """

    tree: Tree
    categories: Mapping[str, TicketCategory]
    before: Mapping[str, str]
    listed: Mapping[str, str]
    renamed: Mapping[str, str]
    current: Row | None
    options: str


def plan_tree(context: FlowContext, records: Sequence[TicketCategory]) -> TreePlan:
    """Return what the client's field should offer, for all categories that TOGA 2 has; only reads."""
    categories = {category.uuid: category for category in records}
    tree = flatten(
        [
            Node(category.uuid, category.name, category.parent.uuid if category.parent else None)
            for category in categories.values()
        ]
    )
    _leave_out_what_no_ticket_can_hold(context, tree)
    before = context.ledger.category_paths()
    current = context.togadesk.run(lambda tx: _find_row(tx, context))
    choices = split_choices(current.options) if current is not None else []
    listed = _listed(tree.paths, categories, frozenset(choices), before)
    renamed = {
        before[uuid]: path
        for uuid, path in listed.items()
        if uuid in before and before[uuid] != path
    }
    # what the tree no longer says anything about, and what people added by hand, stays a choice
    dropped = {*listed.values(), *renamed}
    kept = [choice for choice in choices if choice not in dropped]
    options = CHOICE_SEPARATOR.join([*listed.values(), *kept])
    return TreePlan(tree, categories, before, listed, renamed, current, options)


def _write_tree(
    context: FlowContext, run: FlowRun, parsed: Parsed[TicketCategory], due: Sequence[str]
) -> Progress:
    progress = Progress()
    progress.add(category.updated for category in parsed.records)
    progress.add(one.updated for one in parsed.malformed if one.updated is not None)
    stumbles: list[Stumble] = []

    def fail(name: str, updated: datetime | None, reason: str) -> None:
        error, nameless = PermanentError(reason), name.startswith(NAMELESS)
        stumbles.append(Stumble(name, name, error, updated, unretriable=nameless))

    for malformed in parsed.malformed:
        fail(malformed.name, malformed.updated, malformed.reason)
    plan = plan_tree(context, parsed.records)
    tree, categories, before, listed = plan.tree, plan.categories, plan.before, plan.listed
    for uuid, reason in tree.broken.items():
        fail(uuid, categories[uuid].updated, reason)
    gone = {uuid: path for uuid, path in before.items() if uuid not in tree.paths}
    renamed, options = plan.renamed, plan.options
    try:
        context.togadesk.fit(TABLE, "options", options)
    except ValueDoesNotFitError as error:
        # which categories are too many is not for us to say: everything stays as it is
        reason = (
            f"the choices of {len(tree.paths)} categories do not fit; none was written: {error}"
        )
        fail(WHOLE_TREE, None, reason)
        run.letters.settle(stumbles, [])
        return progress
    moved = context.togadesk.run(lambda tx: _tickets_under(tx, context, list(renamed)))
    uuids = {before[uuid]: uuid for uuid in listed if before.get(uuid) in renamed}
    # Their tickets are read again, one by one: whose category an old path was cannot be told from the
    # text once a broken-off run has renamed some of them. First of all, so that none is forgotten.
    context.ledger.add_waiting(
        TICKETS_FLOW,
        [
            Waiting(ticket.referenceId, "category", uuids[ticket.category])
            for ticket in moved
            if ticket.referenceId and ticket.category in uuids
        ],
    )
    context.togadesk.run(lambda tx: _write(tx, context, options, renamed))
    context.ledger.set_category_paths({**gone, **listed})
    run.tally.vanished = sum(1 for uuid in gone if uuid not in categories)
    for uuid, path in tree.paths.items():
        run.tally.add(Change(uuid, path, _action(uuid, path, listed, before, categories)))
    held = run.letters.held(
        {one.entity: one.updated for one in stumbles if one.updated is not None}
    )
    run.letters.settle(
        [one for one in stumbles if one.entity not in held],
        {*tree.paths, *due, WHOLE_TREE} - held,
        [(entity, entity) for entity in held],
    )
    return progress


def _leave_out_what_no_ticket_can_hold(context: FlowContext, tree: Tree) -> None:
    """Break what is longer than the column in which a ticket holds its category."""
    for uuid, path in list(tree.paths.items()):
        try:
            context.togadesk.fit("tickets", "category", path)
        except PermanentError as error:
            del tree.paths[uuid]
            tree.broken[uuid] = str(error)


def _listed(
    paths: Mapping[str, str],
    categories: Mapping[str, TicketCategory],
    choices: frozenset[str],
    before: Mapping[str, str],
) -> dict[str, str]:
    """Leave out what is switched off, unless it is a choice already: nothing is taken away."""
    return {
        uuid: path
        for uuid, path in paths.items()
        if categories[uuid].is_active or path in choices or before.get(uuid) in choices
    }


def _action(
    uuid: str,
    path: str,
    listed: Mapping[str, str],
    before: Mapping[str, str],
    categories: Mapping[str, TicketCategory],
) -> Literal["created", "updated", "unchanged", "inactive"]:
    if uuid in listed and uuid not in before:
        return "created"
    if uuid in listed and before[uuid] != path:
        return "updated"
    return "unchanged" if categories[uuid].is_active else "inactive"


def _find_row(tx: Tx, context: FlowContext) -> Row | None:
    """Return the client's field: the one of ours, else one that was made by hand."""
    rows = tx.select(
        TABLE,
        ["id", "name", "options", "referenceId"],
        where={"clientid": context.togadesk.client_id},
    )
    reference = str(context.client.toga2.client_uuid)
    ours = [row for row in rows if row.referenceId == reference]
    by_hand: Sequence[Row] = [
        row
        for row in rows
        if not row.referenceId and row.name.strip().casefold() == FIELD_NAME.casefold()
    ]
    return next(iter([*ours, *by_hand]), None)


def _write(tx: Tx, context: FlowContext, options: str, renamed: Mapping[str, str]) -> None:
    reference = str(context.client.toga2.client_uuid)
    row = _find_row(tx, context)
    if row is None and options:
        tx.insert(
            TABLE,
            [
                {
                    "name": FIELD_NAME,
                    "type": FIELD_TYPE,
                    "options": options,
                    "referenceId": reference,
                }
            ],
        )
    elif row is not None and (row.options != options or row.referenceId != reference):
        tx.update(TABLE, [{"id": row.id, "options": options, "referenceId": reference}])
    # what people opened in the helpdesk itself is in no other system: it follows by its text
    tx.update(
        "tickets",
        [
            {"id": ticket.id, "category": renamed[ticket.category]}
            for ticket in _tickets_under(tx, context, list(renamed))
            if not ticket.referenceId and ticket.category in renamed
        ],
    )


def _tickets_under(tx: Tx, context: FlowContext, paths: Sequence[str]) -> list[Row]:
    if not paths:
        return []
    return tx.select(
        "tickets",
        ["id", "category", "referenceId"],
        where={"clientid": context.togadesk.client_id},
        in_=("category", paths),
    )

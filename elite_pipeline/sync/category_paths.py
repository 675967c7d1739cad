"""A category tree as the helpdesk's one string of choices, without ambiguity.

The helpdesk's custom field holds its choices as one comma-separated string (``spec/sync.md`` section
3), so a comma inside a name would be two choices, and a blank at its end would be lost. What has a
meaning in the string, or would not survive it, is written as an HTML character reference: a browser
shows the choice as the name was written, and splitting at commas gives exactly one piece per category.
So is what three-byte UTF-8 cannot hold: a path reads the same in every helpdesk's columns.

Pure: no system is touched here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Between the levels of a path.
LEVEL_SEPARATOR = " > "
#: Between the choices of the field.
CHOICE_SEPARATOR = ","

_SPECIAL = re.compile(r"[&,<>\x00-\x1f\x7f\U00010000-\U0010ffff]|^\s|\s$")

_LOOP = "its parents form a loop; give one of them another parent in TOGA 2"


def encode_name(name: str) -> str:
    """Return a category's name in a form in which no character means anything else."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", name)


def encode_path(names: Sequence[str]) -> str:
    """Return a path, root first."""
    return LEVEL_SEPARATOR.join(encode_name(name) for name in names)


def split_choices(options: str) -> list[str]:
    """Return the choices of a field's string, without the blanks that people type around commas."""
    return [choice for part in options.split(CHOICE_SEPARATOR) if (choice := part.strip())]


@dataclass(frozen=True, slots=True)
class Node:
    """One category: its uuid, its name, and its parent's uuid or None."""

    uuid: str
    name: str
    parent: str | None


@dataclass(slots=True)
class Tree:
    """What a set of nodes adds up to.

    Attributes:
        paths: uuid -> path, every parent before its children, siblings by name.
        broken: uuid -> why the node has no path.
    """

    paths: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def flatten(nodes: Sequence[Node]) -> Tree:
    """Return the paths of a tree; what is broken in it is reported, not guessed at.

    A node whose parent is missing, that is its own ancestor, that has no name, or whose name another
    child of the same parent has already, has no path, and nothing below it has one.
    """
    tree = Tree()
    by_uuid = {node.uuid: node for node in nodes}
    children: dict[str | None, list[Node]] = {}
    for node in by_uuid.values():
        if node.parent is not None and node.parent not in by_uuid:
            tree.broken[node.uuid] = (
                f"its parent {node.parent} does not exist; give it another one in TOGA 2"
            )
        else:
            children.setdefault(node.parent, []).append(node)
    _walk(tree, children)
    for node in by_uuid.values():
        if node.uuid not in tree.paths and node.uuid not in tree.broken:
            tree.broken[node.uuid] = _why_unreachable(node, by_uuid, tree)
    return tree


def _walk(tree: Tree, children: Mapping[str | None, Sequence[Node]]) -> None:
    # a stack instead of recursion: the depth of a tree from outside is not ours to trust
    pending: list[tuple[Node, tuple[str, ...]]] = [
        (node, ()) for node in reversed(_by_name(children.get(None, ())))
    ]
    taken: dict[str, str] = {}
    while pending:
        node, above = pending.pop()
        names = (*above, node.name)
        path = encode_path(names)
        if not node.name.strip():
            tree.broken[node.uuid] = "it has no name"
        elif path in taken:
            tree.broken[node.uuid] = f"{taken[path]} has the same name under the same parent"
        else:
            taken[path] = node.uuid
            tree.paths[node.uuid] = path
            below = reversed(_by_name(children.get(node.uuid, ())))
            pending += [(child, names) for child in below]


def _by_name(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (node.name.casefold(), node.name, node.uuid))


def _why_unreachable(node: Node, by_uuid: Mapping[str, Node], tree: Tree) -> str:
    passed: set[str] = set()
    above = node.parent
    while above is not None and above not in passed:
        if above == node.uuid:
            return _LOOP
        if tree.broken.get(above, _LOOP) != _LOOP:
            break
        passed.add(above)
        above = by_uuid[above].parent
    return f"it stands below {node.parent}, which is broken"

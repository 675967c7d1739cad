"""Category trees as one unambiguous string."""

import html
import random

import pytest

from elite_pipeline.sync.category_paths import (
    CHOICE_SEPARATOR,
    Node,
    Tree,
    encode_name,
    encode_path,
    flatten,
    split_choices,
)

NASTY = [
    "Hardware",
    "Cables, adapters",
    ",",
    "trailing ",
    " leading",
    "two  ",
    "a > b",
    ">",
    "R&D",
    "&#44;",
    "&amp;",
    "<b>bold</b>",
    "tab\tinside",
    "line\r\nbreak",
    "nul\x00",
    "no-break\u00a0",
    "emoji 😀",
    "עברית",
    "漢字",
    "€",
    'O\'Brien "quoted"',
]


def tree(*nodes: tuple[str, str, str | None]) -> Tree:
    return flatten([Node(*node) for node in nodes])


@pytest.mark.parametrize("name", NASTY)
def test_a_browser_shows_the_name_as_it_was_written(name: str) -> None:
    encoded = encode_name(name)
    if "\x00" not in name and "\r" not in name:  # what HTML itself cannot carry
        assert html.unescape(encoded) == name
    assert encoded == encoded.strip()
    assert encoded.isprintable()
    assert not set(encoded) & set(",<>")


@pytest.mark.parametrize("name", NASTY)
def test_every_charset_of_a_helpdesk_holds_a_choice_as_it_is(name: str) -> None:
    assert all(character <= "\uffff" for character in encode_name(name))


def test_no_two_paths_look_alike() -> None:
    trees: list[tuple[str, ...]] = [(above, below) for above in NASTY for below in NASTY]
    paths = [encode_path(names) for names in [*trees, *((name,) for name in NASTY)]]
    assert len(set(paths)) == len(paths)
    assert split_choices(CHOICE_SEPARATOR.join(paths)) == paths


def test_choices_that_people_typed_lose_their_blanks_and_gaps() -> None:
    assert split_choices("A, B ,,C, ") == ["A", "B", "C"]
    assert split_choices("") == []


def test_parents_come_before_children_and_siblings_by_name() -> None:
    made = tree(
        ("3", "laptop", "1"),
        ("2", "Software", None),
        ("1", "Hardware", None),
        ("4", "Docks", "1"),
        ("5", "Mice", "3"),
    )
    assert list(made.paths.values()) == [
        "Hardware",
        "Hardware > Docks",
        "Hardware > laptop",
        "Hardware > laptop > Mice",
        "Software",
    ]
    assert made.broken == {}


def test_one_name_may_stand_under_several_parents() -> None:
    made = tree(("1", "A", None), ("2", "B", None), ("3", "Other", "1"), ("4", "Other", "2"))
    assert made.paths["3"] == "A > Other"
    assert made.paths["4"] == "B > Other"


def test_a_missing_parent_breaks_what_is_below_it_and_nothing_else() -> None:
    made = tree(("1", "A", None), ("2", "B", "gone"), ("3", "C", "2"), ("4", "D", "3"))
    assert list(made.paths) == ["1"]
    assert made.broken["2"].startswith("its parent gone does not exist; ")
    assert made.broken["3"] == "it stands below 2, which is broken"
    assert "broken" in made.broken["4"]


@pytest.mark.parametrize(
    "loop",
    [
        [("1", "A", "1")],
        [("1", "A", "2"), ("2", "B", "1")],
        [("1", "A", "2"), ("2", "B", "3"), ("3", "C", "1")],
    ],
)
def test_a_loop_breaks_its_members_and_what_hangs_on_them(
    loop: list[tuple[str, str, str | None]],
) -> None:
    made = tree(*loop, ("8", "Fine", None), ("9", "Below", "1"))
    assert list(made.paths) == ["8"]
    (reason,) = {made.broken[uuid] for uuid, _, _ in loop}
    assert reason.startswith("its parents form a loop; ")
    assert set(made.broken) == {"9", *(uuid for uuid, _, _ in loop)}


def test_of_two_siblings_with_one_name_one_keeps_it() -> None:
    made = tree(("2", "A", None), ("1", "A", None), ("3", "X", "2"), ("4", "Y", "1"))
    assert made.paths == {"1": "A", "4": "A > Y"}
    assert made.broken["2"] == "1 has the same name under the same parent"
    assert made.broken["3"] == "it stands below 2, which is broken"


@pytest.mark.parametrize("name", ["", "   ", "\t"])
def test_a_node_without_a_name_is_broken(name: str) -> None:
    made = tree(("1", name, None), ("2", "A", "1"))
    assert made.paths == {}
    assert made.broken["1"] == "it has no name"


def test_depth_is_no_limit() -> None:
    nodes = [Node(str(number), "x", str(number - 1) if number else None) for number in range(1200)]
    made = flatten(nodes)
    assert len(made.paths) == 1200
    assert made.paths["2"] == "x > x > x"


def test_a_long_broken_chain_is_told_in_reasonable_time() -> None:
    nodes = [Node(str(number), "x", str(number - 1)) for number in range(3000)]
    assert len(flatten(nodes).broken) == 3000


@pytest.mark.parametrize("seed", range(40))
def test_any_graph_is_split_into_paths_and_broken_ones(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(1, 30)
    nodes = [
        Node(
            str(number),
            rng.choice(["a", "b", "a,b", "a ", ""]),
            rng.choice([None, None, *map(str, range(count + 2))]),
        )
        for number in range(count)
    ]
    made = flatten(nodes)
    assert made.paths.keys() | made.broken.keys() == {node.uuid for node in nodes}
    assert not made.paths.keys() & made.broken.keys()
    assert len(set(made.paths.values())) == len(made.paths)
    for node in nodes:
        if node.uuid in made.paths and node.parent is not None:
            assert made.paths[node.uuid].startswith(f"{made.paths[node.parent]} > ")
    rng.shuffle(nodes)
    assert flatten(nodes).paths == made.paths

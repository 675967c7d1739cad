"""Whether there is room for one more call, by what counts and what waits."""

from elite_pipeline.ledger.rate_room import OTHERS, Room


def room(
    taken: dict[str, int] | None = None,
    ahead: dict[str, int] | None = None,
    total: int | None = None,
) -> Room:
    return Room(10, {"view": 4}, total, taken or {}, ahead or {})


def test_there_is_room_up_to_the_limit_and_not_beyond() -> None:
    assert room().is_for("view")
    assert room({"": 9}).is_for("")
    assert not room({"": 10}).is_for("")
    assert not room({"": 5, "view": 3, "x": 2}).is_for("")


def test_a_kind_has_a_limit_of_its_own() -> None:
    assert room({"view": 3}).is_for("view")
    assert not room({"view": 4}).is_for("view")
    assert room({"view": 4}).is_for("")


def test_those_that_came_before_go_first() -> None:
    assert not room({"": 8}, {"": 2}).is_for("")
    assert room({"": 8}, {"": 1}).is_for("")
    assert not room({"view": 2}, {"view": 2}).is_for("view")


def test_one_that_waits_for_its_kind_keeps_nobody_else_waiting() -> None:
    assert room({"view": 4}, {"view": 20}).is_for("")
    # two of them could go
    assert not room({"view": 2, "": 6}, {"view": 20}).is_for("")
    assert room({"view": 2, "": 5}, {"view": 20}).is_for("")


def test_calls_of_others_take_room_of_the_account_but_not_of_ours() -> None:
    assert room({OTHERS: 30}).is_for("")
    assert room({OTHERS: 30, "": 9}, total=40).is_for("")
    assert not room({OTHERS: 31, "": 9}, total=40).is_for("")
    assert not room({"": 6}, total=6).is_for("")


def test_what_an_answer_tells_of_calls_that_nobody_here_knows() -> None:
    assert room({"": 3}).missing("", 100, 90) == (OTHERS, 7)
    assert room({"": 3, OTHERS: 7}).missing("", 100, 90) == (OTHERS, 0)
    assert room({"": 30}).missing("", 100, 90) == (OTHERS, 0)
    # an answer that speaks of its kind's limit
    assert room({"view": 1, "": 5}).missing("view", 4, 1) == ("view", 2)

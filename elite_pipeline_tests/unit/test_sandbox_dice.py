"""Chance by key: the same everywhere, spread evenly."""

from collections import Counter

from elite_pipeline.sandbox.dice import Dice


def test_the_same_key_gives_the_same_draws() -> None:
    def draws(key: str) -> list[int]:
        dice = Dice(key)
        return [dice.below(1_000) for _ in range(200)]

    assert draws("a") == draws("a")
    assert draws("a") != draws("b")


def test_the_draws_do_not_depend_on_the_platform_or_the_python_version() -> None:
    dice = Dice("for ever")

    assert [dice.below(100) for _ in range(6)] == [83, 90, 48, 10, 0, 3]


def test_draws_spread_evenly_within_their_bounds() -> None:
    dice = Dice("even")
    counts = Counter(dice.between(1, 6) for _ in range(6_000))

    assert set(counts) == {1, 2, 3, 4, 5, 6}
    assert all(800 < count < 1_200 for count in counts.values())


def test_a_fraction_is_less_than_one() -> None:
    dice = Dice("fractions")

    assert all(0 <= dice.fraction() < 1 for _ in range(1_000))


def test_a_chance_comes_true_as_often_as_it_says() -> None:
    dice = Dice("chance")

    assert not any(dice.chance(0) for _ in range(100))
    assert all(dice.chance(1) for _ in range(100))
    assert 2_000 < sum(dice.chance(0.25) for _ in range(10_000)) < 3_000


def test_a_sample_has_no_doubles_and_leaves_its_source_alone() -> None:
    source = list(range(10))

    sample = Dice("sample").sample(source, 6)

    assert len(set(sample)) == 6
    assert source == list(range(10))
    assert sorted(Dice("all").sample(source, 99)) == source

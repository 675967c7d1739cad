"""Help that teaches: every command says what it is for and shows an example that works."""

import click
import pytest

from elite_pipeline.cli import SECTIONS, cli
from elite_pipeline.command_groups import FURTHER
from elite_pipeline_tests.support.command_tree import PAGE, Taught, arguments_of, page, walk

COMMANDS = list(walk())


def named(one: Taught) -> str:
    return one.name


@pytest.mark.parametrize("one", COMMANDS, ids=named)
def test_every_command_says_what_it_is_for(one: Taught) -> None:
    assert one.command.help
    first = one.command.get_short_help_str(1_000)
    assert first[0].isupper()
    for parameter in one.command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{one.name} {parameter.opts[0]} has no help"
            assert parameter.help.rstrip().endswith((".", ")")), f"{one.name} {parameter.opts[0]}"


@pytest.mark.parametrize("one", COMMANDS, ids=named)
def test_every_command_shows_examples_that_can_be_typed(one: Taught) -> None:
    assert one.examples, f"{one.name} --help shows no example"
    for wanted, example in one.examples:
        assert wanted
        command: click.Command = cli
        context = click.Context(cli, info_name="elite-pipeline")
        words = arguments_of(example)
        shown = words
        while isinstance(command, click.Group):
            assert shown[0] in command.commands, example
            command = command.commands[shown[0]]
            shown = shown[1:]
        if "--help" in shown:
            continue
        # parses, and refuses what it does not know; nothing is run
        with command.make_context(command.name, list(shown), parent=context):
            pass
        assert words[: len(one.path)] == list(one.path), f"{example}: of another command"


@pytest.mark.parametrize("one", [one for one in COMMANDS if not one.is_group], ids=named)
def test_every_command_says_how_it_ends(one: Taught) -> None:
    assert {0, 1, 2} <= one.statuses.keys(), f"{one.name} --help says no exit statuses"


def test_every_command_stands_under_a_purpose() -> None:
    grouped = cli.grouped()
    assert FURTHER not in grouped, (
        f"name {grouped.get(FURTHER)} in SECTIONS of elite_pipeline/cli.py"
    )
    assert list(grouped) == list(SECTIONS)


def test_the_help_names_what_is_kept_in_step() -> None:
    shown = cli.get_help(click.Context(cli, info_name="elite-pipeline"))
    for system in ("Freshservice", "TOGA 2", "TOGaDesk"):
        assert system in shown
    for purpose in SECTIONS:
        assert f"{purpose}:" in shown
    # folded, and not cut
    whole = " ".join(shown.split())
    for command in cli.commands.values():
        assert command.get_short_help_str(1_000) in whole


def test_the_page_shows_what_there_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/command-line.md is not what the commands say any more: "
        "python -m elite_pipeline_tests.support.command_tree writes it anew"
    )

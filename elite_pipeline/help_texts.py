"""The end of a command's help: examples to copy, and what its exit status says.

All commands word it alike. What does not belong here: which commands there are (``cli``).
"""

from collections.abc import Mapping

#: What every command may end with; click itself ends with 2.
SUCCESS = "done"
FAILURE = "it could not be done; the one message on standard error says why"
USAGE = "a slip in what was typed; nothing was done"


def taught(*examples: tuple[str, str], statuses: Mapping[int, str] | None = None) -> str:
    """Return the end of a help text, as click takes it for an ``epilog``.

    Args:
        examples: What somebody may want, and the command for it, without the program's name.
        statuses: Exit statuses that mean something else than usual, or something more.
    """
    lines = ["\b", "Examples:"]
    for wanted, command in examples:
        lines += [f"  {wanted}:", f"    elite-pipeline {command}"]
    meanings = {0: SUCCESS, 1: FAILURE, 2: USAGE, **(statuses or {})}
    lines += ["", "\b", "Exit status:"]
    lines += [f"  {number}  {meanings[number]}" for number in sorted(meanings)]
    return "\n".join(lines)


def taught_group(*examples: tuple[str, str]) -> str:
    """Return the end of the help of a group, which ends as the command does that was typed."""
    return taught(*examples).partition("\n\n")[0]

"""A group of commands whose help puts them together by what somebody wants to do.

What does not belong here: which commands there are (``cli``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import click

#: Where commands stand that no section names.
FURTHER = "Further commands"
#: Characters of a first sentence, which is folded and not cut.
_WHOLE = 1_000


class SectionedGroup(click.Group):
    """A group whose help has a section for each purpose.

    Args:
        sections: Purpose -> names of commands, in the order in which they are shown; one that is not
            there is left out.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def grouped(self) -> dict[str, list[str]]:
        """Return purpose -> names of the commands that are there; every one of them once."""
        left = dict.fromkeys(name for name, each in self.commands.items() if not each.hidden)
        found: dict[str, list[str]] = {}
        for purpose, names in self.sections.items():
            found[purpose] = [name for name in names if name in left]
            for name in found[purpose]:
                del left[name]
        found[FURTHER] = list(left)
        return {purpose: names for purpose, names in found.items() if names}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their sections."""
        del ctx
        return [name for names in self.grouped().values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each section; their columns stand under each other."""
        del ctx
        width = max(map(len, self.commands), default=0)
        for purpose, names in self.grouped().items():
            with formatter.section(purpose):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.commands[name].get_short_help_str(_WHOLE))
                        for name in names
                    ]
                )

"""Text inside the Markdown that Dagster's page makes of descriptions.

The page runs lines together that follow on each other, and what a record's error quotes was typed by
somebody else: none of it may become a link, an image that the operator's browser fetches, or the form of
what stands around it.
"""

import re

#: What begins a construct of Markdown: within a line, or at its start.
_SPECIAL = re.compile(
    r"[\\`*\[\]<>~|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|&(?=#?[A-Za-z0-9]+;)"
    r"|^[#+=-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]"
)
_BREAK = "  \n"


def literal(text: str) -> str:
    """Return Markdown that shows a text of one or more lines as it is."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return _BREAK.join(_SPECIAL.sub(r"\\\g<0>", line) for line in lines if line)

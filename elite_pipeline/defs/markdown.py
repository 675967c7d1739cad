"""Text from outside inside the Markdown that Dagster's page makes of descriptions.

What a record's error quotes was typed by somebody else: none of it may become a link, an image that the
operator's browser fetches, or the form of what stands around it.
"""

import re

#: What begins a construct within a line, and ``#``, which is one at its start.
_SPECIAL = re.compile(r"([\\`*_\[\]<>&~|#!])")


def literal(text: str) -> str:
    """Return one line of Markdown that shows a text as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))

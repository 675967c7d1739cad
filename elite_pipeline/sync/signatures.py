"""What authors are called whom the other system does not know: in front of a text, or as its author.

``spec/sync.md`` section 4: the author's name stays visible in the text.
"""

import html
import re

#: Who writes in the helpdesk when a rule of it does [S], and what TOGA 2 is told then.
RULE_AUTHOR = -1
RULE_NAME = "TOGaDesk (rule)"

_SIGNATURE = re.compile(r"<p><strong>[^<]*:</strong></p>")


def signature(name: str | None, email: str | None) -> str:
    """Return the line, HTML; what is in it is text, never markup. Empty: there is nobody to name."""
    name, email = (name or "").strip(), (email or "").strip()
    who = f"{name} <{email}>" if name and email else name or email
    return f"<p><strong>{html.escape(who)}:</strong></p>" if who else ""


def without_signature(text: str) -> str:
    """Return a text without such a line in front."""
    found = _SIGNATURE.match(text)
    return text[found.end() :] if found is not None else text

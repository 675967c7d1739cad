"""What entries of the registry have in common: their base, and checks of single values.

What does not belong here: which fields there are (``clients``, ``freshservice_entry``).
"""

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """A section of the registry: a field that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def spelled(text: str) -> str:
    """Check a value of one of the systems that stands in a map.

    Raises:
        ValueError: It could not be meant.
    """
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("expected text on one line, not empty, without blanks around it")
    return text

"""A mistake in the registry, in one plain sentence: which field, and what was expected there.

A value is never repeated: somebody may have pasted a secret there. What does not belong here: the
rules themselves (``clients``).
"""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: What pydantic adds to the place of a mapping's key.
_KEY_MARK: Final = "[key]"

#: Kind of mistake, or how it begins -> what was expected; ``{…}`` is filled in by pydantic's context.
_EXPECTED: Final[Mapping[str, str]] = {
    "extra_forbidden": (
        "unknown field; remove it, or correct its name (secrets come from the environment)"
    ),
    "missing": "missing; add it",
    "uuid": "expected a UUID such as 00000000-0000-4000-8000-000000000001",
    "url": "expected an address such as https://example.freshservice.com",
    "literal_error": "expected {expected}",
    "int": "expected a whole number",
    "greater_than_equal": "expected a whole number, at least {ge}",
    "less_than_equal": "expected a whole number, at most {le}",
    "bool": "expected true or false",
    "string_too_short": "expected text, and it is empty",
    "string_too_long": "expected text of at most {max_length} characters",
    "string": "expected text; what YAML reads as something else needs quotes around it",
    "too_short": "expected a list with at least {min_length} entry, and it is empty",
    "list": "expected a list",
    "tuple": "expected a list",
    "dict": "expected a section with a field on each line",
    "model": "expected a section with a field on each line",
}


def mistakes(error: ValueError) -> list[str]:
    """Return one sentence per mistake, each naming its field."""
    if not isinstance(error, ValidationError):
        return [f"{error}."]
    return [_sentence(detail) for detail in error.errors(include_url=False, include_input=False)]


def _sentence(detail: ErrorDetails) -> str:
    place = detail["loc"]
    about = ""
    if place and place[-1] == _KEY_MARK:
        # not by the key itself: YAML's ``no`` stands here as 0
        place, about = place[:-2], "one of its names: "
    field = ".".join(str(part) for part in place)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        expected = str(context["error"])
    else:
        # the longest beginning that is known: ``string_too_short`` before ``string``
        known = [start for start in _EXPECTED if kind == start or kind.startswith(f"{start}_")]
        template = _EXPECTED[max(known, key=len)] if known else "expected another kind of value"
        expected = template.format(**context)
    return f"{field}: {about}{expected}." if field else f"{expected}."

"""Values as MySQL and MariaDB write them.

The driver writes parameters as literals as well: by the same functions, but one at a time and through
several layers, which for a hundred thousand rows takes longer than the rest of the work. They hold for
sessions as ``engine`` makes them: utf8mb4, and no ``NO_BACKSLASH_ESCAPES`` in their SQL mode.

What does not belong here: statements (``bulk``, ``packed``).
"""

import re
from collections.abc import Sequence
from typing import cast

from pymysql.converters import escape_item, escape_string

_CHARSET = "utf8mb4"

#: Every character that the driver escapes; it looks at no other than these.
_ESCAPED = re.compile(
    "[" + "".join(re.escape(c) for c in map(chr, range(128)) if escape_string(c) != c) + "]"
)


def of_all(values: Sequence[object]) -> list[str]:
    """Return the literal of each value: text, whole numbers, times, dates, bytes and None.

    Fastest when all are of one type.
    """
    types = set(map(type, values))
    if types == {str}:
        texts = cast("Sequence[str]", values)
        # most texts have nothing to escape, and to see that in all of them at once costs next to nothing
        if not _ESCAPED.search("".join(texts)):
            return [f"'{text}'" for text in texts]
        return [f"'{escape_string(text)}'" for text in texts]
    if types == {int}:
        return list(map(str, values))
    return [_of(value) for value in values]


def _of(value: object) -> str:
    if isinstance(value, str):
        # of subclasses as well: an enumeration's text is not what it prints
        return f"'{escape_string(str.__str__(value))}'"
    return str(escape_item(value, _CHARSET))

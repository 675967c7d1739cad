"""How a text can be spelled inside JSON, HTML and an address, whoever wrote these.

Writers differ in which characters they escape and how, and one document can stand within another: so
every character is known in all its spellings, in any mixture. What does not belong here: what is done
about it (``redaction``).
"""

import re
from dataclasses import dataclass
from typing import Self

#: Written as they are by everybody.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
#: What JSON may put a backslash before.
_ESCAPED = "\"\\/'"
_HTML_NAMES = {"<": "lt", ">": "gt", "&": "amp", '"': "quot", "'": "apos"}
#: Of one character, in a document within a document; so many that no text has more by chance.
_MOST_CHARS = 40


@dataclass(frozen=True, slots=True)
class Spellings:
    """One text as a pattern.

    Attributes:
        pattern: Matches it, however it is spelled.
        parts: What is in every one of its spellings, the longest first: it is the quickest to look for,
            and the most seldom there.
        most_chars: As many characters as it can have.
    """

    pattern: str
    parts: tuple[str, ...]
    most_chars: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the spellings of a text."""
        parts = _PLAIN.findall(text)
        pattern = "".join(
            char if _PLAIN.fullmatch(char) and char.isalnum() else _any_spelling(char)
            for char in text
        )
        others = len(text) - sum(map(len, parts))
        quickest = tuple(sorted(parts, key=len, reverse=True))
        return cls(pattern, quickest, len(text) + others * _MOST_CHARS)

    def may_be_in(self, text: str) -> bool:
        """Whether it is worth looking for."""
        return all(part in text for part in self.parts)


def _any_spelling(char: str) -> str:
    code = ord(char)
    itself = re.escape(char)
    if _PLAIN.fullmatch(char):
        return itself
    utf16 = char.encode("utf-16-be", "surrogatepass").hex()
    utf8 = char.encode("utf-8", "surrogatepass").hex()
    units = (utf16[start : start + 4] for start in range(0, len(utf16), 4))
    found = [
        rf"\\*{itself}" if char in _ESCAPED else itself,
        "".join(rf"\\+u{unit}" for unit in units),
        "".join(f"%(?:25)*{utf8[start : start + 2]}" for start in range(0, len(utf8), 2)),
        f"&(?:amp;)*#0*{code};",
        f"&(?:amp;)*#x0*{code:x};",
    ]
    if char == " ":
        found.append(r"\+")
    if (name := _HTML_NAMES.get(char)) is not None:
        found.insert(0, f"&(?:amp;)*{name};")
    return f"(?i:{'|'.join(found)})"

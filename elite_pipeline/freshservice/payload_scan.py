"""Finding names with their values in what is no well-formed JSON: broken JSON, forms, XML.

Nothing is repaired: what is well enough formed is read, and the rest passed over. Time and memory grow
with the text's length and no faster, whatever is in it. What does not belong here: which of the values is
a ticket's number (``payloads``).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl


class Finding(NamedTuple):
    """A value and where it stands.

    Attributes:
        path: The names of what it stands in, the outermost first; what has none is ``?``.
        name: Its own.
        value: As text, without quotes; only the beginning of a long one.
    """

    path: tuple[str, ...]
    name: str
    value: str


_UNKNOWN = "?"
#: Nested more deeply than that is nothing that is wanted.
_MOST_DEPTH = 50
#: Longer names and values are not looked at, in characters.
MOST_CHARS = 64

_FORM = re.compile(r"[^\s=&<>{}\"]{1,200}=[^\s<>{}\"]*+\Z")
_FORM_PART = re.compile(r"[^\[\]]+")
_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,63}+)([^<>]{0,2000}+)>")


def scan(text: str) -> Iterator[Finding]:
    """Yield what is found in a text; nothing where it has no form that is known."""
    if text.startswith("<"):
        return _xml(text)
    if _FORM.match(text):
        return _form(text)
    return _BrokenJson(text).findings()


def has_form(text: str) -> bool:
    """Tell whether a text is anything but plain words."""
    return text.startswith(("{", "[", "<", '"')) or _FORM.match(text) is not None


def _form(text: str) -> Iterator[Finding]:
    for name, value in parse_qsl(text):
        # the way of freshservice_webhook[ticket_id]
        parts = _FORM_PART.findall(name)[:_MOST_DEPTH]
        if parts:
            yield Finding(tuple(parts[:-1]), parts[-1], value[: MOST_CHARS + 1])


def _xml(text: str) -> Iterator[Finding]:
    """Read elements that hold text alone; what is around everything counts for nothing."""
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    path: list[str] = []
    begun = 0
    for tag in _TAG.finditer(text):
        is_end, name, rest = tag[1], tag[2], tag[3]
        if not is_end:
            if not rest.endswith("/") and len(path) < _MOST_DEPTH:
                path.append(name)
                begun = tag.end()
        elif name in path:
            if path[-1] == name and begun:
                value = text[begun : min(tag.start(), begun + MOST_CHARS + 1)]
                yield Finding(tuple(path[1:-1]), name, value)
            # one that was not closed was pasted in
            while path.pop() != name:
                pass
            begun = 0


class _BrokenJson:
    """Reads JSON that placeholders have broken: a quote in a subject, a number without quotes.

    A string counts as one where its end is followed by what can follow one. So most of what stands
    inside texts is passed over, and what comes behind a broken one is read again.
    """

    _STRING_END = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
    _AFTER_STRING = re.compile(r"\s*+(?:[,:}\]]|\Z)")
    _COLON = re.compile(r"\s*+:\s*+")
    #: In single quotes or in none.
    _BARE_KEY = re.compile(r"(?:'([A-Za-z_][\w.-]{0,63}+)'|([A-Za-z]\w{1,63}+))\s*+:\s*+")
    #: A number, decorated or not, in quotes too many or too few.
    _BARE_VALUE = re.compile(
        r"[\"'\s]{0,8}+(#?\s?(?:[A-Za-z]{1,12}[\s_-]{0,3})?[0-9]{1,15})[\"'\s]{0,8}(?=[,}\]\r\n]|\Z)"
    )
    _NEXT = re.compile(r"[\"{}\[\],\r\n]")

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._path: list[str] = []
        self._too_deep = 0
        #: The key whose value comes next.
        self._key: str | None = None
        #: Whether a key can stand here.
        self._is_fresh = True
        self._strings_end = True

    def findings(self) -> Iterator[Finding]:
        """Yield what is found."""
        while self._place < len(self._text):
            char = self._text[self._place]
            if char == '"':
                yield from self._string()
            elif char in "{[":
                self._open()
            elif char in "}]":
                self._close()
            elif char == "," or (char in "\r\n" and self._key is None):
                self._go_on(self._place + 1, is_fresh=True)
            elif char.isspace():
                self._place += 1
            else:
                yield from self._bare()

    def _go_on(self, place: int, *, is_fresh: bool = False, key: str | None = None) -> None:
        self._place, self._is_fresh, self._key = place, is_fresh, key

    def _found(self, value: str) -> Iterator[Finding]:
        if self._key is not None and not self._too_deep:
            # the outermost object has no name
            path = self._path[1:] if self._path[:1] == [""] else self._path
            yield Finding(tuple(path), self._key, value)

    def _open(self) -> None:
        if self._key is None and not self._is_fresh:
            # in the middle of a text
            self._go_on(self._place + 1)
            return
        if len(self._path) >= _MOST_DEPTH:
            self._too_deep += 1
        elif self._key is not None:
            self._path.append(self._key)
        else:
            self._path.append(_UNKNOWN if any(self._path) else "")
        self._go_on(self._place + 1, is_fresh=True)

    def _close(self) -> None:
        if self._too_deep:
            self._too_deep -= 1
        elif self._path:
            self._path.pop()
        self._go_on(self._place + 1)

    def _string(self) -> Iterator[Finding]:
        begun = self._place + 1
        end = self._STRING_END.match(self._text, begun) if self._strings_end else None
        if end is None:
            # nor does any that begins later
            self._strings_end = False
            yield from self._bare()
            return
        if self._AFTER_STRING.match(self._text, end.end()) is None:
            # broken; its end may be the beginning of the next
            yield from self._bare(end.end() - 1)
            return
        inside = self._text[begun : min(end.end() - 1, begun + MOST_CHARS + 1)]
        colon = self._COLON.match(self._text, end.end())
        if colon is not None and self._is_fresh:
            self._go_on(colon.end(), key=inside)
            return
        yield from self._found(inside)
        self._go_on(end.end())

    def _bare(self, or_at: int | None = None) -> Iterator[Finding]:
        """Read what is in no quotes, or in wrong ones; else go on where something may begin."""
        if self._key is not None:
            value = self._BARE_VALUE.match(self._text, self._place)
            if value is not None:
                yield from self._found(value[1])
                self._go_on(value.end())
                return
        elif self._is_fresh:
            key = self._BARE_KEY.match(self._text, self._place)
            if key is not None:
                self._go_on(key.end(), key=key[1] or key[2])
                return
        if or_at is None:
            later = self._NEXT.search(self._text, self._place + 1)
            or_at = later.start() if later else len(self._text)
        before = self._text[max(or_at - 8, self._place) : or_at].rstrip()
        self._go_on(or_at, is_fresh=before.endswith((",", "{")))

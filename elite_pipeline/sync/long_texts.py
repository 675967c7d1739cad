"""A text that is too long for its column: its beginning stays, and all of it is attached as a file.

``spec/sync.md`` section 10, rule 11. The beginning is plain text, because HTML that is cut somewhere is
no HTML any more; the file holds the text as it was written.
"""

import hashlib
import html
import re
from collections.abc import Callable
from html.parser import HTMLParser

from elite_pipeline.sync.wanted_files import WantedFile

_NAME = re.compile(r"full-text-[0-9a-f]{12}\.html\.txt")
_MARK = "This is only the beginning; the full text is attached:"
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "pre"})
_SILENT = frozenset({"script", "style", "head", "title"})


class _PlainText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def beginning_of(text: str, fits: Callable[[str], bool]) -> str:
    """Return as much of an HTML text's beginning as fits, as HTML that shows plain text.

    Args:
        text: HTML, of whatever kind came from outside.
        fits: Whether a beginning can be stored.
    """
    parser = _PlainText()
    parser.feed(text)
    parser.close()
    lines = [" ".join(line.split()) for line in "".join(parser.parts).splitlines()]
    plain = "\n".join(line for line in lines if line)

    def shown(length: int) -> str:
        return f"<p>{html.escape(plain[:length]).replace(chr(10), '<br>')}</p>"

    fitting, too_long = 0, len(plain) + 1
    while too_long - fitting > 1:
        middle = (fitting + too_long) // 2
        if fits(shown(middle)):
            fitting = middle
        else:
            too_long = middle
    return shown(fitting)


def full_text(text: str) -> WantedFile:
    """Return the file that holds all of a text.

    Its name goes by what is in it: another text is another file, also where it begins the same and is
    as long. It is never run, nor shown as a page, by a server that hands out the uploads folder.
    """
    content = text.encode("utf-8")
    name = f"full-text-{hashlib.sha256(content).hexdigest()[:12]}.html.txt"
    return WantedFile(name, len(content), "text/plain; charset=utf-8", None, content)


def full_text_mark(name: str) -> str:
    """Return what the beginning ends in, for the name under which the helpdesk shows the file."""
    return f"<p><strong>[\u2026] {_MARK} {html.escape(name)}</strong></p>"


def is_full_text(name: str) -> bool:
    """Tell whether a file, by its name, is one that holds all of a text."""
    return _NAME.fullmatch(name) is not None


def may_be_beginning(text: str) -> bool:
    """Tell whether a message of the helpdesk may be such a beginning."""
    return _MARK in text

"""Images that stand in a text of Freshservice: found, and given another source.

Follows ``spec/freshservice.md``: an embedded image is only in the HTML, as an ``<img>`` whose source
is ``https://attachment.freshservice.com/inline/attachment?token=…``, with ``data-id`` and attributes
spaced in any way; older ones are ``/helpdesk/attachments/<id>``. A text is changed in the sources of
such images and nowhere else, byte for byte.

What does not belong here: fetching them (``client``).
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

#: A tag ends at the first ``>`` outside of quotes. Possessive, and a ``<`` outside of quotes begins
#: another tag: so no text, however it was made up, takes longer than it is long.
_IMG = re.compile(r"<img(?=[\s/>])(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"(?<![^\s/\"'])([^\s\"'<>/=]++)\s*+=\s*+(\"[^\"]*+\"|'[^']*+'|[^\s\"'<>`]++)"
)
_INLINE_PATH = "/inline/attachment"
_OLD_PATH = re.compile(r"/helpdesk/attachments/(\d{1,15})/?$", re.ASCII)
_STORED_PATH = re.compile(r"/data/helpdesk/attachments/[^/]+/(\d{1,15})/", re.ASCII)


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image in a text.

    Attributes:
        src: Its source as an address: signed, and another one each time.
        attachment_id: Freshservice's id of it; None: the text does not say.
    """

    src: str
    attachment_id: int | None


def embedded_images(text: str) -> list[EmbeddedImage]:
    """Return the images of a text that Freshservice keeps, in the order in which they stand there."""
    return [image for _, _, image in _found(text)]


def with_sources(text: str, sources: Mapping[str, str]) -> str:
    """Return a text in which images have other sources, and nothing else is changed.

    Args:
        text: HTML.
        sources: Source as :func:`embedded_images` returns it -> the new one, not escaped.
    """
    kept: list[str] = []
    done = 0
    for start, end, image in _found(text):
        if image.src in sources:
            quote = text[start] if text[start] in "\"'" else '"'
            kept += (text[done:start], quote, html.escape(sources[image.src]), quote)
            done = end
    return "".join((*kept, text[done:]))


def _found(text: str) -> Iterator[tuple[int, int, EmbeddedImage]]:
    """Yield the images, and where the value of each one's source begins and ends, with its quotes."""
    for tag in _IMG.finditer(text):
        attributes: dict[str, str] = {}
        span: tuple[int, int] | None = None
        for attribute in _ATTRIBUTE.finditer(text, tag.start() + len("<img"), tag.end()):
            name, value = attribute[1].lower(), attribute[2]
            # as in a browser, the first of two counts
            if name in attributes:
                continue
            bare = value[1:-1] if value[0] in "\"'" else value
            attributes[name] = html.unescape(bare).strip()
            if name == "src":
                span = attribute.span(2)
        image = _image(attributes)
        if image is not None and span is not None:
            yield *span, image


def _image(attributes: Mapping[str, str]) -> EmbeddedImage | None:
    src = attributes.get("src", "")
    try:
        path = urlsplit(src).path
    except ValueError:
        return None
    numbered = _OLD_PATH.search(path) or _STORED_PATH.search(path)
    if numbered is None and not path.endswith(_INLINE_PATH):
        return None
    said = _number(attributes.get("data-id", ""))
    return EmbeddedImage(src, said or (_number(numbered[1]) if numbered else None))


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= 15
    return (int(text) or None) if is_number else None

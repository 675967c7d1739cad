"""What people attach: files, and images that are embedded into a body."""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from elite_pipeline.sandbox.data.pictures import png
from elite_pipeline.sandbox.dice import Dice
from elite_pipeline.sandbox.freshservice.links import ImageStyle


@dataclass(frozen=True)
class File:
    """A file as somebody attaches it.

    Attributes:
        name: Its name.
        content: Its bytes; by default a small picture, or a line of text, by the name's ending.
        content_type: What the API says it is; by default what the name's ending says.
    """

    name: str
    content: bytes | None = field(default=None, repr=False)
    content_type: str | None = None

    @property
    def bytes(self) -> bytes:
        """Its bytes."""
        if self.content is not None:
            return self.content
        if self.name.endswith(".png"):
            return png(Dice(f"file/{self.name}"))
        return f"{self.name}\r\n".encode()

    @property
    def document(self) -> dict[str, Any]:
        """Its own fields as a record."""
        guessed = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        return {
            "name": self.name,
            "content_type": self.content_type or guessed,
            "size": len(self.bytes),
        }


@dataclass(frozen=True)
class Image(File):
    """An image as somebody pastes it into a body.

    Attributes:
        style: How the body's HTML spells it.
    """

    style: ImageStyle = "plain"


#: How a file may be given: as itself, as its name, or as name and bytes.
Given = File | str | tuple[str, bytes]


def files(given: Iterable[Given]) -> list[File]:
    """Return files as such, however they were given."""
    return [_made(each, File) for each in given]


def images(given: Iterable[Given]) -> list[Image]:
    """Return images as such, however they were given."""
    return [
        each if isinstance(each, Image) else Image(each.name, each.content, each.content_type)
        for each in files(given)
    ]


def _made(given: Given, kind: type[File]) -> File:
    if isinstance(given, File):
        return given
    return kind(given) if isinstance(given, str) else kind(*given)

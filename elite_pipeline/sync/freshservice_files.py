"""Carries files from Freshservice to notes of TOGA 2: attachments, and images that stand in a text.

Follows ``spec/sync.md`` sections 6 and 7. Links are signed and expire, so a file is fetched in the same
breath as the list that named it; a link that has expired all the same is asked for again, once. What
the note has already is neither fetched nor sent.

An image in a text is stored before the text is, and the text then points at what was stored: no stored
text points at a link that expires (invariant 5).

What does not belong here: how links are followed and images found (``freshservice``), and uploads that
were cut off (``toga2_files``).
"""

import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import BinaryIO, cast

from elite_pipeline.errors import PermanentError, PipelineError, SystemicError, TransientError
from elite_pipeline.freshservice.client import Downloaded, FreshserviceClient
from elite_pipeline.freshservice.errors import ExpiredLinkError
from elite_pipeline.freshservice.html_images import EmbeddedImage, embedded_images, with_sources
from elite_pipeline.freshservice.models import Attachment, Malformed
from elite_pipeline.sync.file_matching import Likeness, match
from elite_pipeline.sync.freshservice_keys import file_id_of
from elite_pipeline.sync.toga2_files import FileMaker
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import NoteFile

#: Larger ones are carried one at a time, and wait on disk, so that memory holds one of them.
LARGE_BYTES = 4 << 20

#: What is no image, whatever it is called: to sign in, most likely.
_PAGE = "text/html"
_UNKNOWN = "application/octet-stream"
#: What an image is called where nothing says it.
_IMAGE_NAME = "image"


@dataclass(slots=True)
class FilesOutcome:
    """What became of some files.

    Attributes:
        failures: Records that failed, and why.
        untried: Records that were left to their dead letters, or not come to.
        made: How many were hung on a note.
    """

    failures: list[tuple[str, Exception]] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    made: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether what stands behind them must wait: something failed for a passing reason."""
        return any(isinstance(error, TransientError) for _, error in self.failures)


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image of a text.

    Attributes:
        key: What it is for ever called among the images of its text.
        file_id: What its upload is called.
        attachment_id: Freshservice's id, where it says it.
        uuid: The stored file; None: there is none yet.
    """

    key: str
    file_id: int
    attachment_id: int | None
    uuid: str | None


@dataclass(slots=True)
class PlacedText:
    """A text whose images point at stored files.

    Attributes:
        html: The text; an image that could not be stored has an empty source.
        images: Its images, in their order.
        outcome: What failed.
    """

    html: str
    images: list[PlacedImage] = field(default_factory=list)
    outcome: FilesOutcome = field(default_factory=FilesOutcome)

    @property
    def is_whole(self) -> bool:
        """Whether no image lacks."""
        return all(image.uuid is not None for image in self.images)


class FileCarrier:
    """Carries files of one client. Safe to use from several threads.

    Args:
        freshservice: Where from.
        toga2: Where to.
        maker: Makes the files there.
    """

    def __init__(
        self, freshservice: FreshserviceClient, toga2: Toga2Client, maker: FileMaker
    ) -> None:
        self._freshservice = freshservice
        self._toga2 = toga2
        self._maker = maker
        self._large = Lock()

    # Attachments

    def carry(
        self,
        notes: wire.Resource,
        note: str,
        owner: str,
        attachments: Sequence[Attachment | Malformed],
        there: Sequence[NoteFile],
        *,
        relist: Callable[[], Sequence[Attachment | Malformed]],
        held: Container[str],
        stored_images: Container[int] = (),
    ) -> FilesOutcome:
        """Carry the attachments that a note lacks.

        Args:
            notes: What the note is.
            note: Its uuid.
            owner: What the attachments hang on.
            attachments: All of them.
            there: All files of the note.
            relist: Asks for the attachments again, with fresh links.
            held: Records that are not to be tried now.
            stored_images: Ids of attachments that stand in the text as images, and are there as such.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        outcome = FilesOutcome()
        linked = {link.file.uuid for link in there}
        wanted: list[tuple[int, Attachment]] = []
        for place, attachment in enumerate(attachments):
            if isinstance(attachment, Malformed):
                record = f"attachment {attachment.name} of {owner}"
                outcome.failures.append((record, PermanentError(attachment.reason)))
            elif attachment.id is None or attachment.id not in stored_images:
                wanted.append((place, attachment))
        found = match(
            [Likeness(attachment.name, attachment.size) for _, attachment in wanted],
            [Likeness(link.file.name, link.file.size) for link in there],
        )
        for (place, attachment), at in zip(wanted, found, strict=True):
            if at is not None:
                continue
            record = f"attachment {attachment.id or f'number {place + 1}'} of {owner}"
            if outcome.is_stopped or record in held:
                outcome.untried.append(record)
                continue
            file_id = file_id_of(owner, attachment.id, attachment.name, place)
            try:
                uuid = self._stored(file_id, attachment, place, linked, relist)
                self._hang(notes, note, file_id, uuid, linked)
                outcome.made += 1
            except SystemicError:
                raise
            except PipelineError as error:
                outcome.failures.append((record, error))
        return outcome

    def _stored(
        self,
        file_id: int,
        attachment: Attachment,
        place: int,
        linked: Container[str],
        relist: Callable[[], Sequence[Attachment | Malformed]],
    ) -> str:
        """Return the uuid of an attachment's file in TOGA 2, after fetching and sending it."""
        if (uuid := self._maker.made(file_id)) is not None:
            return uuid

        def fetch_anew(content: BinaryIO) -> Downloaded:
            fresh = _same(attachment, place, relist())
            return self._freshservice.download(fresh.url, fresh.size, content)

        with self._room(attachment.size), _content() as content:
            try:
                got = self._freshservice.download(attachment.url, attachment.size, content)
            except ExpiredLinkError:
                got = _again(fetch_anew, content, attachment.name)
            kind = attachment.content_type or got.content_type or _UNKNOWN
            return self._maker.make(file_id, attachment.name, kind, content, got.size, linked)

    # Images

    def place(
        self,
        owner: str,
        html: str,
        *,
        known: Mapping[str, str],
        relist: Callable[[], str],
        held: Container[str],
    ) -> PlacedText:
        """Store the images of a text, and let the text point at them.

        Args:
            owner: What the text is of.
            html: The text as Freshservice gave it.
            known: Key -> uuid of images that were stored before.
            relist: Asks for the text again, with fresh links.
            held: Records that are not to be tried now.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        images = embedded_images(html)
        placed = PlacedText(html)
        sources: dict[str, str] = {}
        for place, image in enumerate(images):
            key = image_key(image, place)
            file_id = file_id_of(owner, image.attachment_id, _IMAGE_NAME, place)
            uuid = known.get(key) or self._maker.made(file_id)
            record = f"image {image.attachment_id or f'number {place + 1}'} of {owner}"
            if uuid is None and (placed.outcome.is_stopped or record in held):
                placed.outcome.untried.append(record)
            elif uuid is None:
                try:
                    uuid = self._store_image(file_id, image, place, len(images), relist)
                except SystemicError:
                    raise
                except PipelineError as error:
                    placed.outcome.failures.append((record, error))
            placed.images.append(PlacedImage(key, file_id, image.attachment_id, uuid))
            sources[image.src] = self._toga2.file_address(uuid) if uuid else ""
        placed.html = with_sources(html, sources)
        return placed

    @staticmethod
    def stored_images(owner: str, html: str, known: Mapping[str, str]) -> list[PlacedImage]:
        """Return the images of a text that were stored before; none is fetched.

        Args:
            owner: What the text is of.
            html: The text as Freshservice gave it.
            known: Key -> uuid of its stored images.
        """
        return [
            PlacedImage(
                key,
                file_id_of(owner, image.attachment_id, _IMAGE_NAME, place),
                image.attachment_id,
                known[key],
            )
            for place, image in enumerate(embedded_images(html))
            if (key := image_key(image, place)) in known
        ]

    def hang_images(
        self,
        notes: wire.Resource,
        note: str,
        owner: str,
        images: Sequence[PlacedImage],
        linked: set[str],
    ) -> FilesOutcome:
        """Hang the stored images of a text on its note, so that they are kept with it.

        Raises:
            SystemicError: Nothing of this client can work.
        """
        outcome = FilesOutcome()
        for place, image in enumerate(images):
            if image.uuid is None or image.uuid in linked:
                continue
            record = f"image {image.attachment_id or f'number {place + 1}'} of {owner}"
            if outcome.is_stopped:
                outcome.untried.append(record)
                continue
            try:
                self._hang(notes, note, image.file_id, image.uuid, linked)
                outcome.made += 1
            except SystemicError:
                raise
            except PipelineError as error:
                outcome.failures.append((record, error))
        return outcome

    def _store_image(
        self,
        file_id: int,
        image: EmbeddedImage,
        place: int,
        count: int,
        relist: Callable[[], str],
    ) -> str:
        def fetch_anew(content: BinaryIO) -> Downloaded:
            fresh = embedded_images(relist())
            if len(fresh) != count:
                raise TransientError(
                    "the text was changed while its images were fetched; the next run reads it anew"
                )
            return self._freshservice.download(fresh[place].src, None, content)

        with self._room(None), _content() as content:
            try:
                got = self._freshservice.download(image.src, None, content)
            except ExpiredLinkError:
                got = _again(fetch_anew, content, "an image")
            if got.content_type == _PAGE:
                raise PermanentError("its link leads to a page and not to an image")
            name = got.name or f"{_IMAGE_NAME}-{image.attachment_id or place + 1}"
            kind = got.content_type or _UNKNOWN
            return self._maker.make(file_id, name, kind, content, got.size, ())

    # What they have in common

    def _hang(
        self, notes: wire.Resource, note: str, file_id: int, uuid: str, linked: set[str]
    ) -> None:
        if uuid not in linked:
            self._maker.link(notes, note, file_id, uuid)
            linked.add(uuid)
        self._maker.end(file_id)

    @contextmanager
    def _room(self, size: int | None) -> Iterator[None]:
        with self._large if size is None or size > LARGE_BYTES else nullcontext():
            yield


def image_key(image: EmbeddedImage, place: int) -> str:
    """Return what an image is for ever called among the images of its text."""
    return str(image.attachment_id or f"#{place}")


def images_in(toga2: Toga2Client, text: str, stored: str) -> dict[str, str]:
    """Return which stored files the images of a text are, by what was stored of the text.

    Args:
        toga2: Where it was stored.
        text: As Freshservice gave it.
        stored: As TOGA 2 has it.

    Returns:
        Key -> uuid; empty where the two do not have as many.
    """
    images = embedded_images(text)
    uuids = toga2.files_in(stored)
    if len(images) != len(uuids):
        return {}
    return {
        image_key(image, place): uuid
        for place, (image, uuid) in enumerate(zip(images, uuids, strict=True))
    }


def without_links(html: str | None) -> str:
    """Return a text whose links to images say which image is meant, and not how to get it now.

    Links are different on every fetch: with them no text would ever be the same twice.
    """
    text = html or ""
    images = embedded_images(text)
    return with_sources(
        text, {image.src: image_key(image, place) for place, image in enumerate(images)}
    )


def _again(fetch: Callable[[BinaryIO], Downloaded], content: BinaryIO, name: str) -> Downloaded:
    """Fetch once more by a fresh link."""
    content.seek(0)
    content.truncate()
    try:
        return fetch(content)
    except ExpiredLinkError as error:
        raise TransientError(
            f"the link to {name!r} was expired twice in a row; the next run lists it again"
        ) from error


def _same(
    attachment: Attachment, place: int, fresh: Sequence[Attachment | Malformed]
) -> Attachment:
    """Return an attachment out of a fresh list."""
    for at, one in enumerate(fresh):
        if isinstance(one, Malformed):
            continue
        is_it = one.id == attachment.id if attachment.id is not None else at == place
        if is_it and one.name == attachment.name:
            return one
    raise PermanentError("Freshservice does not list it any more: it was removed there")


@contextmanager
def _content() -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=LARGE_BYTES) as content:
        yield cast("BinaryIO", content)

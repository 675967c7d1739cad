"""Pictures: small, valid, and of a colour that chance decides."""

import struct
import zlib

from elite_pipeline.sandbox.dice import Dice


def png(dice: Dice) -> bytes:
    """Return a picture: sixteen pixels square, of one colour."""
    colour = bytes(dice.below(256) for _ in range(3))
    pixels = zlib.compress((b"\0" + colour * 16) * 16)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )

"""Reading an answer's body, however large, in little more memory than it takes itself."""

import urllib3.response

#: Bytes unpacked at a time: read in one go, a large body that came packed is held three times.
_PIECE_BYTES = 1 << 20


def read_body(raw: urllib3.response.BaseHTTPResponse, most: int) -> bytes:
    """Return a body, unpacked; of a larger one the first ``most`` bytes.

    Raises:
        urllib3.exceptions.HTTPError: It broke off, or cannot be unpacked.
    """
    pieces: list[bytes] = []
    while piece := raw.read(min(_PIECE_BYTES, most), decode_content=True):
        pieces.append(piece)
        most -= len(piece)
        if most <= 0:
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

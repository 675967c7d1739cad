"""What reading a ticket of Freshservice can meet, beside what every call can meet.

Those about files come from the transport and are named here again, for whoever deals with tickets.
"""

from elite_pipeline.errors import (
    ExpiredLinkError,
    ForbiddenHostError,
    PermanentHttpError,
    SizeMismatchError,
    TooLargeError,
)

__all__ = [
    "ExpiredLinkError",
    "ForbiddenHostError",
    "GoneError",
    "RefusedError",
    "SizeMismatchError",
    "TooLargeError",
]


class GoneError(PermanentHttpError):
    """There is no such record, or not any more (404)."""


class RefusedError(PermanentHttpError):
    """The key is good, and its agent may not see this record (403)."""

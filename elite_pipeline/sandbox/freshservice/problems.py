"""What the sandbox answers when it refuses a call (``spec/freshservice.md``, Errors)."""

from collections.abc import Iterable
from typing import Any

from elite_pipeline.sandbox.serving.wire import Headers


class RefusedError(Exception):
    """A request that Freshservice would refuse.

    Attributes:
        status: The HTTP status of the answer.
        document: The body as plain data; ``None`` where what the body is, is a matter of settings.
        headers: What else goes out.
    """

    def __init__(
        self, status: int, document: dict[str, Any] | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(f"{status}: {document}")
        self.status = status
        self.document = document
        self.headers = headers


def invalid(field: str, message: str, code: str = "invalid_value") -> RefusedError:
    """Return the problem of a parameter or a field that is wrong."""
    return RefusedError(
        400,
        {
            "description": "Validation failed",
            "errors": [{"field": field, "message": message, "code": code}],
        },
    )


def unauthenticated() -> RefusedError:
    """Return the problem of a key that is missing or unknown."""
    message = "You have to be logged in to perform this action."
    return RefusedError(401, {"code": "invalid_credentials", "message": message})


def not_found() -> RefusedError:
    """Return the problem of a path or record that is not there."""
    return RefusedError(404)


def wrong_method(method: str, allowed: Iterable[str]) -> RefusedError:
    """Return the problem of a method that a path does not take."""
    methods = ", ".join(sorted(allowed))
    message = f"{method} method is not allowed. It should be one of these method(s): {methods}"
    document = {"code": "method_not_allowed", "message": message}
    return RefusedError(405, document, ((b"allow", methods.encode()),))


def too_many(headers: Headers) -> RefusedError:
    """Return the problem of a call beyond the plan."""
    message = "You have exceeded the limit of requests per minute"
    return RefusedError(429, {"message": message}, headers)

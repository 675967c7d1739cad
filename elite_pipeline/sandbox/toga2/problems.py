"""What the sandbox answers when it refuses a request: status, EV code and message.

``spec/systems.md`` section 2 documents ``EV-6`` and ``EV-14`` only; the other codes are this
sandbox's own, so that a test can tell one refusal from another. A pipeline must not depend on them.
"""

from typing import Final

NOT_AUTHENTICATED: Final = "EV-1"
WRONG_CLIENT: Final = "EV-2"
UNKNOWN_ROUTE: Final = "EV-3"
METHOD_NOT_ALLOWED: Final = "EV-4"
UNKNOWN_PARAMETER: Final = "EV-5"
NOT_FOUND: Final = "EV-6"
BAD_BODY: Final = "EV-7"
UNKNOWN_FILTER: Final = "EV-8"
BAD_PARAMETER: Final = "EV-9"
UNKNOWN_FIELD: Final = "EV-10"
BAD_VALUE: Final = "EV-11"
UNKNOWN_REFERENCE: Final = "EV-12"
MISSING_FIELD: Final = "EV-13"
SEVERAL_MATCH: Final = "EV-14"
READ_ONLY_FIELD: Final = "EV-15"
INTERNAL: Final = "EV-99"


class RefusedError(Exception):
    """A request, or a call of the store, that TOGA 2 would refuse.

    Attributes:
        status: The HTTP status of the answer.
        code: The ``EV-`` code in its body.
        message: What is wrong, in words.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def not_found(label: str, uuid: str) -> RefusedError:
    """Return the problem of a record that does not exist for this client."""
    return RefusedError(404, NOT_FOUND, f"no {label} with uuid {uuid!r}")

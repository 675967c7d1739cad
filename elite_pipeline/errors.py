"""The one hierarchy of failures, and the one table that says which is which.

``spec/sync.md`` section 8 tells failures apart by what helps:

* *transient*: the same call may work in a moment; retried within the call, bounded;
* *permanent*: this record will not work until somebody changes it; the rest goes on;
* *systemic*: nothing of this client will work until an operator acts; the client's run stops with
  one clear message and its watermark stays.

What belongs here: error classes and the classification of HTTP status codes and of database error
numbers. What does not: retrying (``transport``, ``togadesk``), and deciding what a failure means
for a run (``sync``).
"""

from typing import ClassVar, Literal

Kind = Literal["transient", "permanent", "systemic"]


class PipelineError(Exception):
    """Base of everything this project raises on purpose.

    ``str(error)`` is the message for an operator: it names the thing and says what to do, and never
    contains a secret.

    Args:
        message: That message.
        unquoted: The same without what was quoted from an answer or from a driver, where it quotes
            any: what may leave the house, to where failures are collected.
    """

    kind: ClassVar[Kind]

    def __init__(self, message: str, *, unquoted: str | None = None) -> None:
        super().__init__(message)
        self.unquoted = message if unquoted is None else unquoted


class TransientError(PipelineError):
    """May work when tried again: a timeout, 429, 5xx, a lost connection, a deadlock."""

    kind: ClassVar[Kind] = "transient"


class PermanentError(PipelineError):
    """This record cannot be carried over as it is: 404, 422, a value that cannot be stored."""

    kind: ClassVar[Kind] = "permanent"


class SystemicError(PipelineError):
    """Nothing of this client can work: credentials refused, host unreachable, schema missing."""

    kind: ClassVar[Kind] = "systemic"


class ConfigurationError(SystemicError):
    """A setting, the registry or a stored watermark is missing or wrong."""


class HttpStatusError(PipelineError):
    """Mixin of the three kinds for an answer whose status says that the call failed."""

    def __init__(
        self, message: str, *, status: int, code: str | None = None, unquoted: str | None = None
    ) -> None:
        super().__init__(message, unquoted=unquoted)
        self.status = status
        self.code = code


class TransientHttpError(HttpStatusError, TransientError):
    """429 or 5xx, after the bounded retries."""


class PermanentHttpError(HttpStatusError, PermanentError):
    """A status that the same request will get again."""


class SystemicHttpError(HttpStatusError, SystemicError):
    """401 or 403: who we are is refused."""


class UnreachableError(SystemicError):
    """No connection could be made to the host at all."""


class ForbiddenHostError(PermanentError):
    """A link leads to where nothing may be fetched from; nothing was sent there."""


class TooLargeError(PermanentError):
    """A file is larger than what is carried over."""


class SizeMismatchError(TransientError):
    """A file came whole, but is not as long as was said."""


class ExpiredLinkError(TransientError):
    """A link to a file is not valid any more; a new one may be."""


#: HTTP status -> kind. Statuses that are not listed: 3xx systemic (the address is wrong), 4xx
#: permanent, everything else transient.
HTTP_STATUS_KINDS: dict[int, Kind] = {
    401: "systemic",
    403: "systemic",
    407: "systemic",
    408: "transient",
    421: "transient",
    425: "transient",
    429: "transient",
    501: "permanent",
    505: "permanent",
}

#: MySQL and MariaDB error number -> kind. Numbers that are not listed are permanent: the statement
#: was refused for what it says.
DATABASE_ERROR_KINDS: dict[int, Kind] = {
    1020: "transient",  # record has changed since last read
    1040: "transient",  # too many connections
    1053: "transient",  # server shutdown in progress
    1158: "transient",  # network read error
    1159: "transient",  # network read timeout
    1160: "transient",  # network write error
    1161: "transient",  # network write timeout
    1205: "transient",  # lock wait timeout
    1213: "transient",  # deadlock
    1317: "transient",  # query execution was interrupted
    1969: "transient",  # statement time limit (MariaDB)
    2006: "transient",  # server has gone away
    2013: "transient",  # lost connection during query
    3024: "transient",  # statement time limit (MySQL)
    1044: "systemic",  # access to the database denied
    1045: "systemic",  # user or password refused
    1049: "systemic",  # unknown database
    1054: "systemic",  # unknown column
    1129: "systemic",  # host is blocked
    1142: "systemic",  # command denied on the table
    1143: "systemic",  # command denied on the column
    1146: "systemic",  # unknown table
    1698: "systemic",  # access denied without a password
    2002: "systemic",  # cannot connect through the socket
    2003: "systemic",  # cannot connect to the host
    2005: "systemic",  # unknown host
    1021: "systemic",  # disk full
    1114: "systemic",  # table is full
    1194: "systemic",  # table is marked as crashed
    1195: "systemic",  # table is marked as crashed and the last repair failed
    1290: "systemic",  # server is read-only
    1836: "systemic",  # read-only mode
}


def http_status_kind(status: int) -> Kind:
    """Return the kind of failure that an HTTP status stands for (``status`` >= 300)."""
    known = HTTP_STATUS_KINDS.get(status)
    if known is not None:
        return known
    if status < 400:
        return "systemic"
    return "permanent" if status < 500 else "transient"


def database_error_kind(number: int | None) -> Kind:
    """Return the kind of failure that a MySQL or MariaDB error number stands for."""
    return DATABASE_ERROR_KINDS.get(number, "permanent") if number is not None else "permanent"


def http_error(
    message: str, *, status: int, code: str | None = None, unquoted: str | None = None
) -> HttpStatusError:
    """Build the error of the right kind for an HTTP status."""
    kinds: dict[Kind, type[HttpStatusError]] = {
        "transient": TransientHttpError,
        "permanent": PermanentHttpError,
        "systemic": SystemicHttpError,
    }
    return kinds[http_status_kind(status)](message, status=status, code=code, unquoted=unquoted)

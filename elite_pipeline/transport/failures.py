"""What went wrong when no whole answer came, in words without addresses, headers or quotes.

What does not belong here: what a failure means for a call (``session``, ``downloads``).
"""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions

#: Errors that quote what the server sent instead of an answer.
_QUOTING = (http.client.BadStatusLine, urllib3.exceptions.InvalidChunkLength)


class NoAnswerError(Exception):
    """No whole answer came. ``sent`` tells whether the request may have reached the server."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


@contextmanager
def as_no_answer(redact: Callable[[str], str], read_timeout: float) -> Iterator[None]:
    """Turn what requests and urllib3 raise within the block into a :class:`NoAnswerError`."""
    try:
        yield
    except requests.exceptions.ConnectTimeout as error:
        raise NoAnswerError("connecting timed out", sent=False) from error
    except (requests.exceptions.SSLError, requests.exceptions.ProxyError) as error:
        raise NoAnswerError(_reason(error, redact), sent=False) from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise NoAnswerError(f"no answer within {read_timeout:g} s", sent=True) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise NoAnswerError(_reason(error, redact), sent=not _never_connected(error)) from error


def _reason(error: Exception, redact: Callable[[str], str]) -> str:
    """Say what went wrong in a few words, without the request's address and headers."""
    cause: BaseException = error
    while (deeper := _deeper(cause)) is not None:
        cause = deeper
    said = "" if isinstance(cause, _QUOTING) else str(cause)
    text = redact(said) or type(cause).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"


def _deeper(error: BaseException) -> BaseException | None:
    """Return what an error of requests or urllib3 wraps, innermost last."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    wrapped = [argument for argument in error.args if isinstance(argument, BaseException)]
    return wrapped[0] if wrapped else None


def _never_connected(error: BaseException) -> bool:
    """Tell whether no connection was made at all, so that nothing can have had an effect."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, urllib3.exceptions.NewConnectionError):
            return True
        seen = _deeper(seen)
    return False

"""What is told of a failure to the outside: its kind, its place in the code, and nothing it carried.

Built by hand rather than by the SDK, so that what is not named here is not in it: no local variables,
no lines of source, no paths or name of this machine, no request, no arguments. What does not belong
here: how it is sent (``sentry``).
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from elite_pipeline.errors import PipelineError

#: Makes text safe to be shown.
Redact = Callable[[str], str]

MOST_MESSAGE_CHARS = 500
#: Sentry drops a longer tag.
MOST_TAG_CHARS = 200
_MOST_FRAMES = 50
_MOST_CAUSES = 10

_WITHHELD = "(its text is withheld: it may quote what was being carried)"


def event_of(error: BaseException, tags: Mapping[str, str], redact: Redact) -> dict[str, Any]:
    """Return the event that tells of a failure.

    Failures of one kind in one flow, or else one job, of one client are one issue, whatever record they
    happened to.

    Args:
        error: What happened; its causes are told with it.
        tags: Where it happened; those without a value are left out.
        redact: Applied to all text that is not of the code itself.
    """
    return {
        "level": "error",
        "platform": "python",
        # the innermost cause first, as Sentry wants it
        "exception": {"values": [_told(one, redact) for one in reversed(list(_chain(error)))]},
        "tags": {name: _tag(redact(value)) for name, value in tags.items() if value},
        "fingerprint": [
            tags.get("client", ""),
            tags.get("flow") or tags.get("job", ""),
            tags.get("check") or tags.get("reason") or type(error).__name__,
        ],
    }


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, as Python would print them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told(error: BaseException, redact: Redact) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "module": type(error).__module__,
        "value": _message(error, redact),
    }
    if frames := _frames(error.__traceback__):
        told["stacktrace"] = {"frames": frames}
    return told


def _message(error: BaseException, redact: Redact) -> str:
    if isinstance(error, PipelineError):
        # redacted before it is cut: half a secret would not be recognised
        text = redact(error.unquoted)
        return text if len(text) <= MOST_MESSAGE_CHARS else f"{text[: MOST_MESSAGE_CHARS - 1]}…"
    # errors of the system and of databases begin with their number; any text may be anybody's
    number = error.args[0] if error.args else None
    return f"error {number}" if type(number) is int else _WITHHELD


def _frames(trace: TracebackType | None) -> list[dict[str, Any]]:
    frames = []
    for frame, line in traceback.walk_tb(trace):
        module = str(frame.f_globals.get("__name__", "?"))
        frames.append(
            {
                "module": module,
                "filename": f"{module.replace('.', '/')}.py",
                "function": frame.f_code.co_qualname,
                "lineno": line,
                "in_app": module.partition(".")[0] == "elite_pipeline",
            }
        )
    return frames[-_MOST_FRAMES:]


def _tag(text: str) -> str:
    return " ".join(text.split())[:MOST_TAG_CHARS]

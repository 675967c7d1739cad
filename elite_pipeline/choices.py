"""What a person chose for a run, read from text: the same for the command line and for Dagster.

A slip of the pen here is no failure of any system: it is said at once, and nothing is done.
"""

from datetime import datetime

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sync.context import Options, parse_since

_NOTHING_DONE = "Nothing was done."


class ChoiceError(Exception):
    """A choice cannot be understood; the message says which, and how to write it."""


def read_options(since: str | None, *, full: bool, dry_run: bool = False) -> Options:
    """Return how a run shall read; what it finds is for a person to look at.

    Args:
        since: A time; without an offset it is UTC. None or blank: the stored watermark.
        full: Whether to compare everything.
        dry_run: Whether to write nothing, and say what would be written.

    Raises:
        ChoiceError: ``since`` is not a time, or both were chosen.
    """
    try:
        return Options(since=parse_since(since), full=full, shows_watermark=True, dry_run=dry_run)
    except ConfigurationError as error:
        said = str(error)
        raise ChoiceError(said if _NOTHING_DONE in said else f"{said} {_NOTHING_DONE}") from None


def doubt(options: Options, now: datetime) -> str | None:
    """Return what is allowed in a choice and most likely not meant; None: nothing is.

    Args:
        options: What was chosen.
        now: Aware.
    """
    if options.since is None or options.since <= now:
        return None
    return (
        f"since: {options.since:%Y-%m-%d %H:%M:%S} UTC lies in the future. Nothing is as new as that, "
        "so nothing is read; check year, month and offset."
    )

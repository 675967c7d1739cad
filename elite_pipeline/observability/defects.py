"""A net for the defects of what only watches: they must never reach what is watched."""

import logging
import traceback
from typing import Self

from elite_pipeline.transport import Redactor

logger = logging.getLogger(__name__)


class DefectNet:
    """Catches the call log's own defects, and tells the process's log of them without secrets.

    Args:
        redact: Takes secrets out: what fails may say what it failed at.

    Attributes:
        reason: What was caught; empty when nothing was.
    """

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self.reason = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.reason = f"an unforeseen {type(error).__name__}"
        said = "".join(traceback.format_exception(error))
        logger.error("calls could not be logged: %s", self._redact(said))
        return True

"""Processes that want the same client and flow: ``python -m elite_pipeline_tests.support.lane_children``.

Arguments: the helpdesk's URL, the ledger's URL, the flow, a diary, and how often to hold it, from when a
line comes in; 0: once, until the input ends.
"""

import os
import sys
import time
from pathlib import Path
from typing import cast

from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sync.flows import holding
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.helpdesks import Helpdesk
from elite_pipeline_tests.support.systems import Systems


class _Nowhere:
    """A TOGA 2 that nobody asks for anything."""

    base_url = "http://127.0.0.1:9/v2"


def main() -> None:
    """Hold the flow as often as was said."""
    helpdesk_url, ledger_url, flow, diary, times = sys.argv[1:]
    helpdesk = Helpdesk("", connect(helpdesk_url), helpdesk_url, "modern", True, None)
    systems = Systems(cast("Toga2Sandbox", _Nowhere()), helpdesk, ledger_url, Path(diary))
    with systems.open() as context:
        context.who = f"child {os.getpid()}"
        if times == "0":
            with holding(context, flow, 0):
                _tell("held")
                sys.stdin.read()
            return
        _tell("ready")
        sys.stdin.readline()
        for _ in range(int(times)):
            with holding(context, flow, 60):
                _write(diary, "in")
                # long enough for another one to come in, were it not kept out
                time.sleep(0.02)
                _write(diary, "out")


def _tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _write(diary: str, word: str) -> None:
    with Path(diary).open("a", encoding="utf-8") as file:
        file.write(f"{word} {os.getpid()}\n")


if __name__ == "__main__":
    main()

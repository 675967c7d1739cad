"""What a contestant tells of itself.

Imports nothing of the project: peers live in an environment of their own.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any


def arguments() -> dict[str, Any]:
    """Return the surroundings that this process was started with."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def report(seconds: float, **counts: Any) -> None:
    """Print the result, as the last line of the output."""
    print(json.dumps({"seconds": seconds, "peak_kib": peak_kib(), **counts}))


def peak_kib() -> int:
    """Return the most memory that this process has had resident so far, in KiB.

    ``ru_maxrss`` can be the parent's on Linux, whose memory a new process shares until it executes
    its program; ``VmHWM`` begins anew there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak

"""Importing the definitions, beside importing what they cannot do without."""

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.surroundings import ROOT, ContestantError, Tell
from benchmarks.table import Figure, ratio

_CODE = (
    "import time; started = time.perf_counter(); import {}; print(time.perf_counter() - started)"
)
_OURS = "elite_pipeline.definitions"
_THEIRS = "dagster, pandas"


def measure_imports(*, rounds: int, tell: Tell) -> Iterator[Figure]:
    """Measure fresh interpreters in turns, after one of each that fills the caches."""
    tell(f"imports: {rounds} rounds")
    times: dict[str, list[float]] = {_OURS: [], _THEIRS: []}
    for number in range(rounds + 1):
        for modules, series in times.items():
            seconds = _import(modules)
            if number:
                series.append(seconds)
    yield ratio(f"importing {_OURS}", f"importing {_THEIRS}", times[_OURS], times[_THEIRS], 1.3)


def _import(modules: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ContestantError(f"import {modules} failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])

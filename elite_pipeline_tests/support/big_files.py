"""Carries one big file in a process of its own, and prints by how many bytes that raised its memory.

``python -m elite_pipeline_tests.support.big_files down|up BASE_URL FOLDER UUID_OR_NAME``
"""

import re
import sys
from pathlib import Path

from elite_pipeline.togadesk.uploads import Uploads
from elite_pipeline_tests.support.systems import demo_client, toga2_client


def peak() -> int:
    """Return the most memory that this process has had so far, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def main(direction: str, base_url: str, folder: str, small: str, big: str) -> None:
    """Carry a small file, so that all is in place, and then the big one."""
    client = toga2_client(demo_client("elite"), base_url, read_timeout=120.0)
    uploads = Uploads(Path(folder))
    results = []
    before = 0
    for each in (small, big):
        before = peak()
        if direction == "down":
            content = client.download(each)
            results.append(str(uploads.write(f"1-{each}", content.chunks())))
        else:
            stream, size = uploads.open(each)
            with stream:
                results.append(client.upload(each, "x/y", stream, size))
    sys.stdout.write(" ".join([str(peak() - before), *results]))
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A Chromium without a screen, for the tests that open Dagster's page.

``scripts/ensure-chromium`` sees to it that there is one; nothing is downloaded here.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

#: The names that ``scripts/ensure-chromium`` looks for.
_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_FOLDERS = (
    "/usr/local/bin",
    "/snap/bin",
    "/opt/homebrew/bin",
    "/usr/lib/chromium",
    "/usr/lib/chromium-browser",
)

#: Besides what Playwright gives every browser that it drives, a fresh profile among it.
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # /dev/shm is small in a container
    "--disable-dev-shm-usage",
    # nothing is looked up or called but this machine
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

#: Milliseconds: Dagster's answers take their time on a busy machine.
PATIENCE = 90_000

#: What a picture shows, in CSS pixels; a test that has more to show makes it taller.
WIDTH, HEIGHT = 1400, 900


def chromium() -> Path:
    """Return the program; fail the test where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))
    names = (given,) if (given := os.environ.get("CHROMIUM")) else _NAMES
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    pytest.fail(
        f"Neither of {', '.join(names)} is a program here; scripts/ensure-chromium says what to install.",
        pytrace=False,
    )


@contextmanager
def running_chromium() -> Iterator[BrowserContext]:
    """Start a browser with a profile of its own; it ends with the block."""
    with sync_playwright() as playwright:
        # Playwright's default, and left: Chromium's own sandbox does not work as root and in many a
        # container, and the one site that is opened is our own
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            headless=True,
            chromium_sandbox=False,
            args=list(_ARGUMENTS),
        )
        try:
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT},
                # what a picture shows does not depend on who takes it
                locale="en-US",
                timezone_id="UTC",
                color_scheme="light",
                reduced_motion="reduce",
            )
            context.set_default_timeout(PATIENCE)
            yield context
        finally:
            browser.close()

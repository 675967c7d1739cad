"""Dagster's page as an operator uses it: what is clicked, what is typed, and what it then says.

Things are found by what a person sees of them, their texts and roles: Dagster's markup changes with its
releases. Nothing here sleeps; every step waits for what it needs.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from elite_pipeline_tests.support.browser import HEIGHT, PATIENCE, WIDTH

#: Milliseconds: a run is a process that first loads Dagster, and waits for its turn.
RUN_PATIENCE = 240_000

#: Clicks on «zoom out» after which every graph is small enough.
_MOST_ZOOMING = 8

#: Whether all boxes around a name have more green than red in their colour.
_IS_GREEN = """
name => {
  const found = [...document.querySelectorAll('*')].filter(
    one => one.childElementCount === 0 && one.textContent === name);
  return found.length > 0 && found.every(one => {
    for (let box = one; box; box = box.parentElement) {
      const [red, green, , alpha = '1'] =
        getComputedStyle(box).backgroundColor.match(/[0-9.]+/g) ?? ['0', '0'];
      if (alpha !== '0' && Number(green) > Number(red) + 5) return true;
      if (box.offsetWidth > 400) return false;
    }
    return false;
  });
}
"""

#: Beside a cursor; one that the page shortens has «View Raw / Edit». The icon's name comes first.
_EDIT = re.compile("Edit$")

#: Where pictures go that are to be kept (``make pictures``).
PICTURES_DIR = "PICTURES_DIR"


class Operator:
    """Somebody in front of the page.

    Args:
        page: A tab of the browser.
        url: Where Dagster's page is, without a trailing slash.
        scratch: The folder for pictures, unless ``PICTURES_DIR`` names one.
    """

    def __init__(self, page: Page, url: str, scratch: Path) -> None:
        self.page = page
        self.url = url
        self._pictures = Path(os.environ.get(PICTURES_DIR) or scratch)

    def resize(self, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Make the window larger, where more is to be seen at once."""
        self.page.set_viewport_size({"width": width, "height": height})

    def picture(
        self,
        name: str,
        *,
        width: int = WIDTH,
        height: int = HEIGHT,
        down_to: Locator | None = None,
    ) -> None:
        """Keep what is seen in a window of this size, as ``name``.png; scrolled down to something."""
        self.resize(width=width, height=height)
        if down_to is not None:
            down_to.scroll_into_view_if_needed()
        # what was said a moment ago goes away by itself
        expect(self._notices).to_have_count(0)
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._pictures / f"{name}.png", animations="disabled")

    # lineage

    def zoom_out_to(self, *names: str | re.Pattern[str]) -> None:
        """Zoom out until assets of these names are in sight, all of each: others are not drawn."""
        for _ in range(_MOST_ZOOMING):
            if all(self._is_in_sight(name) for name in names):
                return
            self.page.get_by_role("img", name="zoom_out").click()
        for name in names:
            expect(self.page.get_by_text(name, exact=True).first).to_be_in_viewport()

    def _is_in_sight(self, name: str | re.Pattern[str]) -> bool:
        height = self.page.viewport_size["height"] if self.page.viewport_size else HEIGHT
        boxes = [one.bounding_box() for one in self.page.get_by_text(name, exact=True).all()]
        # with room for the heading of its group, below the page's own
        return bool(boxes) and all(box and 170 < box["y"] < height - 60 for box in boxes)

    def wait_until_green(self, name: str) -> None:
        """Wait until the assets of a name are shown as materialized: in green."""
        self.page.wait_for_function(_IS_GREEN, arg=name)

    # assets

    def open_asset(self, asset: str, *, tab: str, partition: str | None = None) -> None:
        """Open a tab of an asset's page."""
        chosen = f"&partition={partition}" if partition else ""
        self.page.goto(f"{self.url}/assets/{asset}?view={tab}{chosen}")

    def materialize(self) -> Locator:
        """Click «Materialize…»; return the dialog."""
        self.page.get_by_role("button", name="Materialize…").click()
        return self._dialog("Launch runs to materialize")

    def choose_partition(self, dialog: Locator, name: str) -> None:
        """Choose one partition in that dialog's list."""
        dialog.get_by_text("Select a partition").click()
        self.page.get_by_role("menuitem").filter(has_text=name).click()
        # only the list: the dialog stays
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_role("menuitem")).to_have_count(0)
        expect(dialog).to_contain_text("1 partition")

    def choose_all_partitions(self, dialog: Locator) -> None:
        """Choose them all."""
        dialog.get_by_text("All", exact=True).click()

    def open_launchpad(self) -> Locator:
        """Choose «Open launchpad» beside «Materialize…»; return it."""
        self.page.get_by_role("img", name="arrow_drop_down").first.click()
        self.page.get_by_role("menuitem", name="Open launchpad").click()
        return self._dialog("Launchpad (configure assets)")

    def choose_check(self, name: str) -> None:
        """Choose a check of the open tab."""
        self.page.get_by_text(name, exact=True).first.click()
        expect(self.page.get_by_text("Evaluation result")).to_be_visible()

    def launch_run(self, button: Locator) -> str:
        """Click what launches one run, wait until it has succeeded, and return its id, in short."""
        button.click()
        # the launchpad opens the run's page, the dialog only says that there is one
        view = self._notices.get_by_role("link", name="View", exact=True)
        heading = self.page.get_by_text("Re-execute all (*)")
        expect(view.or_(heading).first).to_be_visible()
        if view.is_visible():
            view.click()
        return self.wait_for_run()

    def wait_for_run(self) -> str:
        """Wait until the run whose page is open has succeeded; return its id, in short."""
        self.page.wait_for_url("**/runs/*")
        end = self.page.get_by_text(re.compile(r"^(Success|Failure|Canceled)$")).first
        expect(end).to_be_visible(timeout=RUN_PATIENCE)
        expect(end).to_have_text("Success")
        return self.page.url.rsplit("/", 1)[1][:8]

    def launch_backfill(self, dialog: Locator) -> str:
        """Click «Launch backfill», and look at it; return its id."""
        dialog.get_by_role("button", name="Launch backfill").click()
        self._notices.get_by_role("link", name="View", exact=True).click()
        self.page.wait_for_url("**/runs/b/*")
        expect(self.page.get_by_text("Partition selection")).to_be_visible()
        return self.page.url.rsplit("/", 1)[1]

    def materialization(self, asset: str, partition: str, *, run: str = "") -> Mapping[str, str]:
        """Return what the page says of a partition's last materialization, by its labels.

        Args:
            asset: The asset's key.
            partition: Which partition.
            run: The run, in short, that it has to be of.
        """
        self.open_asset(asset, tab="partitions", partition=partition)
        expect(self.page.get_by_text("Latest materialization")).to_be_visible()
        if run:
            expect(self.page.get_by_role("link", name=run)).to_be_visible()
        expect(self._cells("seconds").first).to_be_visible()
        return {
            row.get_by_role("cell").first.inner_text().strip(): row.get_by_role("cell")
            .nth(1)
            .inner_text()
            .strip()
            for row in self.page.get_by_role("row").all()
            if row.get_by_role("cell").count() > 1
        }

    # config

    def type_config(self, editor: Locator, *lines: str) -> None:
        """Type lines into an empty editor of YAML, which indents the next one as it likes."""
        editor.locator(".CodeMirror").first.click()
        self.page.keyboard.insert_text("\n".join(lines))

    def type_below(self, editor: Locator, line: str, text: str) -> None:
        """Type a line below another one of an editor, as far to the right as that is."""
        editor.get_by_text(line, exact=True).click()
        self.page.keyboard.press("End")
        self.page.keyboard.press("Enter")
        self.page.keyboard.type(text)

    def add_config(self, dialog: Locator, *lines: str) -> None:
        """Add config to what a dialog is going to launch."""
        dialog.get_by_text("Config", exact=True).click()
        dialog.get_by_role("button", name="Add config").click()
        editor = self._dialog("Config Editor")
        self.type_config(editor, *lines)
        expect(editor.get_by_text("No errors")).to_be_visible()
        editor.get_by_role("button", name="Save config").click()
        expect(dialog.get_by_text("Config saved")).to_be_visible()

    # sensors

    def open_sensor(self, name: str) -> None:
        """Find a sensor under Automation."""
        self.page.goto(f"{self.url}/automation")
        self.page.get_by_text(name, exact=True).first.click()
        expect(self._running.get_by_role("checkbox")).to_be_attached()

    def switch_sensor(self, *, on: bool) -> None:
        """Switch the open sensor on or off, if it is not."""
        switch = self._running.get_by_role("checkbox")
        if switch.is_checked() != on:
            # what can be seen of it
            self._running.locator("label").click()
        expect(switch).to_be_checked(checked=on)

    @property
    def _running(self) -> Locator:
        return self.page.get_by_role("row").filter(has_text=re.compile("^Running"))

    @property
    def cursor(self) -> Locator:
        """The row of the open sensor that shows its cursor."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("button", name=_EDIT))

    def open_cursor(self) -> Locator:
        """Click «Edit» beside the cursor of the open sensor; return the dialog."""
        self.cursor.get_by_role("button", name=_EDIT).click()
        return self._dialog(re.compile("Edit .* cursor"))

    def type_cursor(self, dialog: Locator, before: str, after: str) -> None:
        """Change what stands in that dialog; it is pulled larger, so that all of it is seen."""
        text = dialog.get_by_role("textbox")
        written = text.input_value()
        assert before in written
        text.fill(written.replace(before, after, 1))
        text.evaluate("one => { one.style.height = `${one.scrollHeight + 8}px`; }")

    def set_cursor(self, dialog: Locator) -> None:
        """Save what was typed there."""
        dialog.get_by_role("button", name="Set cursor value").click()
        expect(self._notices.get_by_text("Cursor value updated")).to_be_visible()

    def open_run_of_sensor(self, tag: str) -> str:
        """Look at the runs of the open sensor until there is one with a tag; as :meth:`wait_for_run`."""
        self.page.get_by_text("Runs", exact=True).last.click()
        # what holds both the tag and the link to its run, whatever it is made of
        both = "xpath=ancestor::*[.//a[contains(@href, '/runs/')]][1]"
        self.page.get_by_text(tag).first.locator(both).locator("a[href*='/runs/']").first.click()
        return self.wait_for_run()

    # anywhere

    @property
    def _notices(self) -> Locator:
        return self.page.locator("[class*=Toaster_toastInner]")

    def _dialog(self, title: str | re.Pattern[str]) -> Locator:
        dialog = self.page.get_by_role("dialog").filter(has_text=title)
        expect(dialog).to_be_visible()
        return dialog

    def _cells(self, label: str) -> Locator:
        return self.page.get_by_role("cell", name=label, exact=True)


expect.set_options(timeout=PATIENCE)

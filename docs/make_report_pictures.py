"""Take the screenshots of a report.html that the documentation shows.

Usage: python docs/make_report_pictures.py PAGE [FOLDER]

The page must be the report of phantoms: the repository contains no images of people. The
documentation has report.png and report-dark.png as JPEG files of the same names.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main(page_file: Path, folder: Path) -> None:
    """Write report.png, report-dark.png and report-phone.png to a folder."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 850}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.wait_for_timeout(500)
        page.screenshot(path=folder / "report.png")
        page.emulate_media(color_scheme="dark")
        page.locator(".card", has=page.locator("svg")).nth(2).click()
        page.wait_for_timeout(300)
        page.screenshot(path=folder / "report-dark.png")
        page.keyboard.press("Escape")
        page.set_viewport_size({"width": 360, "height": 740})
        page.wait_for_timeout(300)
        page.screenshot(path=folder / "report-phone.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)

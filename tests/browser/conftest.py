"""A headless Chromium, and a report to open in it."""

from __future__ import annotations

import shutil

import pytest
from report_datasets import make_dataset

from pipeline.report.page import write_report

# Root may not use the sandbox, and nothing of the browser's own may ask for anything.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def report_file(tmp_path_factory):
    """Return the report of a small study."""
    folder = tmp_path_factory.mktemp("browser")
    write_report(make_dataset(folder), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="session")
def browser():
    """Yield a headless Chromium; skip where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install .[browser]"
    )
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()

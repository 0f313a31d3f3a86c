"""What several test files need."""

import os
from pathlib import Path

import pytest

from helpers.skips import (  # noqa: F401 - hooks
    pytest_configure,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)


@pytest.fixture(scope="session")
def jsrt():
    """The folder of real radiographs with masks, where there is one."""
    default = Path(__file__).parents[2] / "shared" / "jsrt"
    folder = Path(os.environ.get("XRAYSEG_JSRT", default))
    if not (folder / "images").is_dir() or not (folder / "scr").is_dir():
        pytest.skip(f"no real radiographs: {folder} has no images and scr; set XRAYSEG_JSRT")
    return folder


@pytest.fixture(autouse=True)
def _threads_by_default(monkeypatch):
    """Batches of a few small images run in threads, where tests can replace parts of the code."""
    monkeypatch.setattr("xray_seg.batch.executors.BY_DEFAULT", False)


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no process is left with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    ray = {item.path for item in items if item.get_closest_marker("ray")}
    exports = ("training", "serving")  # folders whose fixtures train or export networks
    items.sort(
        key=lambda item: (
            item.path not in ray,
            item.path not in slow,
            item.path.parent.name not in exports,
        )
    )

"""Modules, tests and pages that the documentation names exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("[A-Z]*.md"), *ROOT.glob("docs/*.md")]
#: Stands for a file that a contributor will write.
PLACEHOLDER = "NAME.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=lambda page: page.stem
)
def test_named_modules_exist(page):
    names = re.findall(r"\b[\w/]+\.py\b", page.read_text("utf-8"))
    folders = (ROOT, ROOT / "xray_seg", ROOT / "tests")
    missing = [
        name
        for name in names
        if Path(name).name != PLACEHOLDER and not any((each / name).is_file() for each in folders)
    ]
    assert missing == []

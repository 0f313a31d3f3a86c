"""docs/outputs.md: its snippets run on a batch of that layout, and it names every kind."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.dicom import make
from helpers.dicom_seg import WHOSE
from helpers.outputs import ALL
from xray_seg import Segmenter
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.outputs import FOLDERS, KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text("utf-8")


@pytest.mark.parametrize("sides", [False, True])
def test_its_snippets_run_in_order(tmp_path, sides):
    (tmp_path / "radiographs" / "ward").mkdir(parents=True)
    pixels = (4095 * make_phantom(2, 96).radiograph).astype(np.uint16)
    make(tmp_path / "radiographs" / "ward" / "image.dcm", pixels, **WHOSE)
    options = BatchOptions(save=tuple(ALL.split(",")), sides=sides)
    summary = run_batch(
        [tmp_path / "radiographs"],
        tmp_path / "masks",
        segmenter=Segmenter(engine="litert"),
        options=options,
    )
    assert summary.done == 1
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    assert code.count("assert") == 2
    lung = "labels == 3" if sides else "(labels == 3) & mask"
    code = code.replace(
        "import highdicom\n", f"assert mask.any() and (mask == ({lung})).all()\nimport highdicom\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_describes_every_kind_and_folder():
    assert set(KINDS) <= set(re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE))
    for folder in FOLDERS:
        assert f"`{folder}/<path>." in TEXT

"""One radiograph in many formats: the same masks, with the right side of grey up."""

import csv

import imagecodecs
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from pydicom import uid

from helpers.dicom import make
from xray_seg.cli import cli
from xray_seg.data.phantom import make_phantom, to_jsrt


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A phantom of 1024 x 1024 in six formats, as raw film at twice the size, and a PDF."""
    place = tmp_path_factory.mktemp("films")
    light = make_phantom(5).radiograph
    eight = (light * 255).round().astype(np.uint8)
    sixteen = (light * 4095).round().astype(np.uint16)
    (place / "raw.IMG").write_bytes(to_jsrt(light).tobytes())
    (place / "png.png").write_bytes(imagecodecs.png_encode(eight))
    tifffile.imwrite(place / "tiff.tif", sixteen)
    (place / "jpeg.jpg").write_bytes(imagecodecs.jpeg_encode(eight, level=95))
    negative = (4095 - sixteen).astype(np.uint16)
    make(
        place / "mono1.dcm",
        negative,
        BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
        ViewPosition="LLD",
    )
    code = imagecodecs.jpeg2k_encode(sixteen, reversible=True, codecformat="j2k")
    make(place / "jpeg2000.dcm", sixteen, uid.JPEG2000Lossless, code)
    (place / "report.pdf").write_bytes(b"%PDF-1.7\n...")
    return place


def test_all_but_the_pdf_give_the_same_masks(folder, tmp_path):
    out = tmp_path / "masks"
    done = CliRunner().invoke(cli, ["batch", str(folder), "--out", str(out), "--save", "labels"])
    assert done.exit_code == 1, done.output
    with (out / "results.csv").open(newline="") as file:
        rows = {row["input"].rsplit("/", 1)[1]: row for row in csv.DictReader(file)}
    assert {name for name, row in rows.items() if row["status"] != "ok"} == {"report.pdf"}
    assert "PDF" in rows["report.pdf"]["error"]
    maps = {path.stem: tifffile.imread(path) for path in (out / "labels").iterdir()}
    assert len(maps) == 6
    maps["raw"] = maps["raw"][::2, ::2]
    for name, labels in maps.items():
        assert np.mean(labels != maps["png"]) < 0.005, name
    for label in range(1, 4):
        assert (maps["png"] == label).mean() > 0.01
    assert rows["mono1.dcm"]["notes"] == "view LLD, not PA or AP"
    assert rows["jpeg2000.dcm"]["notes"] == ""
    assert "look at" in done.stderr
    assert "view LLD" in done.stderr

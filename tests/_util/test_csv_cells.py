"""Cells of CSV files: no formula, nothing that a terminal obeys, everything else as it is."""

import pytest

from xray_seg._util.csv_cells import csv_cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-x.png", "'-x.png"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0bx", "'\uff0bx"),
        ("  =1", "'  =1"),
        ("\t=1", "'\t=1"),
        ("\r\n", "'\r\n"),
        ("\r=1", "'\r=1"),
        ("\rx", "'\rx"),
        ("\tx", "'\tx"),
        ("\nx", "\nx"),
        ("x\ry", "x\ry"),
        ("two\nlines", "two\nlines"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("Thorax \u00e4 \u80f8.png", "Thorax \u00e4 \u80f8.png"),
        ("a=b", "a=b"),
        ("", ""),
        (True, "true"),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_cells(value, cell):
    assert csv_cell(value) == cell


def test_chexmask_tables_are_guarded_too():
    import csv
    import io

    import numpy as np

    from xray_seg.outputs.chexmask import encode_table
    from xray_seg.outputs.mask_set import MaskSet
    from xray_seg.radiograph import Radiograph

    labels = np.ones((4, 4), np.uint8)
    masks = MaskSet(
        Radiograph(labels, source="=cmd|x.png"), labels, np.zeros((4, 4, 4), np.float32)
    )
    (row,) = csv.DictReader(io.StringIO(encode_table("=cmd|x", masks).decode()))
    assert row["Image ID"] == "'=cmd|x.png"

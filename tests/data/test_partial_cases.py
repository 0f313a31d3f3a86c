"""Cases of partial annotation: which masks are found, and what their labels mean."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.tiny import write_cases, write_gif, write_png
from xray_seg.data.annotation import Annotation
from xray_seg.data.arrays import load_arrays
from xray_seg.data.cases import find_cases, fingerprint, read_truth
from xray_seg.errors import DatasetError
from xray_seg.readers import read

LUNGS = Annotation(("lungs",), ("clavicles",))


@pytest.fixture
def folder(tmp_path):
    write_cases(tmp_path, 3)
    return tmp_path


def whole_lungs(folder, name="SMALL001"):
    sides = [
        read(folder / f"scr/masks/{side} lung/{name}.gif").pixels > 0 for side in ("left", "right")
    ]
    return sides[0] | sides[1]


def test_only_the_masks_of_known_organs_are_read(folder):
    for structure in ("heart", "left clavicle", "right clavicle"):
        for path in (folder / "scr/masks" / structure).iterdir():
            path.write_bytes(b"not an image")
    case = find_cases(folder / "images", folder / "scr", annotation=LUNGS)[0]
    assert sorted(case.masks) == ["left lung", "right lung"]
    labels = read_truth(case)
    np.testing.assert_array_equal(labels, np.where(whole_lungs(folder), 3, 0))


def test_masks_of_one_organ_may_lie_in_the_folder_itself(folder):
    for number in (1, 2, 3):
        name = f"SMALL{number:03d}"
        write_gif(folder / f"lungs-only/{name}.gif", whole_lungs(folder, name))
    cases = find_cases(folder / "images", folder / "lungs-only", annotation=LUNGS)
    assert [list(case.masks) for case in cases] == [["lungs"]] * 3
    np.testing.assert_array_equal(read_truth(cases[0]) == 3, whole_lungs(folder))
    with pytest.raises(DatasetError, match="a folder named 'left clavicle'"):
        find_cases(folder / "images", folder / "lungs-only")


def test_a_folder_may_hold_the_masks_of_both_sides(folder):
    for number in (1, 2, 3):
        name = f"SMALL{number:03d}"
        write_gif(folder / f"masks/lungs/{name}.gif", whole_lungs(folder, name))
        write_gif(folder / f"masks/heart/{name}.gif", np.eye(64, dtype=bool))
    known = Annotation(("lungs", "heart"))
    case = find_cases(folder / "images", folder / "masks", annotation=known)[0]
    assert sorted(case.masks) == ["heart", "lungs"]
    labels = read_truth(case)
    assert set(np.unique(labels[np.eye(64, dtype=bool)])) == {2}  # heart over lungs


def test_label_maps_are_read_without_laterality_and_unknown_organs(folder):
    labels = np.random.default_rng(0).integers(0, 6, (64, 64)).astype(np.uint8)
    for number in (1, 2, 3):
        write_png(folder / f"maps/SMALL{number:03d}.png", labels)
    case = find_cases(folder / "images", folder / "maps", label_maps=True)[0]
    organs = np.array([0, 1, 2, 3, 1, 3])  # 4 is the left clavicle, 5 the left lung
    np.testing.assert_array_equal(read_truth(case), organs[labels])
    case = find_cases(folder / "images", folder / "maps", label_maps=True, annotation=LUNGS)[0]
    np.testing.assert_array_equal(read_truth(case), np.where(organs[labels] == 3, 3, 0))


def test_radiographs_without_masks_know_nothing(folder):
    cases = find_cases(folder / "images", None)
    assert [case.name for case in cases] == ["SMALL001", "SMALL002", "SMALL003"]
    assert cases[0].annotation.possible[0].all()
    with pytest.raises(DatasetError, match="SMALL001: has no masks"):
        read_truth(cases[0])
    arrays = load_arrays(cases, 32)
    assert (arrays.fractions[..., 0] == 255).all()
    assert arrays.possible is not None


def test_arrays_say_what_labels_mean_only_where_organs_are_unknown(folder):
    full = find_cases(folder / "images", folder / "scr")
    assert load_arrays(full, 32).possible is None
    partial = find_cases(folder / "images", folder / "scr", annotation=LUNGS)
    arrays = load_arrays([full[0], partial[1]], 32)
    np.testing.assert_array_equal(arrays.possible, [np.eye(4), LUNGS.possible])


def test_a_stated_polarity_replaces_that_of_the_looks(folder):
    case = find_cases(folder / "images", folder / "scr")[0]
    normal, inverted = (
        load_arrays([replace(case, inverted=value)], 32).images[0] for value in (False, True)
    )
    np.testing.assert_allclose(normal, 1 - inverted, atol=1e-5)


def test_a_fingerprint_tells_what_was_stated_of_cases(folder):
    full = find_cases(folder / "images", folder / "scr")
    assert fingerprint(full) == fingerprint([replace(case, dataset="a") for case in full])
    others = [
        [replace(case, **change) for case in full]
        for change in ({"annotation": LUNGS}, {"inverted": True}, {"repeat": 2.0})
    ]
    assert len({fingerprint(cases) for cases in (full, *others)}) == 4

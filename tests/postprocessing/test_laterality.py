"""Right and left, on label maps drawn by hand, on phantoms and on real masks."""

import numpy as np
import pytest

from helpers.drawn import draw, same
from xray_seg.data.cases import find_cases, read_mask
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import ORGANS, RIGHT_LEFT_LABELS
from xray_seg.postprocessing.laterality import split_sides

#: c, h, l on the right, k and m the clavicle and lung on the left.
LETTERS = ".chlkm"


def split(picture: str) -> str:
    parts = split_sides(draw(picture))
    return "\n".join("".join(LETTERS[label] for label in row) for row in parts)


def test_right_is_left_in_the_image():
    drawn = """
        .ll....ll.
        ccc....ccc
        lll....lll
        lll.hh.lll
        lll..hhlll
    """
    split_up = """
        .ll....mm.
        ccc....kkk
        lll....mmm
        lll.hh.mmm
        lll..hhmmm
    """
    assert split(drawn) == same(split_up)


def test_joined_lungs_are_cut_half_way():
    assert split("llllllll\nllllllll\nl......l") == "llllmmmm\nllllmmmm\nl......m"


def test_clavicles_beside_joined_lungs_stay_on_their_sides():
    drawn = """
        ccc..ccc
        ........
        llllllll
        llllllll
        l......l
    """
    split_up = """
        ccc..kkk
        ........
        llllmmmm
        llllmmmm
        l......m
    """
    assert split(drawn) == same(split_up)


def test_a_clavicle_that_crosses_the_midline_beside_joined_lungs_stays_whole():
    drawn = "cccccc.cc\n.........\nlllllllll\nlllllllll\nl.......l"
    assert split(drawn).splitlines()[0] == "cccccc.kk"


def test_a_lung_that_leans_over_the_midline_stays_whole():
    drawn = """
        lllllll....lll
        llll.......lll
        llll.......lll
        llll..hh...lll
        llll..hh...lll
    """
    assert split(drawn).splitlines()[0] == "lllllll....mmm"


@pytest.mark.parametrize(
    ("drawn", "side"), [("lll.hh....\nlll.hh....", "l"), ("....hh.lll\n....hh.lll", "m")]
)
def test_one_lung_lies_on_its_side_of_the_heart(drawn, side):
    assert {*split(drawn)} == {".", "h", "\n", side}


def test_nothing_found_gives_nothing():
    assert not split_sides(np.zeros((4, 6), np.uint8)).any()


def test_one_lung_without_a_heart_counts_from_the_centre_of_the_image():
    assert split(".ll.......\n.ll.......") == ".ll.......\n.ll......."


def test_two_lungs_without_a_heart_may_lie_off_the_centre_of_the_image():
    drawn = ".........ll..ll\n.........ll..ll"
    assert split(drawn) == drawn.replace("..ll\n", "..mm\n")[:-2] + "mm"


def test_parts_add_up_to_organs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (40, 60)).astype(np.uint8)
    parts = split_sides(labels)
    for organ in ORGANS:
        mine = [part.label for part in RIGHT_LEFT_LABELS.structures if part.organ is organ]
        np.testing.assert_array_equal(np.isin(parts, mine), labels == organ.label)


def parts_of(masks) -> np.ndarray:
    """Label maps of organs and of parts, painted from masks by part, lowest priority first."""
    one = np.zeros(next(iter(masks.values())).shape, np.uint8)
    two = one.copy()
    for name in ("right lung", "left lung", "heart", "right clavicle", "left clavicle"):
        organ, side = next(
            (p.organ, p.side) for p in RIGHT_LEFT_LABELS.structures if p.name == name
        )
        one[masks[name]] = organ.label
        two[masks[name]] = RIGHT_LEFT_LABELS.find(organ, side).label
    return one, two


def test_phantoms_are_split_as_drawn():
    for seed in range(12):
        labels, truth = parts_of(make_phantom(seed, 256).masks)
        wrong = np.count_nonzero(split_sides(labels) != truth)
        assert wrong == 0, seed


def test_real_masks_are_split_as_outlined(jsrt):
    cases = find_cases(jsrt / "images", jsrt / "scr")[::4]
    for case in cases:
        masks = {name: read_mask(path) for name, path in case.masks.items()}
        labels, truth = parts_of(masks)
        assert np.mean(split_sides(labels) != truth) < 2e-4, case.name

"""The labels, held to SCR's folders and to the published palette."""

from dataclasses import FrozenInstanceError

import pytest

from xray_seg import labels
from xray_seg.data.scr import SCR_MASKS

#: Okabe and Ito, "Color Universal Design" (2008).
OKABE_ITO = {
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
}


def test_organs_come_by_priority_and_are_numbered_from_one():
    names = [(organ.name, organ.label) for organ in labels.ORGANS]
    assert names == [("clavicles", 1), ("heart", 2), ("lungs", 3)]
    assert labels.BACKGROUND == 0
    assert labels.CLASSES == 4


def test_parts_are_the_five_folders_of_scr():
    assert sorted(name for name, _ in SCR_MASKS) == sorted(
        ["heart", "left clavicle", "left lung", "right clavicle", "right lung"]
    )


def test_a_person_has_as_many_pieces_of_an_organ_as_scr_has_masks_of_it():
    assert [organ.pieces for organ in labels.ORGANS] == [
        [organ for _, organ in SCR_MASKS].count(organ) for organ in labels.ORGANS
    ]


def test_colours_differ_and_are_of_okabe_and_itos_palette():
    colours = {organ.colour for organ in labels.ORGANS}
    assert len(colours) == 3
    assert colours <= OKABE_ITO


def test_an_organ_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        labels.HEART.label = 5

"""Mask names of the SCR database.

van Ginneken et al., Medical Image Analysis 10:19-40, 2006: one mask per structure and radiograph,
in a folder named after the structure. Left and right are the patient's.
"""

from ..labels import CLAVICLES, HEART, LUNGS, Organ

#: (name of the mask folder, organ), in the order of the organs' priority.
SCR_MASKS: tuple[tuple[str, Organ], ...] = (
    ("left clavicle", CLAVICLES),
    ("right clavicle", CLAVICLES),
    ("heart", HEART),
    ("left lung", LUNGS),
    ("right lung", LUNGS),
)

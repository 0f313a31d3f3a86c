"""Annotation of a data set: the organs that its masks show, and what its lung masks include."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..labels import BACKGROUND, CLASSES, LUNGS, ORGANS

#: (CLASSES, CLASSES) bool: whether a pixel with the label of the row may be of the column's class.
Possible = npt.NDArray[np.bool_]

_NAMES = tuple(organ.name for organ in ORGANS)


@dataclass(frozen=True)
class Annotation:
    """What reference masks tell of a pixel.

    Attributes:
        organs: names of the organs that the masks show; the others are unknown. None of them for
            radiographs without masks.
        lungs_include: names of the organs whose area within the lung field belongs to the lung
            masks, for instance ``clavicles`` where whole lungs are outlined. It only matters for
            organs that have no masks of their own.
    """

    organs: tuple[str, ...] = _NAMES
    lungs_include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ValueError: a name is not that of an organ, or lungs include themselves.
        """
        for name in (*self.organs, *self.lungs_include):
            if name not in _NAMES:
                raise ValueError(f"no organ {name!r}: use {', '.join(_NAMES)}")
        if LUNGS.name in self.lungs_include:
            raise ValueError("lungs-include lists other organs, not the lungs themselves")
        known = [name for name in self.lungs_include if name in self.organs]
        if known:
            raise ValueError(
                f"lungs-include lists organs without masks: take {known[0]} out of organs, or of it"
            )

    @property
    def is_full(self) -> bool:
        """Whether all organs are known."""
        return set(self.organs) == set(_NAMES)

    @property
    def possible(self) -> Possible:
        """(4, 4) bool: whether a pixel with the row's label may be of the column's class.

        The identity where all organs are known. A pixel outside all masks may be background or
        any unknown organ; a pixel of a lung mask may also be what the mask includes.
        """
        result = np.eye(CLASSES, dtype=bool)
        unknown = [organ for organ in ORGANS if organ.name not in self.organs]
        for organ in unknown:
            result[BACKGROUND, organ.label] = True
            if organ.name in self.lungs_include:
                result[LUNGS.label, organ.label] = True
        return result


#: All organs are known, as in SCR.
FULL = Annotation()

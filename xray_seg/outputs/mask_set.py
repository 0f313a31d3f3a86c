"""The masks of one radiograph and the values derived from them, as input of all outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..analysis.calibration import calibration_of
from ..analysis.measurements import Measurements, measure_sides
from ..analysis.quality import Quality, estimate_quality
from ..labels import BACKGROUND, LUNGS, RIGHT_LEFT_LABELS, LabelScheme, Structure
from ..models.model_folder import Model
from ..postprocessing.laterality import (
    Sides,
    find_sides,
    sides_from_runs,
    split_sides,
    with_stated_side,
)
from ..postprocessing.prediction import GridPrediction
from ..preprocessing.corrections import AS_STATED, Presentation
from ..radiograph import Radiograph
from .grey import OVERLAY_SIDE, render_grey

if TYPE_CHECKING:
    from ..kernels import Runs


_STATED_SIDES = {"R": "right", "L": "left"}


@dataclass(frozen=True, eq=False)
class MaskSet:
    """The masks of one radiograph; derived values are computed on first use and kept.

    Attributes:
        radiograph: the radiograph, with polarity, orientation and field of view decided.
        labels: (H, W) uint8 label map with ORGAN_LABELS, in the geometry of the stored image.
        probabilities: (h, w, 4) float32 on the part of the grid that the field of view covers,
            turned as the image is stored.
        model: the model that predicted the masks, if known.
        known_runs: the runs of ``labels``, if they were computed before.
        presentation: how polarity, orientation and field of view were decided.
        known_prediction: ``probabilities`` turned upright, if something was derived from them
            before.
    """

    radiograph: Radiograph
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    model: Model | None = None
    known_runs: Runs | None = field(default=None, repr=False)
    presentation: Presentation = AS_STATED
    known_prediction: GridPrediction | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle only the fields; derived values are computed again after unpickling."""
        names = ("radiograph", "labels", "probabilities", "model", "known_runs", "presentation")
        return {name: self.__dict__[name] for name in names}

    @property
    def upright(self) -> MaskSet:
        """The same masks of the radiograph turned upright; this object if it is stored so."""
        # Not kept where it is this object: in a reference cycle, pixels would be freed late.
        return self if self.radiograph.turn.is_upright else self._turned

    @cached_property
    def _turned(self) -> MaskSet:
        orientation = self.radiograph.turn
        labels, probabilities = (
            np.ascontiguousarray(orientation.upright(each))
            for each in (self.labels, self.probabilities)
        )
        return MaskSet(self.radiograph.upright(), labels, probabilities, self.model)

    @cached_property
    def sides(self) -> Sides:
        """The assignment of lungs and clavicles to right and left, of the upright masks."""
        if self.upright is not self:
            return self.upright.sides
        known = self.known_runs
        sides = sides_from_runs(known) if known else find_sides(self.labels)
        stated = _STATED_SIDES.get(self.radiograph.laterality)
        return with_stated_side(sides, stated) if stated else sides

    @cached_property
    def measurements(self) -> Measurements:
        """Widths, areas, heights, boxes, grey levels and the cardiothoracic ratio.

        Widths run from the patient's right to left and heights along the body. Positions are those
        of the stored image.
        """
        radiograph = self.upright.radiograph
        found = measure_sides(self.sides, spacing=radiograph.spacing, pixels=radiograph.pixels)
        return found.stored(self.radiograph.turn, self.labels.shape)

    @cached_property
    def quality(self) -> Quality:
        """Predicted Dice and warnings."""
        masks = self.upright
        shown, region = masks.radiograph, masks.radiograph.region
        if shown.field_of_view:  # positions and borders are those of the field of view
            shown = replace(shown, pixels=region.crop(shown.pixels), field_of_view=None)
        labels, calibration = region.crop(masks.labels), calibration_of(self.model)
        prediction = self.known_prediction or GridPrediction(masks.probabilities)
        return estimate_quality(shown, labels, prediction, calibration)

    @cached_property
    def grey(self) -> npt.NDArray[np.uint8]:
        """(h, w) uint8 picture of the radiograph, upright, in the size of overlays."""
        return render_grey(self.upright.radiograph, OVERLAY_SIDE)

    @cached_property
    def _right_left_labels(self) -> npt.NDArray[np.uint8]:
        if self.upright is self:
            return split_sides(self.labels, self.sides)
        upright = self.upright.label_map(RIGHT_LEFT_LABELS)
        return np.ascontiguousarray(self.radiograph.turn.stored(upright))

    def label_map(self, scheme: LabelScheme) -> npt.NDArray[np.uint8]:
        """Return the (H, W) uint8 label map in a label scheme, as the image is stored."""
        return self._right_left_labels if scheme.has_sides else self.labels

    def mask(
        self, structure: Structure, scheme: LabelScheme, *, whole: bool = False
    ) -> npt.NDArray[np.bool_]:
        """Return the (H, W) bool mask of a structure, as the image is stored.

        Args:
            structure: one of the scheme's.
            scheme: the label scheme.
            whole: whether lungs include what clavicles cover, see ``Sides.covered``. Other
                structures are the same either way.
        """
        mask = np.asarray(self.label_map(scheme) == structure.label)
        if whole and structure.organ is LUNGS:
            covered = self._covered
            mask |= covered == structure.label if structure.side else covered != BACKGROUND
        return mask

    @cached_property
    def _covered(self) -> npt.NDArray[np.uint8]:
        """(H, W) uint8 label map of the clavicles' parts that cover a lung, with its label."""
        from ..kernels import paint_runs

        if self.upright is not self:
            return np.ascontiguousarray(self.radiograph.turn.stored(self.upright._covered))
        labels = np.zeros(self.labels.shape, np.uint8)
        for side, runs in self.sides.covered.items():
            lung = RIGHT_LEFT_LABELS.find(LUNGS, side).label
            paint_runs(labels, runs, np.full(len(runs.labels), lung, np.uint8))
        return labels

    def runs(self, scheme: LabelScheme) -> Runs:
        """Return the runs of the label map in a label scheme, as the image is stored."""
        from ..kernels import find_runs, relabelled

        if scheme.has_sides:
            if self.upright is self:
                return relabelled(self.sides.runs, self.sides.labels)
            return find_runs(self._right_left_labels)
        return self.known_runs or find_runs(self.labels)

    def file_name(self, key: str) -> str:
        """Return the radiograph's path below the input folder, with forward slashes.

        Args:
            key: the input's name in the output folder, a relative path without suffix.
        """
        return (PurePosixPath(key).parent / Path(self.radiograph.source).name).as_posix()

"""The masks of one radiograph and the values derived from them, as input of all outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..analysis.calibration import calibration_of
from ..analysis.measurements import Measurements, measure_sides
from ..analysis.quality import Quality, estimate_quality
from ..labels import LabelScheme
from ..models.model_folder import Model
from ..postprocessing.laterality import Sides, find_sides, sides_from_runs, split_sides
from ..radiograph import Radiograph
from .grey import OVERLAY_SIDE, render_grey

if TYPE_CHECKING:
    from ..kernels import Runs


@dataclass(frozen=True, eq=False)
class MaskSet:
    """The masks of one radiograph; derived values are computed on first use and kept.

    Attributes:
        radiograph: the radiograph, with ``inverted`` decided.
        labels: (H, W) uint8 label map with ORGAN_LABELS, at the radiograph's resolution.
        probabilities: (h, w, 4) float32 on the part of the grid that the radiograph covers.
        model: the model that predicted the masks, if known.
        known_runs: the runs of ``labels``, if they were computed before.
    """

    radiograph: Radiograph
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    model: Model | None = None
    known_runs: Runs | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle only the fields; derived values are computed again after unpickling."""
        names = ("radiograph", "labels", "probabilities", "model", "known_runs")
        return {name: self.__dict__[name] for name in names}

    @cached_property
    def sides(self) -> Sides:
        """The assignment of lungs and clavicles to right and left."""
        return sides_from_runs(self.known_runs) if self.known_runs else find_sides(self.labels)

    @cached_property
    def measurements(self) -> Measurements:
        """Widths, areas, heights, boxes, grey levels and the cardiothoracic ratio."""
        return measure_sides(
            self.sides, spacing=self.radiograph.spacing, pixels=self.radiograph.pixels
        )

    @cached_property
    def quality(self) -> Quality:
        """Predicted Dice and warnings."""
        calibration = calibration_of(self.model)
        return estimate_quality(self.radiograph, self.labels, self.probabilities, calibration)

    @cached_property
    def grey(self) -> npt.NDArray[np.uint8]:
        """(h, w) uint8 picture of the radiograph in the size of overlays."""
        return render_grey(self.radiograph, OVERLAY_SIDE)

    @cached_property
    def _right_left_labels(self) -> npt.NDArray[np.uint8]:
        return split_sides(self.labels, self.sides)

    def label_map(self, scheme: LabelScheme) -> npt.NDArray[np.uint8]:
        """Return the (H, W) uint8 label map in a label scheme."""
        return self._right_left_labels if scheme.has_sides else self.labels

    def runs(self, scheme: LabelScheme) -> Runs:
        """Return the runs of the label map in a label scheme."""
        from ..kernels import find_runs, relabelled

        if scheme.has_sides:
            return relabelled(self.sides.runs, self.sides.labels)
        return self.known_runs or find_runs(self.labels)

    def file_name(self, key: str) -> str:
        """Return the radiograph's path below the input folder, with forward slashes.

        Args:
            key: the input's name in the output folder, a relative path without suffix.
        """
        return (PurePosixPath(key).parent / Path(self.radiograph.source).name).as_posix()

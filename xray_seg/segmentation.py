"""The result of segmenting one radiograph."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from .analysis.measurements import Measurements
from .analysis.quality import NOT_A_CHEST, Quality
from .errors import OutputError
from .labels import ORGAN_LABELS, RIGHT_LEFT_LABELS
from .models.model_folder import Model
from .outputs.mask_set import MaskSet
from .postprocessing.prediction import GridPrediction
from .postprocessing.restore import restore_stored
from .preprocessing.corrections import AS_STATED, Presentation
from .preprocessing.preprocessor import ModelInput
from .radiograph import Radiograph

if TYPE_CHECKING:
    from .kernels import Runs


#: Predicted quality below which masks are doubtful.
DOUBTFUL_MASKS = 0.5


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The masks of one radiograph.

    Attributes:
        radiograph: the radiograph, with polarity, orientation and field of view decided.
        labels: (H, W) uint8 at the resolution and in the geometry of the stored image:
            0 background, 1 clavicles, 2 heart, 3 lungs.
        probabilities: (h, w, 4) float32 on the part of the network's grid that the radiograph's
            field of view covers, turned as the image is stored.
        model: the weights used, where known.
        runs: the runs of ``labels``, where they are known already.
        presentation: how polarity, orientation and field of view were decided.
        prediction: ``probabilities`` turned upright, where what derives from them is known.
    """

    radiograph: Radiograph
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    model: Model | None = None
    runs: Runs | None = field(default=None, repr=False)
    presentation: Presentation = AS_STATED
    prediction: GridPrediction | None = field(default=None, repr=False)

    @classmethod
    def from_probabilities(
        cls,
        model_input: ModelInput,
        probabilities: npt.NDArray[np.float32],
        model: Model | None = None,
    ) -> Segmentation:
        """The segmentation that (S, S, 4) float32 probabilities of a model input stand for."""
        prediction = GridPrediction.inside(model_input.box, probabilities)
        labels, runs = restore_stored(model_input, prediction)
        radiograph, shown = model_input.radiograph, model_input.presentation
        stored = radiograph.turn.stored(prediction.probabilities)
        return cls(radiograph, labels, stored, model, runs, shown, prediction)

    @cached_property
    def masks(self) -> MaskSet:
        """The masks as output formats take them."""
        known = self.model, self.runs, self.presentation, self.prediction
        return MaskSet(self.radiograph, self.labels, self.probabilities, *known)

    @property
    def measurements(self) -> Measurements:
        """Widths, areas, heights, boxes, grey levels and the cardiothoracic ratio."""
        return self.masks.measurements

    @property
    def quality(self) -> Quality:
        """Predicted Dice and warnings, without a reference."""
        return self.masks.quality

    @property
    def is_doubtful(self) -> bool:
        """Whether the masks are so poor, by their predicted quality, that none should be used."""
        quality = self.quality
        is_poor = quality.score is not None and quality.score < DOUBTFUL_MASKS
        return is_poor or NOT_A_CHEST in quality.warnings

    def overlay(
        self, longest: int | None = None, *, measurements: bool = False
    ) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8 picture of the radiograph, upright, under its coloured organs.

        Args:
            longest: its longer side in pixels at most; None for the usual one.
            measurements: draw the lines of the cardiothoracic ratio, and its value.
        """
        from .outputs.grey import render_grey
        from .outputs.overlay import render_overlay

        masks = self.masks.upright
        grey = render_grey(masks.radiograph, longest) if longest else masks.grey
        return render_overlay(grey, masks.labels, masks.measurements if measurements else None)

    def save(self, path: str | PathLike[str], *, sides: bool = False) -> None:
        """Write the masks to one file, in the format of its suffix.

        Args:
            path: ``.tif`` or ``.png`` for the label map, ``.json`` for COCO's run lengths,
                ``.csv`` for a table in CheXmask's format, ``.dcm`` for a DICOM SEG (of a
                radiograph that was read from a DICOM file).
            sides: tell right and left apart, as the patient's: right is on the image's left.

        Raises:
            OutputError: another suffix, the file cannot be written, or the format cannot hold
                these masks.
        """
        from .outputs import save

        save(Path(path), self.masks, RIGHT_LEFT_LABELS if sides else ORGAN_LABELS)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .outputs.notebook import render_card

        return render_card(self.masks)

    def mask(self, name: str, *, whole: bool = False) -> npt.NDArray[np.bool_]:
        """(H, W) bool mask of an organ, or of its right or left one.

        Args:
            name: ``clavicles``, ``heart``, ``lungs``, ``right lung``, ``left lung``,
                ``right clavicle`` or ``left clavicle``; right and left are the patient's.
            whole: whether lungs include what clavicles cover. In ``labels``, and so by default,
                each pixel counts for one organ, and a clavicle in front of a lung takes its
                pixels. What the heart covers is never included.

        Raises:
            OutputError: there is no such structure.
        """
        for scheme in (ORGAN_LABELS, RIGHT_LEFT_LABELS):
            for structure in scheme.structures:
                if structure.name == name:
                    return self.masks.mask(structure, scheme, whole=whole)
        known = [each.name for each in (*ORGAN_LABELS.structures, *RIGHT_LEFT_LABELS.structures)]
        raise OutputError(f"no mask {name!r}; there are {', '.join(dict.fromkeys(known))}")

    def __str__(self) -> str:
        """One line: what was segmented, and how it looks."""
        height, width = self.radiograph.shape
        ratio = self.measurements.cardiothoracic_ratio
        parts = [
            f"{self.radiograph.source}: {height} x {width} pixels",
            "no cardiothoracic ratio" if ratio is None else f"cardiothoracic ratio {ratio:.3f}",
            f"predicted Dice {_score_text(self.quality)}",
            *self.quality.warnings,
        ]
        return ", ".join(parts)

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same segmentation of the same radiograph, pixel for pixel."""
        if not isinstance(other, Segmentation):
            return NotImplemented
        one, two = self.radiograph, other.radiograph
        facts = ("inverted", "spacing", "source", "format", "notes", "orientation", "field_of_view")
        return (
            all(getattr(one, fact) == getattr(two, fact) for fact in facts)
            and self.model == other.model
            and np.array_equal(one.pixels, two.pixels)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.probabilities, other.probabilities)
        )

    def __hash__(self) -> int:
        """Of the radiograph's name and the label map."""
        return hash((self.radiograph.source, self.labels.shape, crc32(self.labels.tobytes())))

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what was computed from them is computed again after unpickling."""
        names = ("radiograph", "labels", "probabilities", "model", "runs", "presentation")
        return {name: self.__dict__[name] for name in names}


def _score_text(quality: Quality) -> str:
    return quality.reason if quality.score is None else f"{quality.score:.2f}"

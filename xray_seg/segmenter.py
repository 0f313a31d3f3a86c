"""The library's front door: a radiograph in, a segmentation at its own resolution out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from .analysis.measurements import Measurements, measure_sides
from .analysis.quality import Quality, estimate_quality
from .models.engines import Engine, open_engine
from .models.model_folder import Model, load_model
from .postprocessing.cleanup import clean
from .postprocessing.laterality import Sides, find_sides, sides_from_runs
from .preprocessing.preprocessor import ModelInput, Preprocessor
from .radiograph import Radiograph
from .readers import read
from .readers.raster import to_grey

if TYPE_CHECKING:
    from .kernels import Runs

#: A radiograph, an array, a path, a file's bytes, or a file open for reading in binary.
Source = Radiograph | npt.NDArray[Any] | str | PathLike[str] | bytes | BinaryIO


@dataclass(frozen=True)
class Segmentation:
    """The masks of one radiograph.

    Attributes:
        radiograph: what was segmented; its ``inverted`` is decided.
        labels: (H, W) uint8 at the radiograph's own resolution: 0 background, 1 clavicles,
            2 heart, 3 lungs.
        probabilities: (h, w, 4) float32 on the part of the network's grid that it covers.
        model: what it was segmented with, where known.
        runs: of ``labels``, where known already.
    """

    radiograph: Radiograph
    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    model: Model | None = None
    runs: Runs | None = field(default=None, repr=False, compare=False)

    @cached_property
    def sides(self) -> Sides:
        """Right and left, told apart."""
        return sides_from_runs(self.runs) if self.runs else find_sides(self.labels)

    @cached_property
    def measurements(self) -> Measurements:
        """Widths, areas, heights, boxes, grey levels and the cardiothoracic ratio."""
        return measure_sides(
            self.sides, spacing=self.radiograph.spacing, pixels=self.radiograph.pixels
        )

    @cached_property
    def quality(self) -> Quality:
        """Predicted Dice and doubts, without a reference."""
        return estimate_quality(self.radiograph, self.labels, self.probabilities)

    @cached_property
    def grey(self) -> npt.NDArray[np.uint8]:
        """(h, w) uint8 the radiograph as it is shown, as large as an overlay usually is."""
        from .outputs import OVERLAY_SIDE, render_grey

        return render_grey(self.radiograph, OVERLAY_SIDE)

    def overlay(
        self, longest: int | None = None, measurements: bool = False
    ) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8 picture of the radiograph under its coloured organs.

        Args:
            longest: its longer side in pixels at most; None for the usual one.
            measurements: draw the lines of the cardiothoracic ratio, and its number.
        """
        from .outputs import render_grey, render_overlay

        grey = render_grey(self.radiograph, longest) if longest else self.grey
        return render_overlay(grey, self.labels, self.measurements if measurements else None)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .outputs.notebook import card

        return card(self)

    def save(self, path: str | PathLike[str], sides: bool = False) -> None:
        """Write the masks to one file, by its suffix.

        Args:
            path: ``.tif`` or ``.png`` for the label map, ``.json`` for COCO's run lengths,
                ``.csv`` for a table like CheXmask's, ``.dcm`` for a DICOM SEG (of a film that
                was read from a DICOM file).
            sides: tell right and left apart, as the patient's: right is on the image's left.

        Raises:
            OutputError: another suffix, it cannot be written, or not of this film.
        """
        from .outputs import save

        save(Path(path), self, sides)


class Segmenter:
    """A loaded model that segments radiographs. Not for several threads at once.

    Example:
        segmenter = xray_seg.Segmenter()
        labels = segmenter(xray_seg.read("JPCLN001.IMG")).labels

    Args:
        weights: a shipped model's name or a model folder; None for the default.
        engine: ``auto``, ``saved-model`` or ``litert``.
        precision: ``auto``, ``float32``, ``bfloat16``, ``float16`` or ``int8``.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: CPU threads of the engine; None for all cores.

    Raises:
        WeightsError: there are no such weights, or they were altered.
        EngineError: the engine cannot run here.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | None = None,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.model: Model = load_model(weights)
        self.engine: Engine = open_engine(self.model, engine, precision, device, threads)

    def __call__(self, radiograph: Source) -> Segmentation:
        """Segment one radiograph: read before, a 2-D array with bones bright, or what is read.

        Raises:
            ReadError: it cannot be read as a radiograph.
        """
        return self.segment([radiograph])[0]

    def segment(self, radiographs: Sequence[Source]) -> list[Segmentation]:
        """Segment several radiographs, as many at a step as suit the engine.

        They may differ in size.

        Raises:
            ReadError: one of them cannot be read as a radiograph.
        """
        preprocess = Preprocessor(self.engine.size)
        fitted = [preprocess(as_radiograph(each)) for each in radiographs]
        step = self.engine.batch_size
        return [
            restore(each, probabilities, model=self.model)
            for first in range(0, len(fitted), step)
            for each, probabilities in self._predicted(fitted[first : first + step])
        ]

    def _predicted(
        self, fitted: list[ModelInput]
    ) -> Iterator[tuple[ModelInput, npt.NDArray[np.float32]]]:
        probabilities = self.engine.predict(np.stack([each.grid for each in fitted]))
        return zip(fitted, probabilities, strict=True)


def as_radiograph(source: Source) -> Radiograph:
    """What a Segmenter accepts, as a Radiograph."""
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, np.ndarray):
        return Radiograph(to_grey(source))
    return read(source)


def restore(
    fitted: ModelInput,
    probabilities: npt.NDArray[np.float32],
    shape: tuple[int, int] | None = None,
    model: Model | None = None,
) -> Segmentation:
    """Bring (S, S, 4) float32 probabilities to the radiograph's own resolution, or to ``shape``."""
    from .kernels import upsample_argmax

    inside = fitted.box.crop(probabilities)
    labels = upsample_argmax(inside, shape or fitted.radiograph.shape)
    return Segmentation(fitted.radiograph, labels, inside, model, clean(labels))

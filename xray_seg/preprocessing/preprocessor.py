"""Preprocessing of a radiograph for the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..radiograph import UPRIGHT, Orientation, Radiograph, Region
from .corrections import AS_STATED, NONE, Corrections, Presentation, Reading
from .field_of_view import find_field_of_view
from .letterbox import Letterbox
from .normalisation import normalise
from .polarity import looks_inverted

Grid = npt.NDArray[np.float32]
_NO_GRID: Grid = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Whole:
    """An image on the grid with the borders that the model input leaves out.

    Attributes:
        grid: (S, S) float32, as of ModelInput.
        box: where the image lies on it.
        field_of_view: the part that its file states, or None for all of the stored image.
    """

    grid: Grid
    box: Letterbox
    field_of_view: Region | None


@dataclass(frozen=True)
class ModelInput:
    """A radiograph prepared for the network.

    Attributes:
        radiograph: the radiograph, with polarity, orientation and field of view decided.
        grid: (S, S) float32 in [0, 1], upright, bones bright, 0 outside the radiograph.
        box: where on the grid the field of view lies.
        presentation: how these were decided.
        whole: the image with its borders, where they were left out.
    """

    radiograph: Radiograph
    grid: Grid
    box: Letterbox
    presentation: Presentation = AS_STATED
    whole: Whole | None = None

    @property
    def facts(self) -> ModelInput:
        """All but the arrays, small enough to be passed between processes."""
        radiograph = replace(self.radiograph, pixels=np.empty((0, 0), np.uint8))
        whole = self.whole and replace(self.whole, grid=_NO_GRID)
        return replace(self, radiograph=radiograph, grid=_NO_GRID, whole=whole)

    def with_pixels(self, pixels: npt.NDArray[np.generic]) -> ModelInput:
        """The same, with the (H, W) pixels of its radiograph."""
        return replace(self, radiograph=replace(self.radiograph, pixels=pixels))

    def with_grids(self, grid: Grid, whole: Grid) -> ModelInput:
        """The same, with its (S, S) grid, and that of the whole image if borders were left out."""
        return replace(self, grid=grid, whole=self.whole and replace(self.whole, grid=whole))

    def shown(self, reading: Reading) -> ModelInput:
        """The same radiograph shown in another way than it was taken to be.

        Raises:
            ValueError: the reading wants the whole image, which ``grid`` shows already.
        """
        grid, box, field = self.grid, self.box, self.radiograph.field_of_view
        if reading.whole:
            if self.whole is None:
                raise ValueError("no borders were left out")
            grid, box, field = self.whole.grid, self.whole.box, self.whole.field_of_view
        if reading.swap_polarity:
            grid = grid.copy()
            inside = box.crop(grid)
            np.subtract(1, inside, out=inside)
        if reading.turn_deg:
            grid = np.ascontiguousarray(np.rot90(grid, -reading.turn_deg // 90))
            box = box.turned(reading.turn_deg, len(grid))
        radiograph = replace(
            self.radiograph,
            inverted=bool(self.radiograph.inverted) != reading.swap_polarity,
            orientation=self.radiograph.turn.turned(reading.turn_deg),
            field_of_view=field,
        )
        return ModelInput(radiograph, grid, box, self.presentation.after(reading))


@dataclass(frozen=True)
class Preprocessor:
    """Maps radiographs to the network's grid: area mean, letterbox, percentiles, polarity.

    Inference, evaluation, training and quality all use this one implementation.

    Attributes:
        size: side S of the grid.
        corrections: what is corrected besides an unknown polarity.
    """

    size: int
    corrections: Corrections = NONE

    def __call__(self, radiograph: Radiograph, *, out: Grid | None = None) -> ModelInput:
        """Prepare one radiograph.

        Args:
            radiograph: where its ``inverted`` is None, its polarity is decided by its looks.
            out: (S, S) float32 to fill, for instance a slot of a batch; None for a new array.
        """
        orientation = UPRIGHT
        if self.corrections.orientation and radiograph.orientation:
            orientation = radiograph.orientation
        field = radiograph.field_of_view if self.corrections.field_of_view else None
        stated = field or Region.whole(radiograph.shape)
        pixels = stated.crop(radiograph.pixels)
        grid = np.empty((self.size, self.size), np.float32) if out is None else out
        box, inverted, inner = self._fill(grid, pixels, radiograph.inverted, orientation)
        whole: Whole | None = None
        if inner:
            outer_grid, outer, was_inverted = grid.copy(), box, inverted
            box, inverted, _ = self._fill(
                grid, inner.crop(pixels), radiograph.inverted, orientation, is_inner=True
            )
            if inverted != was_inverted:
                np.subtract(1, outer.crop(outer_grid), out=outer.crop(outer_grid))
            whole = Whole(outer_grid, outer, field)
            field = Region(
                stated.top + inner.top, stated.left + inner.left, inner.height, inner.width
            )
        presentation = self.corrections.presentation(radiograph, has_borders=inner is not None)
        shown = replace(radiograph, inverted=inverted, orientation=orientation, field_of_view=field)
        return ModelInput(shown, grid, box, presentation, whole)

    def _fill(
        self,
        grid: Grid,
        pixels: npt.NDArray[np.generic],
        inverted: bool | None,
        orientation: Orientation,
        *,
        is_inner: bool = False,
    ) -> tuple[Letterbox, bool, Region | None]:
        """Fill the grid; returns the box, the polarity, and the part inside borders."""
        from ..kernels import area_mean

        shape = pixels.shape[0], pixels.shape[1]
        box = Letterbox.of(shape, self.size)
        if orientation.is_upright:
            content = box.crop(grid)
            area_mean(pixels, content.shape, out=content)  # in place, into the strided view
        else:
            content = area_mean(pixels, (box.height, box.width))
        inner = None
        if self.corrections.field_of_view and not is_inner:
            inner = find_field_of_view(pixels, content)
        normalise(content, inverted=bool(inverted))
        if not orientation.is_upright:
            turned = orientation.upright(content)
            box = Letterbox.of(turned.shape, self.size)
            content = box.crop(grid)
            content[:] = turned
        _clear_outside(grid, box)
        if inverted is None:
            inverted = looks_inverted(content)
            if inverted:
                np.subtract(1, content, out=content)
        return box, inverted, inner


def _clear_outside(grid: Grid, box: Letterbox) -> None:
    grid[: box.top] = 0
    grid[box.top + box.height :] = 0
    grid[:, : box.left] = 0
    grid[:, box.left + box.width :] = 0

"""A radiograph as its file stores it, and how it is shown upright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

_RIGHT_ANGLE = 90


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels of an image.

    Attributes:
        top, left: first row and column.
        height, width: number of rows and columns.
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Region:
        """All of an (H, W) image."""
        return cls(0, 0, shape[0], shape[1])

    def crop(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of an (H, W, ...) array, as a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def scaled(self, shape: tuple[int, ...], other: tuple[int, ...]) -> Region:
        """The same part of an image of another resolution, at least one pixel.

        Args:
            shape: (H, W) of the image that the region belongs to.
            other: (H, W) of the other image.
        """
        edges = (
            (self.top, self.top + self.height, shape[0], other[0]),
            (self.left, self.left + self.width, shape[1], other[1]),
        )
        (top, bottom), (left, right) = (
            (round(first * there / here), round(last * there / here))
            for first, last, here, there in edges
        )
        return Region(top, left, max(1, bottom - top), max(1, right - left))


@dataclass(frozen=True)
class Orientation:
    """How a stored image is turned so that it stands upright, the patient's right on its left.

    Attributes:
        rotation_deg: clockwise turn: 0, 90, 180 or 270.
        mirrored: whether the turned image is then flipped from left to right.

    Raises:
        ValueError: another rotation.
    """

    rotation_deg: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        """Check the rotation."""
        if self.rotation_deg not in range(0, 4 * _RIGHT_ANGLE, _RIGHT_ANGLE):
            raise ValueError(f"rotation {self.rotation_deg}: must be 0, 90, 180 or 270")

    @property
    def is_upright(self) -> bool:
        """Whether the stored image stands upright already."""
        return not (self.rotation_deg or self.mirrored)

    @property
    def swaps_sides(self) -> bool:
        """Whether rows of the stored image become columns of the upright one."""
        return bool(self.rotation_deg % (2 * _RIGHT_ANGLE))

    def upright(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn a stored (H, W, ...) image upright, as a view."""
        turned = np.rot90(stored, -(self.rotation_deg // _RIGHT_ANGLE))
        return turned[:, ::-1] if self.mirrored else turned

    def stored(self, upright: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn an upright (h, w, ...) image back as it was stored, as a view."""
        turned = upright[:, ::-1] if self.mirrored else upright
        return np.rot90(turned, self.rotation_deg // _RIGHT_ANGLE)

    def stored_point(self, point: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int]:
        """Where a pixel (x, y) of the upright image lies in the stored (H, W) image."""
        x, y = point
        height, width = shape[0], shape[1]
        if self.swaps_sides:
            height, width = width, height
        if self.mirrored:
            x = width - 1 - x
        for _ in range(self.rotation_deg // _RIGHT_ANGLE):  # a turn counterclockwise
            x, y, height, width = y, width - 1 - x, width, height
        return x, y

    def turned(self, degrees: int) -> Orientation:
        """The orientation after a further clockwise turn of the upright image."""
        # A mirrored image turns the other way.
        change = -degrees if self.mirrored else degrees
        return replace(self, rotation_deg=(self.rotation_deg + change) % (4 * _RIGHT_ANGLE))


#: An image that is stored as it is shown.
UPRIGHT = Orientation()


@dataclass(frozen=True)
class Radiograph:
    """One frontal chest radiograph.

    Attributes:
        pixels: (H, W) uint8, uint16, float32 or float64 as stored, of either byte order; may be
            a memory map.
        inverted: True where a high value is dark (JSRT's optical density, MONOCHROME1), False
            where bones are bright, None where the file does not tell.
        spacing: (row, column) distance of pixel centres in mm, or None where it is not known.
        source: the file's path, or what the pixels came from.
        format: what was read, for instance ``JSRT raw`` or ``PNG``.
        notes: what its file says that casts doubt on masks, for instance a lateral view.
        orientation: how the stored image is turned upright; None where the file does not tell.
        field_of_view: the part of the stored image that was exposed, without borders; None for
            all of it, or where the file does not tell.
        laterality: ``R`` or ``L`` where the file says that one side alone is shown; else empty.
    """

    pixels: npt.NDArray[Any]
    inverted: bool | None = False
    spacing: tuple[float, float] | None = None
    source: str = "array"
    format: str = "array"
    notes: tuple[str, ...] = ()
    orientation: Orientation | None = None
    field_of_view: Region | None = None
    laterality: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def region(self) -> Region:
        """The field of view, or all of the image."""
        return self.field_of_view or Region.whole(self.shape)

    @property
    def turn(self) -> Orientation:
        """The orientation; upright where the file does not tell."""
        return self.orientation or UPRIGHT

    def upright(self) -> Radiograph:
        """The radiograph turned upright; its pixels are a copy if it was not."""
        orientation = self.turn
        if orientation.is_upright:
            return self
        spacing, field = self.spacing, self.field_of_view
        if orientation.swaps_sides and spacing:
            spacing = spacing[1], spacing[0]
        if field:
            inside = np.zeros(self.shape, np.bool_)
            field.crop(inside)[:] = True
            rows, columns = (
                np.flatnonzero(orientation.upright(inside).any(axis)) for axis in (1, 0)
            )
            field = Region(int(rows[0]), int(columns[0]), len(rows), len(columns))
        return replace(
            self,
            pixels=np.ascontiguousarray(orientation.upright(self.pixels)),
            spacing=spacing,
            orientation=UPRIGHT,
            field_of_view=field,
        )

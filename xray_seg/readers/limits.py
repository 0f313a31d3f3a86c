"""Limits of size, checked against a file's header before a decoder allocates memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ReadError

#: Default limit of samples (pixels times colours). A radiograph of 35 x 43 cm at 0.05 mm has 60
#: million; 100 million of 16 bits are decoded within 1 GiB.
MAX_PIXELS = 100_000_000
#: End of every message about this limit.
RAISE_LIMIT = "if it is a radiograph, raise the limit with --max-pixels N"


@dataclass(frozen=True)
class Budget:
    """How much a file may claim and hold; every reader checks it before and while decoding.

    Attributes:
        max_samples: samples (pixels times colours) of the image.
        bytes_per_sample: bytes of a file per sample; the longest sample is a 64-bit float.
        header_length: bytes allowed in any file for headers and metadata.
        metadata_length: the same for PNG, JPEG, GIF, BMP and JPEG 2000, whose length is compared
            with the samples that the file itself claims, not with ``max_samples``.
        max_segments: strips or tiles of a TIFF, and values of any of its tags. 12,000 rows of
            separate red, green and blue have 36,000 strips of one row; 100 million pixels have
            98,000 tiles of 32 x 32. tifffile takes 15 to 60 microseconds for each.
        max_frames: frames of a DICOM image or GIF.
    """

    max_samples: int = MAX_PIXELS
    bytes_per_sample: int = 8
    header_length: int = 1 << 20
    metadata_length: int = 16 << 20
    max_segments: int = 100_000
    max_frames: int = 10_000

    @property
    def max_length(self) -> int:
        """Bytes of the longest file that is read."""
        return self.max_samples * self.bytes_per_sample + self.header_length

    def check_claim(self, path: Path | str, rows: int, columns: int, samples: int) -> None:
        """Refuse an image that claims more samples than the limit.

        Args:
            path: file name for the error.
            rows: height that the header claims.
            columns: width that the header claims.
            samples: samples per pixel, or planes.

        Raises:
            ReadError: the image claims more.
            ValueError: a number is not a plain integer.
        """
        for value, name in ((rows, "height"), (columns, "width"), (samples, "samples per pixel")):
            plain_int(value, name, 0)
        if rows * columns * max(samples, 1) > self.max_samples:
            depth = f" x {samples}" if samples > 1 else ""
            raise ReadError(
                f"{path}: claims {rows} x {columns}{depth} pixels, over the limit of "
                f"{self.max_samples:,}; {RAISE_LIMIT}"
            )

    def check_length(self, path: Path | str, length: int) -> None:
        """Refuse a file that is longer than any image within the limit.

        Raises:
            ReadError: the file is longer.
        """
        if length > self.max_length:
            raise ReadError(
                f"{path}: {length:,} bytes, too many for an image of {self.max_samples:,} pixels; "
                f"{RAISE_LIMIT}"
            )

    def check_claimed_length(self, path: Path | str, length: int, samples: int) -> None:
        """Refuse a file that is much longer than the samples that its own header claims.

        Raises:
            ReadError: the file is longer.
        """
        if length > samples * self.bytes_per_sample + self.metadata_length:
            raise ReadError(
                f"{path}: {length:,} bytes, too many for the {samples:,} samples that its header "
                "claims; it is damaged, or holds more than an image: export the image again"
            )

    def check_segments(self, path: Path | str, count: int) -> None:
        """Refuse a TIFF of too many strips or tiles.

        Raises:
            ReadError: there are more.
        """
        if count > self.max_segments:
            raise ReadError(
                f"{path}: claims {count:,} strips or tiles, over the limit of "
                f"{self.max_segments:,}; save it with larger strips or tiles, or as PNG"
            )

    def check_frames(self, path: Path | str, count: int) -> None:
        """Refuse an image of too many frames.

        Raises:
            ReadError: there are more.
        """
        if count > self.max_frames:
            raise ReadError(
                f"{path}: claims {count:,} frames, over the limit of {self.max_frames:,}; "
                "export the frame that shows the chest"
            )


def plain_int(value: Any, name: str, low: int, high: int = 2**32 - 1) -> int:
    """A number of a header, once it is known to be one integer within a range.

    Headers may repeat a value or hold text, and Python multiplies a tuple or text into gigabytes.

    Raises:
        ValueError: it is something else, or outside ``low`` to ``high``.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"its {name} is not one integer")
    if not low <= value <= high:
        raise ValueError(f"its {name} is {int(value)}, outside {low} to {high}")
    return int(value)

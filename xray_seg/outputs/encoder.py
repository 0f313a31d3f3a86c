"""The interface of output formats: masks in, named bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .mask_set import MaskSet


@dataclass(frozen=True)
class OutputFile:
    """One output file, to be written to a folder or to a Parquet file.

    Attributes:
        name: path relative to the output folder, with forward slashes.
        data: content of the file.
    """

    name: str
    data: bytes


class Encoder(Protocol):
    """One output format. Encoders hold only options and can be pickled."""

    def encode(self, key: str, masks: MaskSet) -> Iterable[OutputFile]:
        """Encode the masks of one radiograph.

        Args:
            key: the input's name in the output folder, a relative path without suffix.
            masks: the masks.

        Returns:
            The encoded files, none or several.

        Raises:
            NotEncodable: the format cannot hold these masks.
        """
        ...


class NotEncodable(Exception):
    """A format cannot hold the masks of a radiograph; the message is the reason."""

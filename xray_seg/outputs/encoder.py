"""The interface of output formats: masks in, named bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .mask_set import MaskSet


@dataclass(frozen=True)
class OutputFile:
    """One file of an output folder, or what stands for it in a table.

    Attributes:
        name: path relative to the output folder, with forward slashes.
        data: its bytes.
    """

    name: str
    data: bytes


class Encoder(Protocol):
    """One output format. Encoders hold options alone, so that they can be pickled."""

    def encode(self, key: str, masks: MaskSet) -> Iterable[OutputFile]:
        """Encode the masks of one radiograph.

        Args:
            key: the input's name in the output folder, a relative path without suffix.
            masks: the masks.

        Raises:
            NotEncodable: the format cannot hold these masks.
        """
        ...


class NotEncodable(Exception):
    """A format cannot hold the masks of a radiograph; the message says why."""

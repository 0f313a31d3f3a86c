"""Timing: warm up, then repeat in turns, so that a busy moment hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Measurement:
    """Repeated times of one piece of work.

    Attributes:
        name: of the work.
        seconds: of each repeat.
        images: that one repeat handles.
        bytes: that one repeat reads and writes, 0 where that says nothing.
    """

    name: str
    seconds: tuple[float, ...]
    images: float = 1
    bytes: int = 0

    @property
    def median(self) -> float:
        """Seconds."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half the interquartile range, as a share of the median."""
        low, high = np.percentile(self.seconds, (25, 75))
        return float((high - low) / 2 / self.median)

    @property
    def images_per_s(self) -> float:
        """Rate at the median."""
        return self.images / self.median

    @property
    def gb_per_s(self) -> float | None:
        """10^9 bytes a second at the median, where bytes are known."""
        return self.bytes / self.median / 1e9 if self.bytes else None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "median_s": self.median,
            "spread": self.spread,
            "repeats": len(self.seconds),
            "images_per_s": self.images_per_s,
            "gb_per_s": self.gb_per_s,
        }


def take_turns(
    calls: Mapping[str, Callable[[], Any]], repeats: int, warm_up: int = 1
) -> dict[str, tuple[float, ...]]:
    """Seconds of each call, measured one after the other in ``repeats`` rounds.

    Args:
        calls: what to time, by name.
        repeats: rounds.
        warm_up: calls of each before the first round: compilation, caches, threads.
    """
    for call in calls.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return {name: tuple(times) for name, times in seconds.items()}

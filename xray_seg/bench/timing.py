"""Timing of calls in turns, so that other load on the machine affects all of them alike."""

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
        name: name of the work.
        seconds: time of each repeat.
        images: images per repeat.
        bytes: bytes read and written per repeat; 0 if they do not matter.
    """

    name: str
    seconds: tuple[float, ...]
    images: float = 1
    bytes: int = 0

    @property
    def median(self) -> float:
        """Median time in seconds."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half the interquartile range, as a share of the median."""
        low, high = np.percentile(self.seconds, (25, 75))
        return float((high - low) / 2 / self.median)

    @property
    def images_per_s(self) -> float:
        """Images per second at the median time."""
        return self.images / self.median

    @property
    def gb_per_s(self) -> float | None:
        """10^9 bytes per second at the median time; None if ``bytes`` is 0."""
        return self.bytes / self.median / 1e9 if self.bytes else None

    def facts(self) -> dict[str, Any]:
        """The measurement as JSON has it."""
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
    """Time calls one after the other, in several rounds.

    Args:
        calls: functions to time, by name.
        repeats: rounds.
        warm_up: untimed calls of each before the first round, for compilation, caches and threads.

    Returns:
        Seconds of each call in each round, by name.
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

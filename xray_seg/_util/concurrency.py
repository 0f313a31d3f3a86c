"""Threads: how many cores there are, and work done ahead in order and within bounds."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ordered(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Results of ``work`` in the order of the items, at most ``ahead`` of them under way.

    Items are taken from their iterable only as they are needed, so memory is bounded by ``ahead``
    however many there are. When the iterator is closed early, what has not begun is cancelled.
    """
    source = iter(items)
    under_way: deque[Future[Result]] = deque(
        pool.submit(work, item) for item in islice(source, max(1, ahead))
    )
    try:
        while under_way:
            result = under_way.popleft().result()
            for item in islice(source, 1):
                under_way.append(pool.submit(work, item))
            yield result
    finally:
        for future in under_way:
            future.cancel()


def available_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

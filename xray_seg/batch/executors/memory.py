"""Bounds on the memory of worker processes, which read untrusted files."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

#: Address space that a command may take for any image: codecs and kernels that are loaded or
#: compiled on first use, and what the allocator takes in advance.
_BASE = 1 << 29
#: The same per sample (pixels times colours) of the largest image. Measured with images of 20
#: million samples of all formats: up to 17 to read one (a TIFF of 64-bit floats in one strip), and
#: up to 28 to write one (all kinds of output).
_BYTES_PER_SAMPLE = 40
_PROC = Path("/proc/self")


def allowance(max_pixels: int) -> int:
    """Bytes of address space that a command may take in addition to what its process has.

    512 MiB + 40 bytes x ``max_pixels``, but no more than the machine's memory. With the default of
    100 million, 4.5 GB.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(_BASE + _BYTES_PER_SAMPLE * max_pixels, machine)


def limit_growth(length: int) -> None:
    """Limit the address space of this process to what it has now and ``length`` bytes more.

    Beyond that, allocations raise MemoryError, or end the process in a decoder that does not
    expect it. The limit is relative since a worker keeps the pixels of images that wait for the
    engine. RLIMIT_AS and not RLIMIT_DATA: some kernels apply the latter to the heap only.
    """
    pages = int((_PROC / "statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + length
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def prefer_as_victim() -> None:
    """Have the system kill this process before others where the machine's memory is used up."""
    with suppress(OSError):
        (_PROC / "oom_score_adj").write_text("500")

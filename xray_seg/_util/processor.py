"""The processor of this machine: its instruction sets, as far as results may depend on them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Instruction sets for which engines have code of their own, by LLVM's names.
_FEATURES = (
    *("sse4.1", "avx2", "fma", "avxvnni", "avx512f", "avx512vnni", "avx512bf16"),
    *("amx-int8", "amx-bf16", "neon", "dotprod", "i8mm", "bf16", "sme"),
)
#: Classes of instruction sets with the features that make a processor one of them; the first that
#: fits counts. LiteRT has convolutions of its own for each.
_CLASSES = (
    ("amx", {"amx-int8"}),
    ("avx512-vnni", {"avx512vnni"}),
    ("avx512", {"avx512f"}),
    ("avx2-vnni", {"avxvnni"}),
    ("avx2", {"avx2", "fma"}),
    ("sse4", {"sse4.1"}),
    ("neon-i8mm", {"i8mm"}),
    ("neon-dotprod", {"dotprod"}),
    ("neon", {"neon"}),
)


@dataclass(frozen=True, order=True)
class Processor:
    """What of a machine may decide the last bits of its results.

    Attributes:
        model: name of the processor; empty if the system does not state it.
        machine: architecture, for instance ``x86_64``.
        instruction_set: class of its instruction sets, for instance ``avx512-vnni`` or ``avx2``.
        features: instruction sets that engines have code for, by LLVM's names.
        c_library: C library and its version, for instance ``glibc 2.36``; empty if unknown.
    """

    model: str
    machine: str
    instruction_set: str
    features: tuple[str, ...]
    c_library: str

    def results_depend_on(self, *, deterministic: bool) -> str:
        """Processors for which this is the same text give the same label maps.

        Args:
            deterministic: whether the engine is, see ``models.engines.open_engine``.
        """
        if deterministic:
            return ", ".join(filter(None, (self.machine, self.c_library)))
        return self.instruction_set


@lru_cache(maxsize=1)
def this_processor() -> Processor:
    """The processor that this process runs on.

    Features are read from the processor and the operating system by LLVM, which compiles the
    kernels for them.
    """
    from llvmlite import binding

    try:
        found = {name for name, has in binding.get_host_cpu_features().items() if has}
    except RuntimeError:  # LLVM does not know the features of this system
        found = set()
    features = tuple(name for name in _FEATURES if name in found)
    machine = platform.machine()
    return Processor(
        model=_model_name() or platform.processor(),
        machine=machine,
        instruction_set=instruction_set_of(features, machine),
        features=features,
        c_library=" ".join(filter(None, platform.libc_ver())),
    )


def instruction_set_of(features: Iterable[str], machine: str) -> str:
    """The class of instruction sets; the architecture itself if none fits."""
    found = set(features)
    return next((name for name, needed in _CLASSES if needed <= found), machine or "unknown")


def _model_name() -> str:
    """The processor's name as Linux states it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
    )

"""Engines: the interface that runs a network, and how one is chosen and opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..._util.concurrency import available_cores
from ...errors import EngineError
from ..model_folder import Model
from .devices import gpu_count, gpu_seems_present

ENGINES = ("auto", "saved-model", "litert")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")


class Engine(Protocol):
    """A loaded network. Not safe to call from several threads at once.

    An engine that is used on a cluster must be picklable.
    """

    @property
    def name(self) -> str:
        """``saved-model`` or ``litert``; engines of users have names of their own."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in, for instance ``int8``."""
        ...

    @property
    def device(self) -> str:
        """``cpu``, or ``gpu:N``."""
        ...

    @property
    def size(self) -> int:
        """Side S of the grid."""
        ...

    @property
    def batch_size(self) -> int:
        """How many grids at once suit it here."""
        ...

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities."""
        ...


def open_engine(
    model: Model,
    engine: str = "auto",
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    deterministic: bool = False,
) -> Engine:
    """Load a model into the engine asked for, or into the best one here.

    ``auto`` is the SavedModel in half precision where TensorFlow has a GPU, else LiteRT in
    dynamic-range int8, for which TensorFlow is never imported.

    Args:
        model: a checked model folder.
        engine: one of ENGINES.
        precision: one of PRECISIONS.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: CPU threads of the engine; None for all cores.
        deterministic: whether probabilities must not depend on the instruction sets of the
            processor; several times slower, LiteRT on the CPU only.

    Raises:
        EngineError: what is asked for does not exist, does not fit together, or cannot run here.
    """
    for what, value, known in (
        ("engine", engine, ENGINES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise EngineError(f"{what} {value!r} does not exist; there are {', '.join(known)}")
    if deterministic:
        engine = _choose_deterministic(engine, precision, device)
    elif engine == "auto":
        engine = _choose(precision, device)
    threads = threads or available_cores()
    if engine == "litert":
        from .litert import LiteRTEngine

        return LiteRTEngine(model, precision, device, threads, deterministic=deterministic)
    from .saved_model import SavedModelEngine

    return SavedModelEngine(model, precision, device, threads)


@dataclass(frozen=True)
class DeferredEngine:
    """An engine that is described, to be opened elsewhere: in a worker, or on another machine.

    Attributes:
        model: the model folder.
        name, precision, device, batch_size: as of Engine.
        threads: CPU threads of the engine; None for all cores.
        deterministic: as of ``open_engine``.
    """

    model: Model
    name: str
    precision: str
    device: str
    batch_size: int
    threads: int | None = None
    deterministic: bool = False

    @property
    def size(self) -> int:
        """Side of the grid."""
        return self.model.size

    def open(self) -> Engine:
        """Open it here.

        Raises:
            EngineError: it cannot run here.
        """
        device = self.device.partition(":")[0]  # which one is for the worker to see
        return open_engine(
            self.model,
            self.name,
            precision=self.precision,
            device=device,
            threads=self.threads,
            deterministic=self.deterministic,
        )

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Raise EngineError: it is not open."""
        raise EngineError(f"engine {self.name} is described only; open() it where it is to run")


def is_deterministic(engine: Engine) -> bool:
    """Whether its probabilities are the same on any processor; engines of users need not say."""
    return bool(getattr(engine, "deterministic", False))


def _choose_deterministic(engine: str, precision: str, device: str) -> str:
    for option, value, possible in (
        ("engine", engine, "litert"),
        ("precision", precision, "int8"),
        ("device", device, "cpu"),
    ):
        if value not in ("auto", possible):
            raise EngineError(f"--deterministic needs --{option} {possible}, not {value}")
    return "litert"


def _choose(precision: str, device: str) -> str:
    if precision == "int8":
        return "litert"
    if precision != "auto" or device.startswith("gpu"):
        return "saved-model"
    if device == "auto" and gpu_seems_present():
        return "saved-model" if gpu_count() else "litert"
    return "litert"

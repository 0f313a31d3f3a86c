"""The LiteRT engine: dynamic-range int8 on the CPU, without TensorFlow.

Convolutions are sums of integers, which are exact everywhere. What surrounds them is computed in
float32: scales, activations, and layers of fewer than 1,024 weights. By default XNNPACK does it,
with different code, and so different rounding, for each instruction set. LiteRT's own kernels do
it with the instructions that its wheel was compiled for, whatever the processor has besides; ELU
calls the C library. They share out float32 sums by the number of threads, so a deterministic
program has one thread.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._util.tensorflow import stderr_held_back
from ...errors import EngineError
from ...labels import CLASSES
from ..model_folder import LITERT_FILE, Model

#: Images at once at most, each on threads of its own: at 256 x 256 each takes 66 MB.
_LANES = 16
#: Images that a lane does in a batch, so that none waits long for the others at its end.
_TURNS = 2

Grids = npt.NDArray[np.float32]


class LiteRTEngine:
    """Runs a flatbuffer; see ``Engine``. One image's masks are the same in any batch.

    A few images are computed one after the other by all threads. Of more, each is computed by a
    thread of its own, which then waits for no other, also where readers and writers take its core
    for a while.

    Attributes:
        deterministic: whether LiteRT's own kernels compute it, on one thread per image, so that
            answers do not depend on the instruction sets of the processor.
    """

    name = "litert"
    precision = "int8"
    device = "cpu"

    def __init__(
        self,
        model: Model,
        precision: str,
        device: str,
        threads: int,
        *,
        deterministic: bool = False,
    ) -> None:
        if precision not in ("auto", "int8"):
            raise EngineError(
                f"--engine litert computes in int8, not {precision}; give --engine saved-model"
            )
        if device not in ("auto", "cpu"):
            raise EngineError(f"--engine litert runs on the CPU, not on {device}")
        self._arguments = model, precision, device, threads
        self.deterministic = deterministic
        self.size = model.size
        self._path = model.folder / LITERT_FILE
        self._threads = threads
        self._lanes = min(threads, _LANES)
        self.batch_size = _TURNS * self._lanes if self._lanes > 1 else 1
        self._wide = self._program(threads)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its arguments: it is opened again when it is unpickled."""
        return partial(LiteRTEngine, deterministic=self.deterministic), self._arguments

    def predict(self, grids: Grids) -> Grids:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities."""
        probabilities = np.empty((*grids.shape, CLASSES), np.float32)
        alone = len(grids) == 1 if self.deterministic else len(grids) < self._lanes
        if self._lanes == 1 or alone:
            for grid, slot in zip(grids, probabilities, strict=True):
                self._wide.run(grid, slot)
        else:
            pool, narrow = self._pool
            list(pool.map(partial(_run_in_turn, narrow), grids, probabilities))
        return probabilities

    @cached_property
    def _pool(self) -> tuple[ThreadPoolExecutor, LifoQueue[_Program]]:
        """Threads, and as many programs for them to use; made when they are first needed."""
        narrow: LifoQueue[_Program] = LifoQueue()
        for _ in range(self._lanes):
            narrow.put(self._program(self._threads // self._lanes))
        return ThreadPoolExecutor(self._lanes, "litert"), narrow

    def _program(self, threads: int) -> _Program:
        return _Program(self._path, self.size, threads, self.deterministic)


class _Program:
    """A loaded flatbuffer with memory of its own, for one image at a time."""

    def __init__(self, path: Path, size: int, threads: int, deterministic: bool) -> None:
        with stderr_held_back():
            from ai_edge_litert.interpreter import Interpreter, OpResolverType

            kernels = {"num_threads": threads}
            if deterministic:
                own = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                kernels = {"num_threads": 1, "experimental_op_resolver_type": own}
            try:
                self._interpreter: Any = Interpreter(str(path), **kernels)
                self._input = self._interpreter.get_input_details()[0]["index"]
                self._output = self._interpreter.get_output_details()[0]["index"]
                self._interpreter.resize_tensor_input(self._input, (1, size, size, 1))
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise EngineError(f"{path}: LiteRT cannot load it: {error}") from error

    def run(self, grid: Grids, probabilities: Grids) -> None:
        """(S, S) into (S, S, 4), which is filled."""
        self._interpreter.set_tensor(self._input, grid[None, :, :, None])
        self._interpreter.invoke()
        probabilities[:] = self._interpreter.get_tensor(self._output)[0]


def _run_in_turn(narrow: LifoQueue[_Program], grid: Grids, probabilities: Grids) -> None:
    program = narrow.get()
    try:
        program.run(grid, probabilities)
    finally:
        narrow.put(program)

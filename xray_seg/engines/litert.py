"""The LiteRT engine: dynamic-range int8 on the CPU by XNNPACK, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from ..model_card import LITERT_FILE, Model
from ..quiet import stderr_held_back


class LiteRTEngine:
    """Runs a flatbuffer; see ``Engine``. One image's masks are the same in any batch."""

    name = "litert"
    precision = "int8"
    device = "cpu"

    def __init__(self, model: Model, precision: str, device: str, threads: int) -> None:
        if precision not in ("auto", "int8"):
            raise EngineError(
                f"--engine litert computes in int8, not {precision}; give --engine saved-model"
            )
        if device not in ("auto", "cpu"):
            raise EngineError(f"--engine litert runs on the CPU, not on {device}")
        path = model.folder / LITERT_FILE
        with stderr_held_back():
            from ai_edge_litert.interpreter import Interpreter

            try:
                self._interpreter: Any = Interpreter(str(path), num_threads=threads)
            except (ValueError, RuntimeError) as error:
                raise EngineError(f"{path}: LiteRT cannot load it: {error}") from error
            self._input = self._interpreter.get_input_details()[0]["index"]
            self._output = self._interpreter.get_output_details()[0]["index"]
            self._allocate(1, model.size)
        self.size = model.size
        # With two threads, one image at a step is a seventh faster than four: they stay in cache.
        self.batch_size = max(1, threads // 4)

    def _allocate(self, batch: int, size: int) -> None:
        self._batch = 0  # if this fails, nothing is allocated
        self._interpreter.resize_tensor_input(self._input, (batch, size, size, 1))
        self._interpreter.allocate_tensors()
        self._batch = batch

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities."""
        if len(grids) != self._batch:
            self._allocate(len(grids), self.size)
        self._interpreter.set_tensor(self._input, grids[..., None])
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))

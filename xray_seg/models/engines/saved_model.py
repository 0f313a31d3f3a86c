"""The TensorFlow engine: a SavedModel with a signature per precision, on a GPU or the CPU."""

from __future__ import annotations

import logging
import re
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from ..._util.tensorflow import stderr_held_back, tensorflow
from ...errors import EngineError
from ..model_folder import SAVED_MODEL_FOLDER, Model
from .devices import cpu_has_bfloat16, gpu_count

#: With no handler set, Python shows warnings on standard error.
_log = logging.getLogger(__name__)

#: Images a step: enough to fill a GPU; on a CPU more only costs memory.
_GPU_BATCH, _CPU_BATCH = 64, 2


class SavedModelEngine:
    """Runs a SavedModel; see ``Engine``."""

    name = "saved-model"

    def __init__(self, model: Model, precision: str, device: str, threads: int) -> None:
        self.device = _device(device)
        self.precision = _precision(precision, self.device)
        self.size = model.size
        self.batch_size = _CPU_BATCH if self.device == "cpu" else _GPU_BATCH
        # Images at once. On a CPU more are no faster, and a batch of another size rounds otherwise;
        # on a GPU memory may show a limit.
        self._most = 1 if self.device == "cpu" else None
        if not model.shipped:
            _log.warning(
                "%s: these weights did not come with xray-seg, and a SavedModel is a program: it "
                "can read and write files. Use it only if you trust whoever made it.",
                model.folder,
            )
        self._tf = tf = tensorflow()
        with suppress(RuntimeError):  # TensorFlow has started in this process: they are set
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        with stderr_held_back():
            self._loaded = tf.saved_model.load(str(model.folder / SAVED_MODEL_FOLDER))
        if self.precision not in self._loaded.signatures:
            raise EngineError(f"{model.folder}: its SavedModel has no signature {self.precision}")
        self._serve = self._loaded.signatures[self.precision]

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities.

        Where the GPU's memory does not hold a batch, it is halved, for this call and later ones.
        """
        answers: list[npt.NDArray[np.float32]] = []
        done = 0
        while done < len(grids):
            part = grids[done : done + self._most] if self._most else grids[done:]
            try:
                answers.append(self._answer(part))
            except self._tf.errors.ResourceExhaustedError:
                if len(part) == 1:
                    raise
                self._most = len(part) // 2
            else:
                done += len(part)
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def _answer(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        tf = self._tf
        with tf.device(f"/{self.device}"):
            return np.asarray(self._serve(images=tf.constant(grids[..., None]))["probabilities"])


def _device(asked: str) -> str:
    kind, _, number = asked.partition(":")
    if asked not in ("auto", "cpu", "gpu") and not re.fullmatch(r"gpu:\d+", asked):
        raise EngineError(f"--device {asked}: give auto, cpu, gpu or gpu:N")
    gpus = 0 if kind == "cpu" else gpu_count()
    index = int(number or 0)
    if kind == "gpu" and index >= gpus:
        raise EngineError(f"--device {asked}: TensorFlow sees {gpus} GPUs; give --device cpu")
    return f"gpu:{index}" if gpus else "cpu"


def _precision(asked: str, device: str) -> str:
    if asked == "int8":
        raise EngineError("--precision int8 needs --engine litert")
    if asked != "auto":
        return asked
    if device != "cpu":
        return "float16"
    return "bfloat16" if cpu_has_bfloat16() else "float32"

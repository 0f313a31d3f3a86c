"""What a batch is to do, for all executors and their workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .._util.folder_lock import HIDDEN
from ..models.model_folder import Model
from .inputs import Input
from .options import BatchOptions

if TYPE_CHECKING:
    from ..models.engines import Engine
    from ..segmenter import Segmenter


@dataclass(frozen=True)
class BatchJob:
    """A batch: inputs, output folder, model and options.

    Attributes:
        out: the output folder.
        options: how it reads and what it writes.
        model: the weights.
        size: side of the network's grid.
        batch_size: radiographs per step of the engine.
        engine: what predicts; None in workers that only read and write.
        inputs: with unique keys, as ``find_inputs`` gives them.
    """

    out: Path
    options: BatchOptions
    model: Model
    size: int
    batch_size: int
    engine: Engine | None = None
    inputs: Sequence[Input] = ()

    @classmethod
    def of(
        cls, inputs: Sequence[Input], out: Path, segmenter: Segmenter, options: BatchOptions
    ) -> BatchJob:
        """The job of segmenting inputs into an output folder."""
        engine = segmenter.engine
        batch_size = options.batch_size or engine.batch_size
        return cls(out, options, segmenter.model, engine.size, batch_size, engine, inputs)

    @property
    def required_engine(self) -> Engine:
        """The engine, for executors that predict with it.

        Raises:
            ValueError: the job was made for a worker, which has none.
        """
        if self.engine is None:
            raise ValueError("the job has no engine")
        return self.engine

    def for_worker(self) -> BatchJob:
        """The job without inputs and engine, small enough to be sent to each worker."""
        return replace(self, out=self.out.absolute(), engine=None, inputs=())

    @property
    def hidden(self) -> Path:
        """Folder of the run's own files: journal, locks, pictures of the review page."""
        return self.out / HIDDEN

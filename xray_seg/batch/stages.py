"""The three stages of a radiograph in a batch: read it, predict, write its masks.

Executors call these functions in threads, processes or cluster tasks. They raise nothing for a bad
input: it becomes a record that says what is wrong.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._util.remote import readable_source
from ..errors import XraySegError
from ..models.engines import Engine
from ..outputs import MaskSet, encode_all
from ..preprocessing.preprocessor import ModelInput, Preprocessor
from ..radiograph import Radiograph
from ..readers import read, read_ids
from ..readers.limits import Budget
from ..segmentation import Segmentation
from .inputs import Input
from .job import BatchJob
from .journal import Record
from .options import BatchOptions
from .report.fragment import fragment_path, save_fragment
from .results.columns import done_row, failed_row
from .results.folder_sink import write_files

_IMPORTING = threading.Lock()
_OUT_OF_MEMORY = (
    "not enough memory for it, or it needs more than an image within --max-pixels should; if it is "
    "a radiograph, give fewer --workers or a smaller --batch-size"
)

Grids = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """An input to segment.

    Attributes:
        item: the input.
        fingerprint: of the input, the model and the options, for the journal.
        owned: SHA-256 by name of files that earlier runs wrote for the input.
    """

    item: Input
    fingerprint: str
    owned: dict[str, str] = field(default_factory=dict)

    def failed(self, error: str) -> Result:
        """The result where the input could not be segmented."""
        return Result(Record(self.item.key, self.fingerprint, failed_row(self.item.path, error)))


@dataclass(frozen=True)
class Prepared:
    """An input after the read stage.

    Attributes:
        task: the task.
        model_input: the radiograph on the grid; None where it could not be read.
        error: why it could not be read, or empty.
        ids: DICOM identifiers for results.csv, where they are asked for.
    """

    task: Task
    model_input: ModelInput | None = None
    error: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def failure(self) -> Result:
        """The result of an input that could not be read."""
        return self.task.failed(self.error)


@dataclass(frozen=True)
class Failure:
    """A prediction that failed.

    Attributes:
        reason: what the engine said.
    """

    reason: str


@dataclass(frozen=True)
class Result:
    """An input that is finished.

    Attributes:
        record: for the journal.
        files: outputs by name, where the sink and not the worker stores them.
    """

    record: Record
    files: dict[str, bytes] = field(default_factory=dict)


def load_kernels() -> None:
    """Import the kernels before threads need them.

    A second thread that imports a module at the same time can see numba's modules, which import
    each other, half initialised.
    """
    with _IMPORTING:
        from .. import kernels  # noqa: F401


def load(item: Input, options: BatchOptions) -> Radiograph:
    """Read an input as the options say.

    Raises:
        ReadError: it cannot be read as a radiograph.
    """
    source = readable_source(item.path, max_length=Budget(options.max_pixels).max_length)
    name = str(item.path)
    radiograph = read(source, raw=options.raw, name=name, max_pixels=options.max_pixels)
    if options.spacing is not None:
        radiograph = replace(radiograph, spacing=(options.spacing, options.spacing))
    if options.inverted is not None:
        radiograph = replace(radiograph, inverted=options.inverted)
    return radiograph


def prepare(job: BatchJob, task: Task) -> Prepared:
    """Read an input and lay it on the network's grid."""
    item, options = task.item, job.options
    try:
        radiograph = load(item, options)
        ids = {}
        if options.keep_ids and isinstance(item.path, Path):
            ids = read_ids(item.path, max_pixels=options.max_pixels)
        return Prepared(task, Preprocessor(job.size)(radiograph), ids=ids)
    except Exception as error:  # noqa: BLE001 - one bad file must not end a batch of thousands
        return Prepared(task, error=_describe(item, error, named=True))


def predict(engine: Engine, grids: list[Grids]) -> list[Grids | Failure]:
    """Predict a batch of (S, S) grids; where it fails, the images are tried one by one."""
    if not grids:
        return []
    try:
        return list(engine.predict(np.stack(grids)))
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        if len(grids) == 1:
            return [Failure(f"the engine failed: {type(error).__name__}: {error}")]
        return [outcome for grid in grids for outcome in predict(engine, [grid])]


def finish(job: BatchJob, prepared: Prepared, outcome: Grids | Failure) -> Result:
    """Restore, measure and encode the masks of a radiograph, and write them to the output folder.

    With Parquet output, nothing is written: the result carries the files.
    """
    task, options = prepared.task, job.options
    try:
        if isinstance(outcome, Failure):
            raise XraySegError(outcome.reason)
        if prepared.model_input is None:
            raise XraySegError(prepared.error)
        result = Segmentation.from_probabilities(prepared.model_input, outcome, job.model)
        encoded = encode_all(options.encoders, task.item.key, result.masks)
        names = [file.name for file in encoded.files]
        labels = next((name for name in names if name.startswith("labels/")), "")
        known = result.radiograph, result.measurements, result.quality
        row = done_row(task.item.path, labels, *known, encoded.notes) | prepared.ids
        if options.output_format == "parquet":
            files = {file.name: file.data for file in encoded.files}
            _save_picture(job, task.item.key, result.masks)
            return Result(Record(task.item.key, task.fingerprint, row, names), files)
        hashes = write_files(job.out, task.item.key, encoded.files, task.owned, adopt=options.adopt)
        _save_picture(job, task.item.key, result.masks)
        sizes = {file.name: len(file.data) for file in encoded.files}
        record = Record(task.item.key, task.fingerprint, row, names, hashes, sizes=sizes)
        return Result(record)
    except Exception as error:  # noqa: BLE001 - as above
        return task.failed(_describe(task.item, error))


def _save_picture(job: BatchJob, key: str, masks: MaskSet) -> None:
    """Save what the review page shows of an input, or remove what an earlier run saved."""
    fragment = fragment_path(job.hidden, key)
    if job.options.report:
        save_fragment(fragment, masks)
    else:
        fragment.unlink(missing_ok=True)


def _describe(item: Input, error: Exception, *, named: bool = False) -> str:
    """An error for results.csv; ``named`` where its own message names the file already."""
    if isinstance(error, XraySegError):
        return str(error) if named else f"{item.path}: {error}"
    if isinstance(error, MemoryError):
        return f"{item.path}: {_OUT_OF_MEMORY}"
    return f"{item.path}: {type(error).__name__}: {error}"

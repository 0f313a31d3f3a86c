"""The three stages of a radiograph in a batch: read it, predict, write its masks.

Executors call these functions in threads, processes or cluster tasks. They raise nothing for a bad
input: it becomes a record that says what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._util.remote import readable_source
from ..errors import NotAChestRadiograph, XraySegError
from ..models.engines import Engine
from ..models.model_folder import Model
from ..outputs import FINDINGS, Encoded, MaskSet, encode_all
from ..preprocessing.preprocessor import ModelInput, Preprocessor
from ..radiograph import Radiograph
from ..readers import read, read_ids
from ..readers.limits import Budget
from ..second_look import Prediction, look_again
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

    def failed(self, error: str, *, status: str = "failed") -> Result:
        """The result where the input could not be segmented, or was skipped."""
        row = failed_row(self.item.path, error, status=status)
        return Result(Record(self.item.key, self.fingerprint, row))


@dataclass(frozen=True)
class Prepared:
    """An input after the read stage.

    Attributes:
        task: the task.
        model_input: the radiograph on the grid; None where it could not be read.
        error: why it could not be read, or empty.
        ids: DICOM identifiers for results.csv, where they are asked for.
        is_skipped: whether ``error`` says why it is left out on purpose.
    """

    task: Task
    model_input: ModelInput | None = None
    error: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    is_skipped: bool = False

    @property
    def failure(self) -> Result:
        """The result of an input that could not be read, or was skipped."""
        return self.task.failed(self.error, status="skipped" if self.is_skipped else "failed")


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
        NotAChestRadiograph: its file says that it is something else; not with ``include_all``.
        ReadError: it cannot be read as a radiograph.
    """
    source = readable_source(item.path, max_length=Budget(options.max_pixels).max_length)
    name = str(item.path)
    radiograph = read(
        source,
        raw=options.raw,
        name=name,
        max_pixels=options.max_pixels,
        chest_only=not options.include_all,
    )
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
        model_input = Preprocessor(job.size, options.corrections)(radiograph)
        return Prepared(task, model_input, ids=ids)
    except NotAChestRadiograph as reason:
        return Prepared(task, error=str(reason), is_skipped=True)
    except Exception as error:  # noqa: BLE001 - one bad file must not end a batch of thousands
        return Prepared(task, error=_describe(item, error, named=True))


def predict(
    engine: Engine, inputs: Sequence[ModelInput], model: Model
) -> list[Prediction | Failure]:
    """Predict a batch, and look at doubtful radiographs again.

    Where the engine fails on the batch, the radiographs are tried one by one.
    """
    outcomes: list[Prediction | Failure] = [
        outcome if isinstance(outcome, Failure) else Prediction(shown, outcome)
        for shown, outcome in zip(inputs, _predict_grids(engine, inputs), strict=True)
    ]
    places = [place for place, each in enumerate(outcomes) if isinstance(each, Prediction)]
    first = [each for each in outcomes if isinstance(each, Prediction)]
    for place, prediction in zip(places, _look_again(engine, first, model), strict=True):
        outcomes[place] = prediction
    return outcomes


def _look_again(engine: Engine, first: list[Prediction], model: Model) -> list[Prediction]:
    """A second look; where the engine fails in it, the first look stands, with a note."""
    try:
        return look_again(engine, first, model)
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        if len(first) > 1:
            return [one for each in first for one in _look_again(engine, [each], model)]
        note = f"no second look, the engine failed: {type(error).__name__}: {error}"
        return [each.with_note(note) for each in first]


def _predict_grids(engine: Engine, inputs: Sequence[ModelInput]) -> list[Grids | Failure]:
    if not inputs:
        return []
    try:
        return list(engine.predict(np.stack([each.grid for each in inputs])))
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        if len(inputs) == 1:
            return [Failure(f"the engine failed: {type(error).__name__}: {error}")]
        return [outcome for each in inputs for outcome in _predict_grids(engine, [each])]


def finish(job: BatchJob, prepared: Prepared, outcome: Prediction | Failure) -> Result:
    """Restore, measure and encode the masks of a radiograph, and write them to the output folder.

    With Parquet output, nothing is written: the result carries the files.
    """
    task, options = prepared.task, job.options
    try:
        if isinstance(outcome, Failure):
            raise XraySegError(outcome.reason)
        result = Segmentation.from_probabilities(
            outcome.model_input, outcome.probabilities, job.model
        )
        encoded = _encode(options, task.item.key, result)
        names = [file.name for file in encoded.files]
        labels = next((name for name in names if name.startswith("labels/")), "")
        row = done_row(task.item.path, labels, result, encoded.notes) | prepared.ids
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


def _encode(options: BatchOptions, key: str, result: Segmentation) -> Encoded:
    """Encode the outputs; doubtful masks get none that other programs take as findings."""
    encoders = options.encoders
    if result.is_doubtful and not options.include_doubtful:
        withheld = [kind for kind in encoders if kind in FINDINGS]
        encoders = {kind: each for kind, each in encoders.items() if kind not in FINDINGS}
        notes = tuple(f"no {kind}: the masks are doubtful" for kind in withheld)
        if not encoders:
            return Encoded((), notes)
        encoded = encode_all(encoders, key, result.masks)
        return replace(encoded, notes=encoded.notes + notes)
    return encode_all(encoders, key, result.masks)


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

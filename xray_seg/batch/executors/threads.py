"""What happens to each film of a batch: read threads, one engine, write threads.

Between them are bounded queues, so memory holds a few batches, however long the list of inputs.
The engine runs on the calling thread; readers decode straight into grids ahead of it, writers
restore and compress behind it, both in kernels and codecs that release the GIL.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from ..._util.concurrency import available_cores, map_ordered
from ..._util.files import TEMPORARY_PREFIX, file_sha256
from ..._util.folder_lock import HIDDEN
from ..._util.remote import Remote
from ...errors import XraySegError
from ...models.model_folder import Model
from ...outputs import save_outputs
from ...preprocessing.preprocessor import ModelInput, Preprocessor
from ...radiograph import Radiograph
from ...readers import read, read_ids
from ...segmenter import Segmenter, restore
from ..inputs import Input
from ..journal import Record, done_row, failed_row
from ..options import BatchOptions, Summary
from ..report.fragment import fragment_path, save_fragment
from ..results.parquet_sink import pack

#: Of threads and processes that read and write; 0 is usual, 19 the politest.
NICE = 5
#: An input and its fingerprint.
Todo = tuple[Input, str]
_IMPORTING = threading.Lock()
_MEMORY = "not enough memory for it; give fewer --workers, a smaller --batch-size or --max-pixels"


@dataclass(frozen=True)
class Ready:
    """An input on its way: fitted to the grid, or with the reason why not."""

    item: Input
    fingerprint: str
    fitted: ModelInput | None = None
    error: str = ""
    ids: dict[str, str] = field(default_factory=dict)


def run_stages(
    todo: Iterator[Todo],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    summary: Summary,
    settle: Callable[[Record], None],
) -> None:
    """Read, predict and write in threads of this process."""
    load_kernels()
    workers = options.workers or available_cores()
    batch_size = options.batch_size or segmenter.engine.batch_size
    readers = ThreadPoolExecutor(workers, "read", _give_way)
    writers = ThreadPoolExecutor(workers, "write", _give_way)
    writing: deque[Future[Record]] = deque()

    def settle_oldest() -> None:
        record = writing[0].result()  # it stays in the queue while an interruption may come
        writing.popleft()
        settle(record)

    try:
        prepared = map_ordered(
            readers,
            lambda pair: prepare(*pair, segmenter.engine.size, options),
            todo,
            batch_size + workers,
        )
        for batch in _batches(_fitted(prepared, settle), batch_size):
            began = time.perf_counter()
            outcomes = predict(segmenter, [fitted.grid for _, fitted in batch])
            summary.engine_seconds += time.perf_counter() - began
            for (ready, fitted), outcome in zip(batch, outcomes, strict=True):
                given = ready, fitted, outcome, segmenter.model, out, options
                writing.append(writers.submit(finish, *given))
            while len(writing) > batch_size + workers or (writing and writing[0].done()):
                settle_oldest()
        while writing:
            settle_oldest()
    finally:
        readers.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)
        for future in writing:  # after an interruption: what was finished is kept
            if future.done() and not future.cancelled():
                settle(future.result())


def load_kernels() -> None:
    """Import the kernels before threads need them.

    Modules that import each other in a circle, as numba's do, can be seen half made by a second
    thread that imports them at the same time.
    """
    with _IMPORTING:
        from ... import kernels  # noqa: F401


def _give_way() -> None:
    """Let the engine's threads go first: while one of them waits for a core, all wait for it."""
    if sys.platform == "linux":  # elsewhere this would be the whole process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _fitted(
    prepared: Iterator[Ready], settle: Callable[[Record], None]
) -> Iterator[tuple[Ready, ModelInput]]:
    """The inputs that could be read; the others are settled at once."""
    for ready in prepared:
        if ready.fitted is None:
            settle(unread(ready))
        else:
            yield ready, ready.fitted


def unread(ready: Ready) -> Record:
    """The record of an input that could not be read."""
    return Record(ready.item.key, ready.fingerprint, failed_row(ready.item.path, ready.error))


def _batches(
    items: Iterator[tuple[Ready, ModelInput]], size: int
) -> Iterator[list[tuple[Ready, ModelInput]]]:
    """Lists of ``size`` items; the last may be shorter."""
    while batch := list(islice(items, size)):
        yield batch


def load(item: Input, options: BatchOptions) -> Radiograph:
    """Read an input as the options say.

    Raises:
        ReadError: it cannot be read as a radiograph.
    """
    if isinstance(item.path, Remote):
        radiograph = read(
            item.path.read_bytes(),
            raw=options.raw,
            name=str(item.path),
            max_pixels=options.max_pixels,
        )
    else:
        radiograph = read(item.path, raw=options.raw, max_pixels=options.max_pixels)
    if options.spacing is not None:
        radiograph = replace(radiograph, spacing=(options.spacing, options.spacing))
    if options.inverted is not None:
        radiograph = replace(radiograph, inverted=options.inverted)
    return radiograph


def prepare(item: Input, fingerprint: str, size: int, options: BatchOptions) -> Ready:
    """The read stage: file to grid."""
    try:
        radiograph = load(item, options)
        ids = read_ids(item.path) if options.keep_ids and isinstance(item.path, Path) else {}
        return Ready(item, fingerprint, Preprocessor(size)(radiograph), ids=ids)
    except XraySegError as error:
        return Ready(item, fingerprint, error=str(error))
    except MemoryError:
        return Ready(item, fingerprint, error=f"{item.path}: {_MEMORY}")
    except Exception as error:  # noqa: BLE001 - one bad file must not end a batch of thousands
        return Ready(item, fingerprint, error=f"{item.path}: {type(error).__name__}: {error}")


def predict(
    segmenter: Segmenter, grids: list[npt.NDArray[np.float32]]
) -> list[npt.NDArray[np.float32] | str]:
    """The engine stage; if a batch fails, its images are tried one by one."""
    if not grids:
        return []
    try:
        return list(segmenter.engine.predict(np.stack(grids)))
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        if len(grids) == 1:
            return [f"the engine failed: {type(error).__name__}: {error}"]
        return [outcome for grid in grids for outcome in predict(segmenter, [grid])]


def finish(
    ready: Ready,
    fitted: ModelInput,
    outcome: npt.NDArray[np.float32] | str,
    model: Model,
    out: Path,
    options: BatchOptions,
    hidden: Path | None = None,
) -> Record:
    """The write stage: probabilities to files and a record, which for parquet holds the files."""
    hidden = hidden or out / HIDDEN
    if options.output_format == "parquet":
        with TemporaryDirectory(prefix=TEMPORARY_PREFIX) as name:
            place, folder = Path(name), replace(options, output_format="folder")
            return pack(finish(ready, fitted, outcome, model, place, folder, hidden), place)
    item = ready.item
    try:
        if isinstance(outcome, str):
            raise XraySegError(outcome)
        result = restore(fitted, outcome, model=model)
        fragment = fragment_path(hidden, item.key)
        if options.report:
            save_fragment(fragment, result)
        else:  # one of an earlier run may show another film
            fragment.unlink(missing_ok=True)
        how = options.save, options.suffix, result, options.sides, options.lines
        made = save_outputs(out, item.key, *how)
        outputs = [path.relative_to(out).as_posix() for path in made.paths]
        labels = next((name for name in outputs if name.startswith("labels/")), "")
        found = result.measurements, result.quality
        row = done_row(item.path, labels, result.radiograph, *found, made.notes)
        hashes = {name: file_sha256(out / name) for name in outputs}
        return Record(item.key, ready.fingerprint, row | ready.ids, outputs, hashes)
    except XraySegError as error:
        row = failed_row(item.path, f"{item.path}: {error}")
    except MemoryError:
        row = failed_row(item.path, f"{item.path}: {_MEMORY}")
    except Exception as error:  # noqa: BLE001 - as above
        row = failed_row(item.path, f"{item.path}: {type(error).__name__}: {error}")
    return Record(item.key, ready.fingerprint, row)

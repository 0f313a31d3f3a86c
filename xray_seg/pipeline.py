"""A batch: read threads, one engine, write threads, with bounded queues between them.

Memory holds a few batches, however long the list of inputs. The engine runs on the calling
thread; readers decode straight into grids ahead of it, writers restore and compress behind it,
both in kernels and codecs that release the GIL.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from .ahead import in_order
from .atomic import TEMPORARY_PREFIX
from .engines import available_cores
from .errors import XraySegError
from .fingerprint import file_sha256, fingerprint_of, settings_of
from .folder_lock import HIDDEN
from .inputs import Input
from .journal import Journal, Record, done_row, failed_row
from .model_card import Model
from .parts import Parts, pack
from .polarity import Fitted, fit
from .radiograph import Radiograph
from .readers import MAX_PIXELS, RawLayout, read, read_ids
from .report.fragment import fragment_path, save_fragment
from .segmenter import Segmenter, restore
from .stores import Remote
from .writers import save_outputs

_MEMORY = "not enough memory for it; give fewer --workers, a smaller --batch-size or --max-pixels"


@dataclass(frozen=True)
class BatchOptions:
    """How a batch reads and what it writes.

    Attributes:
        save: kinds of output, some of ``writers.KINDS``.
        suffix: of label maps and organ masks, ``.tif`` or ``.png``.
        raw: layout of headerless files; None for JSRT's.
        spacing: mm between pixels of every input, over what its file states; None to believe it.
        inverted: polarity of every input, over what its file states; None to believe it.
        sides: whether outputs tell right and left apart.
        overwrite: do again what is done already with the same input, model and settings.
        batch_size: radiographs a step of the engine; None for its own choice.
        workers: threads that read, and as many that write; None for one a core.
        output_format: ``folder`` for a file each, ``parquet`` for rows of few files (see parts).
        lines: whether overlays show the cardiothoracic ratio.
        verify: what tells that an input is the same as before, beside its size: ``mtime`` or
            ``hash`` (of its bytes).
        max_pixels: samples (pixels times colours) of an image at most.
        report: whether to keep what the review page shows of each film.
        keep_ids: whether patient, study, series and instance of DICOM files go into the record.
    """

    save: tuple[str, ...] = ("labels", "overlay")
    suffix: str = ".tif"
    raw: RawLayout | None = None
    spacing: float | None = None
    inverted: bool | None = None
    sides: bool = False
    overwrite: bool = False
    batch_size: int | None = None
    workers: int | None = None
    output_format: str = "folder"
    lines: bool = False
    verify: str = "mtime"
    max_pixels: int = MAX_PIXELS
    report: bool = True
    keep_ids: bool = False


@dataclass
class Summary:
    """What a batch came to.

    Attributes:
        total: inputs.
        done: segmented in this run.
        kept: done by an earlier run, with the same input, model and settings.
        failed: inputs without masks.
        seconds: wall-clock time of the run.
        engine_seconds: of them, in the engine.
        interrupted: whether it was stopped before its end.
        distrusted: of those with masks, how many are below ``--min-quality``; None if not asked.
    """

    total: int
    done: int = 0
    kept: int = 0
    failed: int = 0
    seconds: float = 0.0
    engine_seconds: float = 0.0
    interrupted: bool = False
    distrusted: int | None = None


@dataclass(frozen=True)
class Ready:
    """An input on its way: fitted to the grid, or with the reason why not."""

    item: Input
    fingerprint: str
    fitted: Fitted | None = None
    error: str = ""
    ids: dict[str, str] = field(default_factory=dict)


#: Takes what is to do, the output folder, segmenter, options, the summary (for the time that
#: engines take) and what to call with each record.
Stages = Callable[
    [
        Iterator[tuple[Input, str]],
        Path,
        Segmenter,
        BatchOptions,
        Summary,
        Callable[[Record], None],
    ],
    None,
]


def run_batch(
    inputs: Sequence[Input],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    journal: Journal,
    tell: Callable[[Record, Summary], None] = lambda record, summary: None,
    stages: Stages | None = None,
) -> Summary:
    """Segment inputs into an output folder; no bad input stops it.

    Args:
        inputs: with unique keys, as ``find_inputs`` gives them.
        out: the output folder.
        segmenter: model and engine.
        options: see BatchOptions.
        journal: of the output folder; gets a record of each input.
        tell: called after each input with its record and the summary so far.
        stages: what reads, predicts and writes; None for threads of this process.

    Returns:
        The summary; with ``interrupted`` set where Ctrl-C ended it early.
    """
    summary = Summary(len(inputs))
    started = time.perf_counter()
    settings = settings_of(segmenter, options)
    packed = options.output_format == "parquet"
    parts = Parts(out, journal, [item.key for item in inputs]) if packed else None

    def settle(record: Record, kept: bool = False) -> None:
        if parts and not kept:
            parts.add(record)
        elif not kept:
            before = journal.get(record.key)
            if record.done:
                record = record.after(before)
            else:
                _remove_stale(out, record.key, before)
            journal.append(record)
        summary.kept += kept
        summary.done += record.done and not kept
        summary.failed += not record.done
        summary.seconds = time.perf_counter() - started
        tell(record, summary)

    try:
        todo = _pending(inputs, out, journal, settings, options, settle)
        (stages or run_stages)(todo, out, segmenter, options, summary, settle)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        if parts:
            parts.close()
    summary.seconds = time.perf_counter() - started
    return summary


def _remove_stale(out: Path, key: str, before: Record | None) -> None:
    """Take away what was made of a film that now fails: masks of its earlier content mislead."""
    for made in (fragment_path(Path(HIDDEN), key), *(before.files if before else ())):
        with suppress(OSError):
            (out / made).unlink(missing_ok=True)


def _pending(
    inputs: Sequence[Input],
    out: Path,
    journal: Journal,
    settings: str,
    options: BatchOptions,
    settle: Callable[..., None],
) -> Iterator[tuple[Input, str]]:
    """Inputs yet to be done, each with its fingerprint; the others are settled on the way."""
    for item in inputs:
        fingerprint = fingerprint_of(item.path, settings, options.verify)
        record = journal.get(item.key)
        if item.problem:
            settle(Record(item.key, fingerprint, failed_row(item.path, item.problem)))
        elif (
            not options.overwrite
            and record is not None
            and record.done
            and record.fingerprint == fingerprint
            and all((out / made).is_file() for made in record.outputs)
        ):
            settle(record, kept=True)
        else:
            yield item, fingerprint


def run_stages(
    todo: Iterator[tuple[Input, str]],
    out: Path,
    segmenter: Segmenter,
    options: BatchOptions,
    summary: Summary,
    settle: Callable[[Record], None],
) -> None:
    """Read, predict and write in threads of this process."""
    workers = options.workers or available_cores()
    batch_size = options.batch_size or segmenter.engine.batch_size
    readers = ThreadPoolExecutor(workers, "read")
    writers = ThreadPoolExecutor(workers, "write")
    writing: deque[Future[Record]] = deque()

    def settle_oldest() -> None:
        record = writing[0].result()  # it stays in the queue while an interruption may come
        writing.popleft()
        settle(record)

    try:
        prepared = in_order(
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


def _fitted(
    prepared: Iterator[Ready], settle: Callable[[Record], None]
) -> Iterator[tuple[Ready, Fitted]]:
    """The inputs that could be read; the others are settled at once."""
    for ready in prepared:
        if ready.fitted is None:
            row = failed_row(ready.item.path, ready.error)
            settle(Record(ready.item.key, ready.fingerprint, row))
        else:
            yield ready, ready.fitted


def _batches(
    items: Iterator[tuple[Ready, Fitted]], size: int
) -> Iterator[list[tuple[Ready, Fitted]]]:
    """Lists of ``size`` items; the last may be shorter."""
    while batch := list(islice(items, size)):
        yield batch


def load(item: Input, options: BatchOptions) -> Radiograph:
    """Read an input as the options say.

    Raises:
        ReadError: it cannot be read as a radiograph.
    """
    if isinstance(item.path, Remote):
        radiograph = read(item.path.read_bytes(), options.raw, str(item.path), options.max_pixels)
    else:
        radiograph = read(item.path, options.raw, None, options.max_pixels)
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
        return Ready(item, fingerprint, fit(radiograph, size), ids=ids)
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
    fitted: Fitted,
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

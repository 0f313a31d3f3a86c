"""What a batch is asked for, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass

from ..readers import MAX_PIXELS, RawLayout


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
        workers: threads that read, and as many that write; for many films (pipeline.MANY),
            processes that do both; None for one a core.
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

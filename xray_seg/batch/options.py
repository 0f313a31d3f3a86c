"""Batch options, shards, and the summary of a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..labels import ORGAN_LABELS, RIGHT_LEFT_LABELS, LabelScheme
from ..outputs import Encoder, make_encoders
from ..preprocessing.corrections import Corrections
from ..readers import MAX_PIXELS, RawLayout

#: Default limit of seconds for one step of one image. 100 million pixels are read in less than 20.
STALL_TIMEOUT_S = 120.0


def _pace(default: Any) -> Any:
    """A field that decides how a batch is run, but not what it writes for a readable input."""
    return field(default=default, metadata={"changes_outputs": False})


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a batch reads and what it writes.

    Attributes:
        save: kinds of output, some of ``outputs.KINDS``.
        suffix: of label maps and organ masks, ``.tif`` or ``.png``.
        raw: layout of headerless files; None for JSRT's.
        spacing: mm between pixels of every input, instead of what its file states; None to use
            the file's.
        inverted: polarity of every input, instead of what its file states; None to use the
            file's, or the image's looks.
        orientation: ``auto`` turns images upright as the file says or as a second look finds;
            ``as-stored`` takes them as they are.
        field_of_view: ``auto`` leaves constant borders out; ``full`` takes the whole image.
        include_all: segment also files whose header says that they are no frontal chest
            radiographs, instead of skipping them.
        include_doubtful: write all kinds of output for radiographs whose masks are doubtful, too.
        sides: whether outputs tell right and left apart.
        whole: whether organ masks of lungs include what clavicles cover.
        output_format: ``folder`` for a file per output, ``parquet`` for rows of few files.
        lines: whether overlays show the cardiothoracic ratio.
        keep_ids: whether results.csv has patient, study, series and instance of DICOM files.
        overwrite: segment again what is done already with the same input, model and options.
        batch_size: radiographs per step of the engine; None for the engine's own choice.
        workers: processes that read and write, or threads that read and as many that write. None
            for one a core.
        processes: whether processes or threads read and write; None for processes where there are
            (on Linux). A decoder that crashes, or needs too much memory, ends one process, and not
            the run. Stores that fsspec knows in this process only (``memory://``) need threads.
        stall_timeout: seconds after which a process that does not answer is killed, and its input
            tried once more; 0 to wait for any time.
        verify: how a changed input is noticed, besides its size: ``mtime`` or ``hash``.
        max_pixels: limit of samples (pixels times colours) per image.
        report: whether to write the review page, report.html.
        parquet: whether to write results.parquet beside results.csv.
        adopt: replace files in the output folder that this program did not write, or that were
            changed since.
        min_quality: write distrusted.csv, the rows of radiographs whose predicted Dice is lower,
            worst first; None to leave it out.
    """

    save: tuple[str, ...] = ("labels", "overlay")
    suffix: str = ".tif"
    raw: RawLayout | None = None
    spacing: float | None = None
    inverted: bool | None = None
    orientation: str = "auto"
    field_of_view: str = "auto"
    include_all: bool = False
    include_doubtful: bool = False
    sides: bool = False
    whole: bool = False
    output_format: str = "folder"
    lines: bool = False
    keep_ids: bool = False
    overwrite: bool = _pace(False)
    batch_size: int | None = _pace(None)
    workers: int | None = _pace(None)
    processes: bool | None = _pace(None)
    stall_timeout: float = _pace(STALL_TIMEOUT_S)
    verify: str = _pace("mtime")
    max_pixels: int = _pace(MAX_PIXELS)
    report: bool = _pace(True)
    parquet: bool = _pace(False)
    min_quality: float | None = _pace(None)
    adopt: bool = _pace(False)

    @property
    def scheme(self) -> LabelScheme:
        """The labels of the outputs."""
        return RIGHT_LEFT_LABELS if self.sides else ORGAN_LABELS

    @property
    def corrections(self) -> Corrections:
        """What may be corrected of stored images."""
        return Corrections(
            polarity=self.inverted is None,
            orientation=self.orientation == "auto",
            field_of_view=self.field_of_view == "auto",
        )

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders of the outputs, by kind."""
        return make_encoders(
            self.save,
            suffix=self.suffix,
            scheme=self.scheme,
            show_ratio=self.lines,
            whole=self.whole,
        )


def output_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, by name, that change outputs.

    Args:
        settings: all settings, as ``dataclasses.asdict`` gives them of BatchOptions.
    """
    pace = {each.name for each in fields(BatchOptions) if each.metadata}
    return {name: value for name, value in settings.items() if name not in pace}


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of the inputs.

    Attributes:
        index: which, from 1.
        count: how many there are.

    Raises:
        ValueError: the index is not in 1 to ``count``.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        """Check the index."""
        if not 1 <= self.index <= self.count:
            raise ValueError(f"shard {self.index}/{self.count}: I must be 1 to N")

    @property
    def suffix(self) -> str:
        """What is put after the names of its files, for instance ``-1-of-4``."""
        return f"-{self.index}-of-{self.count}"


#: Counts of a batch that add up to its inputs.
COUNTS = ("done", "kept", "failed", "skipped")


@dataclass
class Summary:
    """Counts and times of a batch.

    Attributes:
        total: inputs.
        done: inputs segmented in this run.
        kept: inputs segmented by an earlier run with the same input, model and options.
        failed: inputs without masks.
        skipped: inputs left out because their files say that they are no chest radiographs.
        doubtful: radiographs of this and earlier runs whose masks are doubtful.
        shown: of this and earlier runs, how many images were shown otherwise than they are stored:
            ``inverted``, ``turned``, ``mirrored``, ``borders_left_out``, and how many by a
            ``second_look``.
        seconds: wall-clock time of the run.
        engine_seconds: time in the engine.
        interrupted: whether it was stopped before its end.
        distrusted: radiographs with masks whose quality is below ``min_quality``; None without it.
    """

    total: int
    done: int = 0
    kept: int = 0
    failed: int = 0
    skipped: int = 0
    doubtful: int = 0
    shown: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    engine_seconds: float = 0.0
    interrupted: bool = False
    distrusted: int | None = None

    @property
    def processed(self) -> int:
        """Inputs that are done, kept, failed or skipped."""
        return self.done + self.kept + self.failed + self.skipped

    @property
    def counts(self) -> dict[str, int]:
        """The counts as run.json has them."""
        counts = asdict(self)
        return {"inputs": self.total, **{key: counts[key] for key in COUNTS}}

"""Output formats of masks.

Each format is an ``Encoder``, which encodes the masks of one radiograph as named bytes. Sinks
(``batch.results``) write these to a folder or to Parquet files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._util.files import write_bytes
from ..errors import OutputError
from ..labels import ORGAN_LABELS, LabelScheme
from .chexmask import CheXmaskEncoder, encode_table, merge_tables
from .coco import CocoEncoder, merge_data_sets
from .dicom_seg import DicomSegEncoder, encode_dicom_seg, is_available
from .encoder import Encoder as Encoder
from .encoder import NotEncodable
from .encoder import OutputFile as OutputFile
from .label_maps import (
    LABEL_SUFFIXES,
    LabelMapEncoder,
    OrganMaskEncoder,
    ProbabilityEncoder,
    encode_label_map,
)
from .mask_set import MaskSet as MaskSet
from .overlay import OverlayEncoder

#: Folder of each kind of output within the output folder.
_FOLDERS = {
    "labels": "labels",
    "organs": "organs",
    "overlay": "overlay",
    "probabilities": "probabilities",
    "rle": "rle",
    "contours": "contours",
    "chexmask": "chexmask",
    "dicom-seg": "seg",
}
#: Kinds of output that ``--save`` can name.
KINDS = tuple(_FOLDERS)
#: Their folders within the output folder.
FOLDERS = tuple(_FOLDERS.values())
#: Kinds that other programs take as findings; doubtful masks have none of them.
FINDINGS = ("rle", "contours", "chexmask", "dicom-seg")
#: Names and suffixes of the files that combine the outputs of all images of a run.
MERGED_FILES = {"coco": ".json", "chexmask": ".csv"}


@dataclass(frozen=True)
class Encoded:
    """The outputs of one radiograph.

    Attributes:
        files: the encoded files.
        notes: kinds that could not be encoded, each with the reason.
    """

    files: tuple[OutputFile, ...]
    notes: tuple[str, ...] = ()


def make_encoders(
    kinds: Sequence[str],
    *,
    suffix: str = ".tif",
    scheme: LabelScheme = ORGAN_LABELS,
    show_ratio: bool = False,
    whole: bool = False,
) -> dict[str, Encoder]:
    """Make the encoders of some kinds of output, by kind.

    Args:
        kinds: some of KINDS.
        suffix: file suffix of label maps and organ masks, ``.tif`` or ``.png``.
        scheme: the label scheme of the outputs.
        show_ratio: whether overlays show the cardiothoracic ratio.
        whole: whether organ masks of lungs include what clavicles cover.
    """
    factories: dict[str, Callable[[], Encoder]] = {
        "labels": lambda: LabelMapEncoder(suffix, scheme),
        "organs": lambda: OrganMaskEncoder(suffix, scheme, whole),
        "overlay": lambda: OverlayEncoder(scheme, show_ratio),
        "probabilities": ProbabilityEncoder,
        "rle": lambda: CocoEncoder("rle", scheme),
        "contours": lambda: CocoEncoder("contours", scheme),
        "chexmask": CheXmaskEncoder,
        "dicom-seg": lambda: DicomSegEncoder(scheme),
    }
    return {kind: factories[kind]() for kind in kinds}


def check_kinds(kinds: Sequence[str]) -> None:
    """Check that the libraries for some kinds of output are installed.

    Raises:
        OutputError: an optional dependency is not installed.
    """
    if "dicom-seg" in kinds and not is_available():
        raise OutputError("--save dicom-seg: needs highdicom: pip install 'xray-seg[dicom-seg]'")


def encode_all(encoders: dict[str, Encoder], key: str, masks: MaskSet) -> Encoded:
    """Encode the masks of one radiograph in several formats.

    A format that cannot hold the masks becomes a note: a PNG file, for instance, gets a label map,
    and a note instead of a DICOM SEG.

    Args:
        encoders: encoders by kind.
        key: the input's name in the output folder, a relative path without suffix.
        masks: the masks.

    Raises:
        OutputError: none of the formats can hold the masks.
    """
    files: list[OutputFile] = []
    notes: list[str] = []
    for kind, encoder in encoders.items():
        try:
            files.extend(encoder.encode(key, masks))
        except NotEncodable as reason:
            notes.append(f"no {kind}: {reason}")
    if not files:
        raise OutputError("; ".join(notes) or "nothing to write")
    return Encoded(tuple(files), tuple(notes))


def merge_outputs(
    folder: Path,
    run_suffix: str,
    kinds: Sequence[str],
    scheme: LabelScheme,
    outputs: Callable[[], Iterable[Sequence[str]]],
) -> list[Path]:
    """Combine the outputs of all images of a run: coco.json, chexmask.csv.

    Args:
        folder: the output folder.
        run_suffix: put after the file names, ``-1-of-4`` for a shard; empty for a whole run.
        kinds: the run's kinds of output.
        scheme: the run's labels.
        outputs: called once for each file to write; returns the output files of each image,
            relative to the output folder, in the order of the images.

    Returns:
        The files written.

    Raises:
        OSError: a file cannot be written.
    """
    written: list[Path] = []
    dialects = [kind for kind in ("rle", "contours") if kind in kinds]
    if dialects:
        fragments = (
            {kind: folder / name for kind in dialects for name in names if _is_of(name, kind)}
            for names in outputs()
        )
        written.append(folder / f"coco{run_suffix}.json")
        merge_data_sets(written[-1], dialects, fragments, scheme)
    if "chexmask" in kinds:
        tables = (
            folder / name for names in outputs() for name in names if _is_of(name, "chexmask")
        )
        written.append(folder / f"chexmask{run_suffix}.csv")
        merge_tables(written[-1], tables)
    return written


def save(path: Path, masks: MaskSet, scheme: LabelScheme = ORGAN_LABELS) -> None:
    """Write the masks of one radiograph to one file, in the format of its suffix.

    Args:
        path: file to write: .tif or .png for a label map, .json for a COCO data set with run
            lengths, .csv for a table in CheXmask's format, .dcm for a DICOM SEG.
        masks: the masks.
        scheme: the label scheme of the outputs.

    Raises:
        OutputError: the suffix is unknown, the format cannot hold the masks, or the file cannot
            be written.
    """
    key = Path(masks.radiograph.source).stem
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            (file,) = CocoEncoder("rle", scheme).encode(key, masks)
            data = file.data
        elif suffix == ".csv":
            data = encode_table(key, masks)
        elif suffix == ".dcm":
            data = encode_dicom_seg(masks, scheme)
        elif suffix in LABEL_SUFFIXES:
            spacing, runs = masks.radiograph.spacing, masks.runs(scheme)
            data = encode_label_map(masks.label_map(scheme), suffix, spacing, runs)
        else:
            raise OutputError(
                f"{path}: unknown suffix; give .tif or .png for a label map, .json, .csv or .dcm"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    except NotEncodable as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _is_of(name: str, kind: str) -> bool:
    return name.startswith(_FOLDERS[kind] + "/")

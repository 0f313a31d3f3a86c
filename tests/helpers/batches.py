"""Small batches of phantoms with a stub engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from helpers.place import stub_segmenter
from xray_seg import Segmenter
from xray_seg.batch.options import BatchOptions, Shard, Summary
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom


def segmenter(files: Mapping[str, str] | None = None) -> Segmenter:
    return stub_segmenter(files=files)


def make_films(folder: Path) -> Path:
    """Eight films and one that is none, in the middle."""
    for number in range(7):
        film = (make_phantom(number, 64).radiograph * 255).astype(np.uint8)
        (folder / f"f{number}.png").write_bytes(imagecodecs.png_encode(film))
    (folder / "f3 bad.png").write_text("no film")
    (folder / "=odd.png").write_bytes((folder / "f1.png").read_bytes())
    return folder


def to_shard(part: tuple[int, int] | None) -> Shard | None:
    return Shard(*part) if part else None


def batch(
    films: str | Path, out: Path, part: tuple[int, int] | None = None, **options: Any
) -> Summary:
    return run_batch(
        [films],
        out,
        segmenter=segmenter(),
        options=BatchOptions(**options),
        shard=to_shard(part),
    )


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay")
        for path in (out / kind).rglob("*.*")
    }

"""Small batches of phantoms with a stub engine."""

from types import SimpleNamespace

import imagecodecs
import numpy as np

from helpers.place import StubEngine
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run
from xray_seg.data.phantom import make_phantom


def segmenter(sha256="0" * 64):
    return SimpleNamespace(engine=StubEngine(), model=SimpleNamespace(sha256=sha256, name="stub"))


def make_films(folder):
    """Eight films and one that is none, in the middle."""
    for number in range(7):
        film = (make_phantom(number, 64).radiograph * 255).astype(np.uint8)
        (folder / f"f{number}.png").write_bytes(imagecodecs.png_encode(film))
    (folder / "f3 bad.png").write_text("no film")
    (folder / "=odd.png").write_bytes((folder / "f1.png").read_bytes())
    return folder


def batch(films, out, part=None, **options):
    return run([str(films)], out, segmenter(), BatchOptions(**options), part)


def files(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay")
        for path in (out / kind).rglob("*.*")
    }
